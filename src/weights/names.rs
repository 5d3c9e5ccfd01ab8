//! PyTorch's names for the parameters of an LSTM, and the shape each must have.

use super::diagnose;
use crate::config::LstmConfig;

/// One of the five parameters that a layer and direction can have, in state-dict order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Param {
    WeightIh,
    WeightHh,
    BiasIh,
    BiasHh,
    WeightHr,
}

impl Param {
    const ALL: [Self; 5] = [Self::WeightIh, Self::WeightHh, Self::BiasIh, Self::BiasHh, Self::WeightHr];

    /// What the name starts with; the whole name in an `LSTMCell`.
    fn stem(self) -> &'static str {
        match self {
            Self::WeightIh => "weight_ih",
            Self::WeightHh => "weight_hh",
            Self::BiasIh => "bias_ih",
            Self::BiasHh => "bias_hh",
            Self::WeightHr => "weight_hr",
        }
    }

    /// The parameter whose stem the text starts with, and the rest.
    fn starting(text: &str) -> Option<(Self, &str)> {
        Self::ALL.into_iter().find_map(|param| Some((param, text.strip_prefix(param.stem())?)))
    }

    pub(super) fn is_bias(self) -> bool {
        matches!(self, Self::BiasIh | Self::BiasHh)
    }
}

/// How a state dict spells its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// `torch.nn.LSTM`: `weight_ih_l0`, `weight_ih_l0_reverse`.
    Layers,
    /// `torch.nn.LSTMCell`: `weight_ih`. One layer, one direction, no projection.
    Cell,
}

/// How a name relates to the LSTM whose prefix it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One of its parameters.
    Param(Spelling, Name),
    /// Something in place of a parameter, and why it is refused.
    Changed(&'static str),
    /// Packed parameters of it, if it is an LSTM: other quantized layers have such names, too.
    Packed(&'static str),
    /// A parameter of an extended LSTM, if there is an LSTM, and why it is refused then. A linear layer has
    /// such names, too.
    Doubtful(&'static str),
}

/// The prefix of the LSTM that a full name belongs to, and how it relates to this LSTM; `None` for all other names.
///
/// Without its prefix the same name has the empty prefix.
pub(super) fn split(name: &str) -> Option<(&str, Kind)> {
    let starts = std::iter::once(0).chain(name.match_indices('.').map(|(dot, _)| dot + 1));
    let mut last = 0;
    for start in starts {
        if let Some(kind) = at_start(&name[start..]) {
            return Some((&name[..start], kind));
        }
        last = start;
    }
    let segment = &name[last..];
    // A prefix that ends in no dot: "encoder_weight_ih_l0".
    let start = Param::ALL.iter().filter_map(|param| segment.rfind(param.stem())).max();
    if let Some(start) = start
        && segment[..start].contains(char::is_alphanumeric)
        && let Ok((spelling, param)) = Name::parse(&segment[start..])
    {
        return Some((&name[..last + start], Kind::Param(spelling, param)));
    }
    let plain = segment.trim_start_matches(|c: char| !c.is_alphanumeric()).to_ascii_lowercase();
    let doubtful = ["weight", "bias", "peephole"].iter().any(|word| plain.starts_with(word));
    doubtful.then_some((&name[..last], Kind::Doubtful("no parameter of an LSTM has such a name")))
}

/// The kind of a name without its prefix, if it is an LSTM's.
fn at_start(text: &str) -> Option<Kind> {
    if text.starts_with("_packed_params") {
        return Some(Kind::Packed(diagnose::QUANTIZED));
    }
    if let Some(reason) = diagnose::changed_parameter(text) {
        return Some(Kind::Changed(reason));
    }
    Param::starting(text)?;
    Some(match Name::parse(text) {
        Ok((spelling, name)) => Kind::Param(spelling, name),
        Err(reason) => Kind::Changed(reason),
    })
}

/// Which parameter of which layer and direction. Ordered as in a state dict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) layer: usize,
    pub(super) direction: usize,
    pub(super) param: Param,
}

impl Name {
    /// Parses a name without its prefix; the error says why no LSTM has it.
    pub(super) fn parse(text: &str) -> Result<(Spelling, Self), &'static str> {
        let Some((param, suffix)) = Param::starting(text) else {
            return Err("no parameter of an LSTM has such a name");
        };
        let name = |layer, direction| Self { layer, direction, param };
        if suffix.is_empty() {
            return if param == Param::WeightHr {
                Err("an LSTMCell has no projection, and an LSTM's carries its layer, as in _l0")
            } else {
                Ok((Spelling::Cell, name(0, 0)))
            };
        }
        let Some(suffix) = suffix.strip_prefix("_l") else {
            return Err("a parameter's name ends in its layer, as in _l0 or _l0_reverse");
        };
        let (digits, direction) = match suffix.strip_suffix("_reverse") {
            Some(digits) => (digits, 1),
            None => (suffix, 0),
        };
        let plain =
            digits.bytes().all(|digit| digit.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
        match digits.parse() {
            Ok(layer) if plain => Ok((Spelling::Layers, name(layer, direction))),
            _ => Err("the layer must be a decimal number, as in _l0 or _l0_reverse"),
        }
    }

    /// The name as PyTorch writes it, without a prefix.
    pub(super) fn spell(self, spelling: Spelling) -> String {
        let stem = self.param.stem();
        let reverse = if self.direction == 1 { "_reverse" } else { "" };
        match spelling {
            Spelling::Cell => stem.to_owned(),
            Spelling::Layers => format!("{stem}_l{}{reverse}", self.layer),
        }
    }

    /// The shape that this parameter has in a network of these sizes.
    ///
    /// The sizes must have been checked: nothing here looks for overflow.
    pub(super) fn shape(self, config: &LstmConfig) -> Vec<usize> {
        let gates = 4 * config.hidden_size();
        match self.param {
            Param::WeightIh => vec![gates, config.layer_input_size(self.layer)],
            Param::WeightHh => vec![gates, config.output_size()],
            Param::BiasIh | Param::BiasHh => vec![gates],
            Param::WeightHr => vec![config.proj_size(), config.hidden_size()],
        }
    }

    /// Every name of a network of these sizes, in state-dict order.
    pub(super) fn all(config: &LstmConfig) -> impl Iterator<Item = Self> {
        let (layers, directions) = (config.num_layers(), config.num_directions());
        let (bias, projection) = (config.bias(), config.proj_size() > 0);
        (0..layers)
            .flat_map(move |layer| (0..directions).map(move |direction| (layer, direction)))
            .flat_map(move |(layer, direction)| Self::of_layer(layer, direction, bias, projection))
    }

    /// The names of one layer and direction, in state-dict order.
    pub(super) fn of_layer(
        layer: usize,
        direction: usize,
        bias: bool,
        projection: bool,
    ) -> impl Iterator<Item = Self> {
        Param::ALL
            .into_iter()
            .filter(move |&param| bias || !param.is_bias())
            .filter(move |&param| projection || param != Param::WeightHr)
            .map(move |param| Self { layer, direction, param })
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Spelling, split};

    #[test]
    fn a_name_is_split_where_its_lstm_begins() {
        for (name, prefix) in [
            ("weight_ih_l0", Some("")),
            ("a.b.bias_hh_l12_reverse", Some("a.b.")),
            ("no_dotweight_ih_l0", Some("no_dot")),
            ("my.no_dotbias_ih", Some("my.no_dot")),
            ("my.weight_hr_l0", Some("my.")),
            ("weight_ih_weight_ih_l0", Some("")), // a strange suffix of weight_ih
            ("a.weight_hh_l0_raw", Some("a.")),
            ("a.parametrizations.weight_hh_l0.original0", Some("a.")),
            ("a._all_weight_values.0.param", Some("a.")),
            ("a._packed_params._packed_params", Some("a.")),
            ("a._packed_weight_ih", Some("a.")),
            ("a.weight_ih_l0.qweight", Some("a.")),
            ("fc.weight", Some("fc.")),
            ("bias", Some("")),
            (" WEIGHT_IH_L0", Some("")),
            ("h0", None),
            ("", None),
            ("lstm.", None),
            ("conv.parametrizations.weight.original0", None),
            ("conv.running_mean", None),
        ] {
            assert_eq!(split(name).map(|(prefix, _)| prefix), prefix, "{name}");
            if let Some(prefix) = prefix {
                let (rest, kind) = split(&name[prefix.len()..]).unwrap();
                assert_eq!((rest, kind), ("", split(name).unwrap().1), "{name}");
            }
        }
        assert!(matches!(split("lstm.weight_hh"), Some(("lstm.", Kind::Param(Spelling::Cell, _)))));
    }
}
