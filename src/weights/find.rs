//! Finds LSTMs among named tensors.

use std::collections::BTreeMap;

use super::candidate::Candidate;
use super::extensions;
use super::kinds::{self, Kind};
use super::parameters::LstmWeights;
use super::precision::Precision;
use super::tensor::Tensor;
use crate::error::{Error, FoundLstm};

/// Which network is read, and how.
#[derive(Clone, Copy)]
pub(super) struct Choice<'a> {
    pub(super) prefix: &'a str,
    /// Whether tensors that seem to extend the LSTM are left aside, where they are refused else.
    pub(super) ignore_others: bool,
}

impl<'a> Choice<'a> {
    pub(super) fn of(prefix: &'a str) -> Self {
        Self { prefix, ignore_others: false }
    }
}

/// Every LSTM, in the order of the prefixes.
///
/// For a prefix that does not end in a dot, only the tensors whose names [`kinds::split`] cuts there are examined:
/// reading with such a prefix can refuse others that start with it.
pub(super) fn find_lstms(tensors: &[Tensor<()>]) -> Vec<FoundLstm> {
    let mut groups: BTreeMap<&str, Group<'_>> = BTreeMap::new();
    for tensor in tensors {
        if let Some((prefix, kind)) = kinds::split(&tensor.name) {
            let group = groups.entry(prefix).or_default();
            group.is_lstm |= matches!(kind, Kind::Param(..) | Kind::Changed(_));
            group.tensors.push(tensor);
        }
    }
    groups.retain(|_, group| group.is_lstm);
    for tensor in tensors {
        let own = kinds::split(&tensor.name).map(|(prefix, _)| prefix);
        for prefix in extensions::extended_prefixes(&tensor.name).filter(|prefix| own != Some(prefix)) {
            if let Some(group) = groups.get_mut(prefix.as_str()) {
                group.tensors.push(tensor);
            }
        }
    }
    let read = |(&prefix, group): (&&str, &Group<'_>)| {
        let tensors = group.tensors.iter().copied().cloned();
        let candidate = Candidate::new(tensors, prefix, false);
        let element_types = candidate.as_ref().map_or_else(|_| Vec::new(), Candidate::element_types);
        let config = candidate.and_then(|candidate| candidate.config());
        FoundLstm { prefix: prefix.to_owned(), config, element_types, part_of: None, assumed: None }
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

/// Reads the network under the prefix from the tensors of a state dict. The last two arguments are those of
/// [`Candidate::into_weights`].
pub(super) fn read<V>(
    tensors: Vec<Tensor<V>>,
    Choice { prefix, ignore_others }: Choice<'_>,
    precision: Precision,
    values: impl Fn(Tensor<V>) -> Result<Vec<f32>, Error>,
) -> Result<LstmWeights, Error> {
    let outlines: Vec<_> = tensors.iter().map(Tensor::outline).collect();
    let read = || {
        let candidate = Candidate::new(tensors, prefix, ignore_others)?;
        if candidate.is_empty() && !outlines.is_empty() {
            return Err(wrong_prefix(prefix, find_lstms(&outlines), &outlines));
        }
        candidate.into_weights(precision, values)
    };
    read().map_err(|error| name_others(error, &outlines, prefix))
}

/// Adds to the error for a missing or an unexpected tensor the prefixes of the LSTMs that can be read.
fn name_others(mut error: Error, tensors: &[Tensor<()>], prefix: &str) -> Error {
    if let Error::MissingTensor { found, .. } | Error::UnexpectedTensor { found, .. } = &mut error {
        let mut others = find_lstms(tensors);
        others.retain(|lstm| lstm.config.is_ok() && lstm.prefix != prefix);
        sort_by_distance(&mut others, prefix);
        *found = others.into_iter().map(|lstm| lstm.prefix).collect();
    }
    error
}

/// The error for a prefix under which there is no LSTM, though there are tensors.
pub(super) fn wrong_prefix(prefix: &str, mut found: Vec<FoundLstm>, tensors: &[Tensor<()>]) -> Error {
    let mut names: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let names = names.into_iter().map(str::to_owned).collect();
    sort_by_distance(&mut found, prefix);
    Error::WrongPrefix { prefix: prefix.to_owned(), found, names }
}

/// The nearest prefix first. The sort is stable: prefixes at the same distance stay in order.
pub(super) fn sort_by_distance(found: &mut [FoundLstm], prefix: &str) {
    found.sort_by_cached_key(|lstm| distance(&lstm.prefix, prefix));
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
