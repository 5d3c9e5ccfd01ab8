//! What `single` and `diagonal` share: dispatches of `fused_step`, whose slots have the input's part in the same
//! reduction, for several layers or both directions.

use crate::batch::Packing;
use crate::kernels::{SLOTS, Slot, Step, TileShape};
use crate::plan::limits::SUBMISSION;
use crate::plan::network::{Network, Stage};
use crate::plan::passes::{Part, Passes, rows_of};
use crate::program::{BufferRef, ResidentRef, VEC4};

/// What a dispatch of `fused_step` takes.
#[derive(Debug)]
pub(super) struct FusedSteps {
    /// One kernel serves every layer.
    stage: Stage,
    /// Every layer's matrices, and their biases.
    weights: ResidentRef,
    biases: ResidentRef,
}

impl FusedSteps {
    /// Where the weights are stacked, and what one dispatch computes for `layers` layers is not cut by a submission's
    /// bound.
    pub fn admit(network: &Network, packing: &Packing, layers: usize) -> Option<Self> {
        let [weights, biases] = network.stacked?;
        let step = network.layers.first()?.step.shape;
        let operations = |layer| {
            let x = TileShape { reduction: network.input_row(layer) / VEC4, ..step };
            x.operations(packing.batch()) + step.operations(packing.batch())
        };
        let most = (0..network.layers.len()).map(operations).max()?;
        let slots = (layers * network.config.num_directions()) as u64;
        let stage = network.layers[0].fused.clone()?;
        (most * slots <= SUBMISSION.operations).then_some(Self { stage, weights, biases })
    }

    pub fn dispatch(&self, passes: &mut Passes<'_>, part: &Part, done: usize, slots: &[Slot]) {
        let mut step = Step::default();
        step.slots[..slots.len().min(SLOTS)].copy_from_slice(slots);
        let group = &passes.buffers.groups[part.group];
        let [h_in, h_out] = group.hidden.read_and_write(done);
        let buffers = vec![
            BufferRef::Resident(self.weights),
            h_in,
            BufferRef::Resident(self.biases),
            BufferRef::Program(group.cell),
            passes.buffers.unprojected_or(h_out),
            passes.output_of(part),
            passes.input_of(part),
        ];
        let operations = |slot: &Slot| {
            let x = TileShape { reduction: slot.x_length as usize, ..self.stage.shape };
            let running = slot.running as usize;
            x.operations(running) + self.stage.shape.operations(running)
        };
        let operations = slots.iter().map(operations).sum();
        passes.dispatch(&self.stage, buffers, &step, (rows_of(&step), slots.len()), operations);
        passes.hidden_projection(part, h_out, &step, slots.len(), Some(self.weights));
    }
}

/// What a layer and direction's slot has at every step.
pub(super) fn slot_of(network: &Network, layer: usize, d: usize) -> Slot {
    let words = network.words_of_element();
    let of_layer = &network.layers[layer];
    let begin = |part: ResidentRef, shape| element(part, words) + matrix(d, shape);
    Slot {
        w_ih: begin(of_layer.w_ih, of_layer.input.shape),
        w_hh: begin(of_layer.w_hh, of_layer.step.shape),
        w_hr: match (&of_layer.projection, of_layer.w_hr) {
            (Some(stage), Some(w_hr)) => begin(w_hr, stage.shape),
            _ => 0,
        },
        bias: element(of_layer.bias, VEC4) + (d * network.config.hidden_size()) as u32,
        x_length: (network.input_row(layer) / VEC4) as u32,
        ..Slot::default()
    }
}

/// Where a resident part begins, in elements of four numbers.
fn element(part: ResidentRef, words: usize) -> u32 {
    (part.start / words) as u32 // bindings that shaders index in 32 bits
}

/// Where the matrix of a direction begins, in elements.
pub(super) fn matrix(d: usize, shape: TileShape) -> u32 {
    (d * VEC4 * shape.reduction * shape.columns) as u32
}

/// The input's part of a layer's step.
pub(super) fn input_shape(network: &Network, layer: usize) -> TileShape {
    TileShape { reduction: network.layers[layer].input.shape.reduction, ..network.layers[layer].step.shape }
}
