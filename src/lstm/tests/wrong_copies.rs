//! The kernels that copy, for a pool and for a pass, are seen to be wrong.

use ndarray::{Array2, ArrayView2, Axis, s};

use super::{lstm_of, mutant};
use crate::common;
use crate::config::LstmConfig;
use crate::device::{Backend, Device};
use crate::lstm::Lstm;
use crate::plan::Planner;
use crate::program::DeviceLimits;
use crate::stream::LstmStreamPool;
use crate::tuning::{Schedule, Tuning};
use crate::weights::LstmWeights;

const WRONG_EXCHANGE: [(&str, &str); 11] = [
    ("layer * exchange.places + entry.store_to", "entry.store_to"),
    ("load(row, layer * exchange.places, entry", "load(row, 0u, entry"),
    ("select(h_first[at], h_second[at], second)", "h_first[at]"),
    ("if (second) {", "if (!second) {"),
    ("(entry.turn + layer % entry.layers_in_group)", "(entry.turn + layer)"),
    (
        "select(stored_h[source * exchange.h_stride + i], 0.0, begins)",
        "stored_h[source * exchange.h_stride + i]",
    ),
    (
        "select(stored_c[source * exchange.c_stride + i], 0.0, begins)",
        "stored_c[source * exchange.c_stride + i]",
    ),
    ("stored_c[to * exchange.c_stride + i] = c[row * exchange.c_stride + i];", ""),
    ("entries[row % exchange.places]", "entries[(row + 1u) % exchange.places]"),
    ("row += groups.x", "row += 2u * groups.x"),
    (
        "for (var i = local; i < exchange.h_stride; i += WORKGROUP_SIZE)",
        "for (var i = local; i < 64u; i += WORKGROUP_SIZE)",
    ),
];
const WRONG_JOIN: [(&str, &str); 5] = [
    ("column % join.width", "min(column, join.padded - 1u)"),
    ("min(column / join.width, join.directions - 1u)", "0u"),
    ("i / join.stride * join.directions +", "i / join.stride +"),
    ("column < join.directions * join.width", "true"),
    ("i += groups.x * WORKGROUP_SIZE", "i += 2u * groups.x * WORKGROUP_SIZE"),
];

/// A network on the GPU, with an edit of its kernels. At most `max_workgroups` share the copies.
fn network(config: &LstmConfig, max_workgroups: u32, (from, to): (&str, &str)) -> Lstm {
    let Backend::Gpu(gpu) = common::device::gpu().backend() else { panic!("not a GPU") };
    let weights = LstmWeights::uniform(config, 5).unwrap();
    let limits = DeviceLimits { max_workgroups, ..*gpu.limits() };
    let mut planner = Planner::new(config, &limits, weights.precision().element()).unwrap();
    let mut found = false;
    for pipeline in &mut planner.network.pipelines {
        if pipeline.kernel.source(pipeline.variant).contains(from) {
            found = true;
            pipeline.kernel = mutant(pipeline.kernel, pipeline.variant, from, to);
        }
    }
    assert!(found || from.is_empty(), "no kernel has {from:?} any more");
    lstm_of(gpu, planner, &weights)
}

/// Whether three streams in changing company have what `forward` returns.
fn pool_is_right(edit: (&str, &str)) -> bool {
    let lstm = network(&LstmConfig::new(2, 70).with_num_layers(3), 7, edit)
        .with_tuning(Tuning::Fixed(Schedule::Step));
    let input = Array2::from_shape_fn((12, 2), |(t, i)| ((7 * t + 3 * i) % 11) as f32 / 8.0 - 0.5);
    let (expected, _) = lstm.forward_unbatched(input.view(), None).unwrap();
    let poison = Array2::from_elem((1, 2), f32::NAN);
    let mut pool = LstmStreamPool::new(&lstm, 4).unwrap();
    // Every slot, and every place of a batch, has NaN first.
    let poisoned = [(); 4].map(|()| pool.open().unwrap());
    for count in [4, 2, 4] {
        let chunks: Vec<_> = poisoned[..count].iter().map(|&id| (id, poison.view())).collect();
        pool.push(&chunks).unwrap();
    }
    poisoned.into_iter().for_each(|id| pool.close(id).unwrap());
    let ids = [(); 3].map(|()| pool.open().unwrap());
    let mut done = [0; 3];
    // Some end at the first turn of h, and some at the second.
    for steps in [[1, 1, 0], [1, 0, 2], [0, 2, 1], [1, 1, 1], [0, 1, 1], [2, 0, 0]] {
        let chunk = |k: usize| -> ArrayView2<'_, f32> { input.slice(s![done[k]..done[k] + steps[k], ..]) };
        let chunks = [0, 1, 2].map(|k| (ids[k], chunk(k)));
        let outputs = pool.push(&chunks).unwrap();
        for (k, output) in outputs.iter().enumerate() {
            if *output != expected.slice(s![done[k]..done[k] + steps[k], ..]) {
                return false;
            }
        }
        (0..3).for_each(|k| done[k] += steps[k]);
    }
    true
}

/// Whether a pass returns what `forward` does, and leaves zeros behind the width.
fn pass_is_right(edit: (&str, &str)) -> bool {
    // Tiles of four rows, as on hardware, take 90 rows in 23 workgroups, which join more rows than they have invocations.
    let config = LstmConfig::new(4, 17).with_bidirectional(true);
    let lstm = network(&config, 23, edit);
    let device: &Device = common::device::gpu();
    let (gpu, queue) = device.wgpu().unwrap();
    let input = Array2::from_shape_fn((90, 4), |(t, i)| ((5 * t + 3 * i) % 13) as f32 / 8.0 - 0.7);
    let mut pass = lstm.prepare(90, 1).unwrap();
    queue.write_buffer(pass.input().buffer, 0, bytemuck::cast_slice(input.as_slice().unwrap()));
    let staging = gpu.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: pass.output().buffer.size(),
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mut encoder = gpu.create_command_encoder(&Default::default());
    pass.record(&mut encoder);
    encoder.copy_buffer_to_buffer(pass.output().buffer, 0, &staging, 0, staging.size());
    queue.submit([encoder.finish()]);
    staging.map_async(wgpu::MapMode::Read, .., |result| result.unwrap());
    gpu.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    let view = staging.get_mapped_range(..).unwrap();
    let rows = Array2::<f32>::from_shape_vec((90, 36), bytemuck::cast_slice(&view).to_vec()).unwrap();
    let (expected, _) = lstm.forward_unbatched(input.view(), None).unwrap();
    let (output, padding) = rows.view().split_at(Axis(1), 34);
    output == expected && padding.iter().all(|&x| x == 0.0)
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn wrong_copies_are_seen() {
    assert!(pool_is_right(("", "")), "the intact kernel");
    for edit in WRONG_EXCHANGE {
        assert!(!pool_is_right(edit), "{edit:?} passes for right");
    }
    assert!(pass_is_right(("", "")), "the intact kernel");
    for edit in WRONG_JOIN {
        assert!(!pass_is_right(edit), "{edit:?} passes for right");
    }
}
