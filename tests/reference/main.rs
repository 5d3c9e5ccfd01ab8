//! The reference against PyTorch's results, and its errors.

#[path = "../common/mod.rs"]
mod common;
mod errors;
mod golden;
mod properties;
mod ragged;
mod support;
mod wrong;
