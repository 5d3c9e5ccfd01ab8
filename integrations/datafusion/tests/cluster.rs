//! Ballista on this machine: a scheduler and two executors, which lose a process in the middle of their work. Everything
//! is compared with one process by row count, unique ids and bits.

mod common;

use common::{Bench, Cluster, Process, Special, assert_same_bits, finish, go, reached};
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use rustix::process::Signal;

/// Executors that stop after one row each.
fn pausing(executors: usize) -> Special {
    Special { pause: Some(1), executors, ..Special::default() }
}

#[test]
fn a_cluster_returns_the_bits_of_one_process() {
    let bench = Bench::new();
    let cluster = Cluster::start(&bench);
    let truth = bench.local(&bench.last(), "truth.parquet");
    assert_same_bits(&truth, &cluster.run(&bench, &bench.last(), "plain.parquet"));

    let all = format!("SELECT id, lstm_all('m', frames) AS steps FROM '{}'", bench.sequences());
    let truth = bench.local(&all, "truth-all.parquet");
    assert_same_bits(&truth, &cluster.run(&bench, &all, "all.parquet"));

    // DataFusion's functions of lists, around and beside the network.
    let parts = format!(
        "SELECT id, lstm_last('m', frames)[1] AS first, array_length(frames) AS steps FROM '{}'",
        bench.sequences()
    );
    let truth = bench.local(&parts, "truth-parts.parquet");
    assert_same_bits(&truth, &cluster.run(&bench, &parts, "parts.parquet"));
    // A column has the name that the query wrote, without an identity.
    let unnamed = format!(
        "SELECT id, lstm_last('m', frames) FROM '{}' ORDER BY lstm_last('m', frames)[1]",
        bench.sequences()
    );
    let truth = bench.local(&unnamed, "truth-unnamed.parquet");
    assert_same_bits(&truth, &cluster.run(&bench, &unnamed, "unnamed.parquet"));
    // Both executors had a part in it.
    for executor in &cluster.executors {
        assert!(executor.log().contains("is on CPU"), "{}", executor.log());
    }
}

#[test]
fn a_cluster_orders_rows() {
    let bench = Bench::new();
    let cluster = Cluster::start(&bench);
    let ordered = format!("{} ORDER BY id DESC", bench.last());
    let truth = bench.local(&ordered, "truth.parquet");
    let result = cluster.run(&bench, &ordered, "ordered.parquet");
    assert_same_bits(&truth, &result);
    let rows = lstm_cluster::compare::read(&result).expect("a result");
    let ids = rows.column(0).as_primitive::<Int64Type>().values();
    assert!(ids.windows(2).all(|pair| pair[0] > pair[1]), "descending");
    // The second stage read the first one's results over the network, though the executors share a disk.
    let logs: String = cluster.executors.iter().map(Process::log).collect();
    assert!(logs.contains("ShuffleReaderExec::execute"), "{logs}");
    assert!(!logs.contains("fetch local "), "{logs}");
}

/// `kill -9` while the executor computes: nobody tells the scheduler, which notices by the missing heartbeats.
#[test]
fn a_killed_executor_costs_no_row() {
    let bench = Bench::new();
    let truth = bench.local(&bench.last(), "truth.parquet");
    let mut cluster = Cluster::special(&bench, &pausing(2));
    let client =
        cluster.client(&bench, &bench.last(), "killed.parquet", &[]).spawn().expect("the client runs");
    // Both are in the middle of their first task. One dies there, the other goes on.
    (0..2).for_each(|executor| reached(&bench, executor));
    cluster.executors[0].signal(Signal::KILL);
    cluster.executors[0].end();
    go(&bench, 1);
    finish(client).expect("the other executor computes its tasks");
    assert_same_bits(&truth, &bench.path("killed.parquet"));
    assert!(cluster.scheduler.log().contains("heartbeat timed out"), "{}", cluster.scheduler.log());
}

/// `TERM`: the executor says good-bye, and its tasks go to the other while it still finishes its own.
#[test]
fn a_terminated_executor_costs_no_row() {
    let bench = Bench::new();
    let truth = bench.local(&bench.last(), "truth.parquet");
    let mut cluster = Cluster::special(&bench, &pausing(2));
    let client =
        cluster.client(&bench, &bench.last(), "terminated.parquet", &[]).spawn().expect("the client runs");
    (0..2).for_each(|executor| reached(&bench, executor));
    cluster.executors[0].signal(Signal::TERM);
    go(&bench, 1);
    finish(client).expect("the other executor computes its tasks");
    assert_same_bits(&truth, &bench.path("terminated.parquet"));
    go(&bench, 0);
    assert!(cluster.executors[0].end().success(), "{}", cluster.executors[0].log());
}

#[test]
fn a_cluster_without_executors_fails_and_does_not_hang() {
    let bench = Bench::new();
    let mut cluster = Cluster::special(&bench, &pausing(2));
    let client = cluster.client(&bench, &bench.last(), "lost.parquet", &[]).spawn().expect("the client runs");
    (0..2).for_each(|executor| reached(&bench, executor));
    for executor in &mut cluster.executors {
        executor.signal(Signal::KILL);
        executor.end();
    }
    let error = finish(client).expect_err("nobody is left to compute");
    assert!(error.contains("all executors were lost"), "{error}");
    assert!(!bench.path("lost.parquet").exists(), "a failed query leaves no result");
}

/// What to do instead of ORDER BY over the network's stage: an executor lost after a shuffle is where Ballista fails.
#[test]
fn the_leafs_result_is_written_and_then_ordered() {
    let bench = Bench::new();
    let mut cluster = Cluster::special(&bench, &pausing(2));
    let client = cluster.client(&bench, &bench.last(), "leaf.parquet", &[]).spawn().expect("the client runs");
    (0..2).for_each(|executor| reached(&bench, executor));
    cluster.executors[1].signal(Signal::KILL);
    cluster.executors[1].end();
    go(&bench, 0);
    finish(client).expect("the other executor computes its tasks");
    let leaf = bench.text("leaf.parquet");
    let ordered =
        cluster.run(&bench, &format!("SELECT id, last FROM '{leaf}' ORDER BY id"), "ordered.parquet");
    let truth = bench.local(&format!("{} ORDER BY id", bench.last()), "truth.parquet");
    assert_same_bits(&truth, &ordered);
}

/// Processes may start in any order, as they do when a machine boots.
#[test]
fn an_executor_waits_for_its_scheduler() {
    let bench = Bench::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let port = free.expect("a free port").port();
    let args = ["executor".to_owned(), bench.model(), format!("--scheduler-port={port}")];
    let patient =
        Process::start(&bench, "early", &[&args[..], &["--scheduler-wait=600".to_owned()]].concat());
    patient.logs("yet (Connection refused");
    for role in [&args[..], &["client".to_owned(), "--query=SELECT 1".to_owned(), args[2].clone()]] {
        let mut late = Process::start(&bench, "late", &[role, &["--scheduler-wait=0".to_owned()]].concat());
        assert!(!late.end().success());
        let words = format!("no scheduler listens at 127.0.0.1:{port}: Connection refused");
        assert!(late.log().contains(&words), "{}", late.log());
    }
    let scheduler = ["scheduler".to_owned(), bench.model(), format!("--port={port}")];
    let _scheduler = Process::start(&bench, "scheduler", &scheduler);
    patient.line("executor ");
}

#[test]
fn a_client_has_a_time_limit() {
    let bench = Bench::new();
    let cluster = Cluster::special(&bench, &pausing(1));
    let error = cluster.error(&bench, &bench.last(), &["--time-limit=2"]);
    assert!(error.contains("took more than 2 s, its time limit, and job"), "{error}");
    assert!(error.contains("was cancelled"), "{error}");
    cluster.scheduler.logs("Job cancelled: [");
}

#[test]
fn each_place_of_registration_is_missed_with_a_clear_word() {
    let bench = Bench::new();
    let without = || vec!["--without-functions".to_owned()];
    let executors = 1;
    {
        let cluster = Cluster::special(&bench, &Special { executors, ..Special::default() });
        let error = cluster.error(&bench, &bench.last(), &["--without-functions"]);
        assert!(error.contains("Invalid function 'lstm_last'"), "client: {error}");
    }
    let start_them = "start every process of the cluster with this program, and with the same --model";
    {
        let cluster =
            Cluster::special(&bench, &Special { executors, scheduler: without(), ..Special::default() });
        let error = cluster.error(&bench, &bench.last(), &[]);
        assert!(error.contains("lstm_last") && error.contains(start_them), "scheduler: {error}");
    }
    let cluster = Cluster::special(&bench, &Special { executors, executor: without(), ..Special::default() });
    let error = cluster.error(&bench, &bench.last(), &[]);
    assert!(error.contains("lstm_last") && error.contains(start_them), "executor: {error}");
    let log = cluster.executors[0].log();
    assert!(log.contains("not provided for scalar function lstm_last"), "executor's log: {log}");
}

/// Another network of the same sizes under the same name, which would return other rows without a word.
#[test]
fn other_weights_are_refused() {
    let bench = Bench::new();
    let config = wgpu_lstm::LstmConfig::new(6, 20);
    let other = wgpu_lstm::LstmWeights::uniform(&config, 15).and_then(|weights| weights.to_safetensors(""));
    std::fs::write(bench.path("other.safetensors"), other.expect("a network")).expect("a file");
    let other = || vec![format!("--model=m={}", bench.text("other.safetensors"))];
    let unknown = || vec![format!("--model=n={}", bench.text("model.safetensors"))];
    let executors = 1;
    let refused = |special: Special| {
        let cluster = Cluster::special(&bench, &special);
        cluster.error(&bench, &bench.last(), &[])
    };
    let words = "model 'm': this process has other weights";
    let error = refused(Special { executors, executor: other(), ..Special::default() });
    assert!(error.contains(words), "executor: {error}");
    let error = refused(Special { executors, scheduler: other(), ..Special::default() });
    assert!(error.contains(words), "scheduler: {error}");
    let error = refused(Special { executors, executor: unknown(), ..Special::default() });
    assert!(error.contains("there is no model 'm': this process has 'n'"), "executor: {error}");
}

#[test]
fn other_arithmetic_is_refused() {
    let bench = Bench::new();
    let cluster = Cluster::special(&bench, &Special { executors: 1, ..Special::default() });
    let error = cluster.error(&bench, &bench.last(), &["--arithmetic=cpu 00"]);
    assert!(error.contains("model 'm': this process has other arithmetic (cpu "), "{error}");
    // What the executor printed is accepted.
    let line = cluster.executors[0].line("model m is ");
    let arithmetic = line.split_once('/').expect("an identity").1;
    let given = format!("--arithmetic={arithmetic}");
    let client =
        cluster.client(&bench, &bench.last(), "given.parquet", &[&given]).spawn().expect("the client runs");
    finish(client).expect("the same arithmetic");
}

/// An error of a row is final: the task is not tried again.
#[test]
fn an_error_of_a_row_is_final() {
    let bench = Bench::new();
    let cluster = Cluster::special(&bench, &Special { executors: 1, ..Special::default() });
    let bad = format!(
        "SELECT id, lstm_last('m', CASE WHEN id = 77 THEN arrow_cast([[1.0, 2.0]], 'List(List(Float32))') \
         ELSE arrow_cast(frames, 'List(List(Float32))') END) AS last FROM '{}'",
        bench.sequences()
    );
    let error = cluster.error(&bench, &bad, &[]);
    assert!(error.contains("row 77 of the record batch, vector 0"), "{error}");
    assert!(error.contains("it has 2 values, but the model takes 6"), "{error}");
    assert!(error.contains("runtime execution error"), "{error}");
}
