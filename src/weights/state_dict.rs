//! From and to a state dict in memory.

use ndarray::{ArrayD, ArrayViewD};

use super::LstmWeights;
use super::names::Name;
use super::tensors::{StateDict, Tensor};
use crate::error::Error;

impl LstmWeights {
    /// Parameters from a PyTorch state dict; the sizes are read off its names and shapes.
    ///
    /// A tensor whose name does not start with `prefix` is left alone; each that does must belong
    /// to the LSTM. With the prefix `""` that is every tensor. A prefix ends as the names need it,
    /// usually in a dot: `"encoder.lstm."`. Names of an `LSTMCell` (`weight_ih` without `_l0`) are
    /// one layer. The tensors may lie in memory in any layout.
    ///
    /// # Errors
    ///
    /// Each names the tensor with its full name:
    ///
    /// - [`Error::MissingTensor`]: also for a layer left out, for a direction, a bias or a
    ///   projection that only some layers have, and for nothing at all under the prefix;
    /// - [`Error::UnexpectedTensor`]: no LSTM has such a name, or names of an LSTM and of an
    ///   LSTMCell are mixed;
    /// - [`Error::DuplicateTensor`];
    /// - [`Error::TensorShape`]: the shape fits no LSTM, or not the other tensors.
    ///
    /// [`Error::ProjectionTooLarge`] for P ≥ H.
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
            shape: array.shape().to_vec(),
            unreadable: None,
            data: array,
        });
        StateDict::new(tensors, prefix)?.into_weights(|tensor| Ok(tensor.data.iter().copied().collect()))
    }

    /// The parameters under PyTorch's names (without a prefix), in the order of `torch.nn.LSTM.state_dict`.
    ///
    /// The names and shapes are those in the table [above](LstmWeights); each array is in standard (C)
    /// layout. A network that was read under the names of an `LSTMCell` keeps these. The values of a network
    /// in [`Precision::F16`] are the rounded ones.
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
