//! Decides by a tensor's name to which LSTM it belongs, and as what.

use super::changed::{QUANTIZED, changed_parameter};
use super::names::{Name, Param, Spelling};

/// How a name relates to the LSTM whose prefix it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is the name of one of the LSTM's parameters.
    Param(Spelling, Name),
    /// A library writes this name in place of a parameter's. The reason to refuse it.
    Changed(&'static str),
    /// Quantized parameters have this name, those of other layers too. The reason to refuse an LSTM's.
    Quantized(&'static str),
    /// Beside an LSTM's parameters it is the name of an extension, elsewhere perhaps that of a linear layer. The
    /// reason to refuse it beside parameters.
    Doubtful(&'static str),
}

/// Cuts a full name into the prefix of its LSTM and the rest, and returns the prefix and the kind of the rest;
/// `None` for the name of another tensor. The rest alone has the empty prefix and the same kind.
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
    // A prefix that does not end in a dot: "encoder_weight_ih_l0".
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

/// The kind of a name without its prefix, if it belongs to an LSTM.
fn at_start(text: &str) -> Option<Kind> {
    if text.starts_with("_packed_params") {
        return Some(Kind::Quantized(QUANTIZED));
    }
    if let Some(reason) = changed_parameter(text) {
        return Some(Kind::Changed(reason));
    }
    Param::starting(text)?;
    Some(match Name::parse(text) {
        Ok((spelling, name)) => Kind::Param(spelling, name),
        Err(reason) => Kind::Changed(reason),
    })
}

#[cfg(test)]
mod tests {
    use super::{Kind, split};
    use crate::weights::names::Spelling;

    #[test]
    fn a_name_is_split_where_its_lstm_begins() {
        for (name, prefix) in [
            ("weight_ih_l0", Some("")),
            ("a.b.bias_hh_l12_reverse", Some("a.b.")),
            ("no_dotweight_ih_l0", Some("no_dot")),
            ("my.no_dotbias_ih", Some("my.no_dot")),
            ("my.weight_hr_l0", Some("my.")),
            ("weight_ih_weight_ih_l0", Some("")), // the name starts like a parameter's
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
