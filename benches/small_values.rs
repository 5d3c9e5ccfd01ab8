//! `cargo bench --bench small_values`: the time of calls with values near the smallest f32, beside ordinary ones.
//!
//! Many processors take 100 cycles and more for one operation on a subnormal number (below 2⁻¹²⁶), so that a
//! network whose values fade, or whose input has such numbers, could become a hundred times slower. Each result is
//! checked against the float64 reference. Then calls of the case and ordinary calls of the same shape are timed in turn;
//! the figure is the median of the ratios.

#[path = "../tests/common/compare.rs"]
#[expect(dead_code, reason = "a benchmark needs a part of it")]
mod compare;
#[path = "../tests/common/small_values.rs"]
mod small_values;

use std::time::Instant;

use compare::{FLOOR, assert_close};
use small_values::{Case, HIDDEN, cases, ordinary};
use wgpu_lstm::{Device, Lstm};

const STEPS: usize = 100;
/// Calls of each kind.
const CALLS: usize = 15;

/// Panics unless the result is right; returns the network for further calls.
fn checked(device: &Device, case: &Case) -> Lstm {
    let lstm = Lstm::new(device, &case.weights).expect("weights fit");
    let (output, state) = lstm.forward(case.input.view(), case.state.as_ref()).expect("a legal call");
    let [truth, _, c] = case.truth();
    for (what, actual, truth) in [("output", &output, &truth), ("c_n", &state.c, &c)] {
        let actual: Vec<f32> = actual.iter().copied().collect();
        let truth: Vec<f64> = truth.iter().copied().collect();
        assert_close(&format!("{}: {what}", case.name), &actual, &truth, FLOOR);
    }
    lstm
}

fn seconds(lstm: &Lstm, case: &Case) -> f64 {
    let start = Instant::now();
    lstm.forward(case.input.view(), case.state.as_ref()).expect("a legal call");
    start.elapsed().as_secs_f64()
}

fn main() {
    let gpu =
        Device::gpu().expect("a GPU adapter; on Debian `scripts/on lavapipe-25 cargo bench` installs one");
    println!("wgpu-lstm {}; H = {HIDDEN}, T = {STEPS}", env!("CARGO_PKG_VERSION"));
    println!("{:28} {:>3} {:>10} {:>10} {:>8}  device", "case", "B", "ordinary", "this, ms", "ratio");
    for device in [Device::cpu(), gpu] {
        for batch in [1, 16] {
            for case in cases(STEPS, batch) {
                let ordinary = ordinary(case.weights.config(), STEPS, batch);
                let usual = checked(&device, &ordinary);
                let lstm = checked(&device, &case);
                let mut times: Vec<_> =
                    (0..CALLS).map(|_| (seconds(&usual, &ordinary), seconds(&lstm, &case))).collect();
                times.sort_by(|a, b| (a.1 / a.0).total_cmp(&(b.1 / b.0)));
                let (usual, this) = times[CALLS / 2];
                println!(
                    "{:28} {batch:3} {:10.3} {:10.3} {:8.2}  {}",
                    case.name,
                    usual * 1e3,
                    this * 1e3,
                    this / usual,
                    device.name()
                );
            }
        }
    }
}
