//! From and to the safetensors format.

use std::collections::HashMap;
use std::rc::Rc;

use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::diagnose::file_kind;
use super::header::{self, ElementType, Stored};
use super::parameters::LstmWeights;
use super::precision::Precision;
use super::tensors::{StateDict, Tensor};
use crate::error::Error;

/// The key of a file's metadata that says which [`Precision`] the network had that was written.
const PRECISION_KEY: &str = "wgpu_lstm.precision";

/// Its value for [`Precision::F16`]; without the key it is F32.
const F16: &str = "F16";

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
        let header::File { tensors, metadata } =
            header::read(bytes, prefix).map_err(|error| told_apart(error, bytes))?;
        let half = metadata.get(PRECISION_KEY).is_some_and(|precision| precision == F16);
        let tensors = tensors.into_iter().map(|(name, stored)| Tensor {
            name,
            shape: stored.shape.clone(),
            unreadable: unreadable(&stored.dtype),
            data: stored,
        });
        let dict = StateDict::new(tensors, prefix)?;
        let is_half = |stored: &Stored<'_>| matches!(stored.dtype, ElementType::Known(Dtype::F16));
        let precision = if half && dict.matrices().all(is_half) { Precision::F16 } else { Precision::F32 };
        Ok(Self { precision, ..dict.into_weights(numbers)? })
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
        let entries: Vec<_> = self
            .params()
            .map(|(name, param)| {
                let (dtype, bytes): (_, Vec<u8>) = match self.precision {
                    Precision::F16 if !name.param.is_bias() => {
                        (Dtype::F16, param.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect())
                    }
                    _ => (Dtype::F32, param.iter().flat_map(|x| x.to_le_bytes()).collect()),
                };
                (format!("{prefix}{}", name.spell(self.spelling)), dtype, param.shape().to_vec(), bytes)
            })
            .collect();
        let views = entries
            .iter()
            .map(|(name, dtype, shape, bytes)| {
                Ok((name, TensorView::new(*dtype, shape.clone(), bytes).map_err(Error::safetensors)?))
            })
            .collect::<Result<Vec<_>, Error>>()?;
        // One key alone: the crate writes several in random order.
        let metadata = (self.precision == Precision::F16)
            .then(|| HashMap::from([(PRECISION_KEY.to_owned(), F16.to_owned())]));
        safetensors::serialize(views, metadata).map_err(Error::safetensors)
    }
}

/// Replaces the error of a file that is not safetensors by the name of its format, if that is recognized.
fn told_apart(error: Error, bytes: &[u8]) -> Error {
    match (error, file_kind(bytes)) {
        (Error::SafeTensors { .. }, Some(reason)) => Error::SafeTensors { reason },
        (error, _) => error,
    }
}

/// The name of an element type that is not read.
fn unreadable(dtype: &ElementType) -> Option<Rc<str>> {
    match dtype {
        ElementType::Known(Dtype::F32 | Dtype::F16 | Dtype::BF16 | Dtype::F64) => None,
        ElementType::Known(other) => Some(other.to_string().into()),
        ElementType::Unknown(name) => Some(name.clone()),
    }
}

/// A tensor's elements as f32.
fn numbers(tensor: Tensor<Stored<'_>>) -> Result<Vec<f32>, Error> {
    let bytes = tensor.data.bytes;
    Ok(match tensor.data.dtype {
        ElementType::Known(Dtype::F32) => elements(bytes, f32::from_le_bytes).collect(),
        ElementType::Known(Dtype::F16) => {
            elements(bytes, |element| f16::from_le_bytes(element).to_f32()).collect()
        }
        ElementType::Known(Dtype::BF16) => {
            elements(bytes, |element| bf16::from_le_bytes(element).to_f32()).collect()
        }
        ElementType::Known(Dtype::F64) => elements(bytes, f64::from_le_bytes)
            .map(|number| narrowed(number, &tensor.name))
            .collect::<Result<_, _>>()?,
        other => return Err(Error::TensorType { name: tensor.name, actual: other.to_string() }),
    })
}

/// The nearest f32, unless a finite number becomes infinite.
fn narrowed(number: f64, name: &str) -> Result<f32, Error> {
    let narrow = number as f32;
    if narrow.is_infinite() && number.is_finite() {
        return Err(Error::PrecisionRange { name: name.to_owned(), value: number, largest: f32::MAX.into() });
    }
    Ok(narrow)
}

/// Reads elements of N bytes each, at any address.
fn elements<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> impl Iterator<Item = T> {
    let (elements, _) = bytes.as_chunks::<N>();
    elements.iter().map(move |&element| read(element))
}
