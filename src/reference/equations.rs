//! One layer in one direction: the equations themselves.

use std::ops::Range;

use ndarray::{
    Array, Array1, Array2, ArrayView2, ArrayView3, ArrayViewMut2, ArrayViewMut3, Axis, Dimension, NdFloat, s,
};

use crate::weights::LayerWeights;

/// The parameters of one layer and direction.
pub(super) struct Parameters<T> {
    /// (4H, I), from the second layer on (4H, D·O).
    w_ih: Array2<T>,
    /// (4H, O).
    w_hh: Array2<T>,
    /// b_ih + b_hh, (4H); zeros where there are none.
    bias: Array1<T>,
    /// (P, H), where there is a projection.
    w_hr: Option<Array2<T>>,
}

impl<T: NdFloat + From<f32>> Parameters<T> {
    pub(super) fn new(weights: &LayerWeights) -> Self {
        Self {
            w_ih: cast(&weights.w_ih),
            w_hh: cast(&weights.w_hh),
            bias: match &weights.bias {
                Some((b_ih, b_hh)) => cast::<T, _>(b_ih) + cast(b_hh),
                None => Array1::zeros(weights.w_ih.nrows()),
            },
            w_hr: weights.w_hr.as_ref().map(cast),
        }
    }
}

fn cast<T: From<f32>, D: Dimension>(array: &Array<f32, D>) -> Array<T, D> {
    array.map(|&x| x.into())
}

/// Elements of the input's part of the gates that are computed at once: 64 MiB of f32.
const GATES_AT_ONCE: usize = 16 << 20;

/// One layer in one direction over a whole sequence: `x` (T, B, I) → `output` (T, B, O).
///
/// ```text
/// z_t = W_ih·x_t + b_ih + W_hh·h_{t-1} + b_hh        4H numbers: z_i, z_f, z_g, z_o
/// i, f, g, o = σ(z_i), σ(z_f), tanh(z_g), σ(z_o)
/// c_t = f ∘ c_{t-1} + i ∘ g
/// h_t = o ∘ tanh(c_t)                                with a projection: W_hr·(o ∘ tanh(c_t))
/// ```
///
/// `h` (B, O) and `c` (B, H) hold h_{t-1} and c_{t-1}; where the equations have one sequence, there
/// are B rows. The reverse direction is the same recurrence with time walked from the last step to
/// the first.
pub(super) fn run_direction<T: NdFloat>(
    parameters: &Parameters<T>,
    x: ArrayView3<'_, T>,
    mut h: ArrayViewMut2<'_, T>,
    mut c: ArrayViewMut2<'_, T>,
    mut output: ArrayViewMut3<'_, T>,
    reverse: bool,
) {
    let Parameters { w_ih, w_hh, bias, w_hr } = parameters;
    let (steps, batch, input_size) = x.dim();
    let hidden_size = c.ncols();

    // W_ih·x_t + b_ih + b_hh depends on no other step: it is computed for a block of steps at once.
    let block_steps = (GATES_AT_ONCE / (batch * 4 * hidden_size)).clamp(1, steps);
    for block in in_order(0..steps.div_ceil(block_steps), reverse) {
        let times = block * block_steps..steps.min((block + 1) * block_steps);
        let x = x.slice(s![times.clone(), .., ..]);
        let rows = x.to_shape((times.len() * batch, input_size)).expect("rows of I are (T, B, I)");
        let gates_x = times_transposed(w_ih, rows.view()) + bias;

        for t in in_order(times.clone(), reverse) {
            let row = (t - times.start) * batch;
            let z = times_transposed(w_hh, h.view()) + gates_x.slice(s![row..row + batch, ..]);
            let gate = |k: usize| z.slice(s![.., k * hidden_size..(k + 1) * hidden_size]);
            let i = gate(0).mapv(sigmoid);
            let f = gate(1).mapv(sigmoid);
            let g = gate(2).mapv(T::tanh);
            let o = gate(3).mapv(sigmoid);

            let next_c = f * &c + i * g;
            c.assign(&next_c);
            let unprojected = o * c.mapv(T::tanh);
            match w_hr {
                Some(w_hr) => h.assign(&times_transposed(w_hr, unprojected.view())),
                None => h.assign(&unprojected),
            }
            output.index_axis_mut(Axis(0), t).assign(&h);
        }
    }
}

/// First to last, or last to first.
fn in_order(range: Range<usize>, reverse: bool) -> impl Iterator<Item = usize> {
    let (first, last) = (range.start, range.end);
    range.map(move |k| if reverse { first + last - 1 - k } else { k })
}

/// W·x for each row x: (N, K) → (N, M) with W (M, K).
///
/// A single row is a product of matrix and vector, which reads W in place; a product of matrices copies it first.
fn times_transposed<T: NdFloat>(w: &Array2<T>, x: ArrayView2<'_, T>) -> Array2<T> {
    if x.nrows() == 1 { w.dot(&x.row(0)).insert_axis(Axis(0)) } else { x.dot(&w.t()) }
}

/// σ(x) = 1 / (1 + e⁻ˣ). Where e⁻ˣ overflows to ∞ this is 0, its limit; NaN stays NaN.
fn sigmoid<T: NdFloat>(x: T) -> T {
    T::one() / (T::one() + (-x).exp())
}
