//! From the layers of other frameworks to PyTorch's parameters: the order of the gates, the axes, the biases.
//!
//! PyTorch's matrices have the gates i, f, g, o one below the other, H rows each. All others are described by where the
//! element of a gate, a hidden unit and a column is in the file's tensor.

use std::collections::BTreeMap;

use super::format::{KerasCell, OnnxNode, Parameters};
use super::names::{Name, Param};
use super::tensor::{Source, Tensor};
use crate::error::Error;

/// The values of a parameter in a file.
#[derive(Clone)]
pub(super) enum Stored<'a> {
    /// In PyTorch's layout.
    Same(Source<'a>),
    /// In this tensor, at these places.
    Arranged { tensor: Tensor<Source<'a>>, place: Place },
    /// Nowhere: zeros.
    Zeros,
}

impl<'a> Stored<'a> {
    pub(super) fn same(tensor: Tensor<Source<'a>>) -> Tensor<Self> {
        let Tensor { name, shape, element_type, values } = tensor;
        Tensor { name, shape, element_type, values: Self::Same(values) }
    }
}

impl Tensor<Stored<'_>> {
    /// The parameter's values as f32, row after row.
    pub(super) fn into_f32(self) -> Result<Vec<f32>, Error> {
        let Self { name, shape, element_type, values } = self;
        match values {
            Stored::Same(values) => Tensor { name, shape, element_type, values }.into_f32(),
            Stored::Zeros => Ok(vec![0.0; shape.iter().product()]),
            Stored::Arranged { tensor, place } => {
                let (hidden, columns) = (shape[0] / 4, shape.get(1).copied().unwrap_or(1));
                let values = tensor.into_f32()?;
                let gates = (0..4).flat_map(|gate| (0..hidden).map(move |unit| (gate, unit)));
                let indices = gates.flat_map(|(gate, unit)| {
                    (0..columns).map(move |column| place.index(gate, unit, column, hidden, columns))
                });
                Ok(indices.map(|index| values[index]).collect())
            }
        }
    }
}

/// Where a parameter's element is in a tensor of another layout.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// (D, 4H, X), gates i, o, f, c.
    Onnx { direction: usize },
    /// (D, X, 4H), gates i, o, f, c.
    OnnxTransposed { direction: usize },
    /// (D, 8H), gates i, o, f, c: the biases of the input, then those of the hidden state.
    OnnxBias { direction: usize, hidden: bool },
    /// (X, 4H), gates i, f, c, o.
    Keras,
    /// (I, 4H), gates i, f, c, o: cuDNN's matrix (H, I) of each gate, row after row, in the places of (I, H).
    CudnnKernel,
    /// (H, 4H), gates i, f, c, o: cuDNN's matrix (H, H) of each gate as it is.
    CudnnRecurrent,
    /// Of a vector: from this gate on, in PyTorch's order.
    Gates { first: usize },
}

/// The place of PyTorch's gates i, f, g, o in ONNX's order i, o, f, c.
const ONNX_GATES: [usize; 4] = [0, 2, 3, 1];

impl Place {
    /// The index of the element of this gate, hidden unit and column of a parameter (4H, X).
    fn index(self, gate: usize, unit: usize, column: usize, hidden: usize, columns: usize) -> usize {
        match self {
            Self::Onnx { direction } => {
                ((direction * 4 + ONNX_GATES[gate]) * hidden + unit) * columns + column
            }
            Self::OnnxTransposed { direction } => {
                ((direction * columns + column) * 4 + ONNX_GATES[gate]) * hidden + unit
            }
            Self::OnnxBias { direction, hidden: of_hidden } => {
                (direction * 8 + usize::from(of_hidden) * 4 + ONNX_GATES[gate]) * hidden + unit
            }
            Self::Keras => (column * 4 + gate) * hidden + unit,
            Self::CudnnKernel => {
                let flat = unit * columns + column;
                (flat / hidden * 4 + gate) * hidden + flat % hidden
            }
            Self::CudnnRecurrent => (unit * 4 + gate) * hidden + column,
            Self::Gates { first } => (first + gate) * hidden + unit,
        }
    }
}

/// A network's parameters under PyTorch's names.
pub(super) type Named<'a> = BTreeMap<Name, Tensor<Stored<'a>>>;

/// The parameters of a network of these layers, the first layer first.
///
/// # Errors
///
/// [`Error::TensorShape`]: a tensor has not the shape that its own layout needs.
pub(super) fn arrange<'a>(layers: impl IntoIterator<Item = Parameters<'a>>) -> Result<Named<'a>, Error> {
    let mut named = Named::new();
    for (layer, parameters) in layers.into_iter().enumerate() {
        match parameters {
            Parameters::Keras(cells) => {
                for (direction, cell) in cells.into_iter().enumerate() {
                    let name = |param| Name { layer, direction, param };
                    named.extend(keras(cell)?.into_iter().map(|(param, tensor)| (name(param), tensor)));
                }
            }
            Parameters::Onnx(node) => {
                for direction in 0..node.directions {
                    let name = |param| Name { layer, direction, param };
                    let params = of_direction(&node, direction);
                    named.extend(params.into_iter().map(|(param, tensor)| (name(param), tensor)));
                }
            }
        }
    }
    add_zero_biases(&mut named);
    Ok(named)
}

/// PyTorch has two biases in each layer and direction, or none in the network.
fn add_zero_biases(named: &mut Named<'_>) {
    if !named.keys().any(|name| name.param.is_bias()) {
        return;
    }
    let matrices: Vec<_> = named
        .iter()
        .filter(|(name, _)| name.param == Param::WeightHh)
        .map(|(&name, tensor)| (name, tensor.outline()))
        .collect();
    for (name, matrix) in matrices {
        for param in [Param::BiasIh, Param::BiasHh] {
            named.entry(Name { param, ..name }).or_insert_with(|| Tensor {
                name: matrix.name.clone(),
                shape: matrix.shape[..1].into(),
                element_type: matrix.element_type.clone(),
                values: Stored::Zeros,
            });
        }
    }
}

fn arranged<'a>(tensor: &Tensor<Source<'a>>, shape: &[usize], place: Place) -> Tensor<Stored<'a>> {
    Tensor {
        name: tensor.name.clone(),
        shape: shape.into(),
        element_type: tensor.element_type.clone(),
        values: Stored::Arranged { tensor: tensor.clone(), place },
    }
}

/// The parameters of one direction of an ONNX node.
fn of_direction<'a>(node: &OnnxNode<'a>, direction: usize) -> Vec<(Param, Tensor<Stored<'a>>)> {
    let gates = 4 * node.hidden_size;
    let matrix = |tensor: &Tensor<Source<'a>>| {
        let (width, place) = if node.transposed {
            (tensor.shape[1], Place::OnnxTransposed { direction })
        } else {
            (tensor.shape[2], Place::Onnx { direction })
        };
        arranged(tensor, &[gates, width], place)
    };
    let mut params = vec![(Param::WeightIh, matrix(&node.w)), (Param::WeightHh, matrix(&node.r))];
    if let Some(b) = &node.b {
        for (param, hidden) in [(Param::BiasIh, false), (Param::BiasHh, true)] {
            params.push((param, arranged(b, &[gates], Place::OnnxBias { direction, hidden })));
        }
    }
    params
}

/// The parameters of one Keras cell. Keras has one bias, which is PyTorch's of the input; a CuDNNLSTM has both.
fn keras(cell: KerasCell<'_>) -> Result<Vec<(Param, Tensor<Stored<'_>>)>, Error> {
    let KerasCell { kernel, recurrent, bias } = cell;
    let expected = "[H, 4·H], H at least 1";
    let (hidden, gates) = recurrent.matrix(expected)?;
    if hidden.checked_mul(4) != Some(gates) {
        return Err(recurrent.misshapen(expected.to_owned()));
    }
    let expected = format!("[I, {gates}], I at least 1");
    let (input, columns) = kernel.matrix(&expected)?;
    if columns != gates {
        return Err(kernel.misshapen(expected));
    }
    let is_cudnn = bias.as_ref().is_some_and(|bias| bias.shape.first() == Some(&gates.saturating_mul(2)));
    let (of_kernel, of_recurrent) =
        if is_cudnn { (Place::CudnnKernel, Place::CudnnRecurrent) } else { (Place::Keras, Place::Keras) };
    let mut params = vec![
        (Param::WeightIh, arranged(&kernel, &[gates, input], of_kernel)),
        (Param::WeightHh, arranged(&recurrent, &[gates, hidden], of_recurrent)),
    ];
    if let Some(bias) = bias {
        if bias.shape.len() != 1 || !(is_cudnn || bias.shape[0] == gates) {
            return Err(bias.misshapen(format!("[{gates}], or [{}] of a CuDNNLSTM", gates.saturating_mul(2))));
        }
        params.push((Param::BiasIh, arranged(&bias, &[gates], Place::Gates { first: 0 })));
        if is_cudnn {
            params.push((Param::BiasHh, arranged(&bias, &[gates], Place::Gates { first: 4 })));
        }
    }
    Ok(params)
}
