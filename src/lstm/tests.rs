//! What needs a look inside: wrong kernels are seen to be wrong, and no shape of a tile changes a bit.

#[path = "../../tests/common/mod.rs"]
mod common;

use ndarray::Array3;

use super::{Lstm, Wait};
use crate::device::Backend;
use crate::error::Error;
use crate::plan::Network;
use crate::spec::{DeviceLimits, KernelSpec, SubgroupSizes};
use crate::state::LstmState;
use common::compare::{f32_tolerance, worst_error};
use common::golden::{self, Golden};

/// The case's network on the GPU, with the kernels or the limits edited first.
fn lstm(case: &Golden, limits: impl Fn(DeviceLimits) -> DeviceLimits, edit: impl Fn(&mut Network)) -> Lstm {
    let Backend::Gpu(gpu) = common::device::gpu().backend() else { panic!("not a GPU") };
    let weights = case.weights();
    let mut network = Network::new(weights.config(), &limits(*gpu.limits())).unwrap();
    edit(&mut network);
    pollster::block_on(Lstm::with_network(gpu, network, &weights)).unwrap()
}

fn forward(case: &Golden, lstm: &Lstm) -> (Array3<f32>, LstmState) {
    let input = case.input_time_major();
    let state = case.state_batched().map(|(h, c)| LstmState { h, c });
    let run = lstm.run(input.view(), case.lengths.as_deref(), state.as_ref(), Wait::Block);
    pollster::block_on(run).unwrap()
}

/// How many times the tolerance the output is off.
fn error_in_tolerances(case: &Golden, output: Array3<f32>) -> f64 {
    let truth: Vec<f64> = case.f64("output").into_iter().collect();
    let pytorch: Vec<f32> = case.f32("output_f32").into_iter().collect();
    let actual: Vec<f32> = case.output_as_in_file(output).into_iter().collect();
    worst_error(&actual, &truth) / f32_tolerance(&pytorch, &truth)
}

/// A kernel whose text has `from` replaced by `to`.
fn mutant(kernel: &KernelSpec, from: &str, to: &str) -> &'static KernelSpec {
    let edit = |source: &str| -> &'static str { Box::leak(source.replace(from, to).into_boxed_str()) };
    Box::leak(Box::new(KernelSpec {
        portable: edit(kernel.portable),
        subgroup: edit(kernel.subgroup),
        ..*kernel
    }))
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn wrong_kernels_are_seen_on_the_gpu() {
    let layers = golden::load("two_layers_bidirectional");
    let projected = golden::load("packed_projection_batch_first");
    let intact = error_in_tolerances(&layers, forward(&layers, &lstm(&layers, |l| l, |_| {})).0);
    assert!(intact <= 1.0, "the intact kernels pass: {intact}");
    for (case, from, to) in [
        (&layers, "sigmoid(z.y), c[", "sigmoid(z.x), c["),
        (&layers, "sigmoid(z.x) * tanh_safe(z.z)", "sigmoid(z.y) * tanh_safe(z.z)"),
        (&layers, "tanh_safe(z.z)", "sigmoid(z.z)"),
        (&layers, "sigmoid(z.w) * tanh_safe(c_t)", "sigmoid(z.w) * c_t"),
        (&layers, "fma(w[2], x.zzzz,", "fma(w[2], x.wwww,"),
        (&layers, "time_step.direction + group.z", "time_step.direction"),
        (&layers, "let first = direction * time_step.batch;", "let first = 0u;"),
        (&layers, "let b = bias[direction", "let b = bias[0u * direction"),
        (&layers, "chunk < REDUCTION", "chunk + 1u < REDUCTION"),
        (&layers, "m < REDUCTION; m += 1u", "m + 1u < REDUCTION; m += 1u"),
        (&layers, "row + 1u, z[1]", "row + 1u, z[0]"),
        (&projected, "time_step.output_row[direction] + row", "row"),
        (&projected, "h_next[(direction * time_step.batch + row)", "h_next[(row)"),
    ] {
        let mutate = |network: &mut Network| {
            for pipeline in &mut network.pipelines {
                pipeline.kernel = mutant(pipeline.kernel, from, to);
            }
        };
        let lstm = lstm(case, |l| l, mutate);
        let touched = |p: &crate::spec::PipelineSpec| {
            let source = if p.subgroups { p.kernel.subgroup } else { p.kernel.portable };
            source.contains(to)
        };
        // What is only in the twin that this adapter does not use can't be seen here.
        let super::Engine::Gpu(engine) = &lstm.engine else { unreachable!() };
        if engine.network.pipelines.iter().any(touched) {
            let error = error_in_tolerances(case, forward(case, &lstm).0);
            assert!(error.is_nan() || error > 10.0, "{from} → {to} passes for right: {error}");
        }
    }
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn no_tile_nor_twin_changes_a_bit() {
    let hardware = |max| {
        move |limits: DeviceLimits| DeviceLimits {
            software: false,
            subgroups: Some(SubgroupSizes { min: 4, max }),
            ..limits
        }
    };
    for name in ["hidden_320_batch_9", "packed_two_layers_bidirectional", "packed_projection_batch_first"] {
        let case = golden::load(name);
        let expected = forward(&case, &lstm(&case, |l| l, |_| {}));
        let portable = |limits| DeviceLimits { subgroups: None, ..limits };
        assert_eq!(forward(&case, &lstm(&case, portable, |_| {})), expected, "{name}: portable");
        assert_eq!(forward(&case, &lstm(&case, hardware(32), |_| {})), expected, "{name}: 32 lanes");
        assert_eq!(forward(&case, &lstm(&case, hardware(64), |_| {})), expected, "{name}: 64 lanes");
    }
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn what_wgpu_refuses_is_an_error_of_ours() {
    let Backend::Gpu(gpu) = common::device::gpu().backend() else { panic!("not a GPU") };
    let weights = golden::load("single_layer").weights();
    for (from, to) in [("fn chain(", "fn chain)("), ("@binding(4)", "@binding(9)")] {
        let mut network = Network::new(weights.config(), gpu.limits()).unwrap();
        for pipeline in &mut network.pipelines {
            pipeline.kernel = mutant(pipeline.kernel, from, to);
        }
        let result = pollster::block_on(Lstm::with_network(gpu, network, &weights));
        assert!(matches!(&result, Err(Error::Internal { .. })), "{from} → {to}: {result:?}");
    }
    assert!(Lstm::new(common::device::gpu(), &weights).is_ok());
}
