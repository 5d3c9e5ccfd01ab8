//! Plans a query here, and computes it on a cluster.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ballista_core::execution_plans::DistributedQueryExec;
use ballista_core::serde::protobuf::CancelJobParams;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::protobuf::LogicalPlanNode;

use super::{ComputeArgs, ModelArgs, SchedulerArgs, SettingArgs};
use crate::query::{self, Outcome, Query};
use crate::session;

/// Runs a query on a cluster.
#[derive(Clone, Debug, clap::Args)]
pub struct Client {
    #[command(flatten)]
    models: ModelArgs,
    #[command(flatten)]
    compute: ComputeArgs,
    #[command(flatten)]
    query: Query,
    #[command(flatten)]
    settings: SettingArgs,
    #[command(flatten)]
    scheduler: SchedulerArgs,
    /// Seconds after which the query is cancelled and fails. Ballista itself has no such limit, and waits without end for
    /// the first executor.
    #[arg(long, default_value_t = 3600)]
    time_limit: u64,
    /// The arithmetic that the executors must have, as they print it when they start; that of --device unless set.
    #[arg(long)]
    arithmetic: Option<String>,
}

impl Client {
    /// Runs the query.
    ///
    /// # Errors
    ///
    /// As for [`query::run`], for models that can't be loaded, and after the time limit.
    pub async fn run(&self) -> Result<Outcome> {
        let mut models = self.models.load(&self.compute, None)?;
        if let Some(arithmetic) = &self.arithmetic {
            models = models.with_arithmetic(arithmetic.clone());
        }
        let models = Arc::new(models);
        self.scheduler.wait().await?;
        let scheduler = format!("http://{}:{}", self.scheduler.scheduler_host, self.scheduler.scheduler_port);
        let registered = self.models.registered(&models);
        let context = session::client(&scheduler, registered, &self.settings.settings).await?;
        let plan = query::plan(&context, &self.query).await?;
        let run = query::run(&context, Arc::clone(&plan), &self.query, &models);
        match tokio::time::timeout(Duration::from_secs(self.time_limit), run).await {
            Ok(result) => result.map_err(explain),
            Err(_) => {
                let cancelled = cancel(&scheduler, plan.as_ref()).await;
                let cancelled =
                    cancelled.unwrap_or_else(|error| format!("and could not be cancelled: {error:#}"));
                bail!("the query took more than {} s, its time limit, {cancelled}", self.time_limit)
            }
        }
    }
}

/// Cancels the job of a plan on the scheduler.
async fn cancel(scheduler: &str, plan: &dyn ExecutionPlan) -> Result<String> {
    let job =
        plan.downcast_ref::<DistributedQueryExec<LogicalPlanNode>>().and_then(DistributedQueryExec::job_id);
    let Some(job) = job else { return Ok("and never became a job".to_owned()) };
    let cancel = async {
        let mut client = SchedulerGrpcClient::connect(scheduler.to_owned()).await?;
        client.cancel_job(CancelJobParams { job_id: job.to_string() }).await?;
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(5), cancel).await.context("the scheduler does not answer")??;
    Ok(format!("and job {job} was cancelled"))
}

/// Adds what to do to errors whose words don't say it. An executor without the functions can't read its tasks, and Ballista
/// keeps the reason in the executor's log.
fn explain(error: anyhow::Error) -> anyhow::Error {
    const WITHOUT_FUNCTIONS: [&str; 3] = [
        "not provided for scalar function lstm_",
        "no UDF named",
        "could not be prepared or was rejected by executor",
    ];
    let text = format!("{error:#}");
    if WITHOUT_FUNCTIONS.iter().any(|words| text.contains(words)) {
        return error.context(
            "a scheduler or an executor seems not to have lstm_last, or another function of the query: start every process of the cluster with \
             this program, and with the same --model; the logs of executors say more",
        );
    }
    error
}
