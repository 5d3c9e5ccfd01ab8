//! File formats. Each is a module with a function `read` from the bytes of a file to [named
//! tensors](super::tensor::NamedTensors); nothing outside of this folder depends on a format.

mod recognize;
pub(super) mod safetensors;
