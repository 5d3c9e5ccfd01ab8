//! What several test programs share. Each uses a part of it.
#![allow(dead_code)]

pub mod activation;
pub mod compare;
pub mod device;
pub mod golden;
pub mod noop;
pub mod process;
pub mod small_values;
