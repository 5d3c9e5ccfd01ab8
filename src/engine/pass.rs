//! A program whose input, output and states the caller keeps on the device, and which it records itself.

use std::sync::Arc;

use super::{GpuEngine, Options};
use crate::batch::Packing;
use crate::call::Sequences;
use crate::error::Error;
use crate::gpu::{Given, Prepared, record, record_zeros};
use crate::layout::{Rows, States};
use crate::plan::{Keeper, Request, schedule};
use crate::program::{Owner, Program, State, Turn};

/// A network for one shape, to be recorded.
pub(crate) struct ResidentPass {
    engine: Arc<GpuEngine>,
    program: Program,
    prepared: Prepared,
    steps: usize,
    batch: usize,
    input: usize,
    output: usize,
    hidden: usize,
    cell: usize,
}

/// Rows in one of the pass's buffers: the buffer, how many, the f32 of each, and those to the next.
pub(crate) type RowsOf<'a> = (&'a wgpu::Buffer, usize, usize, usize);

impl GpuEngine {
    /// Allocates all that a call of T = `steps` and B = `batch` needs.
    pub async fn resident(
        self: &Arc<Self>,
        options: Options,
        steps: usize,
        batch: usize,
    ) -> Result<ResidentPass, Error> {
        let network = &self.planner.network;
        Sequences::new(&network.config, steps, batch, None)?;
        if batch == 0 {
            return Err(Error::ZeroSize { what: "the batch of a pass" });
        }
        self.check_host(options, steps, batch)?;
        let packing = Packing::equal(steps, batch);
        let request = Request {
            packing: &packing,
            budget: options.memory_budget,
            keeper: Keeper::Pass,
            bind_sets: &[],
        };
        let admitted = self.chosen(&packing, options);
        let program = schedule(network, request, admitted, u64::MAX)?;
        if program.submissions.len() > 1 {
            return Err(Error::LimitExceeded {
                what: format!("the uniforms of a pass over {steps} time steps"),
                needed: program.submissions.iter().map(|s| s.pass.uniforms.len() as u64).sum(),
                limit_name: "max_buffer_size",
                limit: network.limits.max_buffer,
                advice: Some("prepare fewer steps, and record the pass several times"),
            });
        }
        let given = Given { resident: &self.weights, states: None };
        let prepared = self.gpu.prepare(&program, &self.pipelines, given).await?;
        let find = |owner: Owner, name: Option<&str>| {
            let is_it = |buffer: &crate::program::BufferSpec| {
                buffer.owner == owner && name.is_none_or(|name| buffer.name == name)
            };
            program.buffers.iter().position(is_it)
        };
        let expected = "a pass has it";
        let output = find(Owner::Caller, Some("joined output")).or(find(Owner::Caller, Some("output")));
        Ok(ResidentPass {
            engine: Arc::clone(self),
            input: find(Owner::Caller, Some("input")).expect(expected),
            output: output.expect(expected),
            hidden: find(Owner::State(State::Hidden(Turn::First)), None).expect(expected),
            cell: find(Owner::State(State::Cell), None).expect(expected),
            program,
            prepared,
            steps,
            batch,
        })
    }
}

impl ResidentPass {
    pub fn input(&self) -> RowsOf<'_> {
        self.sequence(self.input, self.engine.planner.network.layouts.input(0))
    }

    pub fn output(&self) -> RowsOf<'_> {
        self.sequence(self.output, self.engine.planner.network.layouts.joined_output())
    }

    pub fn hidden(&self) -> RowsOf<'_> {
        let network = &self.engine.planner.network;
        self.states(self.hidden, network.layouts.hidden(self.batch), network.config.output_size())
    }

    pub fn cell(&self) -> RowsOf<'_> {
        let network = &self.engine.planner.network;
        self.states(self.cell, network.layouts.cell(self.batch), network.config.hidden_size())
    }

    fn sequence(&self, buffer: usize, layout: Rows) -> RowsOf<'_> {
        (self.prepared.buffer(buffer), self.steps * self.batch, layout.width, layout.stride())
    }

    fn states(&self, buffer: usize, layout: States, width: usize) -> RowsOf<'_> {
        let rows = self.engine.planner.network.config.num_layers() * layout.directions * self.batch;
        (self.prepared.buffer(buffer), rows, width, layout.stride)
    }

    /// Records the whole network.
    pub fn record(&self, encoder: &mut wgpu::CommandEncoder) {
        for submission in &self.program.submissions {
            record(encoder, &submission.pass, &self.prepared, &self.engine.pipelines);
        }
    }

    /// Records zeros into h and c.
    pub fn record_reset(&self, encoder: &mut wgpu::CommandEncoder) {
        for buffer in [self.hidden, self.cell] {
            record_zeros(encoder, &self.prepared, buffer);
        }
    }
}
