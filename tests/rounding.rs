//! Long sums: their rounding errors grow no faster than those of a sum in blocks.

mod common;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use wgpu_lstm::ndarray::Array3;
use wgpu_lstm::{Device, Lstm, LstmConfig, LstmWeights, reference};

/// I: a gate sums so many products.
const LONG: usize = 20_000;

/// A float32 sum as BLAS libraries compute it, in blocks of so many products.
const BLOCK: usize = 128;

fn sum_in_blocks(start: f32, weights: &[f32], x: &[f32]) -> f32 {
    let blocks = weights.chunks(BLOCK).zip(x.chunks(BLOCK));
    blocks.fold(start, |sum, (weights, x)| sum + one_chain(0.0, weights, x))
}

fn one_chain(start: f32, weights: &[f32], x: &[f32]) -> f32 {
    weights.iter().zip(x).fold(start, |sum, (&weight, &x)| weight.mul_add(x, sum))
}

/// The root of the mean square: the largest error of so few sums is chance.
fn error<A: Copy + Into<f64>>(actual: &[A], truth: &[f64]) -> f64 {
    assert_eq!(actual.len(), truth.len());
    let squares = actual.iter().zip(truth).map(|(&a, &t)| (a.into() - t).powi(2));
    (squares.sum::<f64>() / truth.len() as f64).sqrt()
}

/// c after one step from zero, of gates that are summed in float32 and then activated in float64.
fn cells(weights: &LstmWeights, x: &[f32], sum: fn(f32, &[f32], &[f32]) -> f32) -> Vec<f64> {
    let parameter = |wanted: &str| -> Vec<f32> {
        let (_, array) = weights.state_dict().find(|(name, _)| name == wanted).unwrap();
        array.iter().copied().collect()
    };
    let [w_ih, b_ih, b_hh] = ["weight_ih_l0", "bias_ih_l0", "bias_hh_l0"].map(parameter);
    let hidden = weights.config().hidden_size();
    let gate = |k: usize, unit: usize| {
        let row = k * hidden + unit;
        f64::from(sum(b_ih[row] + b_hh[row], &w_ih[row * LONG..][..LONG], x))
    };
    let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
    (0..hidden).map(|unit| sigmoid(gate(0, unit)) * gate(2, unit).tanh()).collect()
}

fn long_sums_err_no_more_than_twice_a_blocked_sum(device: &Device) {
    for hidden in [64, 256] {
        let weights = LstmWeights::uniform(&LstmConfig::new(LONG, hidden), 7).unwrap();
        let mut random = ChaCha8Rng::seed_from_u64(8);
        let x: Vec<f32> = (0..LONG).map(|_| random.random_range(-1.0..1.0)).collect();
        let input = Array3::from_shape_vec((1, 1, LONG), x.clone()).unwrap();
        let wide = input.mapv(f64::from);
        let (_, _, truth) = reference::forward(&weights, wide.view(), None, None).unwrap();
        let truth: Vec<f64> = truth.into_iter().collect();
        let (_, state) = Lstm::new(device, &weights).unwrap().forward(input.view(), None).unwrap();
        let ours = error(&state.c.into_iter().collect::<Vec<_>>(), &truth);
        let [in_blocks, in_one_chain] =
            [sum_in_blocks, one_chain].map(|sum| error(&cells(&weights, &x, sum), &truth));
        println!(
            "{}, H {hidden}: off by {ours:.1e}, a sum in blocks by {in_blocks:.1e}, in one chain by {in_one_chain:.1e}",
            device.name()
        );
        assert!(ours <= 2.0 * in_blocks, "{}, H {hidden}: {ours:.1e} > 2 · {in_blocks:.1e}", device.name());
        assert!(in_one_chain > 2.0 * in_blocks, "one chain would pass too");
    }
}

#[test]
fn long_sums_on_the_cpu() {
    long_sums_err_no_more_than_twice_a_blocked_sum(&Device::cpu());
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn long_sums_on_the_gpu() {
    long_sums_err_no_more_than_twice_a_blocked_sum(common::device::gpu());
}
