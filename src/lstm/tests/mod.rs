//! Tests that need access to a network's kernels, limits and kept programs on the GPU.

mod device_loss;
mod kept_programs;
mod same_bits;
mod wrong_kernels;

use std::sync::Arc;

use ndarray::Array3;

use super::{Engine, Lstm, Wait};
use crate::common;
use crate::common::golden::Golden;
use crate::device::Backend;
use crate::engine::GpuEngine;
use crate::gpu::Gpu;
use crate::plan::{Network, Planner};
use crate::program::{DeviceLimits, KernelSpec, Text, Variant};
use crate::state::LstmState;
use crate::weights::LstmWeights;

/// The case's network on the GPU, with the kernels or the limits edited first.
fn lstm(case: &Golden, limits: impl Fn(DeviceLimits) -> DeviceLimits, edit: impl Fn(&mut Network)) -> Lstm {
    let Backend::Gpu(gpu) = common::device::gpu().backend() else { panic!("not a GPU") };
    let weights = case.weights();
    let mut planner =
        Planner::new(weights.config(), &limits(*gpu.limits()), weights.precision().element()).unwrap();
    edit(&mut planner.network);
    lstm_of(gpu, planner, &weights)
}

fn lstm_of(gpu: &Arc<Gpu>, planner: Planner, weights: &LstmWeights) -> Lstm {
    let engine = pollster::block_on(GpuEngine::with_planner(gpu, planner, weights)).unwrap();
    Lstm::with(weights, Engine::Gpu(Arc::new(engine)))
}

fn forward(case: &Golden, lstm: &Lstm) -> (Array3<f32>, LstmState) {
    let input = case.input_time_major();
    let state = case.state_batched().map(|(h, c)| LstmState { h, c });
    let run = lstm.run(input.view(), case.lengths.as_deref(), state.as_ref(), Wait::Block);
    pollster::block_on(run).unwrap()
}

/// A kernel whose text has `from` replaced by `to`.
fn mutant(kernel: &KernelSpec, variant: Variant, from: &str, to: &str) -> &'static KernelSpec {
    let text: &'static str = Box::leak(kernel.source(variant).replace(from, to).into_boxed_str());
    Box::leak(Box::new(KernelSpec { text: Box::leak(Box::new([Text::Of(text)])), ..*kernel }))
}
