//! The layout of matrices that the product reads.

use bytemuck::{Pod, Zeroable};
use ndarray::ArrayView2;
use pulp::{Arch, Simd, WithSimd};

use crate::config::LstmConfig;
use crate::subnormal::flush;
use crate::weights::LayerWeights;

/// Vectors side by side in a panel: one for each gate i, f, g, o, so that the sums of a unit's gates meet
/// in registers.
pub(super) const VECTORS: usize = 4;

/// 2⁻¹⁰². Every chain and every total starts from it, and it is subtracted from the result. Without it a sum of products
/// that are all below 2⁻¹²⁶ would be subnormal after every operation. With it each rounds to a multiple of about 2⁻¹²⁶.
/// In a sum beyond 2⁻⁷⁷ it changes only ties between two roundings.
pub(super) const GUARD: f32 = f32::from_bits((127 - 102) << 23);

/// A cache line, for its alignment: a vector is then never split over two lines.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// A matrix cut into panels of [`VECTORS`] vectors of outputs: [panels, reduction axis, VECTORS, lanes].
pub(super) struct Panels {
    lines: Vec<Line>,
    /// f32 of a panel.
    panel_len: usize,
    count: usize,
}

impl Panels {
    /// `weight(panel, vector, lane, m)` is the element, flushed if subnormal; `depth` is the reduction axis.
    fn new(
        (count, depth, lanes): (usize, usize, usize),
        weight: impl Fn(usize, usize, usize, usize) -> f32,
    ) -> Self {
        let panel_len = depth * VECTORS * lanes;
        let mut lines = vec![Line::zeroed(); (count * panel_len).div_ceil(16)];
        let elements: &mut [f32] = bytemuck::cast_slice_mut(&mut lines);
        for (k, element) in elements[..count * panel_len].iter_mut().enumerate() {
            let (vector, lane) = (k / lanes % VECTORS, k % lanes);
            *element = flush(weight(k / panel_len, vector, lane, k / (VECTORS * lanes) % depth));
        }
        Self { lines, panel_len, count }
    }

    /// (4H, M), gates stacked i, f, g, o: vector k of a panel is gate k of its units. Zeros beyond H.
    pub(super) fn of_gates(matrix: ArrayView2<'_, f32>, lanes: usize) -> Self {
        Self::of_gates_and(matrix, lanes, 0.0)
    }

    /// b_ih + b_hh, (4H), as a matrix of one column, with the guard that every sum starts from.
    fn of_bias(weights: &LayerWeights, lanes: usize) -> Self {
        let bias = match &weights.bias {
            Some((b_ih, b_hh)) => b_ih + b_hh + GUARD,
            None => ndarray::Array1::from_elem(weights.w_ih.nrows(), GUARD),
        };
        Self::of_gates_and(bias.view().insert_axis(ndarray::Axis(1)), lanes, GUARD)
    }

    /// As [`of_gates`](Self::of_gates), with `beyond` for the units past H.
    fn of_gates_and(matrix: ArrayView2<'_, f32>, lanes: usize, beyond: f32) -> Self {
        let (rows, depth) = matrix.dim();
        let hidden = rows / VECTORS;
        Self::new((hidden.div_ceil(lanes), depth, lanes), |panel, gate, lane, m| {
            let unit = panel * lanes + lane;
            if unit < hidden { matrix[[gate * hidden + unit, m]] } else { beyond }
        })
    }

    /// (P, H): the outputs in their order. Zeros beyond P.
    fn of_projection(matrix: ArrayView2<'_, f32>, lanes: usize) -> Self {
        let (outputs, depth) = matrix.dim();
        Self::new((outputs.div_ceil(VECTORS * lanes), depth, lanes), |panel, vector, lane, m| {
            matrix.get([(panel * VECTORS + vector) * lanes + lane, m]).copied().unwrap_or(0.0)
        })
    }

    pub(super) fn panel(&self, panel: usize) -> &[f32] {
        &bytemuck::cast_slice(&self.lines)[panel * self.panel_len..][..self.panel_len]
    }

    /// How many panels there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }
}

/// f32 of a network's parameters in panels.
pub(super) fn parameters_len(config: &LstmConfig, lanes: usize) -> usize {
    let units = config.hidden_size().next_multiple_of(lanes);
    let of_layer = |layer| {
        // A column of the gates for each input, output and the bias; rounded up to whole cache lines.
        let columns = config.layer_input_size(layer).saturating_add(config.output_size()).saturating_add(1);
        let gates = columns.saturating_mul(VECTORS * units).saturating_add(3 * 16);
        let outputs = config.proj_size().next_multiple_of(VECTORS * lanes);
        gates.saturating_add(outputs.saturating_mul(config.hidden_size()).saturating_add(16))
    };
    let (first, other) = (of_layer(0), of_layer(1).saturating_mul(config.num_layers() - 1));
    first.saturating_add(other).saturating_mul(config.num_directions())
}

/// The parameters of one layer and direction.
pub(super) struct Parameters {
    /// b_ih + b_hh + [`GUARD`]: a matrix of one column.
    pub(super) bias: Panels,
    pub(super) w_ih: Panels,
    pub(super) w_hh: Panels,
    /// None without a projection.
    pub(super) w_hr: Option<Panels>,
}

impl Parameters {
    pub(super) fn new(weights: &LayerWeights, lanes: usize) -> Self {
        Self {
            bias: Panels::of_bias(weights, lanes),
            w_ih: Panels::of_gates(weights.w_ih.view(), lanes),
            w_hh: Panels::of_gates(weights.w_hh.view(), lanes),
            w_hr: weights.w_hr.as_ref().map(|w_hr| Panels::of_projection(w_hr.view(), lanes)),
        }
    }
}

/// The f32 in a vector of this machine.
pub(super) fn lanes(arch: Arch) -> usize {
    struct Lanes;
    impl WithSimd for Lanes {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::F32_LANES
        }
    }
    arch.dispatch(Lanes)
}
