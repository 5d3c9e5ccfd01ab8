//! File formats. Each is one module with a function
//!
//! ```text
//! read(bytes, prefix) -> Result<NamedTensors, Error>
//! ```
//!
//! that returns every [tensor](super::tensor::NamedTensors) in the file under its full name. The prefix is that of
//! the LSTM to be read: a name under it that the file has twice is refused.
//!
//! A reader checks that a tensor has as many elements as its shape says. All that follows is the same for every
//! format: names, shapes, element types, extensions, the errors about them, and the conversion to f32.

mod recognize;
pub(super) mod safetensors;
