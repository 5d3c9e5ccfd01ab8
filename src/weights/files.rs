//! From the bytes of a file, and back.

use std::path::Path;

use super::find::Choice;
use super::format::{self, Contents, safetensors};
use super::networks;
use super::parameters::LstmWeights;
use super::precision::Precision;
use crate::error::{Error, FoundLstm};

impl LstmWeights {
    /// Parameters from the bytes of a file; its format is told by its content, never by a name.
    ///
    /// | format | feature | prefix |
    /// |---|---|---|
    /// | safetensors | – | that of the state dict: `"encoder.lstm."` |
    /// | PyTorch checkpoint (from a path alone: [`from_file`](Self::from_file)) | `pytorch` | that of the state dict |
    /// | ONNX model | `onnx` | the node's name: `"/lstm/LSTM"`; the nodes of a stack joined by `+`: `"/lstm/LSTM+/lstm/LSTM_1"` |
    /// | Keras weights or model (HDF5, `.keras`) | `keras` | the layer's name: `"bidirectional_1"` |
    /// | NumPy arrays (`.npz`) | `npz` | that of the state dict |
    ///
    /// The prefix `""` also stands for the only LSTM of a file, wherever it is. [`find_lstms`]
    /// lists the prefixes; so does the error for a wrong one.
    ///
    /// Tensors under PyTorch's names are selected, checked and refused as by
    /// [`from_state_dict`](Self::from_state_dict); element types and precision are those of
    /// [`from_safetensors`](Self::from_safetensors). The guide's chapter on [weights](crate::guide::weights) says
    /// what is read of each format.
    ///
    /// Nothing in a file is executed, and reading takes memory for the parameters and a small multiple of the file.
    ///
    /// # Errors
    ///
    /// Those of [`from_state_dict`](Self::from_state_dict) and [`from_safetensors`](Self::from_safetensors), and
    ///
    /// - [`Error::UnsupportedFile`]: the format, or this kind of file, is not read, or needs a feature of the crate;
    /// - [`Error::MalformedFile`]: the file is truncated or corrupt;
    /// - [`Error::NoLstm`]: an ONNX or Keras model without an LSTM;
    /// - [`Error::UnsupportedLstm`]: a node or layer computes something else than `torch.nn.LSTM`, such as other
    ///   activations or peepholes.
    ///
    /// # Examples
    ///
    /// ```
    /// use wgpu_lstm::{LstmConfig, LstmWeights};
    ///
    /// let bytes = LstmWeights::uniform(&LstmConfig::new(5, 8), 7)?.to_safetensors("encoder.lstm.")?;
    ///
    /// let weights = LstmWeights::from_bytes(&bytes, "encoder.lstm.")?;
    /// assert_eq!(LstmWeights::from_bytes(&bytes, "")?, weights); // the only one
    /// # Ok::<(), wgpu_lstm::Error>(())
    /// ```
    pub fn from_bytes(bytes: &[u8], prefix: &str) -> Result<Self, Error> {
        ReadOptions::new(prefix).from_bytes(bytes)
    }

    /// Parameters from a file, as by [`from_bytes`](Self::from_bytes), and from files beside it that it names: the
    /// parts of a model in several safetensors files (`model.safetensors.index.json`), the external data of an ONNX
    /// model.
    ///
    /// Of a safetensors file only the header and the LSTM's tensors are read, so that it can be larger than memory.
    ///
    /// # Errors
    ///
    /// Those of [`from_bytes`](Self::from_bytes), and [`Error::ReadFile`]: a file can't be opened or read.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use wgpu_lstm::LstmWeights;
    ///
    /// let weights = LstmWeights::from_file("model.pt", "encoder.lstm.")?; // needs the feature `pytorch`
    /// # Ok::<(), wgpu_lstm::Error>(())
    /// ```
    pub fn from_file(path: impl AsRef<Path>, prefix: &str) -> Result<Self, Error> {
        ReadOptions::new(prefix).from_file(path)
    }

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
        networks::read(safetensors::read(bytes)?, Choice::of(prefix))
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

/// How a network is read from a file. [`LstmWeights::from_bytes`] and [`from_file`](LstmWeights::from_file) read with
/// the defaults.
///
/// # Examples
///
/// ```
/// use wgpu_lstm::ndarray::ArrayD;
/// use wgpu_lstm::{LstmConfig, LstmWeights, ReadOptions};
///
/// let bytes = LstmWeights::uniform(&LstmConfig::new(5, 8), 7)?.to_safetensors("lstm.")?;
/// let weights = ReadOptions::new("lstm.").with_others_ignored(true).from_bytes(&bytes)?;
/// assert_eq!(weights.config().hidden_size(), 8);
/// # Ok::<(), wgpu_lstm::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    prefix: String,
    ignore_others: bool,
}

impl ReadOptions {
    /// Reads the network under this prefix, as [`LstmWeights::from_bytes`] does.
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), ignore_others: false }
    }

    /// Whether tensors are left aside that seem to extend the LSTM, such as a mask or a normalization. By default they
    /// are refused, because the results would be wrong without them.
    ///
    /// These are tensors beside the parameters in a state dict, whatever its format is, and tensors of a Keras layer
    /// that a plain LSTM does not have.
    ///
    /// Other modules' tensors and learnt initial states are ignored in any case. So are an ONNX node's own initial states,
    /// which [`FoundLstm::assumed`] states.
    ///
    /// Always refused are a tensor that replaces a parameter, such as weight norm's, and what the description of an
    /// ONNX node or a Keras layer adds to the LSTM, such as peepholes (the node's input P) or another class.
    #[must_use]
    pub fn with_others_ignored(mut self, ignored: bool) -> Self {
        self.ignore_others = ignored;
        self
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    ///
    /// Those of [`LstmWeights::from_bytes`].
    pub fn from_bytes(&self, bytes: &[u8]) -> Result<LstmWeights, Error> {
        self.read(format::read(bytes, None)?)
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// Those of [`LstmWeights::from_file`].
    pub fn from_file(&self, path: impl AsRef<Path>) -> Result<LstmWeights, Error> {
        format::with_file(path.as_ref(), |contents| self.read(contents))
    }

    fn read(&self, contents: Contents<'_>) -> Result<LstmWeights, Error> {
        let only = if self.prefix.is_empty() { networks::only_prefix(&contents) } else { None };
        let prefix = only.as_deref().unwrap_or(&self.prefix);
        networks::read(contents, Choice { prefix, ignore_others: self.ignore_others })
    }
}

/// The LSTMs that a file holds: the prefix and the sizes of each, and why one can't be read. The bytes are those of any
/// format that [`LstmWeights::from_bytes`] reads.
///
/// # Errors
///
/// [`Error::SafeTensors`], [`Error::UnsupportedFile`], [`Error::MalformedFile`], as by [`LstmWeights::from_bytes`]. A
/// valid file without an LSTM has an empty list.
///
/// # Examples
///
/// ```
/// use wgpu_lstm::{LstmConfig, LstmWeights, find_lstms};
///
/// let bytes = LstmWeights::uniform(&LstmConfig::new(5, 8), 7)?.to_safetensors("encoder.lstm.")?;
/// let found = find_lstms(&bytes)?;
/// assert_eq!(found[0].prefix, "encoder.lstm.");
/// assert_eq!(found[0].config.as_ref().unwrap().hidden_size(), 8);
/// # Ok::<(), wgpu_lstm::Error>(())
/// ```
pub fn find_lstms(bytes: &[u8]) -> Result<Vec<FoundLstm>, Error> {
    format::read(bytes, None).map(networks::find_all)
}

/// The LSTMs that a file holds, as by [`find_lstms`], with the files beside it that it names.
///
/// # Errors
///
/// Those of [`find_lstms`], and [`Error::ReadFile`]: a file can't be opened or read.
pub fn find_lstms_in_file(path: impl AsRef<Path>) -> Result<Vec<FoundLstm>, Error> {
    format::with_file(path.as_ref(), |contents| Ok(networks::find_all(contents)))
}
