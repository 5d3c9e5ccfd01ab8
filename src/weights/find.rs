//! Which LSTMs there are among named tensors.

use std::collections::BTreeMap;

use super::names::{self, Kind};
use super::tensors::{StateDict, Tensor};
use crate::error::{Error, FoundLstm};

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
