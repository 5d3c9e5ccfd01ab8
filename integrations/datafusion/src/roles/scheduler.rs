//! Plans queries of clients, and hands their tasks to executors.

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::{create_scheduler, start_grpc_service_with_listener};
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use tokio::net::TcpListener;

use super::{ModelArgs, stop_signal};
use crate::models::Models;
use crate::session;
use crate::spec::DeviceChoice;

/// Runs a scheduler until the process is asked to stop. It prints a line when it listens.
#[derive(Clone, Debug, clap::Args)]
pub struct Scheduler {
    #[command(flatten)]
    models: ModelArgs,
    /// The address to listen at. It is not secured: anybody who reaches it may run queries.
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// The port to listen at, 0 for a free one.
    #[arg(long, default_value_t = 50050)]
    port: u16,
    /// Seconds without a heartbeat after which an executor is lost, and its tasks go to others. If none is left for as
    /// long again, the query fails.
    #[arg(long, default_value_t = 5)]
    executor_timeout: u64,
}

impl Scheduler {
    /// Serves until a signal.
    ///
    /// # Errors
    ///
    /// For models that can't be loaded and a port that is taken.
    pub async fn run(&self) -> Result<()> {
        // The scheduler plans and never computes: it needs the sizes and hashes of the networks, but no GPU.
        let models = Arc::new(Models::load(&self.models.models, DeviceChoice::Cpu)?);
        let listener = TcpListener::bind((self.host, self.port))
            .await
            .with_context(|| format!("the scheduler can't listen at {}:{}", self.host, self.port))?;
        let address = listener.local_addr()?;
        let config = SchedulerConfig {
            bind_host: self.host.to_string(),
            external_host: self.host.to_string(),
            bind_port: address.port(),
            executor_timeout_seconds: self.executor_timeout,
            expire_dead_executor_interval_seconds: 1,
            no_executors_grace_period_seconds: self.executor_timeout,
            override_session_builder: Some(session::scheduler_builder(
                self.models.registered(&models).cloned(),
            )),
            ..SchedulerConfig::default()
        };
        let cluster = BallistaCluster::new_from_config(&config).await?;
        let scheduler =
            create_scheduler::<LogicalPlanNode, PhysicalPlanNode>(cluster, Arc::new(config)).await?;
        println!("scheduler listens at {address}");
        tokio::select! {
            result = start_grpc_service_with_listener(listener, scheduler) => Ok(result?),
            result = stop_signal() => result,
        }
    }
}
