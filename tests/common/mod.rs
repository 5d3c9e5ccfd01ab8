//! What several test programs share.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod activation;
pub mod compare;
pub mod device;
pub mod golden;
pub mod noop;
pub mod process;
pub mod small_values;
