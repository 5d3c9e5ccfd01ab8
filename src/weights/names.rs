//! PyTorch's names for the parameters of an LSTM, and the shape each must have.

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
    pub(super) const ALL: [Self; 5] =
        [Self::WeightIh, Self::WeightHh, Self::BiasIh, Self::BiasHh, Self::WeightHr];

    /// The start of the parameter's name; in an `LSTMCell` the whole name.
    pub(super) fn stem(self) -> &'static str {
        match self {
            Self::WeightIh => "weight_ih",
            Self::WeightHh => "weight_hh",
            Self::BiasIh => "bias_ih",
            Self::BiasHh => "bias_hh",
            Self::WeightHr => "weight_hr",
        }
    }

    /// The parameter whose stem the text starts with, and the rest.
    pub(super) fn starting(text: &str) -> Option<(Self, &str)> {
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

/// Which parameter of which layer and direction. Ordered as in a state dict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) layer: usize,
    pub(super) direction: usize,
    pub(super) param: Param,
}

impl Name {
    /// Parses a name without its prefix. The error says why it is no parameter's name.
    pub(super) fn parse(text: &str) -> Result<(Spelling, Self), &'static str> {
        let Some((param, suffix)) = Param::starting(text) else {
            return Err("no parameter of an LSTM has such a name");
        };
        let name = |layer, direction| Self { layer, direction, param };
        if suffix.is_empty() {
            return if param == Param::WeightHr {
                Err("an LSTMCell has no projection, and in an LSTM the name ends in the layer, as in _l0")
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
    /// The config must have been checked: this function does not check for overflow.
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
