//! Parameters from and to files and state dicts, and every way in which these can be wrong.

mod beside;
#[path = "../common/mod.rs"]
mod common;
mod element_types;
mod initialisation;
mod instead;
mod many_layers;
mod round_trip;
mod support;
mod tied;
mod wrong_files;
mod wrong_names;
mod wrong_prefix;
mod wrong_shapes;
