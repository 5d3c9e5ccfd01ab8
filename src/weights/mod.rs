//! The parameters of a network, in PyTorch's layout and under PyTorch's names.

mod candidate;
mod changed;
mod extensions;
mod files;
mod find;
mod format;
mod init;
mod kinds;
mod memory;
mod names;
mod other_network;
mod pack;
mod parameters;
mod precision;
mod prefix;
mod round;
mod sorted;
mod state_dict;
mod tensor;

pub(crate) use parameters::LayerWeights;
pub use parameters::LstmWeights;
pub use precision::Precision;
