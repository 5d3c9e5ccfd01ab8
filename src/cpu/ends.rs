//! The first and last operations of a product: the input's part of the gates, cells, outputs.

use pulp::Simd;

use super::activation::{sigmoid, tanh};
use super::panels::{GUARD, Panels, VECTORS};
use super::product::{Ends, Sums};

#[inline(always)]
fn load<S: Simd>(numbers: &[f32]) -> Sums<S> {
    let (vectors, _) = S::as_simd_f32s(&numbers[..VECTORS * S::F32_LANES]);
    std::array::from_fn(|k| vectors[k])
}

/// Sums without the guard that they started from.
#[inline(always)]
fn unguarded<S: Simd>(simd: S, [i, f, g, o]: Sums<S>) -> Sums<S> {
    let guard = simd.splat_f32s(GUARD);
    // Not `map`: its closure would be compiled without the machine's vectors where it is not inlined.
    [simd.sub_f32s(i, guard), simd.sub_f32s(f, guard), simd.sub_f32s(g, guard), simd.sub_f32s(o, guard)]
}

/// bias + W_ih·x with its [`GUARD`], stored until its time step is computed.
pub(super) struct Gates<'a> {
    pub(super) bias: &'a Panels,
    /// [rows, panels, VECTORS, lanes].
    pub(super) gates: &'a mut [f32],
    /// f32 in a row of `gates`.
    pub(super) row_len: usize,
}

impl Ends for Gates<'_> {
    #[inline(always)]
    fn start<S: Simd>(&self, _: S, panel: usize, _: usize) -> Sums<S> {
        load::<S>(self.bias.panel(panel))
    }

    #[inline(always)]
    fn finish<S: Simd>(&mut self, _: S, panel: usize, row: usize, sums: Sums<S>) {
        let at = row * self.row_len + panel * VECTORS * S::F32_LANES;
        self.gates[at..][..VECTORS * S::F32_LANES].copy_from_slice(bytemuck::cast_slice(&sums));
    }
}

/// c = σ(f)·c + σ(i)·tanh(g), h = σ(o)·tanh(c).
pub(super) struct Cells<'a> {
    /// bias + W_ih·x of this step, as [`Gates`] left it.
    pub(super) gates: &'a [f32],
    /// f32 in a row of `gates`.
    pub(super) row_len: usize,
    /// [B, panels, lanes].
    pub(super) c: &'a mut [f32],
    pub(super) outputs: Outputs<'a>,
}

impl Ends for Cells<'_> {
    #[inline(always)]
    fn start<S: Simd>(&self, _: S, panel: usize, row: usize) -> Sums<S> {
        load::<S>(&self.gates[row * self.row_len + panel * VECTORS * S::F32_LANES..])
    }

    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, panel: usize, row: usize, [i, f, g, o]: Sums<S>) {
        let c = self.cell(simd, panel, row, [i, f, g]);
        self.hidden(simd, panel, row, o, c);
    }

    /// A cell is a long chain of operations: those of the second row fill the time in which the first one's wait.
    #[inline(always)]
    fn finish_two<S: Simd>(&mut self, simd: S, panel: usize, row: usize, [first, second]: [Sums<S>; 2]) {
        let [[i, f, g, first], [j, k, l, second]] = [first, second];
        let c = self.cell(simd, panel, row, [i, f, g]);
        let next = self.cell(simd, panel, row + 1, [j, k, l]);
        self.hidden(simd, panel, row, first, c);
        self.hidden(simd, panel, row + 1, second, next);
    }
}

impl Cells<'_> {
    /// The new c.
    #[inline(always)]
    fn cell<S: Simd>(&mut self, simd: S, panel: usize, row: usize, [i, f, g]: [S::f32s; 3]) -> S::f32s {
        let guard = simd.splat_f32s(GUARD);
        let at = row * (self.row_len / VECTORS) + panel * S::F32_LANES;
        let (c, _) = S::as_mut_simd_f32s(&mut self.c[at..][..S::F32_LANES]);
        let g = tanh(simd, simd.sub_f32s(g, guard)); // σ is the same with the guard
        let new = simd.mul_add_e_f32s(sigmoid(simd, i), g, guard);
        c[0] = simd.sub_f32s(simd.mul_add_e_f32s(sigmoid(simd, f), c[0], new), guard);
        c[0]
    }

    /// Writes the new h.
    #[inline(always)]
    fn hidden<S: Simd>(&mut self, simd: S, panel: usize, row: usize, o: S::f32s, c: S::f32s) {
        let guard = simd.splat_f32s(GUARD);
        let h = simd.mul_add_e_f32s(sigmoid(simd, o), tanh(simd, c), guard);
        let h = simd.sub_f32s(h, guard);
        self.outputs.write(row, panel * S::F32_LANES, bytemuck::cast_slice(&[h]));
    }
}

/// Where a step's outputs go.
pub(super) struct Outputs<'a> {
    /// Numbers in a row; a panel's outputs beyond it are dropped.
    pub(super) width: usize,
    /// [rows, width].
    pub(super) to: &'a mut [f32],
}

impl Outputs<'_> {
    #[inline(always)]
    fn write(&mut self, row: usize, column: usize, values: &[f32]) {
        let len = values.len().min(self.width.saturating_sub(column));
        if len == 0 {
            return;
        }
        let to = &mut self.to[row * self.width + column..][..len];
        if len == values.len() {
            to.copy_from_slice(values); // a constant length: no call
        } else {
            to.copy_from_slice(&values[..len]);
        }
    }
}

/// The projection's sums are h.
impl Ends for Outputs<'_> {
    #[inline(always)]
    fn start<S: Simd>(&self, simd: S, _: usize, _: usize) -> Sums<S> {
        [simd.splat_f32s(GUARD); VECTORS]
    }

    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, panel: usize, row: usize, sums: Sums<S>) {
        let sums = unguarded(simd, sums);
        self.write(row, panel * VECTORS * S::F32_LANES, bytemuck::cast_slice(&sums));
    }
}
