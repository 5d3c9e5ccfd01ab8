//! How schedules are chosen: measured choices, their record, and what is refused.

mod common;

use ndarray::Array3;
use wgpu_lstm::{Device, Error, Lstm, LstmConfig, LstmWeights, Schedule, Tuning};

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
