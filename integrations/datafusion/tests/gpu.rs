//! The functions on a GPU adapter, hardware or software.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Bench, assert_same_bits, program, stderr};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use lstm_cluster::{Models, session};
use wgpu_lstm::{Device, LstmWeights};

/// A GPU that is lost after the second query is opened again, and the rows are the same.
#[tokio::test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "needs a GPU adapter")]
async fn a_lost_gpu_is_opened_again() {
    let bench = Bench::new();
    let weights = LstmWeights::from_file(bench.path("model.safetensors"), "").expect("a network");
    let opened = Arc::new(AtomicUsize::new(0));
    let first = Device::gpu().expect("an adapter");
    let handle = first.clone();
    let count = Arc::clone(&opened);
    let open =
        move || if count.fetch_add(1, Ordering::SeqCst) == 0 { Ok(handle.clone()) } else { Device::gpu() };
    let models = Arc::new(Models::new([("m".to_owned(), weights)], open).expect("models"));
    let context = session::local(Some(&models), &[]).expect("a session");
    let query = format!("{} WHERE id < 300 ORDER BY id", bench.last());
    let rows = async || -> RecordBatch {
        let frame = context.sql(&query).await.expect("a plan");
        let schema = Arc::new(frame.schema().as_arrow().clone());
        concat_batches(&schema, &frame.collect().await.expect("rows")).expect("one schema")
    };
    let before = rows().await;
    first.wgpu().expect("a GPU").0.destroy();
    assert_eq!(rows().await, before);
    assert_eq!(opened.load(Ordering::SeqCst), 2);
}

/// If the GPU is lost again at once, the error names the rows, and is no I/O error: the task is not tried again.
#[tokio::test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "needs a GPU adapter")]
async fn a_gpu_that_stays_lost_is_an_error_of_the_rows() {
    let bench = Bench::new();
    let weights = LstmWeights::from_file(bench.path("model.safetensors"), "").expect("a network");
    let device = Device::gpu().expect("an adapter");
    let handle = device.clone();
    let models = Models::new([("m".to_owned(), weights)], move || Ok(handle.clone())).expect("models");
    let context = session::local(Some(&Arc::new(models)), &[]).expect("a session");
    device.wgpu().expect("a GPU").0.destroy();
    let error = context.sql(&bench.last()).await.expect("a plan").collect().await.expect_err("no device");
    let error = error.to_string();
    assert!(error.contains("Execution error") && error.contains("model 'm', "), "{error}");
    assert!(
        error.contains("rows of the record batch, row ") && error.contains("the device is lost"),
        "{error}"
    );
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "needs a GPU adapter")]
fn the_program_runs_on_a_gpu() {
    let bench = Bench::new();
    for (partitions, output) in [("1", "one.parquet"), ("8", "eight.parquet")] {
        let mut command = program();
        command.args(["local", "--device=gpu", &bench.model(), "--query", &bench.last(), "--output"]);
        command
            .arg(bench.path(output))
            .arg(format!("--set=datafusion.execution.target_partitions={partitions}"));
        let run = command.output().expect("the program runs");
        assert!(run.status.success(), "{}", stderr(&run));
    }
    assert_same_bits(&bench.path("one.parquet"), &bench.path("eight.parquet"));
}
