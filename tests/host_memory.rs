//! When memory runs out a call is right or refused. The tests run in processes with limited address space.
#![cfg(target_os = "linux")]

mod common;

use std::process::{Command, Output};

use common::compare::FLOOR;
use common::process::bound_growth;
use ndarray::{Array3, s};
use wgpu_lstm::{
    DEFAULT_MEMORY_BUDGET, Device, Error, Lstm, LstmConfig, LstmState, LstmWeights, Precision, wgpu,
};

/// Runs this program's test `name` again, with `CHILD` set to `case`, under `ulimit -v`.
fn under_ulimit(kib: Option<u64>, name: &str, case: &str) -> Output {
    let limit = kib.map_or("unlimited".to_owned(), |kib| kib.to_string());
    let command = r#"ulimit -v "$1" && exec "$2" --exact "$3" --nocapture --test-threads=1"#;
    Command::new("sh")
        .args(["-c", command, "sh", &limit])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env("CHILD", case)
        // A thread's own arena is 64 MiB of address space, which it may still fill when the limit is reached.
        .env("MALLOC_ARENA_MAX", "1")
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("sh")
}

/// Whether a child computed the right result; false if it was refused. An error if it ended in any other way.
fn was_right(what: &str, child: &Output) -> Result<bool, String> {
    let said = String::from_utf8_lossy(&[&child.stdout[..], &child.stderr].concat()).into_owned();
    let (right, refused) = (said.contains("answer: right"), said.contains("answer: refused"));
    match child.status.success() && right != refused {
        true => Ok(right),
        false => Err(format!("{what}: {}:\n{said}", child.status)),
    }
}

/// Panics if any answer was neither right nor refused, or if none was right.
#[track_caller]
fn assert_all_right(answers: Vec<Result<bool, String>>) {
    assert!(answers.contains(&Ok(true)), "the largest limit is enough: {answers:?}");
    let wrong: Vec<String> = answers.into_iter().filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Makes a call with an input that takes no memory, and prints its answer. Panics if that is neither right nor
/// `OutOfMemory`.
fn answer(lstm: &Lstm, steps: usize, batch: usize) {
    // The input is the same at every step, so the output converges.
    let one = Array3::from_elem((1, 1, 1), 0.5);
    let call = |steps| lstm.forward(one.broadcast((steps, batch, lstm.config().input_size())).unwrap(), None);
    // Compares the last step of the forward direction; a reverse one has computed few steps there.
    let width = lstm.config().output_size();
    let last = |output: Array3<f32>| output.slice(s![-1, .., ..width]).to_owned();
    match call(steps).map(|(output, _)| last(output)) {
        Ok(end) => {
            let settled = last(call(1_000).unwrap().0);
            let apart = end.iter().zip(&settled).map(|(a, b)| f64::from((a - b).abs()));
            assert!(apart.max_by(f64::total_cmp).unwrap() <= FLOOR);
            println!("answer: right");
        }
        Err(Error::OutOfMemory { reason }) => println!("answer: refused: {reason}"),
        Err(error) => panic!("{error}"),
    }
}

fn lstm(device: &Device, config: &LstmConfig) -> Lstm {
    Lstm::new(device, &LstmWeights::uniform(config, 7).unwrap()).unwrap()
}

/// A million steps, and a billion, whose output alone takes 4 GB: `memory` refuses the calls that `forward` refuses, and
/// no others.
#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn a_long_call_on_the_gpu_is_refused_or_right() {
    const NAME: &str = "a_long_call_on_the_gpu_is_refused_or_right";
    if let Ok(steps) = std::env::var("CHILD") {
        let steps = steps.parse().unwrap();
        let lstm = lstm(common::device::gpu(), &LstmConfig::new(1, 1));
        let told = lstm.memory(steps, 1);
        println!("memory: {}", if told.is_ok() { "enough" } else { "too little" });
        assert!(matches!(told, Ok(_) | Err(Error::OutOfMemory { .. })), "{told:?}");
        return answer(&lstm, steps, 1);
    }
    for (steps, right) in [("1000000", true), ("1000000000", false)] {
        let child = under_ulimit(Some(1_500_000), NAME, steps);
        assert_eq!(was_right(&format!("{steps} steps in 1,500,000 KiB"), &child), Ok(right));
        let told = String::from_utf8_lossy(&child.stdout).contains("memory: enough");
        assert_eq!(told, right, "{steps} steps: what memory() said");
    }
}

/// 20 million steps: 80 MB of output, and the list of how many sequences run at each step.
#[test]
fn a_long_call_on_the_cpu_is_refused_or_right() {
    if std::env::var_os("CHILD").is_some() {
        return answer(&lstm(&Device::cpu(), &LstmConfig::new(1, 1)), 20_000_000, 1);
    }
    let run = |kib| {
        let child = under_ulimit(Some(kib), "a_long_call_on_the_cpu_is_refused_or_right", "");
        was_right(&format!("{kib} KiB"), &child)
    };
    assert_all_right([170_000, 235_000, 300_000].map(run).into());
}

/// Many limits of memory, here for a tenth of the steps, and for networks whose calls start threads.
#[test]
fn no_end_of_memory_aborts_a_call_on_the_cpu() {
    let deep = LstmConfig::new(1, 8).with_num_layers(2).with_bidirectional(true);
    let cases = [
        ("long", LstmConfig::new(1, 1), 2_000_000, 1),
        ("wide", LstmConfig::new(1, 64), 2_000, 64),
        ("deep", deep, 40_000, 4),
        // Rows of the input that a thread copies: 18 MB.
        ("wide input", LstmConfig::new(100_000, 1).with_bidirectional(true), 96, 1),
    ];
    if let Ok(child) = std::env::var("CHILD") {
        let (name, growth) = child.rsplit_once(' ').unwrap();
        let (_, config, steps, batch) = cases.iter().find(|case| case.0 == name).unwrap();
        let lstm = lstm(&Device::cpu(), config);
        bound_growth(growth.parse().unwrap());
        return answer(&lstm, *steps, *batch);
    }
    let mut all = Vec::new();
    for (name, ..) in &cases {
        let run = |mib: u64| {
            let case = format!("{name} {}", mib << 20);
            let child = under_ulimit(None, "no_end_of_memory_aborts_a_call_on_the_cpu", &case);
            was_right(&format!("{name}, {mib} MiB"), &child)
        };
        let answers = [1, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 48, 64, 96, 1_024].map(run);
        println!("{name}: {:?}", answers.each_ref().map(|right| right.as_ref().ok()));
        assert_eq!(answers[14], Ok(true), "{name}: 1 GiB is enough");
        all.extend(answers);
    }
    assert_all_right(all);
}

/// Weights of 134 MB without memory for a second copy: packing and rounding them is refused.
#[test]
fn weights_that_can_not_be_copied_are_refused() {
    const NAME: &str = "weights_that_can_not_be_copied_are_refused";
    if std::env::var_os("CHILD").is_some() {
        let weights = LstmWeights::uniform(&LstmConfig::new(2_048, 2_048), 7).unwrap();
        bound_growth(16 << 20);
        let made = Lstm::new(&Device::cpu(), &weights).map(drop);
        assert!(matches!(made, Err(Error::OutOfMemory { .. })), "{made:?}");
        let rounded = weights.to_precision(Precision::F16).map(drop);
        assert!(matches!(rounded, Err(Error::OutOfMemory { .. })), "{rounded:?}");
        return println!("answer: refused");
    }
    assert_eq!(was_right(NAME, &under_ulimit(None, NAME, "weights")), Ok(false));
}

#[test]
fn a_state_that_no_memory_holds_panics_as_its_docs_say() {
    let zeros = || LstmState::zeros(&LstmConfig::new(1, 1), 1 << 50);
    let payload = std::panic::catch_unwind(zeros).expect_err("4 PiB");
    let message = payload.downcast_ref::<String>().expect("a message");
    assert!(message.contains("[1, 1125899906842624, 1]") && message.contains("out of memory"), "{message}");
}

/// Many sequences, and blocks of one step: `memory` and `forward` refuse a call without memory for its lists. It runs on the
/// no-op backend, since a driver may abort.
#[test]
fn no_end_of_memory_aborts_what_is_planned_for_a_gpu() {
    const NAME: &str = "no_end_of_memory_aborts_what_is_planned_for_a_gpu";
    let cases = [
        ("many", LstmConfig::new(1, 1), 1, 2_000_000, DEFAULT_MEMORY_BUDGET),
        ("blocks", LstmConfig::new(1, 1).with_num_layers(8), 50_000, 1, 256),
        ("more blocks", LstmConfig::new(1, 1), 500_000, 1, 96),
        ("directions", LstmConfig::new(1, 1).with_bidirectional(true), 2_000, 1, 256),
    ];
    if let Ok(child) = std::env::var("CHILD") {
        let (name, growth) = child.rsplit_once(' ').unwrap();
        let (_, config, steps, batch, budget) = cases.iter().find(|case| case.0 == name).unwrap();
        let lstm = lstm(&common::noop::device(wgpu::Trace::Off), config).with_memory_budget(*budget);
        let one = Array3::from_elem((1, 1, 1), 0.5);
        bound_growth(growth.parse().unwrap());
        let told = lstm.memory(*steps, *batch);
        let costs = lstm.costs(*steps, *batch).map(|costs| costs.len());
        assert!(matches!(costs, Ok(4 | 3) | Err(Error::OutOfMemory { .. })), "{costs:?}");
        let result = lstm.forward(one.broadcast((*steps, *batch, 1)).unwrap(), None);
        assert!(matches!(told, Ok(_) | Err(Error::OutOfMemory { .. })), "{told:?}");
        return match result {
            Ok(_) if told.is_ok() => println!("answer: right"),
            Err(Error::OutOfMemory { reason }) => println!("answer: refused: {reason}"),
            other => panic!("{other:?}, but memory() said {told:?}"),
        };
    }
    for (name, ..) in &cases {
        // Far less memory than needed, and far more: in between the backend itself may abort.
        for (mib, right) in [(1u64, false), (4, false), (3_000, true)] {
            let child = under_ulimit(None, NAME, &format!("{name} {}", mib << 20));
            assert_eq!(was_right(&format!("{name}, {mib} MiB"), &child), Ok(right));
        }
    }
}

/// 200,000 parts of one sequence: there is memory for what is checked, and not for every part at the same time.
#[test]
fn a_batch_of_many_parts_takes_memory_for_one() {
    const NAME: &str = "a_batch_of_many_parts_takes_memory_for_one";
    const BATCH: usize = 200_000;
    if std::env::var_os("CHILD").is_some() {
        let lstm = lstm(&common::noop::device(wgpu::Trace::Off), &LstmConfig::new(1, 1));
        let lstm = lstm.with_memory_budget(96);
        bound_growth(36 << 20);
        lstm.memory(1, BATCH).unwrap();
        let costs = lstm.costs(1, BATCH).unwrap();
        assert!(costs.iter().all(|cost| cost.dispatches >= BATCH as u64), "a part each: {costs:?}");
        return println!("answer: right");
    }
    assert_eq!(was_right(NAME, &under_ulimit(None, NAME, "parts")), Ok(true));
}
