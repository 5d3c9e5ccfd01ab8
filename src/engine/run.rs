//! A call on a GPU: cut into parts, each with a program that is planned, or kept from an earlier call, and run.

use std::sync::Arc;

use ndarray::{Array3, ArrayView3};

use super::cache::{Bytes, Key};
use super::transfer::{Call, State};
use super::{Engine, Options};
use crate::batch::Packing;
use crate::call::check_input;
use crate::error::Error;
use crate::gpu::{Prepared, Wait};
use crate::plan::{Admitted, HostData, Scheduler, most_sequences, schedule};
use crate::program::Program;
use crate::state::check_state_shapes;
use crate::tuning::Tuning;

/// A program, and what it runs in on the device.
pub(super) struct Ready {
    program: Program<HostData>,
    /// To list the submissions again, where the program does not keep them.
    admitted: Admitted,
    prepared: Prepared,
}

impl Bytes for Ready {
    fn bytes(&self) -> u64 {
        self.prepared.bytes() // the lists are bounded each: see kept_lists
    }
}

/// Bytes of a program's lists that are kept, of a memory budget: an eighth of it. Longer ones are made anew at each
/// call.
pub(super) fn kept_lists(memory_budget: u64) -> u64 {
    memory_budget / 8
}

impl Engine {
    /// What [`reference::forward`](crate::reference::forward) says: (output, h_n, c_n). `input` is (T, B, I).
    pub async fn forward(
        &self,
        options: Options,
        input: ArrayView3<'_, f32>,
        lengths: Option<&[usize]>,
        state: Option<State<'_>>,
        wait: Wait,
    ) -> Result<(Array3<f32>, Array3<f32>, Array3<f32>), Error> {
        let (steps, batch, _) = input.dim();
        let config = &self.network.config;
        check_input(config, input.dim(), lengths)?;
        if let Some((h, c)) = &state {
            check_state_shapes(config, batch, h.shape(), c.shape())?;
        }
        self.check_arrays(options, steps, batch)?;
        let mut call = Call::new(config, input, state)?;
        if batch == 0 {
            return Ok(call.finish());
        }
        for packing in self.parts(options, steps, batch, lengths)? {
            let tuning = match options.tuning {
                Tuning::Measure => Tuning::Fixed(self.measure(options, &packing, &mut call, wait).await?),
                tuning => tuning,
            };
            self.run_part(Options { tuning, ..options }, &packing, &mut call, wait).await?;
        }
        Ok(call.finish())
    }

    /// Runs one part of the batch.
    pub(super) async fn run_part(
        &self,
        options: Options,
        packing: &Packing,
        call: &mut Call<'_>,
        wait: Wait,
    ) -> Result<(), Error> {
        let Self { gpu, network, pipelines, weights, cache, .. } = self;
        let budget = options.memory_budget;
        let key = Key::new(packing, budget, options.tuning);
        let mut ready = match cache.take(&key) {
            Some(ready) => ready,
            None => {
                let admitted = self.chosen(packing, options.tuning);
                self.check_lists(options, packing)?;
                let keep = kept_lists(budget);
                let program = schedule(network, packing, budget, Arc::clone(&admitted), keep)?;
                let prepared = match gpu.prepare(&program, pipelines, weights).await {
                    // What is kept for other shapes must not be what is missing here.
                    Err(Error::OutOfMemory { .. }) if cache.clear() => {
                        gpu.poll();
                        gpu.prepare(&program, pipelines, weights).await?
                    }
                    result => result?,
                };
                Ready { program, admitted, prepared }
            }
        };
        let mut host = call.of_part(packing, network);
        let Ready { program, admitted, prepared } = &mut ready;
        if program.is_kept() {
            gpu.run(prepared, program.submissions.iter(), pipelines, &mut host, wait).await?;
        } else {
            self.check_lists(options, packing)?;
            let submissions = Scheduler::new(network, packing, budget, Arc::clone(admitted))?;
            gpu.run(prepared, submissions, pipelines, &mut host, wait).await?;
        }
        cache.put(key, ready, budget.saturating_mul(2));
        Ok(())
    }

    /// The batch, in parts that a program can take each.
    pub(super) fn parts(
        &self,
        options: Options,
        steps: usize,
        batch: usize,
        lengths: Option<&[usize]>,
    ) -> Result<Vec<Packing>, Error> {
        let length = |b: usize| (b, lengths.map_or(steps, |lengths| lengths[b]));
        let mut sequences: Vec<(usize, usize)> = (0..batch).map(length).collect();
        sequences.sort_by_key(|&(_, length)| std::cmp::Reverse(length));
        let most = most_sequences(&self.network, options.memory_budget)?;
        Ok(sequences.chunks(most).map(|part| Packing::new(part.to_vec())).collect())
    }
}
