//! What must not change a bit of a result: blocks, the schedule, the batch, and how a stream is cut into calls.

use ndarray::{Array3, ArrayD};
use proptest::prelude::*;
use wgpu_lstm::{DEFAULT_MEMORY_BUDGET, Device, Lstm, LstmState, Schedule, Tuning};

use crate::case::{Case, Data, cases, config, refused_by_budget};
use crate::common;

/// Sequences `order` of a batch, each at its new place.
fn picked(data: &Data, order: &[usize]) -> Data {
    let part = |array: &Array3<f32>| array.select(ndarray::Axis(1), order);
    Data {
        weights: data.weights.clone(),
        input: part(&data.input),
        lengths: data.lengths.as_ref().map(|lengths| order.iter().map(|&b| lengths[b]).collect()),
        state: data.state.as_ref().map(|state| LstmState { h: part(&state.h), c: part(&state.c) }),
    }
}

/// Sequences `order` of a batch in a call of their own have the bits that they have in the whole batch.
fn the_batch_changes_no_bit(
    case: &Case,
    data: &Data,
    lstm: &Lstm,
    whole: &[ArrayD<f32>; 3],
    order: &[usize],
) -> Result<(), TestCaseError> {
    let actual = case.run(lstm, &picked(data, order)).unwrap();
    // The batch is the second axis of output, h_n and c_n.
    for (actual, whole) in actual.iter().zip(whole) {
        prop_assert_eq!(actual, &whole.select(ndarray::Axis(1), order));
    }
    Ok(())
}

/// A memory budget cuts a call into blocks. Every network of `cases` has room for a row in 2¹⁷ bytes.
fn budgets_change_no_bit(
    case: &Case,
    data: &Data,
    mut lstm: Lstm,
    whole: &[ArrayD<f32>; 3],
) -> Result<Lstm, TestCaseError> {
    for bits in [14, 15, 17] {
        lstm = lstm.with_memory_budget(1 << bits);
        let actual = match case.run(&lstm, data) {
            Ok(actual) => actual,
            Err(error) => {
                let needed = refused_by_budget(&error, 1 << bits).filter(|_| bits < 17);
                let needed = needed.ok_or_else(|| TestCaseError::fail(error.to_string()))?;
                lstm = lstm.with_memory_budget(needed);
                case.run(&lstm, data).expect("the budget that the error names is enough")
            }
        };
        prop_assert_eq!(&actual, whole);
    }
    Ok(lstm.with_memory_budget(DEFAULT_MEMORY_BUDGET))
}

/// A stream in calls of `cut` time steps against one call. The case must be neither batch first nor ragged.
fn cuts_change_no_bit(case: &Case, data: &Data, lstm: &Lstm, cut: usize) -> Result<(), TestCaseError> {
    let (whole, end) = lstm.forward(data.input.view(), data.state.as_ref()).unwrap();
    let mut state = data.state.clone();
    for start in (0..case.steps).step_by(cut) {
        let times = ndarray::s![start..case.steps.min(start + cut), .., ..];
        let (output, next) = lstm.forward(data.input.slice(times), state.as_ref()).unwrap();
        prop_assert_eq!(output.view(), whole.slice(times));
        state = Some(next);
    }
    prop_assert_eq!(state, Some(end));
    Ok(())
}

// Few: drivers compile kernels for every size.
proptest! {
    #![proptest_config(config(8))]

    #[test]
    #[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
    fn blocks_and_batches_change_no_bit(case in cases()) {
        let case = Case { budget: None, ..case };
        let data = case.data();
        let lstm = case.lstm(common::device::gpu(), &data);
        let whole = case.run(&lstm, &data).unwrap();
        let lstm = budgets_change_no_bit(&case, &data, lstm, &whole)?;
        the_batch_changes_no_bit(&case, &data, &lstm, &whole, &[case.batch / 2])?;
    }
}

// Fewer still: every case compiles the kernels of every schedule.
proptest! {
    #![proptest_config(config(6))]

    // Every schedule gives the same bits, and so does a stream in calls of any lengths.
    #[test]
    #[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
    fn schedules_and_cuts_of_time_change_no_bit(case in cases(), cut in any::<prop::sample::Index>()) {
        let case = Case { budget: None, ..case };
        let data = case.data();
        let mut lstm = case.lstm(common::device::gpu(), &data);
        let expected = case.run(&lstm, &data).unwrap();
        for schedule in Schedule::ALL {
            lstm = lstm.with_tuning(Tuning::Fixed(schedule));
            prop_assert_eq!(&case.run(&lstm, &data).unwrap(), &expected);
        }
        if case.config.bidirectional() || case.ragged {
            return Ok(()); // a stream has one direction, and its sequences one length
        }
        lstm = lstm.with_tuning(Tuning::Model).with_batch_first(false);
        cuts_change_no_bit(&case, &data, &lstm, 1 + cut.index(case.steps))?;
    }
}

proptest! {
    #![proptest_config(config(48))]

    // A sequence has the same bits at any place of any batch.
    #[test]
    fn the_batch_changes_no_bit_on_the_cpu(case in cases(), turn in any::<prop::sample::Index>()) {
        let data = case.data();
        let lstm = case.lstm(&Device::cpu(), &data);
        let whole = case.run(&lstm, &data).unwrap();
        let first = turn.index(case.batch);
        let turned: Vec<usize> = (0..case.batch).rev().map(|b| (b + first) % case.batch).collect();
        for order in [turned.clone(), turned[..case.batch.div_ceil(2)].to_vec(), turned[..1].to_vec()] {
            the_batch_changes_no_bit(&case, &data, &lstm, &whole, &order)?;
        }
    }

    // A stream has the same bits in calls of any lengths.
    #[test]
    fn cuts_of_time_change_no_bit_on_the_cpu(case in cases(), cut in any::<prop::sample::Index>()) {
        let config = case.config.clone().with_bidirectional(false);
        let case = Case { config, ragged: false, batch_first: false, ..case };
        let data = case.data();
        let lstm = case.lstm(&Device::cpu(), &data);
        cuts_change_no_bit(&case, &data, &lstm, 1 + cut.index(case.steps))?;
    }
}
