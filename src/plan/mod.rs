//! The host-side scheduler: from sizes, lengths and limits to buffers and an ordered list of
//! dispatches, walking layers, directions and blocks of time. Pure: no device is needed to test it.
//!
//! One call is
//!
//! - for each layer and block of time steps one `input_projection`, both directions in one dispatch;
//! - then for each time step one `recurrent_step`, both directions in one dispatch, and where there
//!   is a projection one `hidden_projection`.
//!
//! That is L·(N + T·(1 + p)) dispatches for N blocks, p = 1 with a projection and else 0; N = 1 unless
//! the call has more than 16,384 steps or is larger than the device's limits or the memory budget. Where
//! a bidirectional call has several blocks its directions walk them in opposite orders, and no longer
//! share dispatches: it is then 2·L·(N + T·(1 + p)). An `input_projection` that would take a slow device
//! a second or more is several dispatches, and a batch of which one time step would not fit a block goes
//! through in parts, each a program of its own.

mod blocks;
mod buffers;
mod call;
mod cost;
mod edges;
mod limits;
mod network;
mod passes;
mod schedule;
mod scheduler;
#[cfg(test)]
mod tests;

pub(crate) use blocks::{most_blocks, most_sequences};
pub(crate) use cost::costs;
pub(crate) use network::Network;
pub(crate) use schedule::{Admitted, admit, admit_or_step};
pub(crate) use scheduler::{Scheduler, schedule};
