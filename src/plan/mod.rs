//! The planner: from sizes, lengths and limits to a program. Pure: it needs no device, and no test of it does.
//!
//! A [`Planner`] is made once for a network: pipelines, places of the weights, and the schedules. For a call, [`schedule()`] cuts time into blocks,
//! lists the buffers, and walks blocks, layers and directions; a schedule says what is dispatched for each. With the
//! schedule `step` a call is
//!
//! - for each layer and block of time steps one `input_projection`, both directions in one dispatch;
//! - then for each time step one `recurrent_step`, both directions in one dispatch, and where there
//!   is a projection one `hidden_projection`.
//!
//! That is L·(N + T·(1 + p)) dispatches for N blocks, p = 1 with a projection and else 0; N = 1 unless
//! the call has more than 16,384 steps or is larger than the device's limits or the memory budget. Where
//! a bidirectional call has several blocks its directions walk them in opposite orders, and no longer
//! share dispatches: it is then 2·L·(N + T·(1 + p)). An `input_projection` that would take a slow device
//! a second or more is several dispatches. A batch of which one time step does not fit a block goes
//! through in parts, each with a program of its own.

mod blocks;
mod buffers;
mod call;
mod cost;
mod dispatcher;
mod edges;
mod limits;
mod network;
mod request;
mod schedule;
mod scheduler;
#[cfg(test)]
mod tests;

pub(crate) use blocks::{check_places, list_bytes, most_sequences};
pub(crate) use cost::costs;
pub(crate) use network::Network;
pub(crate) use request::{Keeper, Request};
pub(crate) use schedule::{Admitted, Planner};
pub(crate) use scheduler::{Scheduler, schedule};
