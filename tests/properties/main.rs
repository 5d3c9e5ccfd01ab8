//! Random networks and shapes, on each device. proptest shrinks what fails.

#[path = "../common/mod.rs"]
mod common;

mod agreement;
mod batch_first;
mod bits;
mod case;
