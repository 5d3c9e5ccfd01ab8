//! How schedules are chosen: measured choices, their record, and what is refused.

mod common;

use ndarray::Array3;
use wgpu_lstm::{Device, Error, Lstm, LstmConfig, LstmWeights, Precision, Schedule, Tuning};

fn lstm(device: &Device, config: &LstmConfig) -> Lstm {
    Lstm::new(device, &LstmWeights::uniform(config, 3).unwrap()).unwrap().with_tuning(Tuning::Measure)
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn a_measured_choice_is_kept_and_can_be_moved() {
    let config = LstmConfig::new(3, 5).with_num_layers(2);
    let first = lstm(common::device::gpu(), &config);
    let input = Array3::from_elem((4, 2, 3), 0.5);
    let expected = first.forward(input.view(), None).unwrap();
    let record = first.tuning_record();
    assert_eq!(record.matches("\"schedule\"").count(), 1, "{record}");
    assert_eq!(first.forward(input.view(), None).unwrap(), expected);
    assert_eq!(first.tuning_record(), record, "the second call measures nothing");

    let second = lstm(common::device::gpu(), &config);
    second.load_tuning(&record).unwrap();
    assert_eq!(second.tuning_record(), record);
    assert_eq!(second.forward(input.view(), None).unwrap(), expected);
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn a_record_of_something_else_is_refused() {
    let config = LstmConfig::new(3, 5);
    let device = common::device::gpu();
    let record = lstm(device, &config).tuning_record();
    for (lstm, record) in [
        (lstm(device, &config.clone().with_num_layers(2)), record.clone()),
        (lstm(&Device::cpu(), &config), record.clone()),
        (lstm(device, &config), "no JSON".to_owned()),
        (
            lstm(device, &config),
            record.replace("[]", r#"[{"steps": 1, "batch": 1, "rows": 1, "schedule": "magic"}]"#),
        ),
        (lstm(device, &config), record.replace("choices", "chances")),
    ] {
        let result = lstm.load_tuning(&record);
        assert!(matches!(result, Err(Error::TuningRecord { .. })), "{record}: {result:?}");
    }
    lstm(device, &config).load_tuning(&record).unwrap();
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn every_schedule_that_can_compute_a_call_has_a_cost() {
    let device = common::device::gpu();
    let schedules = |config: &LstmConfig| -> Vec<Schedule> {
        let mut all: Vec<_> =
            lstm(device, config).costs(3, 2).unwrap().iter().map(|cost| cost.schedule).collect();
        all.sort();
        all
    };
    assert_eq!(schedules(&LstmConfig::new(3, 5)), Schedule::ALL);
    let bidirectional = LstmConfig::new(3, 5).with_bidirectional(true);
    assert_eq!(schedules(&bidirectional), [Schedule::Step, Schedule::Scan, Schedule::Single]);
    let projected = LstmConfig::new(3, 5).with_proj_size(2);
    assert_eq!(schedules(&projected), [Schedule::Step, Schedule::Single, Schedule::Diagonal]);
    assert!(lstm(&Device::cpu(), &projected).costs(3, 2).unwrap().is_empty());
    assert!(matches!(lstm(device, &projected).costs(0, 2), Err(Error::NoTimeSteps)));
}

/// Shapes of a record, as written.
fn shapes(record: &str) -> usize {
    record.matches("\"schedule\"").count()
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn batches_that_are_alike_are_measured_once() {
    let config = LstmConfig::new(3, 5);
    let network = lstm(common::device::gpu(), &config);
    let input = Array3::from_elem((24, 8, 3), 0.5);
    // Every batch ragged in its own way: 18 to 24 steps, 8 sequences.
    for batch in 0..30 {
        let lengths: Vec<usize> = (0..8).map(|b| 24 - (5 * batch + 3 * b) % 13).collect();
        network.forward_padded(input.view(), &lengths, None).unwrap();
    }
    assert_eq!(shapes(&network.tuning_record()), 1, "{}", network.tuning_record());

    // Calls of one step or one sequence share with no other shape. A record keeps the measured shapes.
    for (steps, batch, measured) in [(1, 8, 2), (2, 8, 3), (1, 1, 4), (2, 1, 5), (24, 8, 5), (20, 7, 5)] {
        network.forward(Array3::zeros((steps, batch, 3)).view(), None).unwrap();
        assert_eq!(shapes(&network.tuning_record()), measured, "T = {steps}, B = {batch}");
    }
    let record = network.tuning_record();
    let other = lstm(common::device::gpu(), &config);
    other.load_tuning(&record).unwrap();
    other.forward(Array3::zeros((23, 9, 3)).view(), None).unwrap();
    assert_eq!(other.tuning_record(), record, "nothing is measured that is like what was loaded");
}

/// A record can come from an untrusted file: the number of entries that are kept is bounded.
#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn of_a_long_record_the_last_shapes_are_kept() {
    let network = lstm(common::device::gpu(), &LstmConfig::new(3, 5));
    let choices = |batches: std::ops::Range<usize>| -> String {
        let choice = |b| format!(r#"{{"batch":{b},"rows":{b},"schedule":"step","steps":1}}"#);
        format!("[{}]", batches.map(choice).collect::<Vec<_>>().join(","))
    };
    let empty = network.tuning_record();
    let of = |batches| empty.replace("[]", &choices(batches));
    assert_eq!(shapes(&of(1..3)), 2);
    network.load_tuning(&of(1..80_001)).unwrap();
    assert!(network.tuning_record() == of(80_001 - 1024..80_001), "{}", shapes(&network.tuning_record()));
    network.load_tuning(&of(5..7)).unwrap();
    assert_eq!(shapes(&network.tuning_record()), 1024);
    assert!(network.tuning_record().contains("\"batch\":6,"), "the newest stay");
    let all = network.tuning_record();
    let zero = empty.replace("[]", r#"[{"steps": 0, "batch": 1, "rows": 1, "schedule": "step"}]"#);
    assert!(matches!(network.load_tuning(&zero), Err(Error::TuningRecord { .. })));
    assert_eq!(network.tuning_record(), all, "of a wrong record nothing is taken over");
}

#[test]
fn debug_shows_how_a_network_runs() {
    let config = LstmConfig::new(3, 5);
    let weights = LstmWeights::uniform(&config, 3).unwrap().to_precision(Precision::F16).unwrap();
    let network = Lstm::new(&Device::cpu(), &weights).unwrap().with_tuning(Tuning::Fixed(Schedule::Scan));
    let said = format!("{network:?}");
    for part in ["precision: F16", "tuning: Fixed(Scan)", "memory_budget: ", "hidden_size: 5", "\"CPU\""] {
        assert!(said.contains(part), "{part} is missing: {said}");
    }
}
