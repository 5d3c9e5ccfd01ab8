//! One process: plans and computes.

use std::sync::Arc;

use anyhow::Result;

use super::{ComputeArgs, ModelArgs, SettingArgs};
use crate::query::{self, Outcome, Query};
use crate::session;

/// Runs a query in this process.
#[derive(Clone, Debug, clap::Args)]
pub struct Local {
    #[command(flatten)]
    models: ModelArgs,
    #[command(flatten)]
    compute: ComputeArgs,
    #[command(flatten)]
    query: Query,
    #[command(flatten)]
    settings: SettingArgs,
}

impl Local {
    /// Runs the query.
    ///
    /// # Errors
    ///
    /// As for [`query::run`], and for models that can't be loaded.
    pub async fn run(&self) -> Result<Outcome> {
        let models = Arc::new(self.models.load(&self.compute, None)?);
        let context = session::local(self.models.registered(&models), &self.settings.settings)?;
        let plan = query::plan(&context, &self.query).await?;
        query::run(&context, plan, &self.query, &models).await
    }
}
