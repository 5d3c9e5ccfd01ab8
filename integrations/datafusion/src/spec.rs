//! What a user writes: names of networks, and the device.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context;
use wgpu_lstm::{Device, Error};

/// A name for a network of a file: `NAME=FILE`, or `NAME=FILE#PREFIX` where the file has several networks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelSpec {
    /// The name in queries.
    pub name: String,
    /// The file: safetensors, and what other formats wgpu-lstm is built with.
    pub path: PathBuf,
    /// The prefix of the network's tensors; empty if there is one network.
    pub prefix: String,
}

impl FromStr for ModelSpec {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, file) =
            text.split_once('=').context("a model is written NAME=FILE or NAME=FILE#PREFIX")?;
        let (path, prefix) = file.rsplit_once('#').unwrap_or((file, ""));
        anyhow::ensure!(
            !name.is_empty() && !path.is_empty(),
            "{text:?} has no name or no file: NAME=FILE#PREFIX"
        );
        Ok(Self { name: name.to_owned(), path: path.into(), prefix: prefix.to_owned() })
    }
}

/// What computes the networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum DeviceChoice {
    /// The CPU device.
    #[default]
    Cpu,
    /// A GPU, chosen by the usual `WGPU_*` variables.
    Gpu,
}

impl DeviceChoice {
    /// Opens the device.
    pub(crate) fn open(self) -> Result<Device, Error> {
        match self {
            Self::Cpu => Ok(Device::cpu()),
            Self::Gpu => Device::gpu(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_written_with_and_without_a_prefix() {
        let spec = |text: &str| text.parse::<ModelSpec>().unwrap();
        assert_eq!((spec("a=b.onnx").path, spec("a=b.onnx").prefix), ("b.onnx".into(), String::new()));
        assert_eq!((spec("a=b#c#d.").path, spec("a=b#c#d.").prefix), ("b#c".into(), "d.".into()));
        for text in ["a", "=b", "a=", "a=#c"] {
            assert!(text.parse::<ModelSpec>().is_err(), "{text}");
        }
    }
}
