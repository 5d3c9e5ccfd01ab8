//! File formats beside safetensors, each a feature of the crate. The files in `tests/data/formats/` are written by the
//! scripts beside them, with the original frameworks.

#[cfg(feature = "onnx")]
mod onnx;
