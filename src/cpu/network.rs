//! A network's products, which any thread may compute: any panels of the gates, for any rows.

use std::ops::Range;
use std::sync::Arc;

use pulp::Arch;

use super::ends::{Cells, Gates, Outputs};
use super::panels::{Parameters, VECTORS};
use super::product::Product;
use crate::config::LstmConfig;

#[derive(Clone)]
pub(super) struct Network {
    pub(super) arch: Arch,
    /// f32 in a vector.
    pub(super) lanes: usize,
    /// Index layer · D + direction.
    pub(super) layers: Arc<[Parameters]>,
    /// H.
    pub(super) hidden: usize,
    /// O.
    pub(super) output: usize,
}

/// What a thread computes a layer with, for some sequences.
pub(super) struct Numbers {
    /// bias + W_ih·x of a block of time, [rows, panels, VECTORS, lanes].
    pub(super) gates: Vec<f32>,
    /// [B, O].
    pub(super) h: Vec<f32>,
    /// [B, H padded to panels].
    pub(super) c: Vec<f32>,
    /// o ∘ tanh(c) of a step, [B, H]: h where there is no projection.
    pub(super) units: Vec<f32>,
}

/// A time step of a layer and direction.
#[derive(Clone, Copy)]
pub(super) struct Step {
    /// The index of the layer and direction.
    pub(super) slot: usize,
    /// How many of the sequences have this step.
    pub(super) running: usize,
    /// Where their gates begin, in rows.
    pub(super) first_row: usize,
    /// [`Product::backwards`].
    pub(super) backwards: bool,
}

impl Network {
    pub(super) fn new(config: &LstmConfig, arch: Arch, lanes: usize, layers: Arc<[Parameters]>) -> Self {
        Self { arch, lanes, layers, hidden: config.hidden_size(), output: config.output_size() }
    }

    /// Panels of the gates: each has [`lanes`](Self::lanes) hidden units.
    pub(super) fn panels(&self) -> usize {
        self.hidden.div_ceil(self.lanes)
    }

    /// The hidden units of some panels.
    pub(super) fn units(&self, panels: &Range<usize>) -> Range<usize> {
        panels.start * self.lanes..self.hidden.min(panels.end * self.lanes)
    }

    /// f32 in a row of gates.
    pub(super) fn gates_len(&self) -> usize {
        VECTORS * self.panels() * self.lanes
    }

    /// Zeros for a batch.
    pub(super) fn numbers(&self, batch: usize) -> Numbers {
        let zeros = |width| vec![0.0; batch * width];
        let (h, c) = (zeros(self.output), zeros(self.panels() * self.lanes));
        Numbers { gates: Vec::new(), h, c, units: zeros(self.hidden) }
    }

    /// gates = bias + W_ih·x in some panels. `slot` is the index of the layer and direction, `depth` the length of a row
    /// of x.
    pub(super) fn project(
        &self,
        slot: usize,
        panels: Range<usize>,
        depth: usize,
        rows: &[f32],
        gates: &mut [f32],
    ) {
        let parameters = &self.layers[slot];
        let ends = Gates { bias: &parameters.bias, gates, row_len: self.gates_len() };
        let weights = &parameters.w_ih;
        self.arch.dispatch(Product { weights, panels, rows, depth, backwards: false, ends });
    }

    /// The first part of a step: c and `units` in some panels.
    pub(super) fn cells(&self, step: Step, panels: Range<usize>, numbers: &mut Numbers) {
        let Step { slot, running, first_row, backwards } = step;
        let row_len = self.gates_len();
        let outputs = Outputs { width: self.hidden, to: &mut numbers.units };
        let gates = &numbers.gates[first_row * row_len..];
        let ends = Cells { gates, row_len, c: &mut numbers.c, outputs };
        let rows = &numbers.h[..running * self.output];
        let weights = &self.layers[slot].w_hh;
        self.arch.dispatch(Product { weights, panels, rows, depth: self.output, backwards, ends });
    }

    /// The second part: h of all `units`.
    pub(super) fn outputs(&self, step: Step, numbers: &mut Numbers) {
        let Step { slot, running, backwards, .. } = step;
        let (h, rows) = (&mut numbers.h[..running * self.output], &numbers.units[..running * self.hidden]);
        let Some(weights) = &self.layers[slot].w_hr else { return h.copy_from_slice(rows) };
        let (panels, ends) = (0..weights.count(), Outputs { width: self.output, to: h });
        self.arch.dispatch(Product { weights, panels, rows, depth: self.hidden, backwards, ends });
    }
}
