//! A call on a GPU: cut into parts, each with a program that is planned, or kept from an earlier call, and run.

use std::any::Any;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use super::cache::{Bytes, Key};
use super::transfer::Arrays;
use super::{GpuEngine, Options};
use crate::batch::Packing;
use crate::call::{Call, Results, Sequences};
use crate::error::Error;
use crate::gpu::{Given, Prepared, Wait, Waiting, in_a_callback};
use crate::plan::{Admitted, Request, Scheduler, most_sequences, schedule};
use crate::program::Program;
use crate::tuning::Tuning;

/// A program, and its buffers on the device.
pub(super) struct Ready {
    program: Program,
    /// To list the submissions again if the program does not keep them.
    admitted: Admitted,
    prepared: Prepared,
}

impl Bytes for Ready {
    fn bytes(&self) -> u64 {
        self.prepared.bytes() // the lists are bounded each: see kept_lists
    }
}

/// Bytes of a program's lists that are kept, of a memory budget: an eighth of it. Longer ones are listed again at
/// each call.
pub(super) fn kept_lists(memory_budget: u64) -> u64 {
    memory_budget / 8
}

impl GpuEngine {
    /// As [`reference::forward`](crate::reference::forward).
    pub async fn forward(
        &self,
        options: Options,
        call: &Call<'_, f32>,
        wait: Wait,
    ) -> Result<Results<f32>, Error> {
        let sequences = call.sequences();
        if sequences.batch() == 0 {
            return Ok(Arrays::new(call)?.finish());
        }
        let waiting = &Waiting { wait, holds: self.permit(options, wait).await? };
        self.check_arrays(options, sequences.steps(), sequences.batch())?;
        let mut arrays = Arrays::new(call)?;
        for packing in self.parts(options, sequences)? {
            let tuning = match options.tuning {
                Tuning::Measure => {
                    Tuning::Fixed(self.measure(options, &packing, &mut arrays, waiting).await?)
                }
                tuning => tuning,
            };
            self.run_part(Options { tuning, ..options }, &packing, &mut arrays, waiting).await?;
        }
        Ok(arrays.finish())
    }

    /// Waits until the call may run. It then holds the result until it ends, and until the device has done its work.
    ///
    /// A thread that waits for its turn polls no futures. They may be those that hold the permits: so calls that wait
    /// in their threads and calls that do not have permits of their own, and the former wait for each other alone.
    ///
    /// A call in a callback of the application needs no permit: wgpu runs the callback in a thread that waits for another
    /// call, and that one may hold the last permit.
    async fn permit(
        &self,
        options: Options,
        wait: Wait,
    ) -> Result<Option<Arc<dyn Any + Send + Sync>>, Error> {
        if in_a_callback() {
            return Ok(None);
        }
        let permits = match wait {
            Wait::Block => &self.permits[0],
            Wait::Async => &self.permits[1],
        };
        let mut acquired = pin!(permits.acquire(options.calls_in_flight));
        poll_fn(|context| match acquired.as_mut().poll(context) {
            Poll::Ready(permit) => Poll::Ready(Ok(Some(Arc::new(permit) as _))),
            // Those that run may never be polled again.
            Poll::Pending => {
                self.gpu.check_there().map_or_else(|lost| Poll::Ready(Err(lost)), |()| Poll::Pending)
            }
        })
        .await
    }

    /// Runs one part of the batch.
    pub(super) async fn run_part(
        &self,
        options: Options,
        packing: &Packing,
        arrays: &mut Arrays<'_>,
        wait: &Waiting,
    ) -> Result<(), Error> {
        let Self { gpu, planner, pipelines, weights, cache, .. } = self;
        let network = &planner.network;
        let budget = options.memory_budget;
        let request = Request::call(packing, budget);
        let given = Given { resident: weights, states: None };
        let key = Key::new(packing, budget, options.tuning);
        let mut ready = match cache.take(&key) {
            Some(ready) => ready,
            None => {
                self.check_lists(options, packing)?;
                let admitted = self.chosen(packing, options);
                let keep = kept_lists(budget);
                let program = schedule(network, request, admitted.clone(), keep)?;
                let prepared = match gpu.prepare(&program, pipelines, given).await {
                    // Free the buffers that are kept for other shapes, and try again.
                    Err(Error::OutOfMemory { .. }) if cache.clear() => {
                        gpu.poll();
                        gpu.prepare(&program, pipelines, given).await?
                    }
                    result => result?,
                };
                Ready { program, admitted, prepared }
            }
        };
        let mut host = arrays.of_part(packing, network);
        let Ready { program, admitted, prepared } = &mut ready;
        if program.is_kept() {
            gpu.run(prepared, program.submissions.iter(), pipelines, &mut host, wait).await?;
        } else {
            self.check_lists(options, packing)?;
            let submissions = Scheduler::new(network, request, admitted.clone())?;
            gpu.run(prepared, submissions, pipelines, &mut host, wait).await?;
        }
        cache.put(key, ready, budget.saturating_mul(2));
        Ok(())
    }

    /// The batch in parts, one after the other: each is small enough for one program.
    pub(super) fn parts(
        &self,
        options: Options,
        sequences: Sequences<'_>,
    ) -> Result<impl Iterator<Item = Packing> + use<>, Error> {
        let sequences = sequences.longest_first();
        let most = most_sequences(&self.planner.network, options.memory_budget)?;
        let starts = (0..sequences.len()).step_by(most);
        Ok(starts.map(move |start| {
            let end = sequences.len().min(start.saturating_add(most));
            Packing::new(sequences[start..end].to_vec())
        }))
    }
}
