//! Recognizes the format of a file by its content, never by its name.

/// How to convert PyTorch's own format to safetensors.
const CONVERT: &str = "in Python, safetensors.torch.save_file(torch.load(path, weights_only=True), new_path) \
    converts a state dict";

/// What a file is that is not safetensors, as the end of a sentence, and what to do about it.
pub(super) fn recognize(bytes: &[u8]) -> Option<String> {
    if bytes.is_empty() {
        return Some("the file is empty".to_owned());
    }
    // A header of less than 2²⁴ bytes that begins as in a valid file: a damaged safetensors file.
    if bytes.get(3..9).is_some_and(|bytes| bytes == b"\0\0\0\0\0{") {
        return None;
    }
    let format = if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        zip_format(bytes)
    } else {
        MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|&(_, format)| format)
    };
    format
        .or_else(|| binary_format(bytes))
        .map(|format| format!("it is {format}"))
        .or_else(|| text_format(bytes))
        .map(|what| if what.contains("torch.save") { format!("{what}; {CONVERT}") } else { what })
}

/// What files begin with.
const MAGIC: [(&[u8], &str); 9] = [
    (b"version https://git-lfs", "a git-lfs pointer in place of the file itself; run git lfs pull"),
    (b"GGUF", "a GGUF file"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, such as Keras weights"),
    (b"\x93NUMPY", "a NumPy array (.npy)"),
    (b"\x1f\x8b", "compressed (gzip); decompress it first"),
    (b"BZh", "compressed (bzip2); decompress it first"),
    (b"\xfd7zXZ\0", "compressed (xz); decompress it first"),
    (b"\x28\xb5\x2f\xfd", "compressed (zstd); decompress it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; extract it first"),
];

/// Formats that are zip archives differ in the name of the first member.
fn zip_format(bytes: &[u8]) -> Option<&'static str> {
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
        "a zip archive that does not begin as a PyTorch checkpoint"
    })
}

/// Formats that are recognized by bytes at several places.
fn binary_format(bytes: &[u8]) -> Option<&'static str> {
    Some(match bytes {
        [0x80, 2..=5, ..] => "a pickle, as older versions' torch.save writes it",
        // Field 1, ir_version, and then the producer's name, the graph or the operator sets.
        [0x08, 3..=20, 0x12 | 0x3a | 0x42, ..] => "an ONNX model",
        [_, _, _, _, b'T', b'F', b'L', b'3', ..] => "a TensorFlow Lite model",
        _ if bytes.get(257..262) == Some(b"ustar") => "a tar archive; extract it first",
        _ => return None,
    })
}

/// The number of bytes that are examined to recognize a text, and of its characters that the error shows.
const TEXT: usize = 512;
const SHOWN: usize = 40;

/// A text: JSON, HTML or a line that a server sent in place of the file.
fn text_format(bytes: &[u8]) -> Option<String> {
    let start = &bytes[..bytes.len().min(TEXT)];
    let text = start.utf8_chunks().next()?.valid();
    let plain = |c: char| !c.is_control() || c.is_whitespace();
    if text.len() < start.len().min(SHOWN) || !text.chars().all(plain) {
        return None;
    }
    let text = text.trim_start_matches('\u{feff}').trim();
    let lower = text.to_ascii_lowercase();
    Some(if lower.starts_with("<!doctype html") || lower.starts_with("<html") {
        "it is a web page (HTML), which a server sent in place of the file".to_owned()
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
