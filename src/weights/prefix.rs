//! A prefix as the path of a module.

/// The prefix of the module whose member `wrapped` has this prefix.
pub(super) fn wrapper_of<'a>(prefix: &'a str, wrapped: &str) -> Option<&'a str> {
    prefix.strip_suffix(wrapped).filter(|wrapper| is_module(wrapper) || wrapper.is_empty())
}

/// Whether the prefix is the path of one module, so that all tensors under it belong to that module. Under the
/// empty prefix, and one such as `"encoder_"`, there can be several modules.
pub(super) fn is_module(prefix: &str) -> bool {
    prefix.ends_with('.')
}
