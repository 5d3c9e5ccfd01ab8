//! A call on a GPU: cut into parts, each with a program that is planned, or kept from an earlier call, and run.

use std::sync::Arc;

use ndarray::{Array3, ArrayView3};

use super::cache::{Bytes, Key};
use super::transfer::Call;
use super::{GpuEngine, Lstm};
use crate::check::check_input;
use crate::error::Error;
use crate::gpu::{Prepared, Wait};
use crate::plan::{Admitted, HostData, Network, Packing, Scheduler, most_sequences, schedule};
use crate::spec::Program;
use crate::state::{LstmState, check_state_shapes};
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

impl Lstm {
    pub(super) async fn run_on_gpu(
        &self,
        engine: &GpuEngine,
        input: ArrayView3<'_, f32>,
        lengths: Option<&[usize]>,
        state: Option<&LstmState>,
        wait: Wait,
    ) -> Result<(Array3<f32>, LstmState), Error> {
        let (steps, batch, _) = input.dim();
        check_input(&self.config, input.dim(), lengths)?;
        if let Some(state) = state {
            check_state_shapes(&self.config, batch, state.h.shape(), state.c.shape())?;
        }
        let mut call = Call::new(&self.config, input, state)?;
        if batch == 0 {
            let (output, state) = call.finish();
            return Ok((self.in_callers_layout(output)?, state));
        }
        for packing in self.parts(&engine.network, steps, batch, lengths)? {
            let tuning = match self.tuning {
                Tuning::Measure => Tuning::Fixed(self.measure(engine, &packing, &mut call, wait).await?),
                tuning => tuning,
            };
            self.run_part(engine, &packing, tuning, &mut call, wait).await?;
        }
        let (output, state) = call.finish();
        Ok((self.in_callers_layout(output)?, state))
    }

    /// Runs one part of the batch.
    pub(super) async fn run_part(
        &self,
        engine: &GpuEngine,
        packing: &Packing,
        tuning: Tuning,
        call: &mut Call<'_>,
        wait: Wait,
    ) -> Result<(), Error> {
        let GpuEngine { gpu, network, pipelines, weights, cache, .. } = engine;
        let key = Key::new(packing, self.memory_budget, tuning);
        let mut ready = match cache.take(&key) {
            Some(ready) => ready,
            None => {
                let admitted = self.chosen(engine, packing, tuning);
                self.check_lists(packing)?;
                let keep = kept_lists(self.memory_budget);
                let program = schedule(network, packing, self.memory_budget, Arc::clone(&admitted), keep)?;
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
            self.check_lists(packing)?;
            let submissions = Scheduler::new(network, packing, self.memory_budget, Arc::clone(admitted))?;
            gpu.run(prepared, submissions, pipelines, &mut host, wait).await?;
        }
        cache.put(key, ready, self.memory_budget.saturating_mul(2));
        Ok(())
    }

    /// The batch, in parts that a program can take each.
    pub(super) fn parts(
        &self,
        network: &Network,
        steps: usize,
        batch: usize,
        lengths: Option<&[usize]>,
    ) -> Result<Vec<Packing>, Error> {
        let length = |b: usize| (b, lengths.map_or(steps, |lengths| lengths[b]));
        let mut sequences: Vec<(usize, usize)> = (0..batch).map(length).collect();
        sequences.sort_by_key(|&(_, length)| std::cmp::Reverse(length));
        let most = most_sequences(network, self.memory_budget)?;
        Ok(sequences.chunks(most).map(|part| Packing::new(part.to_vec())).collect())
    }
}
