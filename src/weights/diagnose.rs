//! Recognizes what is given in place of an LSTM's weights or of a safetensors file, and says what to do about it.

use std::fmt;

use super::beside::wrapper_of;
use super::names::{Name, Param};

pub(super) const QUANTIZED: &str = "a quantized LSTM keeps its parameters packed; save the network before it is \
    quantized";

/// How a library changed a parameter, if a name without its prefix shows that it did.
pub(super) fn changed_parameter(text: &str) -> Option<&'static str> {
    const WEIGHT_NORM: &str = "weight norm splits a weight into _g and _v; call \
        torch.nn.utils.remove_weight_norm(lstm, name) for each weight before saving";
    const PRUNING: &str = "pruning or spectral norm keeps the weight before the change as _orig; call \
        torch.nn.utils.prune.remove or remove_spectral_norm for each weight before saving";
    const WEIGHT_DROP: &str = "weight drop keeps the weight before dropout as _raw; save it under the name \
        without _raw";
    const PARAMETRIZATION: &str = "a parametrization, such as weight norm or spectral norm, computes the \
        weight; call torch.nn.utils.parametrize.remove_parametrizations(lstm, name) for each weight before \
        saving";
    const MODULE: &str = "the parameter is replaced by a module's tensors, as quantization and adapters do; \
        save the plain weights";
    let parameter = |text| Name::parse(text).is_ok();
    if text.starts_with("_all_weight_values") || text.starts_with("_packed_weight_") {
        return Some(QUANTIZED);
    }
    if let Some(text) = text.strip_prefix("parametrizations.") {
        return text.split('.').next().is_some_and(parameter).then_some(PARAMETRIZATION);
    }
    if let Some((name, _)) = text.split_once('.') {
        return parameter(name).then_some(MODULE);
    }
    let suffixes = [
        ("_g", WEIGHT_NORM),
        ("_v", WEIGHT_NORM),
        ("_orig", PRUNING),
        ("_mask", PRUNING),
        ("_u", PRUNING),
        ("_raw", WEIGHT_DROP),
    ];
    suffixes
        .into_iter()
        .find(|(suffix, _)| text.strip_suffix(suffix).is_some_and(parameter))
        .map(|(_, reason)| reason)
}

/// Whether a tensor makes the LSTM of this prefix a weight-dropped one: fastai wraps the LSTM as `module`, in
/// which it leaves the weight of the last training step, and keeps the true one beside it.
pub(super) fn dropped_outside(prefix: &str, name: &str) -> Option<&'static str> {
    let wrapper = wrapper_of(prefix, "module.")?;
    let parameter = name.strip_prefix(wrapper)?.strip_suffix("_raw")?;
    Name::parse(parameter).ok().map(|_| {
        "weight drop keeps the weight before dropout under this name, and the LSTM's own weight may have \
         elements set to zero; save this one under the LSTM's prefix, without _raw"
    })
}

/// Another recurrent network, or an LSTM with its axes in another order.
pub(super) struct Other {
    /// How many blocks of H rows a matrix has.
    gates: usize,
    hidden: usize,
    /// Whether the matrices are (in, out), as Keras has them.
    transposed: bool,
}

impl Other {
    /// The one whose first weight_hh has this shape.
    pub(super) fn of(w_hh: &[usize]) -> Option<Self> {
        let &[rows, columns] = w_hh else {
            return None;
        };
        let is = |hidden: usize, gates: usize, other: usize| {
            hidden > 0 && hidden.checked_mul(gates) == Some(other)
        };
        if is(rows, 4, columns) {
            Some(Self { gates: 4, hidden: rows, transposed: true })
        } else {
            let gates = [3, 1].into_iter().find(|&gates| is(columns, gates, rows))?;
            Some(Self { gates, hidden: columns, transposed: false })
        }
    }

    /// Whether it has a parameter of this name and shape.
    pub(super) fn has(&self, name: Name, shape: &[usize], directions: usize) -> bool {
        let out = self.gates * self.hidden;
        let matrix = |input: usize| if self.transposed { [input, out] } else { [out, input] };
        match name.param {
            Param::WeightIh if name.layer == 0 => {
                let input = shape.get(usize::from(!self.transposed));
                input.is_some_and(|&input| shape == matrix(input))
            }
            Param::WeightIh => {
                self.hidden.checked_mul(directions).is_some_and(|input| shape == matrix(input))
            }
            Param::WeightHh => shape == matrix(self.hidden),
            Param::BiasIh | Param::BiasHh => shape == [out],
            Param::WeightHr => false,
        }
    }
}

impl fmt::Display for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gates, hidden, transposed } = self;
        if *transposed {
            write!(f, "the axes of the matrices are exchanged, as Keras has them; transpose each matrix")
        } else if *gates == 3 {
            write!(f, "they have a GRU's 3 gates of {hidden} rows, where an LSTM has 4")
        } else {
            write!(
                f,
                "they have a plain RNN's {hidden} rows, where an LSTM has 4 gates of that many rows each"
            )
        }
    }
}

/// How to convert PyTorch's own format to safetensors.
const CONVERT: &str = "in Python, safetensors.torch.save_file(torch.load(path, weights_only=True), new_path) \
    converts a state dict";

/// The format of a file that is not safetensors, recognized by its first bytes, and what to do about it.
pub(super) fn file_kind(bytes: &[u8]) -> Option<String> {
    if bytes.is_empty() {
        return Some("the file is empty".to_owned());
    }
    // A header of less than 2²⁴ bytes that begins as it should: a damaged safetensors file.
    if bytes.get(3..9).is_some_and(|bytes| bytes == b"\0\0\0\0\0{") {
        return None;
    }
    let kind = if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        zip_kind(bytes)
    } else {
        MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|&(_, kind)| kind)
    };
    kind.or_else(|| binary_kind(bytes))
        .map(|kind| format!("it is {kind}"))
        .or_else(|| text_kind(bytes))
        .map(|kind| if kind.contains("torch.save") { format!("{kind}; {CONVERT}") } else { kind })
}

/// What files begin with.
const MAGIC: [(&[u8], &str); 9] = [
    (b"version https://git-lfs", "a git-lfs pointer, which stands for the file; run git lfs pull"),
    (b"GGUF", "a GGUF file"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, such as Keras weights"),
    (b"\x93NUMPY", "a NumPy array (.npy)"),
    (b"\x1f\x8b", "compressed (gzip); decompress it first"),
    (b"BZh", "compressed (bzip2); decompress it first"),
    (b"\xfd7zXZ\0", "compressed (xz); decompress it first"),
    (b"\x28\xb5\x2f\xfd", "compressed (zstd); decompress it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; extract it first"),
];

/// Which of the formats that are zip archives it is, by the name of the first member.
fn zip_kind(bytes: &[u8]) -> Option<&'static str> {
    let length =
        bytes.get(26..28).map_or(0, |length| usize::from(u16::from_le_bytes([length[0], length[1]])));
    let name = bytes.get(30..30 + length).unwrap_or_default();
    let is = |end: &[u8]| name.ends_with(end);
    Some(if is(b"data.pkl") || is(b"/byteorder") || is(b"/version") || is(b".format_version") {
        "a PyTorch checkpoint, as torch.save writes it"
    } else if is(b".npy") {
        "NumPy arrays (.npz)"
    } else if is(b"metadata.json") || is(b"config.json") || is(b".weights.h5") {
        "a Keras model (.keras)"
    } else {
        "a zip archive, but has no PyTorch checkpoint at its start"
    })
}

/// The formats that are recognized by more than their first bytes.
fn binary_kind(bytes: &[u8]) -> Option<&'static str> {
    Some(match bytes {
        [0x80, 2..=5, ..] => "a pickle, as older versions' torch.save writes it",
        // Field 1, ir_version, and then the producer's name, the graph or the operator sets.
        [0x08, 3..=20, 0x12 | 0x3a | 0x42, ..] => "an ONNX model",
        [_, _, _, _, b'T', b'F', b'L', b'3', ..] => "a TensorFlow Lite model",
        _ if bytes.get(257..262) == Some(b"ustar") => "a tar archive; extract it first",
        _ => return None,
    })
}

/// How many bytes are examined to recognize a text, and how many characters of it are shown.
const TEXT: usize = 512;
const SHOWN: usize = 40;

/// JSON, HTML or a line that a server sent in place of the file.
fn text_kind(bytes: &[u8]) -> Option<String> {
    let start = &bytes[..bytes.len().min(TEXT)];
    let text = start.utf8_chunks().next()?.valid();
    let plain = |c: char| !c.is_control() || c.is_whitespace();
    if text.len() < start.len().min(SHOWN) || !text.chars().all(plain) {
        return None;
    }
    let text = text.trim_start_matches('\u{feff}').trim();
    let lower = text.to_ascii_lowercase();
    Some(if lower.starts_with("<!doctype html") || lower.starts_with("<html") {
        "it is a web page (HTML): the download gave a page in place of the file".to_owned()
    } else if text.starts_with('{') && contains(bytes, b"\"weight_map\"") {
        "it is the index of a model in several files (model.safetensors.index.json); read the file that its \
         weight_map names for the LSTM"
            .to_owned()
    } else {
        let shown: String = text.chars().take(SHOWN).collect();
        format!("it is a text that begins with {shown:?}")
    })
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
