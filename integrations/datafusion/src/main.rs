//! `lstm-cluster`: LSTM networks as SQL functions, in one process or on a cluster. One program, four roles, and tools.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use lstm_cluster::query::Outcome;
use lstm_cluster::roles::{Client, Executor, Local, Scheduler};
use lstm_cluster::{compare, data, plain};

#[derive(Parser)]
#[command(
    about = "LSTM networks as SQL functions: lstm_last(model, sequence), lstm_all(model, sequence)",
    after_help = "local needs no other process. A cluster is a scheduler, executors and a client, each with the same --model.",
    version
)]
enum Role {
    /// Runs a query in this process.
    Local(Local),
    /// Plans queries, and hands their tasks to executors.
    Scheduler(Scheduler),
    /// Computes tasks.
    Executor(Executor),
    /// Runs a query on a cluster.
    Client(Client),
    /// Makes sequences, and a network for them.
    Data(data::Data),
    /// Computes the same without an engine, to measure what an engine costs.
    Plain(plain::Plain),
    /// Compares two results, bit by bit.
    Compare {
        /// A result, a Parquet file.
        one: PathBuf,
        /// The other result.
        other: PathBuf,
        /// The column that names rows.
        #[arg(long, default_value = "id")]
        key: String,
    },
}

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    let result = tokio::runtime::Runtime::new()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(run(Role::parse())));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(role: Role) -> Result<()> {
    match role {
        Role::Local(local) => report(local.run().await?),
        Role::Client(client) => report(client.run().await?),
        Role::Plain(plain) => report(plain.run().await?),
        Role::Scheduler(scheduler) => scheduler.run().await?,
        Role::Executor(executor) => executor.run().await?,
        Role::Data(data) => println!("{}", data.make()?),
        Role::Compare { one, other, key } => println!("{}", compare::files(&one, &other, &key).await?),
    }
    Ok(())
}

fn report(Outcome { rows, seconds }: Outcome) {
    println!("{rows} rows in {seconds:.3} s, {:.0} per second", rows as f64 / seconds);
}
