//! The reference path against PyTorch's answers, and what it refuses.

#[path = "../common/mod.rs"]
mod common;
mod errors;
mod golden;
mod properties;
mod ragged;
mod support;
mod wrong;
