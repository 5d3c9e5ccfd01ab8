//! What a file holds: the result of every format's reader.

use crate::error::Error;
use crate::weights::precision::Precision;
use crate::weights::tensor::{Source, Tensor};

/// What a file holds. A format has tensors under names, as a state dict has them, or layers, whose weights the
/// format's own structure finds; or both.
#[derive(Default)]
pub(in crate::weights) struct Contents<'a> {
    /// Tensors under their full names, in the order of the names. A name can have several tensors if the file has
    /// it several times; such names are in `duplicates`.
    pub(in crate::weights) tensors: Vec<Tensor<Source<'a>>>,
    pub(in crate::weights) duplicates: Vec<Duplicate>,
    /// LSTM layers that the file describes, in the file's order.
    pub(in crate::weights) layers: Vec<Layer<'a>>,
    /// The precision that the file says its network has. F32 in a file that says nothing, whatever the element
    /// types are.
    pub(in crate::weights) precision: Precision,
    /// What a file of layers has, for the error of one without an LSTM: the end of "the file has no LSTM: ".
    pub(in crate::weights) summary: Option<String>,
}

/// A name that can stand for two tensors.
pub(in crate::weights) struct Duplicate {
    pub(in crate::weights) name: String,
    /// The name that the file has twice: `name`, or the one that `name` is tied to.
    pub(in crate::weights) stored: String,
}

/// An LSTM layer that a file describes by a node or a layer of its own, in another framework's layout.
pub(in crate::weights) struct Layer<'a> {
    /// The node's or layer's name: the prefix to read it with.
    pub(in crate::weights) name: String,
    /// Other names of the same layer: nodes with equal weights in other branches.
    pub(in crate::weights) aliases: Vec<String>,
    /// Its parameters, or why it is refused.
    pub(in crate::weights) parameters: Result<Parameters<'a>, Error>,
    /// A tensor of the layer that a plain LSTM does not have: the layer is refused, unless such tensors are ignored.
    pub(in crate::weights) other: Option<String>,
    /// The layer, by its index in [`Contents::layers`], whose output is this one's input, with nothing between them
    /// that changes a value: both are layers of one network.
    pub(in crate::weights) below: Option<usize>,
    /// What the file does not say and the reader assumes, as a sentence.
    pub(in crate::weights) assumed: Option<String>,
}

/// The parameters of one layer, every direction, in the layout of the framework that wrote them.
#[derive(Clone)]
#[cfg_attr(
    not(all(feature = "onnx", feature = "keras")),
    allow(dead_code, reason = "some formats are features of the crate")
)]
pub(in crate::weights) enum Parameters<'a> {
    /// ONNX's operator `LSTM`: gates i, o, f, c.
    Onnx(Box<OnnxNode<'a>>),
    /// Keras: forward, and for a bidirectional layer backward. Gates i, f, c, o.
    Keras(Vec<KerasCell<'a>>),
}

/// The weights of an ONNX node, both directions. The reader checks that the shapes are these.
#[derive(Clone)]
pub(in crate::weights) struct OnnxNode<'a> {
    /// (D, 4H, I).
    pub(in crate::weights) w: Tensor<Source<'a>>,
    /// (D, 4H, H).
    pub(in crate::weights) r: Tensor<Source<'a>>,
    /// (D, 8H): first the input's, then the hidden state's.
    pub(in crate::weights) b: Option<Tensor<Source<'a>>>,
    /// D: 2 for a bidirectional layer.
    pub(in crate::weights) directions: usize,
    pub(in crate::weights) hidden_size: usize,
    /// `DynamicQuantizeLSTM`: w is (D, I, 4H) and r (D, H, 4H).
    pub(in crate::weights) transposed: bool,
}

/// One direction of a Keras layer.
#[derive(Clone)]
pub(in crate::weights) struct KerasCell<'a> {
    /// (I, 4H).
    pub(in crate::weights) kernel: Tensor<Source<'a>>,
    /// (H, 4H).
    pub(in crate::weights) recurrent: Tensor<Source<'a>>,
    /// (4H); of a CuDNNLSTM (8H), which also means that the matrices have cuDNN's layout.
    pub(in crate::weights) bias: Option<Tensor<Source<'a>>>,
}
