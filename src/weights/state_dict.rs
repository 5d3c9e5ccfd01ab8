//! From and to a state dict in memory.

use ndarray::{ArrayD, ArrayViewD};

use super::LstmWeights;
use super::names::Name;
use super::tensors::{StateDict, Tensor};
use crate::error::Error;

impl LstmWeights {
    /// Parameters from a PyTorch state dict; the sizes are read off its names and shapes.
    ///
    /// The parameters are the tensors whose names are `prefix` and then PyTorch's own, as in the table
    /// [above](LstmWeights). A prefix ends as the names need it, usually in a dot: `"encoder.lstm."`; it is
    /// `""` where the state dict is the LSTM's own. Names of an `LSTMCell` (`weight_ih` without `_l0`) are one
    /// layer. The tensors may lie in memory in any layout.
    ///
    /// Everything else is left alone: tensors of other modules, whole models under the prefix `""`, learnt
    /// initial states (`h0`, `c0`) beside the parameters; those are a caller's to pass as an
    /// [`LstmState`](crate::LstmState). But what changes the parameters is refused (weight norm, weight drop,
    /// quantization), as is every other name directly under the prefix that starts as a parameter's does
    /// (`weight…`, `bias…`): without it the results would be wrong.
    ///
    /// # Errors
    ///
    /// - [`Error::WrongPrefix`]: there are tensors, but no LSTM under the prefix; the error lists those under
    ///   other prefixes, with their sizes, the nearest prefix first;
    /// - [`Error::NotAnLstm`]: the names are an LSTM's, but the shapes a GRU's, a plain RNN's, or those of
    ///   Keras (transposed);
    /// - [`Error::ProjectionTooLarge`] for P ≥ H;
    /// - [`Error::SizeOverflow`] for more parameters than there is memory.
    ///
    /// And each of these with the tensor's full name:
    ///
    /// - [`Error::MissingTensor`]: also for a layer left out, for a direction, a bias or a
    ///   projection that only some layers have, and for a state dict without any tensor;
    /// - [`Error::UnexpectedTensor`]: a tensor changes the parameters, or names of an LSTM and of an
    ///   LSTMCell are mixed;
    /// - [`Error::DuplicateTensor`];
    /// - [`Error::TensorShape`]: the shape fits no LSTM, or not the other tensors.
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
            unreadable: None,
            data: array,
        });
        StateDict::new(tensors, prefix)?.into_weights(|tensor| Ok(tensor.data.iter().copied().collect()))
    }

    /// The parameters under PyTorch's names (without a prefix), in the order of `torch.nn.LSTM.state_dict`.
    ///
    /// The names and shapes are those in the table [above](LstmWeights); each array is in standard (C)
    /// layout. A network that was read under the names of an `LSTMCell` keeps these. The values of a network
    /// in [`Precision::F16`](crate::Precision::F16) are the rounded ones.
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
