//! A call computes with no subnormal number, whatever it is given: processors differ in what these cost, so what is
//! checked is not time but the flags that the processor raises when it meets or makes one.
#![cfg(target_arch = "x86_64")]

use ndarray::Array3;
use proptest::prelude::*;
use proptest::sample::select;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::CpuEngine;
use super::tests::forward;
use crate::common::compare::FLOOR;
use crate::config::LstmConfig;
use crate::reference;
use crate::weights::LstmWeights;

/// Flags of MXCSR, which stay until they are cleared: an operand was subnormal, a result was.
const SUBNORMAL_OPERAND: u32 = 1 << 1;
const SUBNORMAL_RESULT: u32 = 1 << 4;

/// What `work` gives, and which of the flags this thread's vector unit has raised meanwhile.
#[expect(unsafe_code, reason = "the flags can be read by two instructions alone")]
fn flags_of<R>(work: impl FnOnce() -> R) -> (R, u32) {
    let read = || {
        let mut flags = 0u32;
        // SAFETY: stores the register in a variable that is alive.
        unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut flags) };
        flags
    };
    let cleared = read() & !0x3f;
    // SAFETY: clears the flags, and leaves rounding, masks and modes as they are.
    unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const cleared) };
    let result = std::hint::black_box(work());
    (result, read() & (SUBNORMAL_OPERAND | SUBNORMAL_RESULT))
}

/// Powers of two that numbers are scaled by: those that underflow alone, in a product, in a square; and 1.
fn scales() -> impl Strategy<Value = f32> {
    let exponents =
        vec![0, 0, -1, -20, -40, -62, -63, -64, -76, -100, -102, -110, -123, -126, -130, -140, -149];
    select(exponents).prop_map(|exponent| 2f64.powi(exponent) as f32)
}

/// The network with every number scaled, biases apart.
fn scaled(config: &LstmConfig, seed: u64, matrices: f32, biases: f32) -> LstmWeights {
    let mut weights = LstmWeights::uniform(config, seed).unwrap();
    for layer in weights.layers_mut() {
        layer.w_ih *= matrices;
        layer.w_hh *= matrices;
        if let Some(w_hr) = &mut layer.w_hr {
            *w_hr *= matrices;
        }
        if let Some((b_ih, b_hh)) = &mut layer.bias {
            *b_ih *= biases;
            *b_hh *= biases;
        }
    }
    weights
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_call_neither_reads_nor_makes_subnormals(
        (bias, bidirectional, projection, layers) in (any::<bool>(), any::<bool>(), select(vec![0, 5]), 1..3usize),
        (x, weights, biases, h, c) in (scales(), scales(), scales(), scales(), scales()),
        seed in any::<u64>(),
    ) {
        let config = LstmConfig::new(7, 19)
            .with_num_layers(layers)
            .with_bias(bias)
            .with_bidirectional(bidirectional)
            .with_proj_size(projection);
        let weights = scaled(&config, seed, weights, biases);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut array = |shape: [usize; 3], scale: f32| {
            Array3::from_shape_simple_fn(shape, || scale * random.random_range(-1.5..1.5f32))
        };
        let slots = layers * config.num_directions();
        let input = array([12, 3, 7], x);
        let h = array([slots, 3, config.output_size()], h);
        let c = array([slots, 3, 19], c);
        let mut engine = CpuEngine::new(&weights).unwrap();
        engine.threads = 1; // the flags are a thread's own

        let (result, flags) = flags_of(|| forward(&engine, input.view(), None, Some((h.view(), c.view()))));
        if std::arch::is_x86_feature_detected!("fma") {
            // Else a product is rounded before it is added, and may be subnormal.
            prop_assert_eq!(flags, 0, "1 << 1: an operand was subnormal, 1 << 4: a result was");
        }
        let (output, h_n, c_n) = result;
        let wide = |array: &Array3<f32>| array.mapv(f64::from);
        let start = (wide(&h), wide(&c));
        let start = Some((start.0.view(), start.1.view()));
        let truth = reference::forward(&weights, wide(&input).view(), None, start).unwrap();
        for (actual, truth) in [(output, truth.0), (h_n, truth.1), (c_n, truth.2)] {
            for (&y, truth) in actual.iter().zip(&truth) {
                prop_assert!((f64::from(y) - truth).abs() <= FLOOR, "{} is not {}", y, truth);
                prop_assert!(!y.is_subnormal());
            }
        }
    }
}

/// A state that fades by a twentieth a step, for ever: no bias but at the forget gates, no input.
#[test]
fn a_silent_stream_fades_without_subnormals() {
    let config = LstmConfig::new(7, 19);
    let mut weights = scaled(&config, 1, 0.1, 0.0);
    for layer in weights.layers_mut() {
        let (b_ih, _) = layer.bias.as_mut().unwrap();
        b_ih.slice_mut(ndarray::s![19..38]).fill(3.0);
    }
    let mut engine = CpuEngine::new(&weights).unwrap();
    engine.threads = 1;
    let (mut h, mut c) = (Array3::from_elem((1, 1, 19), 0.5), Array3::from_elem((1, 1, 19), 0.5));
    let silence = Array3::zeros((500, 1, 7));
    for _ in 0..5 {
        let run = || forward(&engine, silence.view(), None, Some((h.view(), c.view())));
        let ((_, h_n, c_n), flags) = flags_of(run);
        if std::arch::is_x86_feature_detected!("fma") {
            assert_eq!(flags, 0);
        }
        (h, c) = (h_n, c_n);
    }
    // Rounding stops the fall some multiples of 2⁻¹²⁶ above zero, as it does at 2⁻¹⁴⁹ without a guard.
    assert!(h.iter().chain(&c).all(|&y| y.abs() < 1e-36 && !y.is_subnormal()), "after 2,500 steps: {h} {c}");
}

/// The flags do show subnormals: a check that can't fail would be none.
#[test]
fn the_flags_show_subnormals() {
    let [tiny, half] = [1e-40f32, 0.5].map(std::hint::black_box);
    assert_eq!(flags_of(|| std::hint::black_box(tiny) + half).1, SUBNORMAL_OPERAND);
    let smallest = std::hint::black_box(f32::MIN_POSITIVE * 1.1);
    assert_eq!(flags_of(|| std::hint::black_box(smallest) * half).1, SUBNORMAL_RESULT);
    assert_eq!(flags_of(|| std::hint::black_box(half) * half).1, 0);
}
