//! From a state dict in memory, and back.

use ndarray::{ArrayD, ArrayViewD};

use super::find::{self, Choice};
use super::names::Name;
use super::parameters::LstmWeights;
use super::precision::Precision;
use super::tensor::{ElementType, Tensor};
use crate::error::Error;

impl LstmWeights {
    /// Parameters from a PyTorch state dict; the sizes are read off its names and shapes.
    ///
    /// The parameters are the tensors whose names are `prefix` and then PyTorch's own, as in the table
    /// [above](LstmWeights). A prefix ends as the names need it, usually in a dot: `"encoder.lstm."`; it is
    /// `""` where the state dict is the LSTM's own. Names of an `LSTMCell` (`weight_ih` without `_l0`) are one
    /// layer. The tensors may have any memory layout.
    ///
    /// Tensors of other modules are ignored, and so are learnt initial states (`h0`, `c_0`, `init_hidden`,
    /// `state`…) beside the parameters: pass these as an [`LstmState`](crate::LstmState). A tensor that changes
    /// or extends the LSTM is refused, because the results would be wrong without it:
    ///
    /// - one that replaces a parameter: weight norm, weight drop, pruning, quantization;
    /// - any other name directly under the prefix that starts with `weight`, `bias` or `peephole`;
    /// - any other tensor directly under the prefix with an axis of H, 3H, 4H or O elements (`w_ci`, `gamma_ih`,
    ///   `mask_weight_hh`), and a tensor of any shape whose name is that of a peephole, a rate of zoneout, a
    ///   bound of the cell state or an adapter's weight;
    /// - a tensor with such an axis in a module directly under the prefix whose name is that of a
    ///   normalization or another extension (`layernorm_i.weight`). Under the prefix `""`, and one that does not end in a dot, a
    ///   whole model's layers can be there: the module's name must also have a gate, a state or a matrix in it, so
    ///   that `layernorm_i` and `ln_hh` are refused and `norm` and `ln_f` are ignored;
    /// - an adapter beside the LSTM that it wraps: `lora_A.default.weight` beside `base_layer.weight_ih_l0`.
    ///
    /// If one of these has nothing to do with the LSTM, leave it out of `tensors`.
    ///
    /// # Errors
    ///
    /// - [`Error::WrongPrefix`]: there are tensors, but no LSTM under the prefix; the error lists those under
    ///   other prefixes, with their sizes, the nearest prefix first;
    /// - [`Error::NotAnLstm`]: the names are an LSTM's, but the shapes a GRU's, a plain RNN's, or those of
    ///   Keras (transposed);
    /// - [`Error::ProjectionTooLarge`] for P ≥ H;
    /// - [`Error::SizeOverflow`] for parameters of more bytes than an allocation can have;
    /// - [`Error::OutOfMemory`] for more bytes than this machine has.
    ///
    /// These name the tensor:
    ///
    /// - [`Error::MissingTensor`]: also for a layer left out, for a direction, a bias or a
    ///   projection that only some layers have, and for a state dict without any tensor;
    /// - [`Error::UnexpectedTensor`]: a tensor changes or extends the LSTM, as listed above, or names of an
    ///   LSTM and of an LSTMCell are mixed;
    /// - [`Error::DuplicateTensor`]: two tensors of one parameter;
    /// - [`Error::TensorShape`]: no LSTM has such a shape, or it does not fit the other tensors.
    ///
    /// # Source
    ///
    /// `torch.nn.LSTM.state_dict`, `torch.nn.LSTMCell.state_dict`
    ///
    /// # Examples
    ///
    /// ```
    /// use wgpu_lstm::LstmWeights;
    /// use wgpu_lstm::ndarray::ArrayD;
    ///
    /// // torch.nn.LSTM(3, 2, bias=False)
    /// let state_dict = [
    ///     ("lstm.weight_ih_l0", ArrayD::from_elem(vec![8, 3], 0.5)),
    ///     ("lstm.weight_hh_l0", ArrayD::from_elem(vec![8, 2], 0.5)),
    ///     ("head.weight", ArrayD::zeros(vec![1, 2])),
    /// ];
    /// let weights = LstmWeights::from_state_dict(state_dict, "lstm.")?;
    /// assert_eq!(weights.config().input_size(), 3);
    /// assert_eq!(weights.config().hidden_size(), 2);
    /// # Ok::<(), wgpu_lstm::Error>(())
    /// ```
    pub fn from_state_dict<N: Into<String>>(
        tensors: impl IntoIterator<Item = (N, ArrayD<f32>)>,
        prefix: &str,
    ) -> Result<Self, Error> {
        let tensors = tensors.into_iter().map(|(name, array)| Tensor {
            name: name.into(),
            shape: array.shape().into(),
            element_type: ElementType::F32,
            values: array,
        });
        let values = |tensor: Tensor<ArrayD<f32>>| Ok(tensor.values.iter().copied().collect());
        find::read(tensors.collect(), Choice::of(prefix), Precision::F32, values)
    }

    /// The parameters under PyTorch's names (without a prefix), in the order of `torch.nn.LSTM.state_dict`.
    ///
    /// The names and shapes are those in the table [above](LstmWeights); each array is in standard (C)
    /// layout. A network that was read under the names of an `LSTMCell` keeps these names. The values of a
    /// network in [`Precision::F16`] are the rounded ones.
    ///
    /// # Source
    ///
    /// `torch.nn.LSTM.state_dict`, `torch.nn.LSTMCell.state_dict`
    ///
    /// # Examples
    ///
    /// ```
    /// use wgpu_lstm::{LstmConfig, LstmWeights};
    ///
    /// let weights = LstmWeights::uniform(&LstmConfig::new(3, 2), 7)?;
    /// let shapes: Vec<_> = weights.state_dict().map(|(name, array)| (name, array.shape().to_vec())).collect();
    /// assert_eq!(shapes[0], ("weight_ih_l0".to_owned(), vec![8, 3]));
    ///
    /// let owned = weights.state_dict().map(|(name, array)| (name, array.to_owned()));
    /// assert_eq!(LstmWeights::from_state_dict(owned, "")?, weights);
    /// # Ok::<(), wgpu_lstm::Error>(())
    /// ```
    pub fn state_dict(&self) -> impl Iterator<Item = (String, ArrayViewD<'_, f32>)> {
        self.params().map(|(name, array)| (name.spell(self.spelling), array))
    }

    /// Each parameter that the network has, in state-dict order.
    pub(super) fn params(&self) -> impl Iterator<Item = (Name, ArrayViewD<'_, f32>)> {
        Name::all(&self.config).filter_map(|name| {
            let array = self.layer(name.layer, name.direction).param(name.param)?;
            Some((name, array))
        })
    }
}
