//! File formats beside safetensors, each a feature of the crate. The files in `tests/data/formats/` are written by the
//! scripts beside them, with the original frameworks.

#[cfg(feature = "keras")]
mod keras;
#[cfg(feature = "npz")]
mod npz;
#[cfg(feature = "onnx")]
mod onnx;
#[cfg(feature = "pytorch")]
mod pytorch;
#[cfg(feature = "pytorch")]
mod pytorch_hostile;
mod seeds;
#[cfg(any(feature = "npz", feature = "pytorch"))]
mod support;
