//! What `single` and `diagonal` share: dispatches of `fused_step`, whose slots have the input's part in the same
//! reduction, for several layers or both directions.

use crate::batch::Packing;
use crate::error::Error;
use crate::kernels::{FusedStep, FusedStepBuffers, Slot, TileShape, TimeStep};
use crate::plan::call::Span;
use crate::plan::dispatcher::{Dispatcher, Steps, Work};
use crate::plan::limits::SUBMISSION;
use crate::plan::network::{Network, SizedKernel, Stacked};
use crate::program::{BufferRef, ResidentRef, VEC4};

/// What a dispatch of `fused_step` needs.
#[derive(Debug)]
pub(super) struct FusedSteps {
    /// One kernel serves every layer.
    kernel: SizedKernel<FusedStep>,
    weights: Stacked,
}

impl FusedSteps {
    /// Where the weights are stacked.
    pub fn plan(network: &mut Network) -> Result<Option<Self>, Error> {
        let Some(weights) = network.stacked else { return Ok(None) };
        let shape = TileShape::of(&network.layouts.w_hh());
        let tiles = network.tiling.tiles(shape);
        let (directions, projected) = (network.config.num_directions(), network.config.proj_size() > 0);
        let pipelines = FusedStep::pipelines(shape, &tiles, directions, projected);
        Ok(Some(Self { kernel: network.kernel(shape, tiles, pipelines)?, weights }))
    }

    /// Where what one dispatch computes for `layers` layers is not cut by a submission's bound.
    pub fn admits(&self, network: &Network, packing: &Packing, layers: usize) -> bool {
        let operations = |layer| {
            let x = TileShape::of(&network.layouts.w_ih(layer));
            x.operations(packing.batch()) + self.kernel.shape.operations(packing.batch())
        };
        let most = (0..network.config.num_layers()).map(operations).max().unwrap_or(0);
        let slots = (layers * network.config.num_directions()) as u64;
        most * slots <= SUBMISSION.operations
    }

    /// One step of so many slots, after `done` others.
    pub fn dispatch(
        &self,
        dispatcher: &mut Dispatcher<'_>,
        span: &Span,
        done: usize,
        (step, slots): (TimeStep, usize),
    ) {
        let plan = dispatcher.plan;
        let [h, h_next] = plan.buffers.hidden.read_and_write(done);
        let buffers = FusedStepBuffers {
            weights: BufferRef::Resident(self.weights.matrices),
            h,
            bias: BufferRef::Resident(self.weights.biases),
            c: BufferRef::Program(plan.buffers.cell),
            h_next: plan.buffers.unprojected_or(h_next),
            output: plan.output_of(span),
            x: plan.input_of(span),
        };
        dispatcher.dispatch(&self.kernel, &buffers, &step, self.work(&step, slots));
        dispatcher.hidden_projection(span, h_next, &step, slots, Some(self.weights.matrices));
    }

    /// Two products in each slot, of the layer's input and of its state.
    fn work(&self, step: &TimeStep, slots: usize) -> Work {
        let (mut operations, mut elements, mut reductions) = (0, 0, [0, self.kernel.shape.reduction]);
        for slot in &step.slots[..slots] {
            let x = TileShape { reduction: slot.x_length as usize, ..self.kernel.shape };
            reductions[0] = reductions[0].max(x.reduction);
            for product in [x, self.kernel.shape] {
                operations += product.operations(slot.running as usize);
                elements += product.elements();
            }
        }
        Work { rows: step.rows(), slots, operations, elements, reductions, steps: Steps::One }
    }
}

/// What a layer and direction's slot has at every step.
pub(super) fn slot_of(network: &Network, layer: usize, d: usize) -> Slot {
    let (layouts, parts) = (&network.layouts, &network.weights[layer]);
    // A part of a buffer begins at a whole element; shaders index buffers in 32 bits.
    let first = |part: ResidentRef| part.start / network.element.words();
    let w_hr = parts.w_hr.zip(layouts.w_hr());
    Slot {
        w_ih: (first(parts.w_ih) + layouts.w_ih(layer).first(d)) as u32,
        w_hh: (first(parts.w_hh) + layouts.w_hh().first(d)) as u32,
        w_hr: w_hr.map_or(0, |(part, w_hr)| first(part) + w_hr.first(d)) as u32,
        bias: (parts.bias.start / VEC4 + layouts.first_bias(d)) as u32,
        x_length: (layouts.input(layer).stride() / VEC4) as u32,
        ..Slot::default()
    }
}
