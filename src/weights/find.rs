//! Finds LSTMs among named tensors.

use std::collections::BTreeMap;

use super::candidate::Candidate;
use super::extensions;
use super::kinds::{self, Kind};
use super::tensor::Tensor;
use crate::error::{Error, FoundLstm};

/// Every LSTM, in the order of the prefixes.
///
/// For a prefix that does not end in a dot, only the tensors whose names [`kinds::split`] cuts there are examined:
/// reading with such a prefix can refuse others that start with it.
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
        for prefix in extensions::extended_prefixes(&tensor.name).filter(|prefix| own != Some(prefix)) {
            if let Some(group) = groups.get_mut(prefix.as_str()) {
                group.tensors.push(tensor);
            }
        }
    }
    let read = |(&prefix, group): (&&str, &Group<'_>)| {
        let tensors = group.tensors.iter().copied().cloned();
        let config = Candidate::new(tensors, prefix).and_then(|candidate| candidate.config());
        FoundLstm { prefix: prefix.to_owned(), config }
    };
    groups.iter().map(read).collect()
}

/// The tensors of one prefix, and those that can extend its LSTM.
#[derive(Default)]
struct Group<'a> {
    tensors: Vec<&'a Tensor<()>>,
    /// Whether one of them is a parameter, or replaces one.
    is_lstm: bool,
}

/// The tensors under the prefix. If none is a parameter of an LSTM, the error names the prefixes that have one.
pub(super) fn select<V>(
    tensors: impl IntoIterator<Item = Tensor<V>>,
    prefix: &str,
) -> Result<Candidate<'_, V>, Error> {
    Candidate::new(tensors, prefix)?.require_parameters().map_err(|tensors| wrong_prefix(prefix, tensors))
}

/// The error for a prefix under which there is no LSTM, though there are tensors.
fn wrong_prefix(prefix: &str, tensors: Vec<Tensor<()>>) -> Error {
    let mut names: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let names = names.into_iter().map(str::to_owned).collect();
    let mut found = find_lstms(tensors);
    // The sort is stable: prefixes at the same distance stay in order.
    found.sort_by_cached_key(|lstm| distance(&lstm.prefix, prefix));
    Error::WrongPrefix { prefix: prefix.to_owned(), found, names }
}

/// The number of characters of a prefix that are compared: a name in a file can have any length.
const COMPARED: usize = 100;

/// How much a prefix differs from the given one. Prefixes that are the end or the start of the other one, as by
/// `module.` or a missing dot, come first; then the number of edited characters counts.
fn distance(found: &str, given: &str) -> (bool, usize) {
    let (a, b) = (found.trim_end_matches('.'), given.trim_end_matches('.'));
    let contains = |whole: &str, part: &str| {
        whole == part
            || whole.strip_suffix(part).is_some_and(|rest| rest.ends_with('.'))
            || whole.strip_prefix(part).is_some_and(|rest| rest.starts_with('.'))
    };
    let start = |text: &str| text.chars().take(COMPARED).collect::<String>();
    (!(contains(a, b) || contains(b, a)), strsim::osa_distance(&start(found), &start(given)))
}
