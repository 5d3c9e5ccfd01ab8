//! The four roles of the program.

mod client;
mod executor;
mod local;
mod scheduler;

use std::net::{IpAddr, TcpListener};
use std::sync::Arc;

use anyhow::{Context, Result};

pub use self::client::Client;
pub use self::executor::Executor;
pub use self::local::Local;
pub use self::scheduler::Scheduler;
use crate::models::Models;
use crate::pause::Pause;
use crate::session::Setting;
use crate::spec::{DeviceChoice, ModelSpec};

/// The networks of a process, and what computes them.
#[derive(Clone, Debug, clap::Args)]
pub struct ModelArgs {
    /// A network, NAME=FILE or NAME=FILE#PREFIX. May be given several times.
    #[arg(long = "model", value_name = "NAME=FILE[#PREFIX]")]
    pub models: Vec<ModelSpec>,
    /// What computes the networks.
    #[arg(long, value_enum, default_value_t)]
    pub device: DeviceChoice,
    /// MiB that the padded input and output of one call of a network take.
    #[arg(long, default_value_t = 64)]
    pub chunk_mib: usize,
    /// Registers no functions: for tests of what happens then.
    #[arg(long, hide = true)]
    pub without_functions: bool,
}

impl ModelArgs {
    fn load(&self, device: DeviceChoice, pause: Option<Pause>) -> Result<Models> {
        let models = Models::load(&self.models, device)?;
        Ok(models.with_chunk_bytes(self.chunk_mib << 20).with_pause(pause))
    }

    /// What is registered.
    fn registered<'a>(&self, models: &'a Arc<Models>) -> Option<&'a Arc<Models>> {
        (!self.without_functions).then_some(models)
    }
}

/// Settings of DataFusion and Ballista.
#[derive(Clone, Debug, clap::Args)]
pub struct SettingArgs {
    /// A setting, such as datafusion.execution.target_partitions=8. May be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    pub settings: Vec<Setting>,
}

fn setting(text: &str) -> Result<Setting> {
    let (key, value) = text.split_once('=').context("a setting is written KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// The port itself, or a free one for 0.
fn free_port(host: IpAddr, port: u16) -> Result<u16> {
    if port != 0 {
        return Ok(port);
    }
    Ok(TcpListener::bind((host, 0)).with_context(|| format!("a free port of {host}"))?.local_addr()?.port())
}

/// Returns when the process is asked to stop.
async fn stop_signal() -> Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        result = tokio::signal::ctrl_c() => Ok(result?),
    }
}
