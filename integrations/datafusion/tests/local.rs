//! The functions in one process, against the crate itself, and the program's local role.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use common::{Bench, ROWS, program, stderr};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListBuilder, Float32Builder, Int64Array, ListBuilder, RecordBatch,
};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::Float32Type;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use lstm_cluster::{Models, session};
use ndarray::ArrayView2;
use wgpu_lstm::{Device, Lstm, LstmConfig, LstmWeights};

/// Sequences of 0 to 4 vectors of 3 values, each seventh null.
fn sequences(rows: usize) -> Vec<Option<Vec<f32>>> {
    let value = |row: usize, i: usize| ((row * 31 + i * 7) as f32).sin();
    let sequence = |row| (0..3 * (row % 5)).map(|i| value(row, i)).collect();
    (0..rows).map(|row| (row % 7 != 6).then(|| sequence(row))).collect()
}

fn table(sequences: &[Option<Vec<f32>>]) -> RecordBatch {
    let mut frames = ListBuilder::new(FixedSizeListBuilder::new(Float32Builder::new(), 3));
    for sequence in sequences {
        for vector in sequence.iter().flat_map(|sequence| sequence.chunks(3)) {
            frames.values().values().append_slice(vector);
            frames.values().append(true);
        }
        frames.append(sequence.is_some());
    }
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..sequences.len() as i64));
    RecordBatch::try_from_iter([("id", ids), ("frames", Arc::new(frames.finish()) as ArrayRef)])
        .expect("a table")
}

fn models(config: &LstmConfig) -> (LstmWeights, Models) {
    let weights = LstmWeights::uniform(config, 3).expect("weights");
    let models = Models::new([("m".to_owned(), weights.clone())], || Ok(Device::cpu())).expect("models");
    (weights, models)
}

/// A session whose table `t` has partitions of a few record batches each.
fn context(models: &Arc<Models>, batch: &RecordBatch, partitions: usize) -> SessionContext {
    let settings = [("datafusion.execution.target_partitions".to_owned(), partitions.to_string())];
    let context = session::local(Some(models), &settings).expect("a session");
    let rows = batch.num_rows().div_ceil(partitions);
    let parts = (0..partitions).map(|p| {
        let part = batch.slice(p * rows, rows.min(batch.num_rows() - p * rows));
        let middle = part.num_rows() / 2;
        vec![part.slice(0, middle), part.slice(middle, part.num_rows() - middle)]
    });
    let table = datafusion::datasource::MemTable::try_new(batch.schema(), parts.collect()).expect("a table");
    context.register_table("t", Arc::new(table)).expect("a new table");
    context
}

async fn rows(context: &SessionContext, query: &str) -> Result<RecordBatch, String> {
    let frame = context.sql(query).await.map_err(|error| error.to_string())?;
    let schema = Arc::new(frame.schema().as_arrow().clone());
    let batches = frame.collect().await.map_err(|error| error.to_string())?;
    Ok(concat_batches(&schema, &batches).expect("one schema"))
}

/// The bits of a row's values, at any depth of lists.
fn bits(column: &ArrayRef, row: usize) -> Option<Vec<u32>> {
    let row = column.slice(row, 1);
    if row.is_null(0) {
        return None;
    }
    let inner = match row.as_list_opt::<i32>() {
        Some(list) => list.value(0).as_fixed_size_list().values().clone(),
        None => row.as_fixed_size_list().value(0),
    };
    let flat = match inner.as_fixed_size_list_opt() {
        Some(list) => list.values().clone(),
        None => inner,
    };
    Some(flat.as_primitive::<Float32Type>().values().iter().map(|value| value.to_bits()).collect())
}

/// Sizes, layers, directions and projections; every cut into chunks and partitions; nulls and empty lists.
#[tokio::test]
async fn both_functions_return_the_crates_bits() {
    let sequences = sequences(100);
    for config in [
        LstmConfig::new(3, 5),
        LstmConfig::new(3, 8).with_num_layers(2).with_bidirectional(true),
        LstmConfig::new(3, 9).with_num_layers(2).with_proj_size(4).with_bidirectional(true),
    ] {
        for (partitions, bytes) in [(1, usize::MAX), (3, 200), (4, 1)] {
            let (weights, models) = models(&config);
            let models = Arc::new(models.with_chunk_bytes(bytes));
            let context = context(&models, &table(&sequences), partitions);
            let query =
                "SELECT id, lstm_last('m', frames) AS l, lstm_all('m', frames) AS a FROM t ORDER BY id";
            let result = rows(&context, query).await.expect("rows");
            let lstm = Lstm::new(&Device::cpu(), &weights).expect("a network");
            assert_eq!(result.num_rows(), sequences.len());
            for (row, sequence) in sequences.iter().enumerate() {
                let expected = sequence.as_ref().filter(|sequence| !sequence.is_empty()).map(|sequence| {
                    let input =
                        ArrayView2::from_shape((sequence.len() / 3, 3), sequence).expect("vectors of 3");
                    let (output, state) = lstm.forward_unbatched(input, None).expect("a result");
                    let last =
                        state.h.slice(ndarray::s![-(config.num_directions() as isize).., 0, ..]).to_owned();
                    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
                    (bits(last.into_iter().collect()), bits(output.into_iter().collect()))
                });
                let (last, all) = expected.unzip();
                assert_eq!(bits(result.column(1), row), last, "{config:?}, row {row}");
                assert_eq!(bits(result.column(2), row), all, "{config:?}, row {row}");
            }
            assert_eq!(models.made(), 1, "a network is made once for all partitions");
            // Sequences share a call as far as the bound allows: none, or all of a record batch.
            let computed =
                2 * sequences.iter().flatten().filter(|sequence| !sequence.is_empty()).count() as u64;
            assert_eq!(models.rows(), computed);
            match bytes {
                1 => assert_eq!(models.calls(), computed),
                usize::MAX => assert!(models.calls() <= 2 * 2 * partitions as u64, "{}", models.calls()),
                _ => assert!(models.calls() < computed, "{} calls", models.calls()),
            }
        }
    }
}

/// Sequences of one length are computed where they are; the result is that of the padded copy.
#[tokio::test]
async fn equal_lengths_give_the_same_bits_as_ragged_ones() {
    let config = LstmConfig::new(3, 5);
    let equal: Vec<_> =
        sequences(5 * 40).into_iter().flatten().filter(|sequence| sequence.len() == 9).map(Some).collect();
    let mut ragged = equal.clone();
    ragged.push(Some(vec![0.5; 12]));
    let models = Arc::new(models(&config).1);
    let query = "SELECT id, lstm_all('m', frames) AS a FROM t ORDER BY id";
    let alone = rows(&context(&models, &table(&equal), 1), query).await.expect("rows");
    let company = rows(&context(&models, &table(&ragged), 1), query).await.expect("rows");
    assert!(alone.num_rows() > 20);
    assert_eq!(alone, company.slice(0, alone.num_rows()));
}

#[tokio::test]
async fn a_column_has_the_name_that_the_query_wrote() {
    let models = Arc::new(models(&LstmConfig::new(3, 5)).1);
    let context = context(&models, &table(&sequences(9)), 1);
    let result = rows(&context, "SELECT lstm_last('m', frames) FROM t").await.expect("rows");
    let schema = result.schema();
    let name = schema.field(0).name();
    assert!(name.starts_with("lstm_last(") && name.contains("frames") && !name.contains("cpu"), "{name}");
    let plan = rows(&context, "EXPLAIN SELECT lstm_last('m', frames) FROM t").await.expect("a plan");
    let plan = datafusion::arrow::util::pretty::pretty_format_batches(&[plan]).expect("text").to_string();
    let model = models.get("m").expect("the model");
    assert!(plan.contains(&models.identity(model).to_text()), "the call carries the identity: {plan}");
}

#[tokio::test]
async fn wrong_calls_are_named() {
    let models = Arc::new(models(&LstmConfig::new(3, 5)).1);
    let context = context(&models, &table(&sequences(9)), 1);
    for (query, words) in [
        ("SELECT lstm_last('n', frames) FROM t", "there is no model 'n': this process has 'm'"),
        ("SELECT lstm_last(CAST(id AS VARCHAR), frames) FROM t", "must be a constant, the name of a model"),
        ("SELECT lstm_last('m', id) FROM t", "takes lists of vectors of Float32"),
        ("SELECT lstm_last('m', [[1.0, 2.0, 3.0]]) FROM t", "convert it with arrow_cast"),
        ("SELECT lstm_last('m') FROM t", "takes 2 arguments"),
        ("SELECT lstm_last('m', frames, 'x/y') FROM t", "this process has other weights"),
        ("SELECT lstm_last('m', frames, 'x') FROM t", "the third argument, 'x', is no identity"),
        (
            "SELECT lstm_last('m', arrow_cast([[1, 2]], 'List(FixedSizeList(2, Float32))')) FROM t",
            "takes vectors of 3 values, but those of the column have 2",
        ),
        (
            "SELECT lstm_last('m', arrow_cast([[1, 2, 3], [1, 2]], 'List(List(Float32))')) FROM t",
            "vector 1 of its sequence: it has 2 values, but the model takes 3",
        ),
    ] {
        let error = rows(&context, query).await.expect_err(query);
        assert!(error.contains(words), "{query}: {error}");
    }
    let nulls = rows(&context, "SELECT lstm_last('m', NULL) AS l FROM t").await.expect("rows");
    assert_eq!(nulls.column(0).null_count(), 9);
}

/// Who states the arithmetic of other machines computes nothing itself, not even a constant of the query.
#[tokio::test]
async fn who_requires_other_arithmetic_does_not_compute() {
    let models = models(&LstmConfig::new(3, 5)).1.with_arithmetic("gpu elsewhere".into());
    let context = context(&Arc::new(models), &table(&sequences(9)), 1);
    for sequence in ["frames", "arrow_cast([[1, 2, 3]], 'List(FixedSizeList(3, Float32))')"] {
        let query = format!("SELECT lstm_last('m', {sequence}) FROM t");
        let error = rows(&context, &query).await.expect_err(&query);
        let words = "than the one that planned the query (gpu elsewhere)";
        assert!(
            error.contains("this process has other arithmetic (cpu ") && error.contains(words),
            "{error}"
        );
    }
}

/// A session whose optimizer is off plans calls that nobody can check.
#[tokio::test]
async fn a_call_without_an_identity_is_refused() {
    let models = Arc::new(models(&LstmConfig::new(3, 5)).1);
    let state = SessionStateBuilder::new().with_config(SessionConfig::new()).with_default_features();
    let context = SessionContext::new_with_state(state.with_optimizer_rules(vec![]).build());
    for function in lstm_cluster::LstmFunction::all(&models) {
        context.register_udf((*function).clone());
    }
    context.register_batch("t", table(&sequences(9))).expect("a table");
    let error = rows(&context, "SELECT lstm_last('m', frames) FROM t").await.expect_err("no identity");
    assert!(error.contains("has no identity"), "{error}");
}

#[test]
fn the_program_writes_parquet_and_checks_rows() {
    let bench = Bench::new();
    let output = bench.path("result.parquet");
    let local = |query: &str, more: &[&str]| {
        let mut command = program();
        command.args(["local", &bench.model(), "--query", query, "--output"]).arg(&output).args(more);
        command.output().expect("the program runs")
    };
    let rows_of = format!("--rows-of={}", bench.sequences());
    let run = local(&bench.last(), &["--unique=id", &rows_of]);
    assert!(run.status.success(), "{}", stderr(&run));
    assert_eq!(lstm_cluster::compare::read(&output).expect("a result").num_rows(), ROWS);
    // As any new file, not the temporary file's own mode, which nobody else may read.
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("a file").permissions().mode();
    assert_eq!(mode(&output), mode(&bench.path("model.safetensors")));
    std::fs::remove_file(&output).expect("a file");
    let half = format!("{} WHERE id < {}", bench.last(), ROWS / 2);
    let twice = format!("{} UNION ALL {}", bench.last(), bench.last());
    for (query, more, words) in [
        (&half, &rows_of[..], format!("the result has {} rows, but the input has {ROWS}", ROWS / 2)),
        (&twice, "--unique=id", "twice".to_owned()),
        (&half, "--unique=name", "no column \"name\" to be unique: it has \"id\", \"last\"".to_owned()),
        (&half, "--set=datafusion.execution.partitions=1", "partitions".to_owned()),
    ] {
        let run = local(query, &[more]);
        assert!(!run.status.success() && stderr(&run).contains(&words), "{more}: {}", stderr(&run));
        assert!(!output.exists(), "{more}: a failed query leaves no result");
    }
    let files: Vec<_> =
        std::fs::read_dir(bench.path("")).expect("a folder").flatten().map(|file| file.file_name()).collect();
    assert_eq!(files.len(), 2, "the sequences and the model, nothing else: {files:?}");
}

#[test]
fn the_program_bounds_a_call_by_chunk_mib() {
    let bench = Bench::new();
    let query = format!("{} WHERE id < 100", bench.last());
    let calls = |mib: &str| {
        let mut command = program();
        command.args(["local", &bench.model(), "--query", &query, mib]).env("RUST_LOG", "lstm_cluster=info");
        let log = stderr(&command.output().expect("the program runs"));
        let line = log.lines().find(|line| line.contains("calls of networks")).expect(&log).to_owned();
        let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        <[u64; 2]>::try_from(numbers).expect(&line)
    };
    let [rows, alone] = calls("--chunk-mib=0");
    assert!(rows > 90 && alone == rows, "a sequence each: {rows} in {alone} calls");
    assert_eq!(calls("--chunk-mib=64"), [rows, 1]);
}

#[test]
fn models_that_are_not_there_are_named() {
    for (model, words) in [
        ("m", "a model is written NAME=FILE"),
        ("=x", "has no name or no file"),
        ("m=/nowhere", "model 'm' of /nowhere"),
    ] {
        let run = program()
            .args(["local", "--query=SELECT 1", "--model", model])
            .output()
            .expect("the program runs");
        assert!(!run.status.success() && stderr(&run).contains(words), "{model}: {}", stderr(&run));
    }
    let bench = Bench::new();
    let run = program().args(["local", "--query=SELECT 1", &bench.model(), &bench.model()]).output();
    assert!(stderr(&run.expect("the program runs")).contains("model 'm' is given twice"));
}
