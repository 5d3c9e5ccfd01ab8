//! Runs a query, checks the rows that arrive, and writes them to a Parquet file.

use std::collections::HashSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Int64Type, SchemaRef};
use datafusion::arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::physical_plan::{ExecutionPlan, StatisticsArgs, StatisticsContext, execute_stream};
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use tempfile::{Builder, NamedTempFile};

use crate::models::Models;
use crate::session;

/// Rows that are printed where there is no output file.
const PRINTED_ROWS: usize = 20;

/// A query, and what its result must be.
#[derive(Clone, Debug, clap::Args)]
pub struct Query {
    /// The query, such as SELECT id, lstm_last('speech', frames) FROM 'recordings/*.parquet'
    #[arg(long)]
    pub query: String,
    /// The Parquet file to write. It appears when all rows are there, and the checks passed. Without it the first 20
    /// rows are printed.
    #[arg(long)]
    pub output: Option<PathBuf>,
    /// A column of the result whose values must all be different.
    #[arg(long)]
    pub unique: Option<String>,
    /// Parquet files: the result must have as many rows as they have.
    #[arg(long)]
    pub rows_of: Option<String>,
}

/// What a query returned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Rows of the result.
    pub rows: u64,
    /// From the start of planning to the last row.
    pub seconds: f64,
}

/// Plans the query. Its errors name the argument, the model or the column.
///
/// # Errors
///
/// If the query can't be planned.
pub async fn plan(context: &SessionContext, query: &Query) -> Result<Arc<dyn ExecutionPlan>> {
    Ok(context.sql(&query.query).await?.create_physical_plan().await?)
}

/// Runs a plan of [`plan`], with a progress bar on a terminal.
///
/// # Errors
///
/// If the query fails, the result has other rows than `query` asks for, or the file can't be written. No file is left
/// then.
pub async fn run(
    context: &SessionContext,
    plan: Arc<dyn ExecutionPlan>,
    query: &Query,
    models: &Models,
) -> Result<Outcome> {
    let start = Instant::now();
    let expected = match &query.rows_of {
        Some(files) => Some(count_rows(files).await?),
        None => None,
    };
    let mut checks = Checks::new(&plan.schema(), query.unique.as_deref())?;
    let mut sink = Sink::new(query.output.as_deref(), plan.schema())?;
    let bar = bar(expected.or_else(|| exact_rows(&plan)));
    let mut stream = execute_stream(plan, context.task_ctx())?;
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            batch = stream.next() => match batch {
                Some(batch) => {
                    let batch = batch?;
                    checks.add(&batch)?;
                    sink.write(batch)?;
                }
                None => break,
            },
            _ = ticks.tick() => bar.set_position(checks.rows.max(models.rows())),
        }
    }
    bar.finish_and_clear();
    log::info!("this process computed {} sequences in {} calls of networks", models.rows(), models.calls());
    checks.finish(expected)?;
    let rows = checks.rows;
    sink.finish()?;
    Ok(Outcome { rows, seconds: start.elapsed().as_secs_f64() })
}

/// Rows of Parquet files, from their footers.
async fn count_rows(files: &str) -> Result<u64> {
    let context = session::local(None, &[])?;
    let query = format!("SELECT count(*) FROM '{}'", files.replace('\'', "''"));
    let batches =
        context.sql(&query).await?.collect().await.with_context(|| format!("the rows of {files}"))?;
    let count = batches.first().context("a count has a row")?.column(0).as_primitive::<Int64Type>().value(0);
    Ok(u64::try_from(count)?)
}

/// Rows of the plan, if it knows them before it runs.
fn exact_rows(plan: &Arc<dyn ExecutionPlan>) -> Option<u64> {
    let statistics = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new()).ok()?;
    statistics.num_rows.get_value().map(|&rows| rows as u64)
}

fn bar(rows: Option<u64>) -> ProgressBar {
    let (bar, template) = match rows {
        Some(rows) => {
            (ProgressBar::new(rows), "{bar:40} {human_pos}/{human_len} sequences, {per_sec}, {eta} left")
        }
        None => (ProgressBar::new_spinner(), "{spinner} {human_pos} sequences, {elapsed}"),
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar.with_style(style)
}

/// Counts rows, and looks for values that come twice.
struct Checks {
    rows: u64,
    unique: Option<Unique>,
}

struct Unique {
    name: String,
    column: usize,
    converter: RowConverter,
    seen: HashSet<OwnedRow>,
}

impl Checks {
    fn new(schema: &SchemaRef, unique: Option<&str>) -> Result<Self> {
        let unique = match unique {
            None => None,
            Some(name) => {
                let (column, field) = schema.column_with_name(name).with_context(|| {
                    format!("the result has no column {name:?} to be unique: it has {}", names(schema))
                })?;
                let converter = RowConverter::new(vec![SortField::new(field.data_type().clone())])?;
                Some(Unique { name: name.to_owned(), column, converter, seen: HashSet::new() })
            }
        };
        Ok(Self { rows: 0, unique })
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        let Some(unique) = &mut self.unique else { return Ok(()) };
        let column = batch.column(unique.column);
        let keys = unique.converter.convert_columns(&[Arc::clone(column)])?;
        for (row, key) in keys.iter().enumerate() {
            if !unique.seen.insert(key.owned()) {
                let value = datafusion::common::ScalarValue::try_from_array(column, row)?;
                bail!("the result has {} {value} twice: some rows were computed again and kept", unique.name);
            }
        }
        Ok(())
    }

    fn finish(&self, expected: Option<u64>) -> Result<()> {
        if let Some(expected) = expected {
            ensure!(self.rows == expected, "the result has {} rows, but the input has {expected}", self.rows);
        }
        Ok(())
    }
}

fn names(schema: &SchemaRef) -> String {
    schema.fields().iter().map(|field| format!("{:?}", field.name())).collect::<Vec<_>>().join(", ")
}

/// Where rows go: a file beside the output, which takes its name at the end; or the terminal.
enum Sink {
    File { writer: Box<ArrowWriter<NamedTempFile>>, output: PathBuf },
    Terminal { rows: usize, batches: Vec<RecordBatch> },
}

impl Sink {
    fn new(output: Option<&Path>, schema: SchemaRef) -> Result<Self> {
        let Some(output) = output else { return Ok(Self::Terminal { rows: 0, batches: Vec::new() }) };
        let folder = match output.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // Whom the process's umask lets read files reads this one: executors may run as other users.
        let file = Builder::new()
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder)
            .with_context(|| format!("a file in {}", folder.display()))?;
        Ok(Self::File {
            writer: Box::new(ArrowWriter::try_new(file, schema, None)?),
            output: output.to_owned(),
        })
    }

    fn write(&mut self, batch: RecordBatch) -> Result<()> {
        match self {
            Self::File { writer, output } => {
                writer.write(&batch).with_context(|| format!("writing {}", output.display()))?;
            }
            Self::Terminal { rows, batches } => {
                let batch = batch.slice(0, batch.num_rows().min(PRINTED_ROWS - *rows));
                *rows += batch.num_rows();
                batches.push(batch);
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<()> {
        match self {
            Self::File { writer, output } => {
                let file = writer.into_inner().with_context(|| format!("writing {}", output.display()))?;
                file.persist(&output).with_context(|| format!("renaming to {}", output.display()))?;
            }
            Self::Terminal { batches, .. } => println!("{}", pretty_format_batches(&batches)?),
        }
        Ok(())
    }
}
