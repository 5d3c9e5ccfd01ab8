//! Where the functions are registered. On a cluster these are three places, and a query fails if one is left out: the
//! client plans it, the scheduler plans it again, and the executors compute it.

use std::sync::Arc;

use ballista::prelude::{SessionConfigExt, SessionContextExt};
use ballista_core::config::BALLISTA_CLIENT_PULL;
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_core::utils::default_session_builder;
use ballista_scheduler::SessionBuilder;
use datafusion::error::Result;
use datafusion::execution::{FunctionRegistry, SessionStateBuilder};
use datafusion::functions_nested::all_default_nested_functions;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::function::LstmFunction;
use crate::models::Models;

/// A setting of DataFusion or Ballista: `KEY=VALUE`.
pub type Setting = (String, String);

/// A session that computes in this process. Tables may be files: `FROM 'recordings/*.parquet'`.
///
/// # Errors
///
/// For an unknown setting.
pub fn local(models: Option<&Arc<Models>>, settings: &[Setting]) -> Result<SessionContext> {
    let context = SessionContext::new_with_config(with_settings(SessionConfig::new(), settings)?);
    register(&context, models);
    Ok(context.enable_url_table())
}

/// A session that plans here and computes on the cluster of a scheduler, `http://HOST:PORT`.
///
/// Results of a stage are always read over the network, never from a local disk that an executor on the same machine
/// happens to share: a lost executor is then noticed on one machine as it is on several.
///
/// # Errors
///
/// For an unknown setting, or an address that is none.
pub async fn client(
    scheduler: &str,
    models: Option<&Arc<Models>>,
    settings: &[Setting],
) -> Result<SessionContext> {
    // Pulling: a client that waits to be told knows no job, and can't cancel it.
    let config = SessionConfig::new_with_ballista()
        .with_ballista_shuffle_reader_force_remote_read(true)
        .set_bool(BALLISTA_CLIENT_PULL, true);
    let config = with_settings(config, settings)?;
    let state = SessionStateBuilder::new().with_default_features().with_config(config).build();
    let context = SessionContext::remote_with_state(scheduler, state).await?;
    // After the line above, which replaces the functions of the state.
    register(&context, models);
    Ok(context.enable_url_table())
}

/// What builds the scheduler's sessions: Ballista's own, with the functions.
pub fn scheduler_builder(models: Option<Arc<Models>>) -> SessionBuilder {
    Arc::new(move |config| {
        let mut state = default_session_builder(config)?;
        for function in models.iter().flat_map(LstmFunction::all) {
            state.register_udf(function)?;
        }
        Ok(state)
    })
}

/// The functions that an executor knows: Ballista's own, DataFusion's for lists, which Ballista 55 leaves out, and these.
pub fn executor_registry(models: Option<&Arc<Models>>) -> Arc<BallistaFunctionRegistry> {
    let mut registry = BallistaFunctionRegistry::default();
    for function in all_default_nested_functions() {
        registry.scalar_functions.insert(function.name().to_owned(), function);
    }
    for function in models.into_iter().flat_map(LstmFunction::all) {
        registry.scalar_functions.insert(function.name().to_owned(), function);
    }
    Arc::new(registry)
}

fn register(context: &SessionContext, models: Option<&Arc<Models>>) {
    for function in models.into_iter().flat_map(LstmFunction::all) {
        context.register_udf((*function).clone());
    }
}

fn with_settings(mut config: SessionConfig, settings: &[Setting]) -> Result<SessionConfig> {
    for (key, value) in settings {
        config.options_mut().set(key, value)?;
    }
    Ok(config)
}
