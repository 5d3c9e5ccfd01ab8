//! LSTM networks as functions of a query engine: `lstm_last` and `lstm_all` over Arrow columns, in one process with
//! DataFusion or on a cluster with Ballista.
//!
//! ```text
//! spec       what a user writes: names of networks, and the device
//! models     files → named networks on one device, and the identity that a call carries
//! sequences  a column of lists → slices of f32
//! chunks     slices → batches for the device
//! compute    batches → columns
//! function   the two functions, as DataFusion sees them
//! session    where the functions are registered: client, scheduler, executor
//! roles      the four roles of the program
//! query      runs a query, checks its rows, writes Parquet
//! compare    two results, bit by bit
//! data       sequences to try it with
//! ```

mod chunks;
pub mod compare;
mod compute;
pub mod data;
mod function;
mod identity;
mod models;
mod pause;
pub mod plain;
pub mod query;
pub mod roles;
mod sequences;
pub mod session;
mod spec;

pub use self::function::LstmFunction;
pub use self::identity::Identity;
pub use self::models::{Model, Models};
pub use self::pause::Pause;
pub use self::spec::{DeviceChoice, ModelSpec};
