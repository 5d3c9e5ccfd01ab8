//! What a prefix says about the modules of a model.

/// The prefix of the module that has the one of this prefix as its member `wrapped`.
pub(super) fn wrapper_of<'a>(prefix: &'a str, wrapped: &str) -> Option<&'a str> {
    prefix.strip_suffix(wrapped).filter(|wrapper| is_module(wrapper) || wrapper.is_empty())
}

/// Whether a prefix is a module's path, so that what is under it belongs to that module. Under the empty prefix,
/// and one such as `"encoder_"`, there can be a whole model.
pub(super) fn is_module(prefix: &str) -> bool {
    prefix.ends_with('.')
}
