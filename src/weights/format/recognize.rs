//! Recognizes the format of a file by its content, never by its name.

/// The format of a file that this crate can read, or what the file is else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Recognized {
    /// A safetensors file, or bytes that do not begin as any other format.
    SafeTensors,
    Known(Format),
    /// As the end of a sentence, and what to do about it.
    Other(String),
}

/// A format beside safetensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// `model.safetensors.index.json`: a model in several safetensors files.
    Index,
    PyTorch,
    Onnx,
    Keras,
    Npz,
}

impl Format {
    /// What a file of the format is.
    fn what(self) -> &'static str {
        match self {
            Self::Index => "the index of a model in several files (model.safetensors.index.json)",
            Self::PyTorch => "a PyTorch checkpoint, as torch.save writes it",
            Self::Onnx => "an ONNX model",
            Self::Keras => "a Keras model or its weights (HDF5, .keras)",
            Self::Npz => "NumPy arrays (.npz)",
        }
    }

    /// The feature of this crate that reads the format.
    fn feature(self) -> Option<&'static str> {
        match self {
            Self::Index => None,
            Self::PyTorch => Some("pytorch"),
            Self::Onnx => Some("onnx"),
            Self::Keras => Some("keras"),
            Self::Npz => Some("npz"),
        }
    }

    /// What to do about a file of this format that was given as safetensors, or without the feature.
    pub(super) fn advice(self) -> String {
        let convert = match self {
            Self::PyTorch => {
                "; or, in Python, safetensors.torch.save_file(torch.load(path, weights_only=True), new_path) \
                 converts a state dict"
            }
            _ => "",
        };
        let what = self.what();
        match self.feature() {
            Some(feature) => {
                format!(
                    "it is {what}; LstmWeights::from_file reads it with the feature `{feature}` of wgpu-lstm{convert}"
                )
            }
            None => format!("it is {what}; LstmWeights::from_file reads it, with the files that it names"),
        }
    }
}

/// The number of bytes at a file's start that are enough to recognize it.
pub(super) const ENOUGH: usize = 1 << 16;

/// Recognizes a file by its first bytes.
pub(super) fn recognize(bytes: &[u8]) -> Recognized {
    let bytes = &bytes[..bytes.len().min(ENOUGH)];
    if bytes.is_empty() {
        return Recognized::Other("the file is empty".to_owned());
    }
    // A safetensors file, perhaps a damaged one: the length of a header of at most 100 MB, and its first character. The
    // length can begin as another format does.
    if bytes.get(3..9).is_some_and(|bytes| bytes[0] <= 5 && bytes[1..] == *b"\0\0\0\0{") {
        return Recognized::SafeTensors;
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return zip_format(bytes);
    }
    if let Some((_, what)) = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Recognized::Other(format!("it is {what}"));
    }
    binary_format(bytes).or_else(|| text_format(bytes)).unwrap_or(Recognized::SafeTensors)
}

/// What a file is that was given as safetensors, and what to do about it; `None` if it can be a damaged safetensors
/// file.
pub(super) fn what_else(bytes: &[u8]) -> Option<String> {
    match recognize(bytes) {
        Recognized::SafeTensors => None,
        Recognized::Known(format) => Some(format.advice()),
        Recognized::Other(what) => Some(what),
    }
}

/// What files begin with that hold no LSTM that this crate could read.
const MAGIC: [(&[u8], &str); 8] = [
    (b"version https://git-lfs", "a git-lfs pointer in place of the file itself; run git lfs pull"),
    (b"GGUF", "a GGUF file"),
    (b"\x93NUMPY", "a NumPy array (.npy); numpy.savez writes several under their names (.npz)"),
    (b"\x1f\x8b", "compressed (gzip); decompress it first"),
    (b"BZh", "compressed (bzip2); decompress it first"),
    (b"\xfd7zXZ\0", "compressed (xz); decompress it first"),
    (b"\x28\xb5\x2f\xfd", "compressed (zstd); decompress it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; extract it first"),
];

/// Formats that are zip archives differ in the name of the first member.
fn zip_format(bytes: &[u8]) -> Recognized {
    let length =
        bytes.get(26..28).map_or(0, |length| usize::from(u16::from_le_bytes([length[0], length[1]])));
    let name = bytes.get(30..30 + length).unwrap_or_default();
    let is = |end: &[u8]| name.ends_with(end);
    let has = |part: &[u8]| contains(name, part);
    // An array can have any name, and no member of a checkpoint ends so. The first of TorchScript's members is a storage
    // or a text of its program.
    if is(b".npy") {
        Recognized::Known(Format::Npz)
    } else if has(b"/data/")
        || has(b"/code/")
        || is(b"data.pkl")
        || is(b"/byteorder")
        || is(b"/version")
        || is(b".format_version")
    {
        Recognized::Known(Format::PyTorch)
    } else if is(b"metadata.json") || is(b"config.json") || is(b".weights.h5") {
        Recognized::Known(Format::Keras)
    } else {
        let what =
            "it is a zip archive that does not begin as a PyTorch checkpoint, NumPy arrays or a Keras model";
        Recognized::Other(what.to_owned())
    }
}

/// Formats that are recognized by bytes at several places.
fn binary_format(bytes: &[u8]) -> Option<Recognized> {
    Some(match bytes {
        // A pickle, as older versions' torch.save writes it.
        [0x80, 2..=5, ..] => Recognized::Known(Format::PyTorch),
        // Field 1, ir_version, and then another field of a model: its producer, domain, version, graph, operator sets.
        [0x08, 1..=20, 0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42, ..] => Recognized::Known(Format::Onnx),
        [0x89, b'H', b'D', b'F', b'\r', b'\n', 0x1a, b'\n', ..] => Recognized::Known(Format::Keras),
        [_, _, _, _, b'T', b'F', b'L', b'3', ..] => {
            Recognized::Other("it is a TensorFlow Lite model".to_owned())
        }
        // The first versions of PyTorch wrote checkpoints as tar archives.
        _ if bytes.get(257..262) == Some(b"ustar") => {
            let is_checkpoint = TAR_MEMBERS.iter().any(|member| bytes.starts_with(member));
            if is_checkpoint {
                Recognized::Known(Format::PyTorch)
            } else {
                Recognized::Other("it is a tar archive; extract it first".to_owned())
            }
        }
        _ => return None,
    })
}

/// The members of a checkpoint that is a tar archive, each with the zero that ends its name.
const TAR_MEMBERS: [&[u8]; 4] = [b"sys_info\0", b"storages\0", b"tensors\0", b"pickle\0"];

/// The number of bytes that are examined to recognize a text, and of its characters that the error shows.
const TEXT: usize = 512;
const SHOWN: usize = 40;

/// A text: JSON, HTML or a line that a server sent in place of the file.
fn text_format(bytes: &[u8]) -> Option<Recognized> {
    let start = &bytes[..bytes.len().min(TEXT)];
    let text = start.utf8_chunks().next()?.valid();
    let plain = |c: char| !c.is_control() || c.is_whitespace();
    if text.len() < start.len().min(SHOWN) || !text.chars().all(plain) {
        return None;
    }
    let text = text.trim_start_matches('\u{feff}').trim();
    let lower = text.to_ascii_lowercase();
    Some(if lower.starts_with("<!doctype html") || lower.starts_with("<html") {
        Recognized::Other("it is a web page (HTML), which a server sent in place of the file".to_owned())
    } else if text.starts_with('{') && contains(bytes, b"\"weight_map\"") {
        Recognized::Known(Format::Index)
    } else {
        let shown: String = text.chars().take(SHOWN).collect();
        Recognized::Other(format!("it is a text that begins with {shown:?}"))
    })
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
