//! wgpu-lstm

mod config;
mod error;
mod state;

pub use config::LstmConfig;
pub use error::{Error, StatePart};
pub use state::LstmState;

pub use {ndarray, wgpu};
