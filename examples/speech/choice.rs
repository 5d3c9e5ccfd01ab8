//! The device that an option names.

use anyhow::{Context, Result};
use clap::ValueEnum;
use wgpu_lstm::Device;

#[derive(Clone, Copy, ValueEnum)]
pub enum Choice {
    Best,
    Gpu,
    Cpu,
}

impl Choice {
    pub fn device(self) -> Result<Device> {
        match self {
            Self::Best => Ok(Device::best()),
            Self::Cpu => Ok(Device::cpu()),
            Self::Gpu => Device::gpu().context("there is no GPU to run on; --device cpu needs none"),
        }
    }
}
