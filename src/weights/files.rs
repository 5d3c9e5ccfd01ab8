//! From and to files.

use super::find::select;
use super::format::safetensors;
use super::parameters::LstmWeights;
use super::precision::Precision;
use super::tensor::{ElementType, NamedTensors};
use crate::error::Error;

impl LstmWeights {
    /// Parameters from the bytes of a safetensors file; as
    /// [`from_state_dict`](LstmWeights::from_state_dict), and no byte sequence makes it panic.
    ///
    /// Entries of type F32, F16, BF16 and F64 are read, F64 rounded to the nearest f32: a finite number
    /// that would become infinite is refused. Tensors that are not the LSTM's may have any type. A parameter
    /// that shares its values with another tensor, which PyTorch's `save_model` writes once, is read under the
    /// name that the file's metadata has for it.
    ///
    /// The precision is [`Precision::F32`] whatever the entries are, but [`Precision::F16`] in a file that
    /// [`to_safetensors`](LstmWeights::to_safetensors) wrote of such a network. Where PyTorch's `.half()` made
    /// F16 entries, [`to_precision`](LstmWeights::to_precision) halves the memory and rounds nothing.
    ///
    /// A PyTorch checkpoint becomes a safetensors file in Python:
    ///
    /// ```python
    /// state_dict = torch.load("model.pt", map_location="cpu", weights_only=True)
    /// safetensors.torch.save_file(state_dict, "model.safetensors")
    /// ```
    ///
    /// or, from the model itself, by `safetensors.torch.save_model(model, "model.safetensors")`.
    ///
    /// # Errors
    ///
    /// Those of [`from_state_dict`](LstmWeights::from_state_dict), and
    ///
    /// - [`Error::SafeTensors`]: the bytes are not a safetensors file, or the file is truncated or corrupt; for
    ///   many other formats the error says which it is;
    /// - [`Error::TensorType`]: a parameter has an element type that is not read;
    /// - [`Error::PrecisionRange`]: a finite F64 number is beyond the range of f32.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use wgpu_lstm::LstmWeights;
    ///
    /// let file = std::fs::read("model.safetensors")?;
    /// let weights = LstmWeights::from_safetensors(&file, "encoder.lstm.")?;
    /// println!("{:?}", weights.config());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_safetensors(bytes: &[u8], prefix: &str) -> Result<Self, Error> {
        let NamedTensors { tensors, precision } = safetensors::read(bytes, prefix)?;
        let candidate = select(tensors, prefix)?;
        let is_f16 = candidate.matrices().all(|matrix| matrix.element_type == ElementType::F16);
        let precision = if is_f16 { precision } else { Precision::F32 };
        Ok(Self { precision, ..candidate.into_weights()? })
    }

    /// The parameters as the bytes of a safetensors file, under PyTorch's names, each with `prefix`
    /// before it. A network that was read under the names of an `LSTMCell` is written under these.
    ///
    /// All entries are F32; in a network of [`Precision::F16`] the matrices are F16, at half the bytes, and
    /// the file's metadata has `"wgpu_lstm.precision": "F16"`. Reading them back with the same prefix gives
    /// the same parameters, bit for bit, in the same precision.
    ///
    /// # Errors
    ///
    /// [`Error::SafeTensors`] if the header would exceed the format's limit of 100 MB.
    pub fn to_safetensors(&self, prefix: &str) -> Result<Vec<u8>, Error> {
        let tensors = self.params().map(|(name, values)| {
            let precision = if name.param.is_bias() { Precision::F32 } else { self.precision };
            (format!("{prefix}{}", name.spell(self.spelling)), values, precision)
        });
        safetensors::write(tensors, self.precision)
    }
}
