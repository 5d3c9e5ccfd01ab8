//! The four roles of the program.

mod client;
mod executor;
mod local;
mod scheduler;

use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::net::TcpStream;

pub use self::client::Client;
pub use self::executor::Executor;
pub use self::local::Local;
pub use self::scheduler::Scheduler;
use crate::models::Models;
use crate::pause::Pause;
use crate::session::Setting;
use crate::spec::{DeviceChoice, ModelSpec};

/// The networks of a process.
#[derive(Clone, Debug, clap::Args)]
pub struct ModelArgs {
    /// A network, NAME=FILE or NAME=FILE#PREFIX. May be given several times.
    #[arg(long = "model", value_name = "NAME=FILE[#PREFIX]")]
    pub models: Vec<ModelSpec>,
    /// Registers no functions: for tests of what happens then.
    #[arg(long, hide = true)]
    pub without_functions: bool,
}

/// What computes the networks.
#[derive(Clone, Debug, clap::Args)]
pub struct ComputeArgs {
    /// What computes the networks. A client names what the executors have.
    #[arg(long, value_enum, default_value_t)]
    pub device: DeviceChoice,
    /// MiB that the padded input and output of one call of a network take at most, unless one sequence takes more.
    #[arg(long, default_value_t = 64)]
    pub chunk_mib: usize,
}

/// The scheduler of an executor or a client.
#[derive(Clone, Debug, clap::Args)]
pub struct SchedulerArgs {
    /// The scheduler's address.
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub scheduler_host: String,
    /// The scheduler's port.
    #[arg(long, value_name = "PORT", default_value_t = 50050)]
    pub scheduler_port: u16,
    /// Seconds to wait for a scheduler that does not listen yet.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=31_536_000))]
    pub scheduler_wait: u64,
}

impl SchedulerArgs {
    /// Returns when the scheduler listens. Ballista's own wait has no end, and its error no reason.
    async fn wait(&self) -> Result<()> {
        let Self { scheduler_host: host, scheduler_port: port, scheduler_wait: wait } = self;
        let end = Instant::now() + Duration::from_secs(*wait);
        let mut is_first = true;
        loop {
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(500));
            let connected = tokio::time::timeout(left, TcpStream::connect((host.as_str(), *port))).await;
            let error = match connected {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => anyhow::Error::from(error),
                Err(error) => error.into(),
            };
            if Instant::now() >= end {
                return Err(error.context(format!("no scheduler listens at {host}:{port}")));
            }
            if std::mem::take(&mut is_first) {
                log::warn!("no scheduler listens at {host}:{port} yet ({error}): waiting up to {wait} s");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl ModelArgs {
    fn load(&self, compute: &ComputeArgs, pause: Option<Pause>) -> Result<Models> {
        let models = Models::load(&self.models, compute.device)?;
        Ok(models.with_chunk_bytes(compute.chunk_mib << 20).with_pause(pause))
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
