//! wgpu-lstm

mod check;
mod config;
mod error;
pub mod reference;
mod state;
mod weights;

pub use config::LstmConfig;
pub use error::{Error, StatePart};
pub use state::LstmState;
pub use weights::LstmWeights;

pub use {ndarray, wgpu};
