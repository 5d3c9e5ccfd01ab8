//! GPU against the float64 reference over random networks and shapes: sizes around every edge of a tile,
//! every option combined. proptest shrinks what fails.

mod common;

use common::compare::{F32_RANDOM_NETWORK, assert_close};
use ndarray::{Array3, ArrayD};
use proptest::prelude::*;
use proptest::sample::select;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use wgpu_lstm::{
    DEFAULT_MEMORY_BUDGET, Device, Error, Lstm, LstmConfig, LstmState, LstmWeights, Precision, Schedule,
    Tuning, reference,
};

#[derive(Clone, Debug)]
struct Case {
    config: LstmConfig,
    batch: usize,
    steps: usize,
    ragged: bool,
    with_state: bool,
    batch_first: bool,
    /// Bytes; small ones cut the call into blocks of time and of the batch.
    budget: Option<u64>,
    schedule: Schedule,
    precision: Precision,
    seed: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    // vec4f of 4; tiles of 1, 4, 8, 16 rows; workgroups of 32 and 64; chunks of 32 vec4f = 128.
    let width = select(vec![1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 37, 63, 64, 65, 127, 129, 133]);
    let batch = select(vec![1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33]);
    let network =
        (width.clone(), width, 1..4usize, any::<bool>(), any::<bool>(), any::<prop::sample::Index>());
    let config = network.prop_map(|(input, hidden, layers, bias, bidirectional, projection)| {
        LstmConfig::new(input, hidden)
            .with_num_layers(layers)
            .with_bias(bias)
            .with_bidirectional(bidirectional)
            .with_proj_size(projection.index(2 * hidden).saturating_sub(hidden)) // none for half of them
    });
    let call = (batch, 1..8usize, any::<bool>(), any::<bool>(), any::<bool>());
    let budget = prop_oneof![2 => Just(None), 1 => (15..18u32).prop_map(|bits| Some(1 << bits))];
    let way = (select(&Schedule::ALL[..]), select(vec![Precision::F32, Precision::F32, Precision::F16]));
    (config, call, budget, way, any::<u64>()).prop_map(
        |(config, call, budget, (schedule, precision), seed)| {
            let (batch, steps, ragged, with_state, batch_first) = call;
            Case { config, batch, steps, ragged, with_state, batch_first, budget, schedule, precision, seed }
        },
    )
}

struct Data {
    weights: LstmWeights,
    /// (T, B, I), NaN past a length.
    input: Array3<f32>,
    lengths: Option<Vec<usize>>,
    state: Option<LstmState>,
}

impl Case {
    fn data(&self) -> Data {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let (config, batch) = (&self.config, self.batch);
        // PyTorch's own range at H = 20 or so, but enough to tell gates, layers and directions apart.
        let weights = LstmWeights::uniform(config, self.seed).unwrap().to_precision(self.precision).unwrap();
        let mut array =
            |shape: [usize; 3]| Array3::from_shape_simple_fn(shape, || random.random_range(-1.5..1.5f32));
        let mut input = array([self.steps, batch, config.input_size()]);
        let slots = config.num_layers() * config.num_directions();
        let h = array([slots, batch, config.output_size()]);
        let c = array([slots, batch, config.hidden_size()]);
        let lengths: Option<Vec<usize>> =
            self.ragged.then(|| (0..batch).map(|_| random.random_range(1..=self.steps)).collect());
        for (b, &length) in lengths.iter().flatten().enumerate() {
            input.slice_mut(ndarray::s![length.., b, ..]).fill(f32::NAN);
        }
        let state = self.with_state.then_some(LstmState { h, c });
        Data { weights, input, lengths, state }
    }

    fn lstm(&self, device: &Device, data: &Data) -> Lstm {
        let lstm = Lstm::new(device, &data.weights).unwrap().with_batch_first(self.batch_first);
        lstm.with_memory_budget(self.budget.unwrap_or(DEFAULT_MEMORY_BUDGET))
            .with_tuning(Tuning::Fixed(self.schedule))
    }

    fn run(&self, lstm: &Lstm, data: &Data) -> Result<[ArrayD<f32>; 3], Error> {
        let axes = if self.batch_first { [1, 0, 2] } else { [0, 1, 2] };
        let input = data.input.view().permuted_axes(axes);
        let (output, state) = match &data.lengths {
            Some(lengths) => lstm.forward_padded(input, lengths, data.state.as_ref())?,
            None => lstm.forward(input, data.state.as_ref())?,
        };
        Ok([output.permuted_axes(axes).into_dyn(), state.h.into_dyn(), state.c.into_dyn()])
    }

    fn truth(&self, data: &Data) -> [ArrayD<f64>; 3] {
        let wide = |array: &Array3<f32>| array.mapv(f64::from);
        let state = data.state.as_ref().map(|state| (wide(&state.h), wide(&state.c)));
        let state = state.as_ref().map(|(h, c)| (h.view(), c.view()));
        let (output, h, c) =
            reference::forward(&data.weights, wide(&data.input).view(), data.lengths.as_deref(), state)
                .unwrap();
        [output.into_dyn(), h.into_dyn(), c.into_dyn()]
    }
}

/// Whether a budget below one row refused the call, with what it would take.
fn refused_by_budget(error: &Error, budget: u64) -> Option<u64> {
    match error {
        &Error::LimitExceeded { limit_name: "memory_budget", needed, limit, .. } => {
            (limit == budget && needed > limit).then_some(needed)
        }
        _ => None,
    }
}

fn check(device: &Device, case: &Case) -> Result<(), TestCaseError> {
    let data = case.data();
    let actual = match case.run(&case.lstm(device, &data), &data) {
        Ok(actual) => actual,
        Err(error) => {
            let refused = case.budget.and_then(|budget| refused_by_budget(&error, budget));
            return refused.map(|_| ()).ok_or_else(|| TestCaseError::fail(error.to_string()));
        }
    };
    for ((name, actual), truth) in ["output", "h_n", "c_n"].into_iter().zip(actual).zip(case.truth(&data)) {
        prop_assert_eq!(actual.shape(), truth.shape());
        let (actual, truth): (Vec<f32>, Vec<f64>) =
            (actual.iter().copied().collect(), truth.into_iter().collect());
        assert_close(name, &actual, &truth, F32_RANDOM_NETWORK);
    }
    Ok(())
}

fn config(cases: u32) -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, max_shrink_iters: 200, ..Default::default() };
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => default, // which reads it
        None => ProptestConfig { cases, ..default },
    }
}

proptest! {
    #![proptest_config(config(32))]

    #[test]
    #[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
    fn the_gpu_agrees_with_the_reference(case in cases()) {
        check(common::device::gpu(), &case)?;
    }

    #[test]
    fn the_cpu_agrees_with_the_reference(case in cases()) {
        check(&Device::cpu(), &case)?;
    }
}

/// A stream in calls of `cut` time steps against one call; neither batch first nor ragged.
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

// Fewer: what these take is the drivers' compilers, for every size anew.
proptest! {
    #![proptest_config(config(8))]

    #[test]
    #[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
    fn a_gpu_with_no_feature_and_default_limits_agrees_with_the_reference(case in cases()) {
        check(common::device::plain_gpu(), &case)?;
    }

    // What a budget cuts a call into, and where a sequence lies in a batch, changes no bit.
    #[test]
    #[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
    fn blocks_and_batches_change_no_bit(case in cases()) {
        let whole = Case { budget: None, ..case.clone() };
        let data = case.data();
        let mut lstm = whole.lstm(common::device::gpu(), &data);
        let expected = whole.run(&lstm, &data).unwrap();
        // A row of any of these networks fits the last one.
        for bits in [14, 15, 17] {
            lstm = lstm.with_memory_budget(1 << bits);
            let actual = match whole.run(&lstm, &data) {
                Ok(actual) => actual,
                Err(error) => {
                    let needed = refused_by_budget(&error, 1 << bits).filter(|_| bits < 17);
                    let needed = needed.ok_or_else(|| TestCaseError::fail(error.to_string()))?;
                    lstm = lstm.with_memory_budget(needed);
                    whole.run(&lstm, &data).expect("what it would take is enough")
                }
            };
            prop_assert_eq!(&actual, &expected);
        }
        lstm = lstm.with_memory_budget(DEFAULT_MEMORY_BUDGET);
        let b = case.batch / 2;
        let part = |array: &Array3<f32>| array.slice(ndarray::s![.., b..=b, ..]).to_owned();
        let alone = Data {
            weights: data.weights.clone(),
            input: part(&data.input),
            lengths: data.lengths.as_ref().map(|lengths| vec![lengths[b]]),
            state: data.state.as_ref().map(|state| LstmState { h: part(&state.h), c: part(&state.c) }),
        };
        let actual = Case { batch: 1, ..whole }.run(&lstm, &alone).unwrap();
        for (actual, expected) in actual.iter().zip(&expected) {
            let expected = expected.slice_each_axis(|axis| match axis.axis.index() {
                1 => ndarray::Slice::from(b..=b),
                _ => ndarray::Slice::from(..),
            });
            prop_assert_eq!(actual, &expected.to_owned());
        }
    }
}

// Fewer still: every case takes the kernels of every schedule.
proptest! {
    #![proptest_config(config(6))]

    // The schedule changes no bit, nor does how a stream is cut into calls.
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
            return Ok(()); // such a batch is no stream
        }
        lstm = lstm.with_tuning(Tuning::Model).with_batch_first(false);
        cuts_change_no_bit(&case, &data, &lstm, 1 + cut.index(case.steps))?;
    }
}

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

proptest! {
    #![proptest_config(config(48))]

    // Neither the others in the batch, nor the place among them, nor their lengths change a bit.
    #[test]
    fn the_batch_changes_no_bit_on_the_cpu(case in cases(), turn in any::<prop::sample::Index>()) {
        let data = case.data();
        let lstm = case.lstm(&Device::cpu(), &data);
        let whole = case.run(&lstm, &data).unwrap();
        let turned: Vec<usize> = (0..case.batch).rev().map(|b| (b + turn.index(case.batch)) % case.batch).collect();
        for order in [turned.clone(), turned[..case.batch.div_ceil(2)].to_vec(), turned[..1].to_vec()] {
            let actual = case.run(&lstm, &picked(&data, &order)).unwrap();
            for (actual, whole) in actual.iter().zip(&whole) {
                let (actual, expected) = (actual.view(), whole.select(ndarray::Axis(1), &order));
                prop_assert_eq!(actual, expected.view());
            }
        }
    }

    // A stream's cuts into calls change no bit.
    #[test]
    fn cuts_of_time_change_no_bit_on_the_cpu(case in cases(), cut in any::<prop::sample::Index>()) {
        let case = Case { config: case.config.clone().with_bidirectional(false), ragged: false, batch_first: false, ..case };
        let data = case.data();
        let lstm = case.lstm(&Device::cpu(), &data);
        cuts_change_no_bit(&case, &data, &lstm, 1 + cut.index(case.steps))?;
    }
}

/// The helpers above transpose what is batch first both ways; a mistake there must not cancel one in the crate.
fn batch_first_exchanges_two_axes(device: &Device) {
    let weights = LstmWeights::uniform(&LstmConfig::new(3, 4).with_bidirectional(true), 9).unwrap();
    let (steps, batch) = (5, 2);
    let at = |t: usize, b: usize, i: usize| (t * 6 + b * 3 + i) as f32 / 30.0;
    let time_first = Array3::from_shape_fn((steps, batch, 3), |(t, b, i)| at(t, b, i));
    let batch_first = Array3::from_shape_fn((batch, steps, 3), |(b, t, i)| at(t, b, i));
    let lstm = Lstm::new(device, &weights).unwrap();
    let (expected, expected_state) = lstm.forward_padded(time_first.view(), &[5, 3], None).unwrap();
    let lstm = lstm.with_batch_first(true);
    let (actual, state) = lstm.forward_padded(batch_first.view(), &[5, 3], None).unwrap();
    assert_eq!((expected.dim(), actual.dim()), ((steps, batch, 8), (batch, steps, 8)));
    for (t, b, o) in ndarray::indices((steps, batch, 8)) {
        assert_eq!(actual[[b, t, o]], expected[[t, b, o]], "{t}, {b}, {o}");
    }
    assert_eq!(state, expected_state);
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn batch_first_exchanges_two_axes_on_the_gpu() {
    batch_first_exchanges_two_axes(common::device::gpu());
}

#[test]
fn batch_first_exchanges_two_axes_on_the_cpu() {
    batch_first_exchanges_two_axes(&Device::cpu());
}
