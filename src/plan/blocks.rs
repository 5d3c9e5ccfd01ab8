//! How large a block of time, and a part of the batch, may be.

use std::ops::Range;

use super::limits::SUBMISSION;
use super::network::Network;
use crate::batch::Packing;
use crate::error::{Error, ON_CPU};
use crate::kernels::{SLOTS, TileShape};
use crate::program::padded;

/// Steps of a block at most: bounds the uniforms, of which each step has one.
const MAX_STEPS: usize = 16_384;

const RAISE_BUDGET: &str = "Lstm::with_memory_budget raises it";

/// A call's time, cut into blocks.
pub(crate) struct Blocks {
    /// The time steps of each block.
    pub steps: Vec<Range<usize>>,
    /// Rows before each block.
    pub first_rows: Vec<usize>,
    /// Whether the directions share dispatches.
    pub directions_together: bool,
}

impl Blocks {
    /// One block for both directions where the call fits one; else the directions run apart.
    pub fn new(network: &Network, packing: &Packing, budget: u64) -> Result<Self, Error> {
        let most = BlockRows::new(network, budget)?;
        let fits = packing.first_row(packing.steps()) <= most.together && packing.steps() <= MAX_STEPS;
        let directions_together =
            network.config.num_directions() == 1 || (fits && network.limits.max_workgroups >= 2); // z: directions
        let rows = if directions_together { most.together } else { most.apart };
        let steps = packing.blocks(rows, MAX_STEPS);
        let first_rows = steps.iter().map(|steps| packing.first_row(steps.start)).collect();
        Ok(Self { steps, first_rows, directions_together })
    }
}

/// The most rows (time steps of sequences) that a block may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BlockRows {
    /// Where both directions share a dispatch, and so need their gates at the same time.
    together: usize,
    /// Where the directions run one after the other.
    apart: usize,
}

impl BlockRows {
    /// From the limits and a budget in bytes for what a block needs: its input, gates, the outputs of
    /// two layers, and the host's copies of the first and last.
    fn new(network: &Network, budget: u64) -> Result<Self, Error> {
        let directions = network.config.num_directions();
        Ok(Self { together: most_rows(network, budget, directions)?, apart: most_rows(network, budget, 1)? })
    }
}

fn most_rows(network: &Network, budget: u64, gate_directions: usize) -> Result<usize, Error> {
    let config = &network.config;
    let limits = &network.limits;
    let input = 4 * network.layouts.input(0).stride() as u64;
    let gates = 16 * (gate_directions * config.hidden_size()) as u64;
    let output = 4 * network.layouts.output().stride() as u64;
    let layers = config.num_layers().min(2) as u64;
    let working_set = 2 * input + gates + (layers + 1) * output;
    // A sequence's states have bindings of their own: D·B rows of h or c, or those of several layers.
    let slots = config.num_directions().max(config.num_layers().min(SLOTS));
    let state = 4 * (slots * padded(config.hidden_size())) as u64;
    let row = input.max(gates).max(output).max(state);
    let tallest = u64::from(network.tiling.rows_of_many());
    let bounds = [
        ("memory_budget", budget, working_set),
        ("max_storage_buffer_binding_size", limits.max_binding, row),
        ("max_buffer_size", limits.max_buffer, row),
        ("max_compute_workgroups_per_dimension", u64::from(limits.max_workgroups) * tallest, 1),
    ];
    let mut most = u64::from(u32::MAX);
    for (limit_name, limit, needed) in bounds {
        if needed > limit {
            return Err(Error::LimitExceeded {
                what: "one time step of one sequence".to_owned(),
                needed,
                limit_name,
                limit,
                advice: Some(if limit_name == "memory_budget" { RAISE_BUDGET } else { ON_CPU }),
            });
        }
        most = most.min(limit / needed);
    }
    Ok(most as usize)
}

/// Bytes that a dispatch takes on the host while it is listed and recorded: 40 in the program, up to 256 for its
/// uniform, as much again to find equal uniforms, and about 400 of wgpu's.
const DISPATCH_BYTES: usize = 1 << 10;

/// Bytes that a submission's dispatches take at most; see [`SUBMISSION`].
const SUBMISSION_BYTES: usize = 48 << 20;

/// Bytes that the lists of a call's blocks and dispatches take on the host at most at a time, if submissions are kept up
/// to `keep` bytes; of T steps and B sequences.
pub(crate) fn list_bytes(network: &Network, budget: u64, keep: u64, (steps, batch): (usize, usize)) -> usize {
    let config = &network.config;
    // A step of a layer is a dispatch or two for each direction.
    let dispatches = 2 * config.num_layers() * config.num_directions();
    let keep = usize::try_from(keep).unwrap_or(usize::MAX);
    let lists = steps.saturating_mul(dispatches).saturating_mul(DISPATCH_BYTES);
    let lists = lists.min(SUBMISSION_BYTES.saturating_add(keep));
    // In two directions each block has buffers of its own.
    let block = if config.bidirectional() { 1024 } else { 64 };
    lists.saturating_add(most_blocks(network, budget, steps, batch).saturating_mul(block))
}

/// Blocks that a call is cut into at most.
fn most_blocks(network: &Network, budget: u64, steps: usize, batch: usize) -> usize {
    let rows = BlockRows::new(network, budget).map_or(1, |rows| rows.apart);
    // Each is more than half full, or has one step.
    let full = steps.saturating_mul(batch).div_ceil(rows).saturating_mul(2);
    full.saturating_add(steps / MAX_STEPS + 2).min(steps)
}

/// Sequences that one program can take: all at once, or the batch goes through in parts. One time step of
/// them fits a block, and keeps within a submission's operations.
pub(crate) fn most_sequences(network: &Network, budget: u64) -> Result<usize, Error> {
    let directions = network.config.num_directions() as u64;
    let operations = TileShape::of(&network.layouts.w_hh()).operations(1) * directions;
    let in_a_step = usize::try_from(SUBMISSION.operations / operations).unwrap_or(usize::MAX).max(1);
    BlockRows::new(network, budget).map(|rows| rows.apart.min(in_a_step))
}
