//! The LSTMs that a file has, and how errors list them.

use std::fmt;
use std::sync::Arc;

use super::Error;
use crate::config::LstmConfig;

/// An LSTM in a file or among named tensors.
#[derive(Debug)]
#[non_exhaustive]
pub struct FoundLstm {
    /// The prefix to read it with: the part of its tensors' names before PyTorch's own names; the name of an ONNX node
    /// or of a Keras layer; of several nodes that are one network, their names joined by `+`.
    pub prefix: String,
    /// Its sizes, or why it can't be read.
    pub config: Result<LstmConfig, Error>,
    /// The element types of its parameters, as safetensors spells them (`F32`), without repetition. Those of quantized
    /// parameters, which are read as f32, are the integers' (`I8`). Can be empty if it can't be read.
    pub element_types: Vec<String>,
    /// The prefix of the network of which this is one layer. All layers share it.
    pub part_of: Option<Arc<str>>,
    /// What the file does not say of it and the reader assumes.
    pub assumed: Option<String>,
}

/// The number of items of a list, and of characters of a name, that an error shows.
const SHOWN: usize = 8;
const SHOWN_CHARS: usize = 100;

/// The message of [`Error::WrongPrefix`].
pub(super) struct WrongPrefix<'a> {
    pub(super) prefix: &'a str,
    pub(super) found: &'a [FoundLstm],
    pub(super) names: &'a [String],
}

impl fmt::Display for WrongPrefix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no LSTM under the prefix {:?}", self.prefix)?;
        let all = if self.found.is_empty() {
            write!(f, ", and none under another one; the tensors are ")?;
            list(f, self.names, |f, name| shown(f, name))?;
            self.names.len()
        } else {
            write!(f, "; there is one under ")?;
            list(f, self.found, |f, lstm| {
                shown(f, &lstm.prefix)?;
                match &lstm.config {
                    Ok(config) => write!(f, " ({})", Sizes(config)),
                    Err(error) => write!(f, " (which can't be read: {error})"),
                }
            })?;
            self.found.len()
        };
        if all > SHOWN { write!(f, " and {} more", all - SHOWN) } else { Ok(()) }
    }
}

/// The end of a message about a tensor: the prefixes of other LSTMs.
pub(super) struct Elsewhere<'a>(pub(super) &'a [String]);

impl fmt::Display for Elsewhere<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(found) = self;
        if found.is_empty() {
            return Ok(());
        }
        write!(f, "; there is another LSTM under ")?;
        list(f, found, |f, prefix| shown(f, prefix))?;
        if found.len() > SHOWN { write!(f, " and {} more", found.len() - SHOWN) } else { Ok(()) }
    }
}

fn list<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    show: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (index, item) in items.iter().take(SHOWN).enumerate() {
        if index > 0 {
            write!(f, ", ")?;
        }
        show(f, item)?;
    }
    Ok(())
}

fn shown(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    match name.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => write!(f, "{:?}…", &name[..end]),
        None => write!(f, "{name:?}"),
    }
}

/// A message with input_size, hidden_size and every other size that is not PyTorch's default.
struct Sizes<'a>(&'a LstmConfig);

impl fmt::Display for Sizes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.0;
        write!(f, "input_size {}, hidden_size {}", config.input_size(), config.hidden_size())?;
        if config.num_layers() > 1 {
            write!(f, ", num_layers {}", config.num_layers())?;
        }
        if config.bidirectional() {
            write!(f, ", bidirectional")?;
        }
        if config.proj_size() > 0 {
            write!(f, ", proj_size {}", config.proj_size())?;
        }
        if config.bias() { Ok(()) } else { write!(f, ", no bias") }
    }
}
