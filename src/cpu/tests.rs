//! Tests of private parts: activations over all of f32, other vectors and threads, wrong panels.

use std::sync::Arc;

use ndarray::{Array3, ArrayView3};
use pulp::{Arch, Simd, WithSimd};

use super::CpuEngine;
use super::activation::{sigmoid, tanh};
use super::panels::Panels;
use crate::call::{Call, Results, StateViews};
use crate::common::activation::{ALL, CURVED, Worst};
use crate::common::compare::{FLOOR, TIMES_WRONG};
use crate::config::LstmConfig;
use crate::reference;
use crate::weights::LstmWeights;

/// σ and tanh of every x.
struct Activations<'a>(&'a mut [f32], &'a mut [f32]);

impl WithSimd for Activations<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for x in S::as_mut_simd_f32s(self.0).0 {
            *x = sigmoid(simd, *x);
        }
        for x in S::as_mut_simd_f32s(self.1).0 {
            *x = tanh(simd, *x);
        }
    }
}

/// Both, with zeros behind the x up to whole vectors of any machine.
fn activations(x: &[f32]) -> [Vec<f32>; 2] {
    let mut y = x.to_vec();
    y.resize(x.len().next_multiple_of(16), 0.0);
    let mut z = y.clone();
    Arch::new().dispatch(Activations(&mut y, &mut z));
    [y, z].map(|mut y| {
        y.truncate(x.len());
        y
    })
}

/// The worst of the x of these bits, and of -x.
fn worst(bits: &[u32]) -> Worst {
    let x: Vec<f32> = bits.iter().copied().map(f32::from_bits).collect();
    let minus: Vec<f32> = x.iter().map(|x| -x).collect();
    let ([sigmoid, tanh], [sigmoid_minus, tanh_minus]) = (activations(&x), activations(&minus));
    Worst::of(
        bits.iter().zip(0..).map(|(&bits, k)| (bits, [sigmoid[k], sigmoid_minus[k], tanh[k], tanh_minus[k]])),
    )
}

/// Every x where the functions are curved, and every 17th elsewhere: all of them would take a minute.
#[test]
fn activations_err_by_no_more_than_is_said_over_all_of_f32() {
    const CHUNK: usize = 1 << 12; // small enough that its vectors stay in the cache
    let sweep = |thread: u32| {
        let flat = (ALL.start..CURVED.start).chain(CURVED.end..ALL.end);
        let mut bits =
            CURVED.skip(thread as usize).step_by(2).chain(flat.skip(17 * thread as usize).step_by(34));
        let mut all = Worst::default();
        loop {
            let chunk: Vec<u32> = bits.by_ref().take(CHUNK).collect();
            if chunk.is_empty() {
                return all;
            }
            all = all.or(worst(&chunk));
        }
    };
    let all = std::thread::scope(|scope| {
        let other = scope.spawn(|| sweep(1));
        sweep(0).or(other.join().unwrap())
    });
    all.assert_within_bounds(0.0);
}

#[test]
fn infinities_saturate_and_nan_stays() {
    let x = [f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 0.0, -0.0, f32::NAN, -f32::NAN];
    let [sigmoid, tanh] = activations(&x);
    assert_eq!(sigmoid[..6], [1.0, 0.0, 1.0, 0.0, 0.5, 0.5]);
    assert_eq!(tanh[..6], [1.0, -1.0, 1.0, -1.0, 0.0, -0.0]);
    assert!(tanh[5].is_sign_negative());
    assert!(sigmoid[6..].iter().chain(&tanh[6..]).all(|y| y.is_nan()), "{sigmoid:?} {tanh:?}");
}

fn input(steps: usize, batch: usize, width: usize) -> Array3<f32> {
    Array3::from_shape_fn((steps, batch, width), |(t, b, i)| {
        ((t * 31 + b * 17 + i * 7) % 97) as f32 / 48.5 - 1.0
    })
}

pub(super) fn forward(
    engine: &CpuEngine,
    input: ArrayView3<'_, f32>,
    lengths: Option<&[usize]>,
    state: Option<StateViews<'_, f32>>,
) -> Results<f32> {
    engine.forward(&Call::new(&engine.config, input, lengths, state).unwrap()).unwrap()
}

/// The largest error of the output against float64.
fn error(engine: &CpuEngine, weights: &LstmWeights, input: ArrayView3<'_, f32>) -> f64 {
    let (truth, _, _) = reference::forward(weights, input.mapv(f64::from).view(), None, None).unwrap();
    let (output, _, _) = forward(engine, input, None, None);
    let errors = output.iter().zip(&truth).map(|(&y, truth)| (f64::from(y) - truth).abs());
    errors.max_by(f64::total_cmp).unwrap()
}

#[test]
fn no_number_of_threads_changes_a_bit() {
    for config in
        [LstmConfig::new(33, 100), LstmConfig::new(20, 70).with_num_layers(2).with_bidirectional(true)]
    {
        let weights = LstmWeights::uniform(&config, 3).unwrap();
        let mut engine = CpuEngine::new(&weights).unwrap();
        let input = input(20, 9, config.input_size());
        let lengths = [20, 3, 20, 1, 17, 9, 20, 20, 2];
        assert!(
            CpuEngine { threads: 5, ..CpuEngine::new(&weights).unwrap() }.useful_threads(20 * 9, 9) == 5,
            "too small to tell"
        );
        engine.threads = 1;
        let expected = forward(&engine, input.view(), Some(&lengths), None);
        for threads in 2..6 {
            engine.threads = threads;
            let actual = forward(&engine, input.view(), Some(&lengths), None);
            assert_eq!(actual, expected, "{threads} threads");
        }
    }
}

/// However fast the helper is: the call is repeated.
#[test]
fn help_changes_no_bit() {
    for config in [
        LstmConfig::new(33, 100),
        LstmConfig::new(20, 70).with_num_layers(3),
        LstmConfig::new(20, 100).with_num_layers(2).with_proj_size(40),
        LstmConfig::new(20, 70).with_num_layers(2).with_bidirectional(true),
    ] {
        let weights = LstmWeights::uniform(&config, 3).unwrap();
        let mut engine = CpuEngine::new(&weights).unwrap();
        let input = input(101, 1, config.input_size());
        engine.threads = 1;
        let expected = forward(&engine, input.view(), None, None);
        engine.threads = 2;
        assert_eq!(engine.useful_threads(101, 1), 2, "too small to tell");
        for _ in 0..50 {
            assert_eq!(forward(&engine, input.view(), None, None), expected, "{config:?}");
        }
    }
}

#[test]
fn every_width_of_vectors_is_right() {
    let config = LstmConfig::new(19, 37).with_num_layers(2).with_bidirectional(true).with_proj_size(11);
    let weights = LstmWeights::uniform(&config, 5).unwrap();
    let input = input(9, 7, 19);
    let scalar = CpuEngine::for_arch(&weights, Arch::Scalar).unwrap();
    assert_eq!(scalar.network.lanes, 1);
    assert!(error(&scalar, &weights, input.view()) <= FLOOR);
    #[cfg(target_arch = "x86_64")]
    if let Some(v3) = pulp::x86::V3::try_new() {
        let v3 = CpuEngine::for_arch(&weights, Arch::V3(v3)).unwrap();
        let best = CpuEngine::new(&weights).unwrap();
        assert!(error(&best, &weights, input.view()) <= FLOOR);
        let [v3, best] = [v3, best].map(|it| forward(&it, input.view(), None, None));
        assert_eq!(v3, best, "8 and 16 lanes round alike");
    }
}

#[test]
fn exchanged_gates_are_seen() {
    let weights = LstmWeights::uniform(&LstmConfig::new(19, 37), 5).unwrap();
    let input = input(9, 7, 19);
    for (a, b) in [(0, 1), (1, 2), (2, 3), (0, 3)] {
        let mut engine = CpuEngine::new(&weights).unwrap();
        assert!(error(&engine, &weights, input.view()) <= FLOOR);
        let mut w_hh = weights.layer(0, 0).w_hh.clone();
        for unit in 0..37 {
            for m in 0..37 {
                w_hh.swap([a * 37 + unit, m], [b * 37 + unit, m]);
            }
        }
        let lanes = engine.network.lanes;
        let layers = Arc::get_mut(&mut engine.network.layers).unwrap();
        layers[0].w_hh = Panels::of_gates(w_hh.view(), lanes);
        let error = error(&engine, &weights, input.view());
        assert!(error > TIMES_WRONG * FLOOR, "gates {a} and {b} exchanged pass for right: {error}");
    }
}
