//! How large a block of time, and a part of the batch, may be.

use std::ops::Range;

use super::limits::SUBMISSION;
use super::network::Network;
use super::request::{Keeper, Request};
use crate::batch::Packing;
use crate::error::{Error, ON_CPU};
use crate::kernels::TileShape;
use crate::program::padded;

/// Steps of a block at most: bounds the uniforms, of which each step has one.
const MAX_STEPS: usize = 16_384;

const FEWER_STEPS: &str =
    "prepare fewer steps, and record the pass several times: it carries on from its state";
const FEWER_STREAMS: &str = "several pools of fewer streams are computed one after the other";
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
    /// One block for both directions where the call fits one; else the directions run apart. A pass is one block, or
    /// refused.
    pub fn new(network: &Network, request: &Request<'_>) -> Result<Self, Error> {
        let packing = request.packing;
        let most = BlockRows::new(network, request.budget)?;
        let max_steps = if request.keeper == Keeper::Pass { usize::MAX } else { MAX_STEPS };
        let all = packing.first_row(packing.steps());
        let fits = all <= most.together.rows && packing.steps() <= max_steps;
        let directions_together =
            network.config.num_directions() == 1 || (fits && network.limits.max_workgroups >= 2); // z: directions
        let most = if directions_together { most.together } else { most.apart };
        if request.keeper == Keeper::Pass {
            most.check_pass(packing, all)?;
        }
        let steps = packing.blocks(most.rows, max_steps);
        let first_rows = steps.iter().map(|steps| packing.first_row(steps.start)).collect();
        Ok(Self { steps, first_rows, directions_together })
    }
}

/// The most rows (time steps of sequences) that a block may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BlockRows {
    /// Where both directions share a dispatch, and so need their gates at the same time.
    together: MostRows,
    /// Where the directions run one after the other.
    apart: MostRows,
}

/// The most rows, and what bounds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct MostRows {
    rows: usize,
    limit_name: &'static str,
    limit: u64,
    /// Of the limit, by a row.
    needed: u64,
}

impl MostRows {
    /// Refuses a pass of more rows.
    fn check_pass(&self, packing: &Packing, rows: usize) -> Result<(), Error> {
        if rows <= self.rows {
            return Ok(());
        }
        let (steps, batch) = (packing.steps(), packing.batch());
        Err(Error::LimitExceeded {
            what: format!("a pass over {steps} time steps of {batch} sequences"),
            needed: self.needed.saturating_mul(rows as u64),
            limit_name: self.limit_name,
            limit: self.limit,
            advice: Some(FEWER_STEPS),
        })
    }
}

impl BlockRows {
    /// From the limits and a budget in bytes for what a block needs: its input, gates, the outputs of
    /// two layers, and the host's copies of the first and last.
    fn new(network: &Network, budget: u64) -> Result<Self, Error> {
        let directions = network.config.num_directions();
        Ok(Self { together: most_rows(network, budget, directions)?, apart: most_rows(network, budget, 1)? })
    }
}

fn most_rows(network: &Network, budget: u64, gate_directions: usize) -> Result<MostRows, Error> {
    let config = &network.config;
    let limits = &network.limits;
    let input = 4 * network.layouts.input(0).stride() as u64;
    let gates = 16 * (gate_directions * config.hidden_size()) as u64;
    let output = 4 * network.layouts.output().stride() as u64;
    let layers = config.num_layers().min(2) as u64;
    let working_set = 2 * input + gates + (layers + 1) * output;
    // The states of all layers have one binding for h and one for c.
    let slots = (config.num_directions() as u64).saturating_mul(config.num_layers() as u64);
    let state = slots.saturating_mul(4 * padded(config.hidden_size()) as u64);
    let row = input.max(gates).max(output).max(state);
    let tallest = u64::from(network.tiling.rows_of_many());
    let bounds = [
        ("memory_budget", budget, working_set),
        ("max_storage_buffer_binding_size", limits.max_binding, row),
        ("max_buffer_size", limits.max_buffer, row),
        ("max_compute_workgroups_per_dimension", u64::from(limits.max_workgroups) * tallest, 1),
    ];
    let mut most =
        MostRows { rows: u32::MAX as usize, limit_name: "u32", limit: u64::from(u32::MAX), needed: 1 };
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
        let rows = usize::try_from(limit / needed).unwrap_or(usize::MAX);
        if rows < most.rows {
            most = MostRows { rows, limit_name, limit, needed };
        }
    }
    Ok(most)
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
    let rows = BlockRows::new(network, budget).map_or(1, |most| most.apart.rows);
    // Each is more than half full, or has one step.
    let full = steps.saturating_mul(batch).div_ceil(rows).saturating_mul(2);
    full.saturating_add(steps / MAX_STEPS + 2).min(steps)
}

/// Refuses a pool of more streams than have place in the buffers of one time step.
pub(crate) fn check_places(network: &Network, budget: u64, places: usize) -> Result<(), Error> {
    let most = BlockRows::new(network, budget)?.apart;
    if places <= most.rows {
        return Ok(());
    }
    Err(Error::LimitExceeded {
        what: format!("one time step of {places} streams"),
        needed: most.needed.saturating_mul(places as u64),
        limit_name: most.limit_name,
        limit: most.limit,
        advice: Some(FEWER_STREAMS),
    })
}

/// Sequences that one program can take: all at once, or the batch goes through in parts. One time step of
/// them fits a block, and keeps within a submission's operations.
pub(crate) fn most_sequences(network: &Network, budget: u64) -> Result<usize, Error> {
    let directions = network.config.num_directions() as u64;
    let operations = TileShape::of(&network.layouts.w_hh()).operations(1) * directions;
    let in_a_step = usize::try_from(SUBMISSION.operations / operations).unwrap_or(usize::MAX).max(1);
    BlockRows::new(network, budget).map(|most| most.apart.rows.min(in_a_step))
}
