//! Weights as the kernels read them: the reduction axis outermost and, innermost, the four gates of a
//! hidden unit side by side, so that neighbouring invocations read neighbouring vec4f. Subnormal ones are zeros.

use half::f16;
use ndarray::ArrayView2;

use super::{LayerWeights, LstmWeights, Precision};
use crate::program::padded;
use crate::subnormal::flush;

impl LstmWeights {
    /// Per layer w_ih, bias, w_hh and, where there is a projection, w_hr, each for every direction:
    /// the order of the plan's resident parts. Words of 32 bits: an f32 or, in the matrices of a network of
    /// half precision, two f16.
    pub(crate) fn pack(&self) -> impl Iterator<Item = Vec<u32>> + '_ {
        let matrix = match self.precision() {
            Precision::F32 => words,
            Precision::F16 => half_words,
        };
        let config = self.config();
        let output = config.output_size();
        (0..config.num_layers()).flat_map(move |layer| {
            // The layer below leaves every direction's part padded.
            let width = if layer == 0 { config.input_size() } else { output };
            let all = |pack: &dyn Fn(&LayerWeights) -> Vec<f32>| -> Vec<f32> {
                let directions = 0..config.num_directions();
                directions.flat_map(|d| pack(self.layer(layer, d))).collect()
            };
            let mut packed = vec![
                matrix(all(&|w| pack_gates(w.w_ih.view(), width))),
                words(all(&|w| pack_bias(w, config.hidden_size()))),
                matrix(all(&|w| pack_gates(w.w_hh.view(), output))),
            ];
            if config.proj_size() > 0 {
                let pack =
                    |w: &LayerWeights| w.w_hr.as_ref().map_or(Vec::new(), |w| pack_projection(w.view()));
                packed.push(matrix(all(&pack)));
            }
            packed
        })
    }
}

fn words(numbers: Vec<f32>) -> Vec<u32> {
    bytemuck::cast_vec(numbers)
}

/// Two f16 a word, the first in the low half, as `unpack2x16float` reads them.
fn half_words(numbers: Vec<f32>) -> Vec<u32> {
    let half = |number: f32| u32::from(f16::from_f32(number).to_bits());
    numbers
        .chunks(2)
        .map(|pair| half(pair[0]) | pair.get(1).map_or(0, |&second| half(second)) << 16)
        .collect()
}

/// (4H, n·width), gates stacked i, f, g, o → `[n, width padded, H]` of (i, f, g, o).
fn pack_gates(matrix: ArrayView2<f32>, width: usize) -> Vec<f32> {
    let (rows, columns) = matrix.dim();
    let hidden = rows / 4;
    let mut packed = vec![0.0; columns / width * padded(width) * rows];
    for (m, column) in matrix.columns().into_iter().enumerate() {
        let m = m / width * padded(width) + m % width;
        let to = &mut packed[m * rows..][..rows];
        for (gate_unit, &weight) in column.iter().enumerate() {
            let (gate, unit) = (gate_unit / hidden, gate_unit % hidden);
            to[4 * unit + gate] = flush(weight);
        }
    }
    packed
}

/// b_ih + b_hh, (4H) each → `[H]` of (i, f, g, o); zeros where there are none.
fn pack_bias(weights: &LayerWeights, hidden: usize) -> Vec<f32> {
    let mut packed = vec![0.0; 4 * hidden];
    if let Some((b_ih, b_hh)) = &weights.bias {
        for (gate_unit, (a, b)) in b_ih.iter().zip(b_hh).enumerate() {
            packed[4 * (gate_unit % hidden) + gate_unit / hidden] = flush(a + b);
        }
    }
    packed
}

/// (P, H) → `[H padded, P padded]`.
fn pack_projection(matrix: ArrayView2<f32>) -> Vec<f32> {
    let (projection, hidden) = matrix.dim();
    let mut packed = vec![0.0; padded(hidden) * padded(projection)];
    for ((p, m), &weight) in matrix.indexed_iter() {
        packed[m * padded(projection) + p] = flush(weight);
    }
    packed
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::{half_words, pack_gates, pack_projection};

    #[test]
    fn puts_the_four_gates_of_a_unit_side_by_side() {
        // H = 2, one input: rows are i0 i1 f0 f1 g0 g1 o0 o1.
        let matrix = Array2::from_shape_fn((8, 1), |(row, _)| row as f32 + 1.0);
        let packed = pack_gates(matrix.view(), 1);
        assert_eq!(packed[..8], [1.0, 3.0, 5.0, 7.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(packed[8..], [0.0; 24], "the reduction axis is padded to 4");
    }

    #[test]
    fn pads_the_part_of_each_direction() {
        // H = 1, two directions of one output each.
        let matrix = array![[1.0, 5.0], [2.0, 6.0], [3.0, 7.0], [4.0, 8.0]];
        let packed = pack_gates(matrix.view(), 1);
        assert_eq!(packed[..4], [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(packed[4..16], [0.0; 12]);
        assert_eq!(packed[16..20], [5.0, 6.0, 7.0, 8.0]);
    }

    #[test]
    fn transposes_the_projection() {
        let packed = pack_projection(array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]].view());
        assert_eq!(packed[..8], [1.0, 4.0, 0.0, 0.0, 2.0, 5.0, 0.0, 0.0]);
        assert_eq!(packed[8..], [3.0, 6.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn halves_lie_two_a_word() {
        assert_eq!(half_words(vec![1.0, -2.0, 0.5]), [0xc000_3c00, 0x3800]);
    }
}
