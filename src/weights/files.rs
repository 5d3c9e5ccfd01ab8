//! From the bytes of a file, and back.

use super::find::select;
use super::format::safetensors;
use super::parameters::LstmWeights;
use super::precision::Precision;
use super::tensor::{ElementType, NamedTensors, Tensor};
use crate::error::Error;

impl LstmWeights {
    /// Parameters from the bytes of a safetensors file. Tensors are selected, checked and refused as by
    /// [`from_state_dict`](LstmWeights::from_state_dict). No byte sequence causes a panic.
    ///
    /// Parameters may be of type F32, F16, BF16 or F64. F64 is rounded to the nearest f32; a finite number that
    /// would become infinite is refused. Tensors that do not belong to the LSTM may have any type. PyTorch's
    /// `save_model` writes tensors that share their values once, and the names of the others into the metadata:
    /// these are read too.
    ///
    /// The precision of the network is [`Precision::F32`] whatever the types in the file are, except in a file that
    /// [`to_safetensors`](LstmWeights::to_safetensors) wrote from a network of [`Precision::F16`]. For a file of
    /// F16 tensors from PyTorch's `.half()`, [`to_precision`](LstmWeights::to_precision) halves the memory without
    /// any rounding.
    ///
    /// To convert a PyTorch checkpoint to a safetensors file in Python:
    ///
    /// ```python
    /// state_dict = torch.load("model.pt", map_location="cpu", weights_only=True)
    /// safetensors.torch.save_file(state_dict, "model.safetensors")
    /// ```
    ///
    /// or, from the model itself: `safetensors.torch.save_model(model, "model.safetensors")`.
    ///
    /// # Errors
    ///
    /// Those of [`from_state_dict`](LstmWeights::from_state_dict), and
    ///
    /// - [`Error::SafeTensors`]: the bytes are not a safetensors file, or the file is truncated or corrupt; the
    ///   error names the format of the file if it is another common one;
    /// - [`Error::TensorType`]: a parameter has another element type;
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
        Ok(Self { precision, ..candidate.into_weights(Tensor::into_f32)? })
    }

    /// The parameters as the bytes of a safetensors file. Each name is `prefix` and PyTorch's own name. A network
    /// that was read under the names of an `LSTMCell` is written under these names.
    ///
    /// All tensors are F32, except the matrices of a network of [`Precision::F16`]: these are F16, and the file's
    /// metadata has `"wgpu_lstm.precision": "F16"`. Reading the file with the same prefix returns the same
    /// parameters, bit for bit, in the same precision.
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
