//! From and to the safetensors format.

use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::state_dict::{StateDict, Tensor};
use super::{LstmWeights, header};
use crate::error::Error;

impl LstmWeights {
    /// Parameters from the bytes of a safetensors file; as
    /// [`from_state_dict`](LstmWeights::from_state_dict), and no byte sequence makes it panic.
    ///
    /// Entries of type F32, F16, BF16 and F64 are read, F64 rounded to the nearest f32: a finite number
    /// that would become infinite is refused. Tensors that are not under the prefix may have any type.
    ///
    /// # Errors
    ///
    /// Those of [`from_state_dict`](LstmWeights::from_state_dict), and
    ///
    /// - [`Error::SafeTensors`]: the file is truncated, corrupt or none;
    /// - [`Error::TensorType`]: a tensor under the prefix has a type that is not read;
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
        header::check(bytes, prefix)?;
        let file = SafeTensors::deserialize(bytes).map_err(Error::safetensors)?;
        let mut tensors: Vec<_> = file
            .iter()
            .map(|(name, view)| Tensor { name: name.to_owned(), shape: view.shape().to_vec(), data: view })
            .collect();
        // Of several faults, the same one is told every time.
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        StateDict::new(tensors, prefix)?.into_weights(numbers)
    }

    /// The parameters as the bytes of a safetensors file: F32, under PyTorch's names, each with
    /// `prefix` before it. A network that was read under the names of an `LSTMCell` is written under these.
    ///
    /// Reading them back with the same prefix gives the same parameters, bit for bit.
    ///
    /// # Errors
    ///
    /// [`Error::SafeTensors`] if the format can't hold it: its header ends at 100 MB.
    pub fn to_safetensors(&self, prefix: &str) -> Result<Vec<u8>, Error> {
        let entries: Vec<_> = self
            .params()
            .map(|(name, param)| {
                let bytes: Vec<u8> = param.iter().flat_map(|x| x.to_le_bytes()).collect();
                (format!("{prefix}{}", name.spell(self.spelling)), param.shape().to_vec(), bytes)
            })
            .collect();
        let views = entries
            .iter()
            .map(|(name, shape, bytes)| {
                Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(Error::safetensors)?))
            })
            .collect::<Result<Vec<_>, Error>>()?;
        safetensors::serialize(views, None).map_err(Error::safetensors)
    }
}

/// A tensor's elements as f32.
fn numbers(tensor: Tensor<TensorView<'_>>) -> Result<Vec<f32>, Error> {
    let bytes = tensor.data.data();
    Ok(match tensor.data.dtype() {
        Dtype::F32 => elements(bytes, f32::from_le_bytes).collect(),
        Dtype::F16 => elements(bytes, |element| f16::from_le_bytes(element).to_f32()).collect(),
        Dtype::BF16 => elements(bytes, |element| bf16::from_le_bytes(element).to_f32()).collect(),
        Dtype::F64 => elements(bytes, f64::from_le_bytes)
            .map(|number| narrowed(number, &tensor.name))
            .collect::<Result<_, _>>()?,
        other => {
            return Err(Error::TensorType { name: tensor.name, actual: other.to_string() });
        }
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
