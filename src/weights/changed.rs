//! Parameters that a library changed or replaced, recognized by their names, and what to do about each.

use super::names::Name;
use super::prefix::wrapper_of;

pub(super) const QUANTIZED: &str = "a quantized LSTM keeps its parameters packed; save the network before it is \
    quantized";

/// The reason to refuse a name without its prefix that a library writes in place of a parameter's.
pub(super) fn changed_parameter(text: &str) -> Option<&'static str> {
    const WEIGHT_NORM: &str = "weight norm splits a weight into _g and _v; call \
        torch.nn.utils.remove_weight_norm(lstm, name) for each weight before saving";
    const PRUNING: &str = "pruning or spectral norm keeps the weight before the change as _orig; call \
        torch.nn.utils.prune.remove or remove_spectral_norm for each weight before saving";
    const WEIGHT_DROP: &str = "weight drop keeps the weight before dropout as _raw; save it under the name \
        without _raw";
    const PARAMETRIZATION: &str = "a parametrization, such as weight norm or spectral norm, computes the \
        weight; call torch.nn.utils.parametrize.remove_parametrizations(lstm, name) for each weight before \
        saving";
    const MODULE: &str = "the parameter is replaced by a module's tensors, as quantization and adapters do; \
        save the plain weights";
    let parameter = |text| Name::parse(text).is_ok();
    if text.starts_with("_all_weight_values") || text.starts_with("_packed_weight_") {
        return Some(QUANTIZED);
    }
    if let Some(text) = text.strip_prefix("parametrizations.") {
        return text.split('.').next().is_some_and(parameter).then_some(PARAMETRIZATION);
    }
    if let Some((name, _)) = text.split_once('.') {
        return parameter(name).then_some(MODULE);
    }
    let suffixes = [
        ("_g", WEIGHT_NORM),
        ("_v", WEIGHT_NORM),
        ("_orig", PRUNING),
        ("_mask", PRUNING),
        ("_u", PRUNING),
        ("_raw", WEIGHT_DROP),
    ];
    suffixes
        .into_iter()
        .find(|(suffix, _)| text.strip_suffix(suffix).is_some_and(parameter))
        .map(|(_, reason)| reason)
}

/// The reason to refuse a tensor that shows that the LSTM of this prefix has weight drop. fastai wraps the LSTM as
/// `module`, in which it leaves the weight of the last training step, and keeps the true weight beside it.
pub(super) fn dropped_outside(prefix: &str, name: &str) -> Option<&'static str> {
    let wrapper = wrapper_of(prefix, "module.")?;
    let parameter = name.strip_prefix(wrapper)?.strip_suffix("_raw")?;
    Name::parse(parameter).ok().map(|_| {
        "weight drop keeps the weight before dropout under this name, and the LSTM's own weight may have \
         elements set to zero; save this one under the LSTM's prefix, without _raw"
    })
}
