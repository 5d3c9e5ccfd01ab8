//! Which layer computes a wrong number? Compares each layer of a network alone, and the whole network, with the
//! float64 reference: on the GPU under every schedule that can compute it, and on the CPU.
//!
//! ```sh
//! cargo run --example layers -- --layers 2 --hidden 128 --bidirectional --lengths 20,20,7
//! cargo run --example layers -- model.safetensors --prefix lstm.
//! ```
//!
//! The input of every layer is the reference's output of the layer below, so that an error does not spread.
//! `docs/debugging.md` says how to go on from a layer that is wrong.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use ndarray::Array3;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use wgpu_lstm::{
    DEFAULT_MEMORY_BUDGET, Device, Lstm, LstmConfig, LstmState, LstmWeights, Schedule, Tuning, reference,
};

/// Compares each layer of a network with the float64 reference.
#[derive(Parser)]
struct Args {
    /// A file of weights (safetensors; with their features other formats); without one the network is random, of the sizes that the options give
    file: Option<PathBuf>,
    /// What the LSTM's tensors in the file are called before PyTorch's own names, as in `lstm.`
    #[arg(long, default_value = "")]
    prefix: String,
    #[arg(long, default_value_t = 5)]
    input: usize,
    #[arg(long, default_value_t = 7)]
    hidden: usize,
    #[arg(long, default_value_t = 1)]
    layers: usize,
    /// 0 for none
    #[arg(long, default_value_t = 0)]
    projection: usize,
    #[arg(long)]
    bidirectional: bool,
    /// Time steps of each sequence of the batch
    #[arg(long, value_delimiter = ',', default_value = "8")]
    lengths: Vec<usize>,
    /// Bytes; a small budget cuts the call into blocks
    #[arg(long, default_value_t = DEFAULT_MEMORY_BUDGET)]
    budget: u64,
    /// Leave the GPU out
    #[arg(long)]
    cpu: bool,
    /// The largest error that is taken for rounding
    #[arg(long, default_value_t = 1e-5)]
    tolerance: f64,
}

impl Args {
    fn weights(&self) -> Result<LstmWeights> {
        if let Some(file) = &self.file {
            return Ok(LstmWeights::from_file(file, &self.prefix)?);
        }
        let config = LstmConfig::new(self.input, self.hidden)
            .with_num_layers(self.layers)
            .with_proj_size(self.projection)
            .with_bidirectional(self.bidirectional);
        Ok(LstmWeights::uniform(&config, 1)?)
    }
}

/// Layer `k` of a network as a network of its own.
fn layer(weights: &LstmWeights, k: usize) -> Result<LstmWeights> {
    let tensors = weights.state_dict().filter_map(|(name, array)| {
        // weight_ih_l1_reverse is of layer 1; the names of an LSTMCell have no layer
        let Some((head, tail)) = name.split_once("_l") else { return Some((name, array.to_owned())) };
        let digits = tail.find('_').unwrap_or(tail.len());
        (tail[..digits].parse() == Ok(k)).then(|| (format!("{head}_l0{}", &tail[digits..]), array.to_owned()))
    });
    Ok(LstmWeights::from_state_dict(tensors, "")?.to_precision(weights.precision())?)
}

/// A call of a network.
struct Call {
    weights: LstmWeights,
    /// (T, B, I)
    input: Array3<f32>,
    lengths: Vec<usize>,
    state: LstmState,
}

impl Call {
    /// From a random initial state.
    fn new(weights: LstmWeights, input: Array3<f32>, lengths: &[usize], random: &mut ChaCha8Rng) -> Self {
        let config = weights.config();
        let slots = config.num_layers() * config.num_directions();
        let mut array =
            |width| Array3::from_shape_fn([slots, lengths.len(), width], |_| random.random_range(-1.0..1.0));
        let state = LstmState { h: array(config.output_size()), c: array(config.hidden_size()) };
        Self { weights, input, lengths: lengths.to_vec(), state }
    }

    /// (T, B, D·O)
    fn truth(&self) -> Result<Array3<f64>> {
        let wide = |array: &Array3<f32>| array.mapv(f64::from);
        let (h, c) = (wide(&self.state.h), wide(&self.state.c));
        let state = Some((h.view(), c.view()));
        let (output, _, _) =
            reference::forward(&self.weights, wide(&self.input).view(), Some(&self.lengths), state)?;
        Ok(output)
    }

    fn output(&self, lstm: &Lstm) -> Result<Array3<f32>> {
        Ok(lstm.forward_padded(self.input.view(), &self.lengths, Some(&self.state))?.0)
    }

    /// The schedules that can compute it.
    fn schedules(&self, lstm: &Lstm) -> Result<Vec<Schedule>> {
        let costs = lstm.costs(self.input.dim().0, self.lengths.len())?;
        Ok(costs.iter().map(|cost| cost.schedule).collect())
    }
}

/// The largest error and its place (t, b, column), NaN before all others; and how many are beyond the tolerance.
fn errors(actual: &Array3<f32>, truth: &Array3<f64>, tolerance: f64) -> (f64, (usize, usize, usize), usize) {
    let errors = (truth - &actual.mapv(f64::from)).mapv(f64::abs);
    let beyond = errors.iter().filter(|error| error.is_nan() || **error > tolerance).count();
    let (place, &worst) = errors.indexed_iter().max_by(|a, b| a.1.total_cmp(b.1)).expect("there is output");
    (worst, place, beyond)
}

/// Prints a line for each way to compute a call; returns how many numbers are wrong, and the true output.
fn compare(call: &Call, name: &str, gpu: Option<&Device>, args: &Args) -> Result<(usize, Array3<f32>)> {
    let truth = call.truth()?;
    let mut wrong = 0;
    let mut line = |way: &str, output: &Array3<f32>| {
        let (worst, (t, b, column), beyond) = errors(output, &truth, args.tolerance);
        println!("{name:5}  {way:8} {worst:9.1e} {t:5} {b:4} {column:7} {beyond:8}");
        wrong += beyond;
    };
    if let Some(gpu) = gpu {
        let mut lstm = Lstm::new(gpu, &call.weights)?.with_memory_budget(args.budget);
        for schedule in call.schedules(&lstm)? {
            lstm = lstm.with_tuning(Tuning::Fixed(schedule));
            line(schedule.name(), &call.output(&lstm)?);
        }
    }
    line("cpu", &call.output(&Lstm::new(&Device::cpu(), &call.weights)?)?);
    Ok((wrong, truth.mapv(|number| number as f32)))
}

fn run(args: &Args) -> Result<()> {
    let gpu = if args.cpu { None } else { Some(Device::gpu()?) };
    let weights = args.weights()?;
    println!("{:?}", weights.config());
    if let Some(gpu) = &gpu {
        println!("the schedules run on {}", gpu.name());
    }
    println!("layer  schedule     worst  at t    b  column   beyond {:.0e}", args.tolerance);
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let steps = args.lengths.iter().copied().max().unwrap_or(0);
    let shape = (steps, args.lengths.len(), weights.config().input_size());
    let input = Array3::from_shape_fn(shape, |_| random.random_range(-1.0..1.0));
    let (mut of_layer, mut wrong) = (input.clone(), 0);
    for k in 0..weights.config().num_layers() {
        let call = Call::new(layer(&weights, k)?, of_layer, &args.lengths, &mut random);
        let (beyond, output) = compare(&call, &k.to_string(), gpu.as_ref(), args)?;
        (wrong, of_layer) = (wrong + beyond, output);
    }
    let call = Call::new(weights, input, &args.lengths, &mut random);
    wrong += compare(&call, "all", gpu.as_ref(), args)?.0;
    ensure!(wrong == 0, "{wrong} numbers are further than {:.0e} from the reference", args.tolerance);
    Ok(())
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_one_after_the_other_are_the_network() {
        let config = LstmConfig::new(3, 4).with_num_layers(11).with_bidirectional(true).with_proj_size(2);
        let weights = LstmWeights::uniform(&config, 1).unwrap();
        let input = Array3::from_shape_fn((5, 2, 3), |(t, b, i)| (t + 2 * b) as f64 / 4.0 - i as f64 / 3.0);
        let forward = |weights: &LstmWeights, x: &Array3<f64>| {
            reference::forward(weights, x.view(), None, None).unwrap().0
        };
        let last = (0..11).fold(input.clone(), |x, k| forward(&layer(&weights, k).unwrap(), &x));
        assert_eq!(last, forward(&weights, &input));
    }

    #[test]
    fn a_wrong_number_and_nan_are_seen() {
        let truth = Array3::zeros((2, 2, 3));
        let mut actual = Array3::zeros((2, 2, 3));
        assert_eq!(errors(&actual, &truth, 1e-5), (0.0, (1, 1, 2), 0));
        actual[[0, 1, 2]] = -0.5;
        assert_eq!(errors(&actual, &truth, 1e-5), (0.5, (0, 1, 2), 1));
        actual[[1, 0, 0]] = f32::NAN;
        let (worst, place, beyond) = errors(&actual, &truth, 1e-5);
        assert!(worst.is_nan());
        assert_eq!((place, beyond), ((1, 0, 0), 2));
    }
}
