//! The equations of an LSTM over ndarray, in f32 or f64.
//!
//! In f64 it is the oracle of this crate's tests, which also compare it with PyTorch. The device for machines without
//! a GPU is [`Device::cpu`](crate::Device::cpu), which is written for speed.

mod equations;

use ndarray::{Array3, ArrayView3, ArrayViewMut3, Axis, NdFloat, s};

use crate::call::{Call, Results};
use crate::error::Error;
use crate::host_memory::{check_memory, host_out_of_memory};
use crate::weights::LstmWeights;
use equations::{Parameters, run_direction};

/// Runs the network over a batch, in the arithmetic of `T`: f32 or f64.
///
/// | | shape | |
/// |---|---|---|
/// | `input` | (T, B, I) | time first; of any memory layout |
/// | `lengths` | B | each from 1 to T; none: all are T |
/// | `state` | (L·D, B, O), (L·D, B, H) | h and c before the first step; none: zeros |
/// | output | (T, B, D·O) | the last layer's h, forward and reverse side by side |
/// | h_n, c_n | (L·D, B, O), (L·D, B, H) | h and c after the last step |
///
/// With lengths, sequence b is the first `lengths[b]` steps of its column: the output is zero past
/// it, the state is the sequence's own last one, and the input past it is never read. The reverse direction runs from
/// a sequence's last step to t = 0, and its state is the one after t = 0.
///
/// # Errors
///
/// [`Error::InputWidth`], [`Error::NoTimeSteps`], [`Error::LengthCount`],
/// [`Error::LengthOutOfRange`], [`Error::SizeOverflow`], [`Error::StateShape`], in this order.
///
/// # Source
///
/// `torch.nn.LSTM`; with lengths, between `pack_padded_sequence` and `pad_packed_sequence`.
///
/// # Examples
///
/// ```
/// use wgpu_lstm::ndarray::Array3;
/// use wgpu_lstm::{LstmConfig, LstmWeights, reference};
///
/// let weights = LstmWeights::uniform(&LstmConfig::new(3, 4), 0)?;
/// let input = Array3::<f64>::ones((5, 2, 3));
/// let (output, h_n, c_n) = reference::forward(&weights, input.view(), None, None)?;
/// assert_eq!(output.dim(), (5, 2, 4));
/// assert_eq!(h_n.dim(), (1, 2, 4));
/// assert_eq!(c_n.dim(), (1, 2, 4));
/// # Ok::<(), wgpu_lstm::Error>(())
/// ```
#[expect(clippy::type_complexity, reason = "output, h_n, c_n: named by the table above")]
pub fn forward<T: NdFloat + From<f32>>(
    weights: &LstmWeights,
    input: ArrayView3<'_, T>,
    lengths: Option<&[usize]>,
    state: Option<(ArrayView3<'_, T>, ArrayView3<'_, T>)>,
) -> Result<(Array3<T>, Array3<T>, Array3<T>), Error> {
    let call = Call::new(weights.config(), input, lengths, state)?;
    Stack::new(weights).forward(&call)
}

/// A copy in standard layout: the results have it for views of any layout.
fn standard<T: Clone>(array: ArrayView3<'_, T>) -> Array3<T> {
    array.as_standard_layout().into_owned()
}

/// The parameters of every layer and direction, as `T`.
struct Stack<T> {
    /// L times D.
    layers: Vec<Vec<Parameters<T>>>,
    /// D·O.
    output_width: usize,
}

impl<T: NdFloat + From<f32>> Stack<T> {
    fn new(weights: &LstmWeights) -> Self {
        let config = weights.config();
        let directions = config.num_directions();
        Self {
            layers: (0..config.num_layers())
                .map(|layer| {
                    (0..directions)
                        .map(|direction| Parameters::new(weights.layer(layer, direction)))
                        .collect()
                })
                .collect(),
            output_width: directions * config.output_size(),
        }
    }

    /// As [`forward`].
    fn forward(&self, call: &Call<'_, T>) -> Result<Results<T>, Error> {
        self.check_memory(call)?;
        let input = call.input();
        let (steps, batch, _) = input.dim();
        let (mut h, mut c) = match call.state() {
            Some((h, c)) => (standard(h), standard(c)),
            None => {
                let [h, c] = call.state_shapes();
                (Array3::zeros(h), Array3::zeros(c))
            }
        };
        let output = match call.sequences().lengths() {
            _ if batch == 0 => Array3::zeros((steps, 0, self.output_width)),
            None => self.run(input.view(), h.view_mut(), c.view_mut()),
            // Each sequence alone, as a batch of one that ends where it ends.
            Some(lengths) => {
                let mut output = Array3::zeros((steps, batch, self.output_width));
                for (b, &length) in lengths.iter().enumerate() {
                    let its_output = self.run(
                        input.slice(s![..length, b..=b, ..]),
                        h.slice_mut(s![.., b..=b, ..]),
                        c.slice_mut(s![.., b..=b, ..]),
                    );
                    output.slice_mut(s![..length, b..=b, ..]).assign(&its_output);
                }
                output
            }
        };
        Ok((output, h, c))
    }

    /// Refuses a call that the host has no memory for.
    fn check_memory(&self, call: &Call<'_, T>) -> Result<(), Error> {
        let (steps, batch, width) = call.input().dim();
        // A copy of the input, the outputs of two layers at a time, the states, and one step's gates:
        // before and after the activations, and what the cell makes of them.
        let sequence = steps.saturating_mul(width + 2 * self.output_width);
        let config = call.config();
        let slots = self.layers.len() * config.num_directions();
        let states = slots.saturating_mul(config.output_size() + config.hidden_size());
        let step = config.hidden_size().saturating_mul(16);
        let row = sequence.saturating_add(states).saturating_add(step);
        check_memory::<T>(batch.saturating_mul(row)).map_err(host_out_of_memory)
    }

    /// Sequences of one length, (T, B, I) → (T, B, D·O). The state is carried from before the
    /// first step to after the last, in place.
    fn run(
        &self,
        input: ArrayView3<'_, T>,
        mut h: ArrayViewMut3<'_, T>,
        mut c: ArrayViewMut3<'_, T>,
    ) -> Array3<T> {
        let (steps, batch, _) = input.dim();
        let mut x = input.to_owned();
        for (layer, directions) in self.layers.iter().enumerate() {
            // Forward and reverse side by side are what the next layer reads.
            let mut output = Array3::zeros((steps, batch, self.output_width));
            let halves = output.axis_chunks_iter_mut(Axis(2), self.output_width / directions.len());
            for (direction, (parameters, half)) in directions.iter().zip(halves).enumerate() {
                let slot = layer * directions.len() + direction;
                run_direction(
                    parameters,
                    x.view(),
                    h.index_axis_mut(Axis(0), slot),
                    c.index_axis_mut(Axis(0), slot),
                    half,
                    direction == 1,
                );
            }
            x = output;
        }
        x
    }
}
