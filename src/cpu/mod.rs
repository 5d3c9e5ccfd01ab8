//! The CPU device: the equations of [`reference`](crate::reference) in f32, for speed.
//!
//! The sequences of a batch are dealt into shares, and one thread computes a share in one direction. Within a layer
//! threads do not wait for each other, so a thread that the system suspends does not stall the others. Of few sequences
//! a second thread, if it is free, computes half of every step (`together.rs`, `pair.rs`).
//!
//! Every sum is the same operations in the same order, blocks of 32 products (`product.rs`): a gate is the bias, then the
//! blocks of x in ascending order, then those of h. The order does not depend on the number of rows or threads, on the
//! place in the batch, or on a cut of time, so none of these changes a bit.

mod activation;
mod ends;
mod meeting;
mod network;
mod pair;
mod panels;
mod placement;
mod pool;
mod product;
mod projector;
mod shared;
#[cfg(test)]
mod subnormal_tests;
mod sync;
mod team;
#[cfg(test)]
mod tests;
mod together;
mod walk;
mod work;

use std::sync::Arc;

use ndarray::Array3;
use pulp::Arch;

use self::network::Network;
use self::pair::Pair;
use self::panels::{Parameters, lanes, parameters_len};
pub(crate) use self::pool::CpuPool;
use self::shared::Shared;
use self::team::Team;
use self::together::walk_together;
use self::walk::walk;
use self::work::{Input, Work};
use crate::batch::Packing;
use crate::call::{Call, Results, StateViews};
use crate::config::LstmConfig;
use crate::error::Error;
use crate::host_memory::{check_memory, host_out_of_memory};
use crate::platform;
use crate::weights::LstmWeights;

/// A network on the CPU, its weights in panels as wide as this machine's vectors. Its methods have the contract of
/// [`GpuEngine`](crate::engine::GpuEngine)'s.
pub(crate) struct CpuEngine {
    config: LstmConfig,
    network: Network,
    /// Threads that a call may take, the caller's among them.
    threads: usize,
}

impl CpuEngine {
    /// [`Error::OutOfMemory`] if the host can't allocate the panels.
    pub(crate) fn new(weights: &LstmWeights) -> Result<Self, Error> {
        Self::for_arch(weights, Arch::new())
    }

    fn for_arch(weights: &LstmWeights, arch: Arch) -> Result<Self, Error> {
        let config = weights.config().clone();
        let lanes = lanes(arch);
        check_memory::<f32>(parameters_len(&config, lanes)).map_err(host_out_of_memory)?;
        let slots = (0..config.num_layers()).flat_map(|l| (0..config.num_directions()).map(move |d| (l, d)));
        let layers = slots.map(|(l, d)| Parameters::new(weights.layer(l, d), lanes)).collect();
        let network = Network::new(&config, arch, lanes, layers);
        Ok(Self { config, network, threads: platform::parallelism() })
    }

    /// As [`reference::forward`](crate::reference::forward).
    pub(crate) fn forward(&self, call: &Call<'_, f32>) -> Result<Results<f32>, Error> {
        let (steps, batch) = (call.sequences().steps(), call.sequences().batch());
        let (output_shape, [h_shape, c_shape]) = (call.output_shape(), call.state_shapes());
        if batch == 0 {
            return Ok((Array3::zeros(output_shape), Array3::zeros(h_shape), Array3::zeros(c_shape)));
        }
        let lens =
            [output_shape, h_shape, c_shape].map(|shape| shape.into_iter().fold(1, usize::saturating_mul));
        let rows = steps.saturating_mul(batch);
        let sequences = call.sequences().longest_first();
        let [output, h, c] = self.run(Input::Array(call.input()), call.state(), (&sequences, rows), lens)?;
        let array = |shape: [usize; 3], numbers: Shared| {
            Array3::from_shape_vec(shape, numbers.into_vec()).expect("as many numbers as the shape has")
        };
        Ok((array(output_shape, output), array(h_shape, h), array(c_shape, c)))
    }

    /// Computes the sequences, (index in the batch, time steps) by falling length, of no more than `rows` time steps
    /// together. Returns the output, h_n and c_n, of the lengths `lens`.
    fn run<'a>(
        &'a self,
        input: Input<'a>,
        state: Option<StateViews<'a, f32>>,
        (sequences, rows): (&[(usize, usize)], usize),
        lens: [usize; 3],
    ) -> Result<[Shared; 3], Error> {
        let (config, batch) = (&self.config, sequences.len());
        check_memory::<f32>(self.memory(batch, lens)).map_err(host_out_of_memory)?;
        let threads = self.useful_threads(rows, batch);
        let is_together = threads == 2 && self.network.panels() > 1 && batch < SHARE_ROWS;
        let shares = match config.num_directions() {
            _ if is_together => 1,
            // Two a thread, so that a thread that starts late takes fewer; a tile's height at least.
            1 if threads > 1 => (2 * threads).min(batch / SHARE_ROWS).max(threads),
            directions => threads.div_ceil(directions),
        };
        let shares = shares.min(batch);
        // Dealt by falling length: every share has long and short ones.
        let deal = |share| Packing::new(sequences.iter().copied().skip(share).step_by(shares).collect());
        let shares: Vec<_> = (0..shares).map(deal).collect();
        let walkers = shares.len() * config.num_directions();
        let work = Work::new(self, (input, state), shares, lens);
        if is_together {
            let pair = Arc::new(Pair::new(self.network.clone(), batch));
            let helped = Arc::clone(&pair);
            Team::run_with_help(move || helped.help(), || walk_together(&work, &pair));
        } else {
            Team::run(threads.min(walkers), |member| walk(&work, member));
        }
        Ok(work.finish())
    }

    /// The index of a layer and direction.
    fn slot(&self, layer: usize, direction: usize) -> usize {
        layer * self.config.num_directions() + direction
    }

    /// The most f32 that a call allocates.
    fn memory(&self, batch: usize, [output, h, c]: [usize; 3]) -> usize {
        let config = &self.config;
        let units = config.hidden_size().next_multiple_of(self.network.lanes);
        let directions = config.num_directions();
        let shares = self.threads.max(directions);
        let width = config.input_size().max(directions * config.output_size());
        // Each share's block of gates has `BLOCK_ROWS` rows, or one step of its sequences; those of a pair fewer.
        let gates = (directions * batch).saturating_add(work::BLOCK_ROWS * shares).saturating_mul(4 * units);
        // h, c, and h before the projection; of few sequences those of two threads, of two jobs, and what is exchanged.
        let together = if batch < SHARE_ROWS { 13 * batch } else { 0 };
        let states = (directions * batch).saturating_mul(4).saturating_add(together).saturating_mul(units);
        let block = gates.saturating_add(projector::ROWS_AT_ONCE * width * shares);
        // Index and length of a sequence, sorted and packed: words of two f32.
        let sequences = batch.saturating_mul(16);
        [output.saturating_mul(2), h, c, block, states, sequences].into_iter().fold(0, usize::saturating_add)
    }

    /// The number of threads for a call: one for each [`THREAD_WORK`], and no more than there are shares of the
    /// batch; two for one share, of which each computes half.
    fn useful_threads(&self, rows: usize, batch: usize) -> usize {
        let config = &self.config;
        let shares = batch.saturating_mul(config.num_directions());
        let rows = rows.saturating_mul(config.num_directions());
        let layer = rows.saturating_mul(8 * config.hidden_size());
        let work = layer.saturating_mul(config.output_size()).saturating_mul(config.num_layers());
        self.threads.min(work / THREAD_WORK).min(shares.max(2)).max(1)
    }
}

/// The fewest sequences of a share if there are several shares a thread: a product of so many rows is nearly as fast
/// as one of more. A step of fewer is computed by two threads: each then keeps half of the weights in its cache.
const SHARE_ROWS: usize = 4;

/// Multiply-adds that occupy a thread: at some 20 a ns they take 0.1 ms, several times what it takes to start the
/// thread.
const THREAD_WORK: usize = 2_000_000;
