//! Which LSTMs there are among named tensors.

use std::collections::BTreeMap;
use std::fmt;

use super::names::{self, Kind};
use super::tensors::{StateDict, Tensor};
use crate::config::LstmConfig;
use crate::error::Error;

/// An LSTM among named tensors.
#[derive(Debug)]
#[non_exhaustive]
pub struct FoundLstm {
    /// What its tensors' names have before PyTorch's own: the prefix to read it with.
    pub prefix: String,
    /// Its sizes, or why it can't be read.
    pub config: Result<LstmConfig, Error>,
}

/// Every LSTM, in the order of the prefixes.
///
/// A prefix that does not end in a dot is taken from the names alone: reading with it can refuse other names
/// that begin so.
pub(super) fn find_lstms(tensors: impl IntoIterator<Item = Tensor<()>>) -> Vec<FoundLstm> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for tensor in tensors {
        if let Some((prefix, kind)) = names::split(&tensor.name) {
            let group = match groups.get_mut(prefix) {
                Some(group) => group,
                None => groups.entry(prefix.to_owned()).or_default(),
            };
            group.is_lstm |= matches!(kind, Kind::Param(..) | Kind::Changed(_));
            group.tensors.push(tensor);
        }
    }
    let read = |prefix: &str, group: &Group| {
        // A wrapper's own tensors concern the LSTM in it.
        let wrapper = prefix.strip_suffix("module.").and_then(|wrapper| groups.get(wrapper));
        let tensors = group.tensors.iter().chain(wrapper.into_iter().flat_map(|group| &group.tensors));
        let config = StateDict::new(tensors.map(Tensor::clone), prefix).and_then(|dict| dict.config());
        FoundLstm { prefix: prefix.to_owned(), config }
    };
    groups.iter().filter(|(_, group)| group.is_lstm).map(|(prefix, group)| read(prefix, group)).collect()
}

/// The tensors of one prefix.
#[derive(Default)]
struct Group {
    tensors: Vec<Tensor<()>>,
    /// Whether one of them is a parameter, or in place of one.
    is_lstm: bool,
}

/// The error for a prefix under which there is no LSTM, though there are tensors.
pub(super) fn wrong_prefix(prefix: &str, tensors: Vec<Tensor<()>>) -> Error {
    let mut names: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let names = names.into_iter().map(str::to_owned).collect();
    let mut found = find_lstms(tensors);
    // The order of the prefixes decides among those that are as near.
    found.sort_by_cached_key(|lstm| distance(&lstm.prefix, prefix));
    Error::WrongPrefix { prefix: prefix.to_owned(), found, names }
}

/// How much of a prefix is compared, in characters: a file's names can be of any length.
const COMPARED: usize = 100;

/// How far a prefix is from the one that was given: first whether one is the end or the start of the other
/// (`module.`, a dot left out), then how many characters differ.
fn distance(found: &str, given: &str) -> (bool, usize) {
    let (a, b) = (found.trim_end_matches('.'), given.trim_end_matches('.'));
    let part = |whole: &str, part: &str| {
        whole == part
            || whole.strip_suffix(part).is_some_and(|rest| rest.ends_with('.'))
            || whole.strip_prefix(part).is_some_and(|rest| rest.starts_with('.'))
    };
    let start = |text: &str| text.chars().take(COMPARED).collect::<String>();
    (!(part(a, b) || part(b, a)), strsim::osa_distance(&start(found), &start(given)))
}

/// How many of a list an error shows, and how much of each name.
const SHOWN: usize = 8;
const SHOWN_CHARS: usize = 100;

/// [`Error::WrongPrefix`] as a sentence.
pub(crate) struct WrongPrefix<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) found: &'a [FoundLstm],
    pub(crate) names: &'a [String],
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

/// The sizes that are not PyTorch's defaults, and the two without a default.
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
