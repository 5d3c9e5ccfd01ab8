//! Finds the LSTMs among named tensors.

use std::collections::BTreeMap;

use super::candidate::Candidate;
use super::extensions;
use super::kinds::{self, Kind};
use super::tensor::Tensor;
use crate::error::{Error, FoundLstm};

/// Every LSTM, in the order of the prefixes.
///
/// A prefix that does not end in a dot is taken from the names alone: reading with it can refuse other names
/// that begin so.
fn find_lstms(tensors: impl IntoIterator<Item = Tensor<()>>) -> Vec<FoundLstm> {
    let tensors: Vec<_> = tensors.into_iter().collect();
    let mut groups: BTreeMap<&str, Group<'_>> = BTreeMap::new();
    for tensor in &tensors {
        if let Some((prefix, kind)) = kinds::split(&tensor.name) {
            let group = groups.entry(prefix).or_default();
            group.is_lstm |= matches!(kind, Kind::Param(..) | Kind::Changed(_));
            group.tensors.push(tensor);
        }
    }
    groups.retain(|_, group| group.is_lstm);
    for tensor in &tensors {
        let own = kinds::split(&tensor.name).map(|(prefix, _)| prefix);
        for prefix in extensions::near_prefixes(&tensor.name).filter(|prefix| own != Some(prefix)) {
            if let Some(group) = groups.get_mut(prefix.as_str()) {
                group.tensors.push(tensor);
            }
        }
    }
    let read = |(&prefix, group): (&&str, &Group<'_>)| {
        let tensors = group.tensors.iter().copied().cloned();
        let config = Candidate::new(tensors, prefix).and_then(|dict| dict.config());
        FoundLstm { prefix: prefix.to_owned(), config }
    };
    groups.iter().map(read).collect()
}

/// The tensors of one prefix, and those near it.
#[derive(Default)]
struct Group<'a> {
    tensors: Vec<&'a Tensor<()>>,
    /// Whether one of them is a parameter, or in place of one.
    is_lstm: bool,
}

/// The tensors under the prefix. If no parameter of an LSTM is there, the error names the prefixes that have one.
pub(super) fn select<V>(
    tensors: impl IntoIterator<Item = Tensor<V>>,
    prefix: &str,
) -> Result<Candidate<'_, V>, Error> {
    Candidate::new(tensors, prefix)?.unless_elsewhere().map_err(|tensors| wrong_prefix(prefix, tensors))
}

/// The error for a prefix under which there is no LSTM, though there are tensors.
fn wrong_prefix(prefix: &str, tensors: Vec<Tensor<()>>) -> Error {
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
