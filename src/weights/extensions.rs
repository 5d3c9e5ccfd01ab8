//! Refuses tensors beside an LSTM's parameters that extend it: layer normalization, peepholes, masks, adapters.
//! Without them the network would compute wrong results.
//!
//! Their names are not standard. A tensor is judged by its place, its name and its shape.

use std::collections::BTreeMap;

use super::kinds::{self, Kind};
use super::names::Param;
use super::prefix::{is_module, wrapper_of};
use super::tensor::Tensor;
use crate::config::LstmConfig;
use crate::error::Error;

/// PEFT's wrappers: the name of the wrapped module; how the names of the tensors start that replace or extend it;
/// the reason to refuse them.
const WRAPPERS: [(&str, &[&str], &str); 2] = [
    (
        "base_layer.",
        &ADAPTERS,
        "it belongs to an adapter (PEFT), which this crate does not add to the base layer; call \
         merge_and_unload() on the model before saving",
    ),
    (
        "original_module.",
        &["modules_to_save"],
        "it belongs to the fine-tuned copy (PEFT) that is used in place of the original module; call \
         merge_and_unload() on the model before saving",
    ),
];

/// How the names of PEFT's adapter weights start.
const ADAPTERS: [&str; 7] = ["lora_", "ia3_", "hada_", "lokr_", "oft_", "boft_", "vera_"];

/// The largest number of segments in the name of a tensor that extends an LSTM, without the prefix of the LSTM:
/// `norms.0.weight`, `lora_A.default.weight`.
const DEPTH: usize = 3;

/// Where a tensor is, relative to an LSTM's prefix.
enum Place<'a> {
    /// Directly under the prefix: its name there.
    Direct(&'a str),
    /// In a module directly under the prefix: the module's name.
    Nested(&'a str),
    /// In the wrapper of the LSTM: the reason to refuse it.
    Wrapper(&'static str),
}

impl<'a> Place<'a> {
    fn of(prefix: &str, name: &'a str) -> Option<Self> {
        if let Some(rest) = name.strip_prefix(prefix) {
            return match rest.split('.').take(DEPTH + 1).count() {
                1 if rest.is_empty() => None,
                1 => Some(Self::Direct(rest)),
                2..=DEPTH => Some(Self::Nested(&rest[..rest.find('.')?])),
                _ => None,
            };
        }
        WRAPPERS.iter().find_map(|(wrapped, starts, reason)| {
            let rest = name.strip_prefix(wrapper_of(prefix, wrapped)?)?;
            let near = rest.split('.').take(DEPTH + 1).count() <= DEPTH;
            (near && starts.iter().any(|start| rest.starts_with(start))).then_some(Self::Wrapper(reason))
        })
    }
}

/// Whether a tensor of this name can extend the LSTM of this prefix; the shape decides then.
pub(super) fn can_extend(prefix: &str, name: &str) -> bool {
    Place::of(prefix, name).is_some()
}

/// The prefixes, empty or with a dot at the end, of the LSTMs that a tensor [can extend](can_extend), and those
/// of modules wrapped as `module` whose weights it can replace.
pub(super) fn extended_prefixes(name: &str) -> impl Iterator<Item = String> + '_ {
    let dots = name.rmatch_indices('.').map(|(dot, _)| dot + 1).chain([0]).take(DEPTH);
    dots.flat_map(move |end| {
        ["", "module.", WRAPPERS[0].0, WRAPPERS[1].0]
            .into_iter()
            .map(move |wrapped| format!("{}{wrapped}", &name[..end]))
    })
}

/// Refuses the first tensor, in the order of names, that extends the LSTM.
pub(super) fn check(prefix: &str, others: &[Tensor<()>], config: &LstmConfig) -> Result<(), Error> {
    let networks = unseparated_networks(prefix, others);
    let is_of_another = |name: &str| {
        kinds::split(name).is_some_and(|(start, _)| {
            networks.get(start).is_some_and(|&has| has == [true; 2]) && extension(start).is_none()
        })
    };
    others
        .iter()
        .filter_map(|tensor| {
            let reason = match Place::of(prefix, &tensor.name)? {
                Place::Wrapper(reason) => Some(reason.to_owned()),
                Place::Direct(name) if is_of_another(name) => None,
                Place::Direct(name) => direct(prefix, name, &tensor.shape, config).map(unsupported),
                Place::Nested(module) => nested(prefix, module, &tensor.shape, config).map(unsupported),
            };
            Some((&tensor.name, reason?))
        })
        .min()
        .map_or(Ok(()), |(name, reason)| {
            Err(Error::UnexpectedTensor { name: name.clone(), reason, found: Vec::new() })
        })
}

/// Networks whose prefixes are this one and more without a dot, such as `"encoder_"`. For each, whether it has a
/// weight_ih and a weight_hh: a network has both.
fn unseparated_networks<'a>(prefix: &str, others: &'a [Tensor<()>]) -> BTreeMap<&'a str, [bool; 2]> {
    let mut networks: BTreeMap<_, [bool; 2]> = BTreeMap::new();
    for tensor in others {
        if let Some(Place::Direct(name)) = Place::of(prefix, &tensor.name)
            && let Some((start, Kind::Param(_, name))) = kinds::split(name)
        {
            let has = networks.entry(start).or_default();
            has[0] |= name.param == Param::WeightIh;
            has[1] |= name.param == Param::WeightHh;
        }
    }
    networks
}

fn unsupported(what: &str) -> String {
    format!(
        "it looks like {what}, which this crate does not compute, so that the results would be wrong without \
         it; if it does not belong to the LSTM, remove it before reading, or read the file with \
         ReadOptions::with_others_ignored"
    )
}

/// What a tensor directly under the prefix extends the LSTM by; `None` for an initial state, and for a tensor of
/// another size.
fn direct(prefix: &str, name: &str, shape: &[usize], config: &LstmConfig) -> Option<&'static str> {
    let Some(extension) = extension(name) else {
        let refused = fits(shape, config) && !is_initial_state(name, shape, config);
        return refused.then_some("a parameter of an extended LSTM");
    };
    // A single number can apply to all gates.
    let one = shape.iter().all(|&axis| axis == 1) && (is_module(prefix) || names_gate(name));
    (extension.any_shape || one || fits(shape, config)).then_some(extension.what)
}

/// What a tensor of a module under the prefix extends the LSTM by, if the module's name says that it does.
///
/// If the prefix is not that of a module, other layers of the model are in the same place. A normalization there
/// belongs to the LSTM only if its name has a gate, a state or a matrix in it (`layernorm_i`, `ln_hh`).
fn nested(prefix: &str, module: &str, shape: &[usize], config: &LstmConfig) -> Option<&'static str> {
    let extension = extension(module)?;
    let fits = fits(shape, config) && (is_module(prefix) || names_gate(module));
    (extension.any_shape || fits).then_some(extension.what)
}

/// Whether a tensor has an axis of the length of a state (H, O) or of the gates (4H; 3H for three peepholes).
fn fits(shape: &[usize], config: &LstmConfig) -> bool {
    let hidden = config.hidden_size();
    shape.iter().any(|axis| [hidden, 3 * hidden, 4 * hidden, config.output_size()].contains(axis))
}

/// A name's words in lower case: `W_ci` has `w` and `ci`.
fn words(name: &str) -> Vec<String> {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

fn names_gate(name: &str) -> bool {
    // Without "f": "ln_f" and "norm_f" are the last normalization of many a model.
    const GATES: [&str; 10] = ["i", "g", "o", "c", "h", "ih", "hh", "hr", "cell", "gates"];
    words(name).iter().any(|word| GATES.contains(&word.as_str()))
}

/// What a name says about an extension of the LSTM.
struct Extension {
    what: &'static str,
    /// Whether the name is enough, whatever the tensor's shape.
    any_shape: bool,
}

fn extension(name: &str) -> Option<Extension> {
    let lower = name.to_lowercase();
    let words = words(name);
    let word = |is: &dyn Fn(&str) -> bool| words.iter().any(|word| is(word));
    let has = |part| lower.contains(part);
    // "ln", "ln1", "lnc".
    let short = |start| word(&|word| word.starts_with(start) && word.len() <= 3);
    let found = |what, any_shape| Some(Extension { what, any_shape });
    if ADAPTERS.iter().any(|start| lower.starts_with(start)) {
        found("a weight of an adapter, such as LoRA", true)
    } else if has("peep") {
        found("a peephole connection", true)
    } else if has("zoneout") {
        found("the rate of zoneout", true)
    } else if has("cell_clip") {
        found("a bound of the cell state", true)
    } else if has("norm") || has("gamma") || has("beta") || short("ln") || short("bn") || short("gn") {
        found("a parameter of a normalization inside of the cell, such as layer normalization", false)
    } else if has("mask") || has("dropconnect") {
        found("a mask of the weights or the states", false)
    } else if word(&|word| word.starts_with("scale")) {
        found("a factor of the weights or the gates", false)
    } else if words.first().is_some_and(|word| word == "p")
        || word(&|word| ["ci", "cf", "co"].contains(&word))
    {
        found("a peephole connection", false)
    } else {
        None
    }
}

/// Whether a tensor is an initial state, by its name: `h0`, `c_0`, `init_hidden`, `state`.
fn is_initial_state(name: &str, shape: &[usize], config: &LstmConfig) -> bool {
    let words = words(name);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let starts = |word: &str, starts: &[&str]| starts.iter().any(|start| word.starts_with(start));
    // Words of a gate's parameter, not of a state.
    let is_parameters = |word: &&str| {
        ["w", "u", "b", "to"].contains(word) || starts(word, &["weight", "bias", "gate", "kernel"])
    };
    if words.iter().any(is_parameters) {
        return false;
    }
    let is_start = |word: &&str| ["h0", "c0", "hx", "cx", "start"].contains(word) || word.starts_with("init");
    let is_state = |word: Option<&&str>| word.is_some_and(|word| starts(word, &["hidden", "cell", "state"]));
    let of_state =
        shape.last().is_some_and(|axis| [config.hidden_size(), config.output_size()].contains(axis));
    words.iter().any(is_start)
        || matches!(words[..], ["h" | "c"] | ["h" | "c", "0", ..])
        || (of_state && (is_state(words.first()) || is_state(words.last())))
}
