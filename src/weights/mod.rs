//! The parameters of a network, in PyTorch's layout and under PyTorch's names.

mod beside;
mod diagnose;
mod files;
mod find;
mod format;
mod init;
mod memory;
mod names;
mod pack;
mod parameters;
mod precision;
mod round;
mod state_dict;
mod tensor;
mod tensors;

pub(crate) use parameters::LayerWeights;
pub use parameters::LstmWeights;
pub use precision::Precision;
