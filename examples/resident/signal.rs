//! Signals of vibration sensors, and a linear layer to score them with: made up, the same in every run.

use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::stages::{CLASSES, INPUTS, SLICE, Sizes};

/// Chunk `number` of sensors on worn bearings: each turn of a shaft hits the sensor once, and it rings. Samples
/// [B, T, I, SLICE], as a converter of 16 bits gives them.
pub fn samples(sizes: Sizes, number: usize) -> Vec<f32> {
    let mut noise = ChaCha8Rng::seed_from_u64(number as u64);
    let each = sizes.steps * INPUTS * SLICE;
    let samples = (0..sizes.batch).flat_map(|b| (number * each..(number + 1) * each).map(move |n| (b, n)));
    samples
        .map(|(b, n)| {
            let since_hit = (n % (500 + 230 * b)) as f32;
            let ringing = 0.8 * (-since_hit / 90.0).exp() * (1.3 * since_hit).sin();
            let sample = ringing + noise.random_range(-0.05..0.05);
            (sample * 32768.0).round() / 32768.0
        })
        .collect()
}

/// (CLASSES, O)
pub fn head(units: usize) -> Array2<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let bound = 1.0 / (units as f32).sqrt();
    Array2::from_shape_simple_fn((CLASSES, units), || random.random_range(-bound..bound))
}
