//! Reading and writing parameters as files and state dicts, and the errors of wrong ones.

mod any_format;
#[path = "../common/mod.rs"]
mod common;
mod element_types;
mod extensions;
mod index;
mod initialisation;
mod large_files;
mod many_layers;
mod not_an_lstm;
mod other_formats;
mod round_trip;
mod support;
mod tied;
mod wrong_files;
mod wrong_names;
mod wrong_prefix;
mod wrong_shapes;
