//! Calls with numbers near the smallest f32, for a test and a benchmark.

use ndarray::{Array3, ArrayD};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use wgpu_lstm::{LstmConfig, LstmState, LstmWeights, reference};

pub const HIDDEN: usize = 128;

/// A call whose values are small somewhere.
pub struct Case {
    pub name: &'static str,
    pub weights: LstmWeights,
    pub input: Array3<f32>,
    pub state: Option<LstmState>,
}

fn uniform(config: &LstmConfig) -> LstmWeights {
    LstmWeights::uniform(config, 1).expect("sizes are legal")
}

/// The network with each parameter changed by `edit`, which gets its name and values.
fn edited(config: &LstmConfig, edit: impl Fn(&str, ArrayD<f32>) -> ArrayD<f32>) -> LstmWeights {
    let weights = uniform(config);
    let dict = weights.state_dict().map(|(name, array)| {
        let array = edit(&name, array.to_owned());
        (name, array)
    });
    LstmWeights::from_state_dict(dict, "").expect("the names of the network")
}

fn scaled(config: &LstmConfig, scale: f32) -> LstmWeights {
    edited(config, |_, array| array * scale)
}

/// Biases of 3 at the forget gates and 0 elsewhere, small weights: the state fades by a twentieth a step.
fn forgetful(config: &LstmConfig) -> LstmWeights {
    edited(config, |name, array| match name {
        "bias_ih_l0" => ArrayD::from_shape_fn(array.shape(), |at| match at[0] / HIDDEN {
            1 => 3.0,
            _ => 0.0,
        }),
        "bias_hh_l0" => array * 0.0,
        _ => array * 0.1,
    })
}

/// A projection that makes every h subnormal.
fn projected() -> LstmWeights {
    let config = LstmConfig::new(HIDDEN, HIDDEN).with_proj_size(HIDDEN / 2);
    edited(&config, |name, array| if name == "weight_hr_l0" { array * 1e-36 } else { array })
}

fn random(steps: usize, batch: usize, scale: f32) -> Array3<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    Array3::from_shape_simple_fn((steps, batch, HIDDEN), || scale * random.random_range(-1.0..1.0f32))
}

fn states(config: &LstmConfig, batch: usize, value: f32) -> LstmState {
    let zeros = LstmState::zeros(config, batch);
    LstmState { h: zeros.h + value, c: zeros.c + value }
}

/// Every kind of small value, for T = `steps` and B = `batch`.
pub fn cases(steps: usize, batch: usize) -> Vec<Case> {
    let plain = LstmConfig::new(HIDDEN, HIDDEN).with_bias(false);
    let biased = LstmConfig::new(HIDDEN, HIDDEN);
    let case = |name, weights, input| Case { name, weights, input, state: None };
    let silent = |value| Case {
        name: "silence after a loud chunk",
        weights: forgetful(&biased),
        input: random(steps, batch, 0.0),
        state: Some(states(&biased, batch, value)),
    };
    vec![
        case("input of 1e-39", uniform(&plain), random(steps, batch, 1e-39)),
        case("input of 1e-41", uniform(&plain), random(steps, batch, 1e-41)),
        case("input of 1e-37", uniform(&plain), random(steps, batch, 1e-37)),
        case("input of 1e-20", uniform(&plain), random(steps, batch, 1e-20)),
        case("weights of 1e-40", scaled(&biased, 1e-39), random(steps, batch, 1.0)),
        case("input and weights of 1e-19", scaled(&plain, 1e-18), random(steps, batch, 1e-19)),
        Case {
            name: "state of 1e-40",
            weights: scaled(&plain, 0.1),
            input: random(steps, batch, 0.0),
            state: Some(states(&plain, batch, 1e-40)),
        },
        case("projection of 1e-37", projected(), random(steps, batch, 1.0)),
        Case { name: "silence, state of 1e-36", ..silent(1e-36) },
        Case { name: "silence, state of 1e-20", ..silent(1e-20) },
        Case { name: "silence, state of 1e-45", ..silent(1e-45) },
    ]
}

/// PyTorch's initialisation and an input of ordinary size.
pub fn ordinary(config: &LstmConfig, steps: usize, batch: usize) -> Case {
    Case { name: "ordinary", weights: uniform(config), input: random(steps, batch, 1.0), state: None }
}

impl Case {
    /// Output, h_n and c_n of the float64 reference.
    pub fn truth(&self) -> [Array3<f64>; 3] {
        let wide = |array: &Array3<f32>| array.mapv(f64::from);
        let start = self.state.as_ref().map(|state| (wide(&state.h), wide(&state.c)));
        let start = start.as_ref().map(|(h, c)| (h.view(), c.view()));
        let truth = reference::forward(&self.weights, wide(&self.input).view(), None, start);
        let (output, h, c) = truth.expect("a legal call");
        [output, h, c]
    }
}
