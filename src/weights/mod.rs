//! The parameters of a network, in PyTorch's layout and under PyTorch's names.
//!
//! A file here uses only files on lines below its own:
//!
//! ```text
//! files, state_dict                  from and to the bytes of a file, and arrays in memory
//! networks                           the networks of a file: state dicts, layers, stacks of layers
//! arrangement                        layers of other frameworks → PyTorch's parameters
//! format/                            file formats: bytes → tensors and layers (uses tensor and precision only)
//! find                               the LSTM under a prefix, or the prefixes that have one
//! candidate                          the tensors under one prefix → sizes → network
//! sorted, extensions, other_network  parameters and what is beside them; shapes of other networks
//! kinds                              how a tensor belongs to an LSTM, by its name
//! changed                            parameters that a library changed
//! prefix                             a prefix as the path of a module
//! init, round, on_device             random and constant values; another precision; the layout of the kernels
//! parameters                         the type LstmWeights
//! memory, names, tensor              bytes that a network needs; PyTorch's names; a named tensor
//! precision
//! ```

mod arrangement;
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
mod networks;
mod on_device;
mod other_network;
mod parameters;
mod precision;
mod prefix;
mod round;
mod sorted;
mod state_dict;
mod tensor;

pub use files::{ReadOptions, find_lstms, find_lstms_in_file};
pub(crate) use parameters::LayerWeights;
pub use parameters::LstmWeights;
pub use precision::Precision;
