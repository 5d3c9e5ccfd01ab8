//! LSTM networks on the GPU and the CPU.
//!
//! `wgpu-lstm` computes `torch.nn.LSTM`'s forward pass with WGSL compute shaders, through [`wgpu`]: on
//! Vulkan, Metal, DirectX 12 and WebGPU. Where there is no GPU the same call runs on the CPU.
//!
//! ```
//! use wgpu_lstm::ndarray::Array3;
//! use wgpu_lstm::{Device, Lstm, LstmConfig, LstmState, LstmWeights};
//!
//! // Every parameter 0.5, one step of ones from a state of ones.
//! let config = LstmConfig::new(10, 20);
//! let lstm = Lstm::new(&Device::best(), &LstmWeights::constant(&config, 0.5)?)?;
//! let ones = LstmState { h: Array3::ones((1, 1, 20)), c: Array3::ones((1, 1, 20)) };
//! let (_, state) = lstm.forward(Array3::ones((1, 1, 10)).view(), Some(&ones))?;
//! approx::assert_abs_diff_eq!(state.h[[0, 0, 0]], 0.9640275, epsilon = 1e-6);
//! # Ok::<(), wgpu_lstm::Error>(())
//! ```
//!
//! A network that was trained elsewhere is read by [`LstmWeights::from_file`] or
//! [`LstmWeights::from_state_dict`], put on a [`Device`] by [`Lstm::new`] and run by
//! [`Lstm::forward`], [`Lstm::forward_padded`] (ragged batches) or [`Lstm::forward_async`].
//!
//! Shapes are written with the same letters everywhere: T time steps, B batch, I input size, H hidden
//! size, P projection size, O = P or H (what leaves a layer), L layers, D directions (1 or 2).
//!
//! # Features
//!
//! None is on by default.
//!
//! - `formats`: [`LstmWeights::from_file`] reads all the formats that follow, beside safetensors, which needs no feature:
//!   - `pytorch`: PyTorch checkpoints;
//!   - `onnx`: ONNX models;
//!   - `keras`: Keras models and weights (HDF5, `.keras`);
//!   - `npz`: NumPy archives.
//!
//! - `gles`: [`Device::gpu`] and [`Device::best`] also find GPUs through OpenGL ES 3.1, on Linux, Android and Windows:
//!   for machines whose GPU has no Vulkan or DirectX 12 driver. An adapter of these comes first, if it is a GPU too.
//!   `WGPU_BACKEND=gl` asks for OpenGL alone. One thread at a time uses an OpenGL device, and a caller that shares its
//!   device by [`Device::from_wgpu`] must not wait for other calls in a callback. An OpenGL driver that binds
//!   fewer than 7 storage buffers in a shader is refused with [`Error::LimitExceeded`]. In a browser the feature has
//!   no effect: WebGL has no compute shaders.
//! - `skip-gpu-tests`: for this crate's own tests.

// For the library alone: tests, benches and examples print, and tests unwrap. All other lints are in Cargo.toml.
#![cfg_attr(not(test), warn(clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used))]

#[cfg(test)]
extern crate self as wgpu_lstm; // tests/common names the crate as its users do

mod batch;
mod call;
mod chunks;
#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod common;
mod config;
mod cpu;
mod device;
mod engine;
mod error;
mod gpu;
pub mod guide;
mod host_memory;
pub mod inspect;
mod kernels;
mod layout;
mod lock;
mod lstm;
mod pass;
mod plan;
mod platform;
mod program;
pub mod reference;
mod state;
mod stream;
mod subnormal;
mod sum;
mod tuning;
mod weights;

pub use chunks::StreamId;
pub use config::LstmConfig;
pub use device::Device;
pub use engine::Memory;
pub use error::{Error, FoundLstm, StatePart};
pub use lstm::Lstm;
pub use pass::{LstmPass, Rows};
pub use state::LstmState;
pub use stream::{LstmStream, LstmStreamPool};
pub use tuning::{Cost, DEFAULT_CALLS_IN_FLIGHT, DEFAULT_MEMORY_BUDGET, Schedule, Tuning};
pub use weights::{LstmWeights, Precision, ReadOptions, find_lstms, find_lstms_in_file};

pub use {ndarray, wgpu};

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
