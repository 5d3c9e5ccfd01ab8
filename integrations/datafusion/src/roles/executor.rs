//! Computes the tasks that a scheduler sends.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_executor::health::ExecutorHealth;
use tempfile::TempDir;

use super::{ComputeArgs, ModelArgs, SchedulerArgs, free_port};
use crate::pause::Pause;
use crate::session;

/// Runs an executor until the process is asked to stop. It prints a line when the scheduler knows it.
///
/// It uses the cores that the process may run on. Several executors on a machine want cores of their own (taskset, or a
/// container's limit).
#[derive(Clone, Debug, clap::Args)]
pub struct Executor {
    #[command(flatten)]
    models: ModelArgs,
    #[command(flatten)]
    compute: ComputeArgs,
    #[command(flatten)]
    scheduler: SchedulerArgs,
    /// The address to listen at, and to give to clients and other executors.
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// The port at which results are read, 0 for a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The port at which tasks arrive, 0 for a free one.
    #[arg(long, default_value_t = 0)]
    task_port: u16,
    /// The folder for the results of stages; a temporary one unless set.
    #[arg(long)]
    work_dir: Option<PathBuf>,
    /// Partitions that are computed at once, 0 for as many as the process may use cores.
    #[arg(long, default_value_t = 0)]
    vcores: usize,
    /// Seconds between heartbeats.
    #[arg(long, default_value_t = 1)]
    heartbeat: u64,
    /// Stops in the middle of the work: for tests.
    #[arg(long, hide = true, value_name = "ROWS:FOLDER")]
    pause: Option<Pause>,
}

impl Executor {
    /// Computes until a signal.
    ///
    /// # Errors
    ///
    /// For models that can't be loaded, a device that can't be opened, and a scheduler that is not there.
    pub async fn run(&self) -> Result<()> {
        let models = Arc::new(self.models.load(&self.compute, self.pause.clone())?);
        // Kept until the end: a folder that Ballista makes itself is deleted at once.
        let own = self.work_dir.is_none().then(tempfile::tempdir).transpose()?;
        let work_dir = self.work_dir.as_deref().or(own.as_ref().map(TempDir::path));
        let work_dir = work_dir.context("the executor has no work folder")?;
        std::fs::create_dir_all(work_dir).with_context(|| format!("the folder {}", work_dir.display()))?;
        self.scheduler.wait().await?;
        let health = ExecutorHealth::new();
        let config = ExecutorProcessConfig {
            bind_host: self.host.to_string(),
            external_host: Some(self.host.to_string()),
            port: free_port(self.host, self.port)?,
            grpc_port: free_port(self.host, self.task_port)?,
            scheduler_host: self.scheduler.scheduler_host.clone(),
            scheduler_port: self.scheduler.scheduler_port,
            vcores: self.vcores,
            work_dir: Some(work_dir.to_str().context("the work folder's name must be UTF-8")?.to_owned()),
            executor_heartbeat_interval_seconds: self.heartbeat,
            override_function_registry: Some(session::executor_registry(self.models.registered(&models))),
            health: health.clone(),
            ..ExecutorProcessConfig::default()
        };
        let config = Arc::new(config);
        let ready = async {
            while !health.is_ready() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            println!("executor {} is ready", config.executor_id);
            for model in models.iter() {
                println!("model {} is {}", model.name(), models.identity(model).to_text());
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            result = start_executor_process(Arc::clone(&config)) => {
                result.with_context(|| format!("an executor of {}:{}", self.scheduler.scheduler_host, self.scheduler.scheduler_port))
            }
            () = ready => Ok(()),
        }
    }
}
