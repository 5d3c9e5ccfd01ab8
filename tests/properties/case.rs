//! Random networks and calls: sizes around every edge of a tile, every option combined.

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
pub struct Case {
    pub config: LstmConfig,
    pub batch: usize,
    pub steps: usize,
    pub ragged: bool,
    pub with_state: bool,
    pub batch_first: bool,
    /// Bytes; small ones cut the call into blocks of time and of the batch.
    pub budget: Option<u64>,
    pub schedule: Schedule,
    pub precision: Precision,
    pub seed: u64,
}

pub fn cases() -> impl Strategy<Value = Case> {
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

pub struct Data {
    pub weights: LstmWeights,
    /// (T, B, I), NaN past a length.
    pub input: Array3<f32>,
    pub lengths: Option<Vec<usize>>,
    pub state: Option<LstmState>,
}

impl Case {
    pub fn data(&self) -> Data {
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

    pub fn lstm(&self, device: &Device, data: &Data) -> Lstm {
        let lstm = Lstm::new(device, &data.weights).unwrap().with_batch_first(self.batch_first);
        lstm.with_memory_budget(self.budget.unwrap_or(DEFAULT_MEMORY_BUDGET))
            .with_tuning(Tuning::Fixed(self.schedule))
    }

    pub fn run(&self, lstm: &Lstm, data: &Data) -> Result<[ArrayD<f32>; 3], Error> {
        let axes = if self.batch_first { [1, 0, 2] } else { [0, 1, 2] };
        let input = data.input.view().permuted_axes(axes);
        let (output, state) = match &data.lengths {
            Some(lengths) => lstm.forward_padded(input, lengths, data.state.as_ref())?,
            None => lstm.forward(input, data.state.as_ref())?,
        };
        Ok([output.permuted_axes(axes).into_dyn(), state.h.into_dyn(), state.c.into_dyn()])
    }

    pub fn truth(&self, data: &Data) -> [ArrayD<f64>; 3] {
        let wide = |array: &Array3<f32>| array.mapv(f64::from);
        let state = data.state.as_ref().map(|state| (wide(&state.h), wide(&state.c)));
        let state = state.as_ref().map(|(h, c)| (h.view(), c.view()));
        let (output, h, c) =
            reference::forward(&data.weights, wide(&data.input).view(), data.lengths.as_deref(), state)
                .unwrap();
        [output.into_dyn(), h.into_dyn(), c.into_dyn()]
    }
}

/// If the call was refused because the budget is smaller than a row needs: the budget that it needs.
pub fn refused_by_budget(error: &Error, budget: u64) -> Option<u64> {
    match error {
        &Error::LimitExceeded { limit_name: "memory_budget", needed, limit, .. } => {
            (limit == budget && needed > limit).then_some(needed)
        }
        _ => None,
    }
}

/// `cases` of them, or as many as PROPTEST_CASES says.
pub fn config(cases: u32) -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, max_shrink_iters: 200, ..Default::default() };
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => default, // it reads the variable
        None => ProptestConfig { cases, ..default },
    }
}
