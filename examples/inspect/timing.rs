//! Times a network, after its output is compared with the float64 reference.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use comfy_table::{CellAlignment, Table, presets};
use ndarray::Array3;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use wgpu_lstm::{Device, Lstm, LstmWeights, reference};

use crate::devices;

/// The largest error that is taken for rounding, for outputs between -1 and 1.
const TOLERANCE: f64 = 1e-4;

/// How long a network is timed on one device.
const TIME: Duration = Duration::from_secs(1);

/// The fewest calls that are timed.
const CALLS: usize = 3;

/// A table of every device: the time of the first call, which compiles, of a later one, and the error.
pub fn on_every_device(weights: &LstmWeights, steps: usize, batch: usize) -> Result<String> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let shape = (steps, batch, weights.config().input_size());
    let input = Array3::from_shape_fn(shape, |_| random.random_range(-1.0..1.0));
    let (truth, _, _) = reference::forward(weights, input.mapv(f64::from).view(), None, None)?;
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["device", "first call", "later, median", "error"]);
    for (name, device) in devices::all() {
        match device.and_then(|device| timed(&device, weights, &input, &truth)) {
            Ok(Timed { first, median, error }) => {
                let ms = |time: Duration| format!("{:.3} ms", 1e3 * time.as_secs_f64());
                table.add_row([name, ms(first), ms(median), format!("{error:.1e}")]);
            }
            Err(error) => {
                table.add_row([name, format!("{error:#}")]);
            }
        }
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    Ok(format!("{table}\n"))
}

struct Timed {
    first: Duration,
    median: Duration,
    error: f64,
}

fn timed(device: &Device, weights: &LstmWeights, input: &Array3<f32>, truth: &Array3<f64>) -> Result<Timed> {
    let start = Instant::now();
    let lstm = Lstm::new(device, weights)?;
    let (output, _) = lstm.forward(input.view(), None)?;
    let first = start.elapsed();
    let errors = output.iter().zip(truth).map(|(&actual, truth)| (f64::from(actual) - truth).abs());
    let error = errors.max_by(f64::total_cmp).unwrap_or(0.0); // NaN is the largest
    ensure!(error <= TOLERANCE, "the output is off by {error:.1e}");
    let (mut times, started) = (Vec::new(), Instant::now());
    while times.len() < CALLS || started.elapsed() < TIME {
        let start = Instant::now();
        lstm.forward(input.view(), None)?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(Timed { first, median: times[times.len() / 2], error })
}
