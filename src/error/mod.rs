//! The one error type of the crate.

mod found;

use std::fmt;

pub use self::found::FoundLstm;
use self::found::{Elsewhere, WrongPrefix};
use crate::config::WrongSize;

/// Which half of an [`LstmState`](crate::LstmState) an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatePart {
    /// The hidden state h, (L·D, B, O).
    Hidden,
    /// The cell state c, (L·D, B, H).
    Cell,
}

impl fmt::Display for StatePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hidden => "hidden state h",
            Self::Cell => "cell state c",
        })
    }
}

/// The errors of this crate. Each says what was expected and what was given.
///
/// After an error the next valid call of the same [`Lstm`](crate::Lstm) succeeds, with one exception: after
/// [`DeviceLost`](Self::DeviceLost) every call returns that error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // ---- sizes ----------------------------------------------------------------------------
    /// A size of the network is zero.
    #[error("{what} must be at least 1, but is 0")]
    ZeroSize {
        /// The size's name, as in `LstmConfig`.
        what: &'static str,
    },
    /// The projection is not smaller than the hidden state, which PyTorch refuses too.
    #[error("proj_size must be smaller than hidden_size ({hidden_size}), but is {proj_size}")]
    ProjectionTooLarge {
        /// P, as given.
        proj_size: usize,
        /// H, as given.
        hidden_size: usize,
    },
    /// An array needs more bytes than one allocation can have (`isize::MAX`). A smaller array for which there is not
    /// enough memory is an [`OutOfMemory`](Self::OutOfMemory) error.
    #[error("{what} would take more than {} bytes, the largest allocation there can be", isize::MAX)]
    SizeOverflow {
        /// The array, or the arrays together.
        what: &'static str,
    },

    /// A weight is finite, but beyond the range of the precision that it is converted to.
    #[error("tensor {name:?} has the value {}, but the largest of the new precision is {}", number(*value), number(*largest))]
    PrecisionRange {
        /// The parameter's name, with the prefix if it is read from a file.
        name: String,
        /// The weight before the conversion.
        value: f64,
        /// The largest number of the precision.
        largest: f64,
    },

    /// A record of measured schedules is for another network or device, or is malformed.
    #[error("the tuning record can't be used: {reason}")]
    TuningRecord {
        /// What is wrong with it.
        reason: String,
    },

    // ---- input ----------------------------------------------------------------------------
    /// The input's last axis is not the network's input size I.
    #[error("the input's last axis must be input_size ({expected}) wide, but is {actual}")]
    InputWidth {
        /// I of the network.
        expected: usize,
        /// The width of the array given.
        actual: usize,
    },
    /// The input has no time step (T = 0).
    #[error("the input must have at least one time step, but has none")]
    NoTimeSteps,
    /// An initial state has the wrong shape.
    #[error("{part} must have shape {expected:?}, but has {actual:?}")]
    StateShape {
        /// h or c.
        part: StatePart,
        /// (L·D, B, O) for h, (L·D, B, H) for c.
        expected: [usize; 3],
        /// The shape given.
        actual: [usize; 3],
    },
    /// The number of lengths is not the number of sequences.
    #[error("there must be one length for each of the {expected} sequences, but there are {actual}")]
    LengthCount {
        /// B of the input.
        expected: usize,
        /// The number of lengths given.
        actual: usize,
    },
    /// A sequence's length is zero or more than the input's time steps.
    #[error("lengths[{index}] must be from 1 to {steps}, but is {length}")]
    LengthOutOfRange {
        /// Position in `lengths`.
        index: usize,
        /// The length given.
        length: usize,
        /// T of the input.
        steps: usize,
    },

    // ---- streams --------------------------------------------------------------------------
    /// A bidirectional network reads its input from both ends, so that it can't compute a sequence as it arrives.
    #[error("a bidirectional network needs whole sequences, and can't compute a stream")]
    Bidirectional,
    /// Every slot of the pool has an open stream.
    #[error("all {capacity} streams of the pool are open: close one, or make a larger pool")]
    PoolFull {
        /// Streams that the pool can have.
        capacity: usize,
    },
    /// The stream was closed, or belongs to another pool.
    #[error("the pool has no such stream: it was closed, or is another pool's")]
    UnknownStream,
    /// One push has two chunks of the same stream.
    #[error("chunks[{index}] is the second one of its stream: a push takes one chunk of each")]
    RepeatedStream {
        /// Position in `chunks`.
        index: usize,
    },

    // ---- weights --------------------------------------------------------------------------
    /// A parameter of the network is missing.
    #[error("tensor {name:?} is missing{}", Elsewhere(found))]
    MissingTensor {
        /// Full name, prefix included.
        name: String,
        /// The prefixes of other LSTMs that can be read, the most similar prefix first.
        found: Vec<String>,
    },
    /// There are tensors, but no LSTM's parameter under the prefix.
    #[error("{}", WrongPrefix { prefix, found, names })]
    WrongPrefix {
        /// The prefix, as given.
        prefix: String,
        /// The LSTMs under other prefixes, the most similar prefix first.
        found: Vec<FoundLstm>,
        /// The names of all tensors, sorted, without those of ONNX nodes and Keras layers.
        names: Vec<String>,
    },
    /// The tensors have an LSTM's names, but the shapes of another network, such as a GRU.
    #[error("the tensors under the prefix {prefix:?} are not an LSTM's: {reason}")]
    NotAnLstm {
        /// The prefix, as given.
        prefix: String,
        /// What they are.
        reason: String,
    },
    /// A tensor changes or extends the LSTM, so that the results would be wrong without it, or it contradicts the
    /// other tensors.
    #[error("tensor {name:?} is not expected: {reason}{}", Elsewhere(found))]
    UnexpectedTensor {
        /// Full name, prefix included.
        name: String,
        /// Why it is refused.
        reason: String,
        /// The prefixes of other LSTMs that can be read, the most similar prefix first.
        found: Vec<String>,
    },
    /// Two tensors have the same name.
    #[error("tensor {name:?} is given twice")]
    DuplicateTensor {
        /// Full name, prefix included.
        name: String,
    },
    /// A tensor's shape does not fit the sizes of the network.
    #[error("tensor {name:?} must have shape {expected}, but has {actual:?}")]
    TensorShape {
        /// Full name, prefix included.
        name: String,
        /// The shape it must have. An axis that can have several lengths is a letter.
        expected: String,
        /// The shape it has.
        actual: Vec<usize>,
    },
    /// A tensor has an element type that this crate does not read.
    #[error("tensor {name:?} must be F32, F16, BF16 or F64, but is {actual}{}", quantized(actual))]
    TensorType {
        /// Full name, prefix included.
        name: String,
        /// The type, as the file spells it.
        actual: String,
    },
    /// The bytes are not a safetensors file, or the file is truncated or corrupt.
    #[error("not a valid safetensors file: {reason}")]
    SafeTensors {
        /// What is wrong with the file, or which format it has instead.
        reason: String,
    },
    /// A file of another format than safetensors is truncated or corrupt, or needs more than a reader allows.
    #[error("not a valid {format}: {reason}")]
    MalformedFile {
        /// The format: `ONNX model`.
        format: &'static str,
        /// What is wrong with the file.
        reason: String,
    },
    /// The file has a format, or a kind of content, that this crate does not read, or that needs a feature.
    #[error("the file can't be read: {reason}")]
    UnsupportedFile {
        /// What the file is, and what to do.
        reason: String,
    },
    /// The file is valid, but has no LSTM.
    #[error("the file has no LSTM: {reason}")]
    NoLstm {
        /// What it has instead.
        reason: String,
    },
    /// A layer computes another function than `torch.nn.LSTM`: other activations, peepholes, a clip…
    #[error("the LSTM {prefix:?} can't be computed: {reason}")]
    UnsupportedLstm {
        /// The prefix that names it in the file.
        prefix: String,
        /// In what it differs.
        reason: String,
    },
    /// A file can't be opened or read.
    #[error("{} can't be read: {source}", path.display())]
    ReadFile {
        /// The path, as given, or of a file that it names.
        path: std::path::PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },

    // ---- device ---------------------------------------------------------------------------
    /// There is no adapter, or none that the `WGPU_*` variables allow, or one of these variables has an unknown
    /// value.
    #[error("no GPU adapter: {reason}")]
    NoAdapter {
        /// Which adapters were searched for, and which there are.
        reason: String,
    },
    /// An adapter was found, but it did not open a device.
    #[error("the adapter did not open a device: {reason}")]
    DeviceRequest {
        /// The message of wgpu.
        reason: String,
    },
    /// The queue belongs to another device than the one it was given with.
    #[error("the queue does not belong to the device it was given with")]
    QueueMismatch,
    /// The network or the call needs more than a limit of the device, or the memory budget, allows.
    #[error("{what} needs {needed}, but {limit_name} is {limit}{}", as_clause(*.advice))]
    LimitExceeded {
        /// The thing that is too large.
        what: String,
        /// What it needs, in the limit's own unit.
        needed: u64,
        /// The name of the limit, as in `wgpu::Limits`; `memory_budget` is that of the `Lstm`.
        limit_name: &'static str,
        /// Its value.
        limit: u64,
        /// What to do about it, if anything is known to help.
        advice: Option<&'static str>,
    },
    /// The host or the device has not enough memory.
    #[error("out of memory: {reason}")]
    OutOfMemory {
        /// Which of the two, and the message of its allocator or of wgpu.
        reason: String,
    },
    /// The device is lost: it was destroyed, removed or reset. Open a new one.
    #[error("the device is lost: {reason}")]
    DeviceLost {
        /// The message of wgpu.
        reason: String,
    },
    /// wgpu refused a command of this crate. That is a bug in this crate; please report it.
    #[error("wgpu refused a command, which is a bug in wgpu-lstm; please report it: {reason}")]
    Internal {
        /// The message of wgpu.
        reason: String,
    },
    /// The device, or this platform, does not support the call.
    #[error("{what} is not supported here: {reason}")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
        /// Why not, and what to call instead.
        reason: &'static str,
    },
}

/// The advice for limits that only GPUs have.
pub(crate) const ON_CPU: &str = "the CPU device has no such limit";

/// The advice as the end of a message.
fn as_clause(advice: Option<&str>) -> String {
    advice.map(|advice| format!("; {advice}")).unwrap_or_default()
}

/// A number in its shortest form: an f32 that was widened shows the digits of the f32.
fn number(value: f64) -> String {
    let narrow = value as f32;
    let (plain, scientific) = if f64::from(narrow) == value {
        (narrow.to_string(), format!("{narrow:e}"))
    } else {
        (value.to_string(), format!("{value:e}"))
    };
    if plain.len() <= scientific.len() { plain } else { scientific }
}

/// The end of a message about a tensor of integers: an explanation of where they come from.
fn quantized(element_type: &str) -> &'static str {
    match element_type {
        "I8" | "U8" | "I16" | "U16" | "I32" | "U32" => {
            ": the network is quantized; save it before it is quantized"
        }
        _ => "",
    }
}

impl Error {
    /// Keeps only the message: the safetensors crate is not part of this crate's public interface.
    pub(crate) fn safetensors(error: safetensors::SafeTensorError) -> Self {
        Self::SafeTensors { reason: error.to_string() }
    }
}

impl From<WrongSize> for Error {
    fn from(wrong: WrongSize) -> Self {
        match wrong {
            WrongSize::Zero { what } => Self::ZeroSize { what },
            WrongSize::Projection { proj_size, hidden_size } => {
                Self::ProjectionTooLarge { proj_size, hidden_size }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn a_number_has_the_digits_of_its_own_precision() {
        for (value, shown) in [
            (65_504.0, "65504"),
            (f64::from(0.1_f32), "0.1"),
            (0.1, "0.1"),
            (f64::from(f32::MAX), "3.4028235e38"),
            (1e300, "1e300"),
            (-1.5e39, "-1.5e39"),
            (f64::from(70_000.1_f32), "70000.1"),
        ] {
            assert_eq!(number(value), shown);
        }
    }
}
