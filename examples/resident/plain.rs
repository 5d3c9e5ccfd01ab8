//! The same chain on the CPU, through host arrays, and how far the GPU's scores may be from its own.

use anyhow::{Result, ensure};
use ndarray::{Array2, Array3, ArrayView2, ArrayView3, ArrayView4, Axis, s};
use wgpu_lstm::{Device, Lstm, LstmState, LstmWeights};

use crate::stages::{INPUTS, SLICE, Sizes};

/// How far one number of the network's output may be from that of another device: each is within 5e-6 of the truth, for
/// networks of up to 133 units with inputs below 1.5 (`F32_RANDOM_NETWORK` of the crate's tests).
const OF_OUTPUT: f64 = 1e-5;

pub struct Plain {
    lstm: Lstm,
    /// (CLASSES, O)
    head: Array2<f64>,
    sizes: Sizes,
    state: Option<LstmState>,
}

impl Plain {
    pub fn new(weights: &LstmWeights, head: ArrayView2<'_, f32>, sizes: Sizes) -> Result<Self> {
        let lstm = Lstm::new(&Device::cpu(), weights)?;
        Ok(Self { lstm, head: head.mapv(f64::from), sizes, state: None })
    }

    /// The scores (B, CLASSES) of the next chunk.
    pub fn next(&mut self, samples: &[f32]) -> Result<Array2<f64>> {
        let features = envelope(samples, self.sizes)?;
        let (output, state) = self.lstm.forward(features.view(), self.state.as_ref())?;
        self.state = Some(state);
        Ok(self.scores(output.view()))
    }

    /// The linear layer on the mean over time of an output (T, B, O).
    fn scores(&self, output: ArrayView3<'_, f32>) -> Array2<f64> {
        let mean = output.mapv(f64::from).mean_axis(Axis(0)).expect("a chunk has time steps");
        mean.dot(&self.head.t())
    }

    /// How far the GPU's scores may be from these. They are sums of numbers below 1 with the weights of a class: the
    /// network's errors count with these weights, and the GPU rounds by 2⁻²⁴ at most in each of T additions, one
    /// division (which may err by 2.5 ulp, or 5·2⁻²⁴) and O multiply-adds. The features have no error.
    pub fn tolerance(&self) -> f64 {
        let rounding = (self.sizes.steps + 5 + self.head.ncols()) as f64 * 2_f64.powi(-24);
        let largest = self.head.mapv(f64::abs).sum_axis(Axis(1)).fold(0.0, |a: f64, &b| a.max(b));
        largest * (OF_OUTPUT + rounding)
    }

    /// The largest difference between the GPU's scores and these; an error if it is beyond the tolerance.
    pub fn check(&self, gpu: &[f32], truth: &Array2<f64>) -> Result<f64> {
        ensure!(gpu.len() == truth.len(), "{} scores instead of {}", gpu.len(), truth.len());
        let differences = gpu.iter().zip(truth).map(|(&gpu, truth)| (f64::from(gpu) - truth).abs());
        let worst = differences.max_by(f64::total_cmp).unwrap_or(0.0); // NaN is the largest
        let tolerance = self.tolerance();
        ensure!(worst <= tolerance, "a score is off by {worst:.1e}; rounding explains {tolerance:.1e}");
        Ok(worst)
    }
}

/// The features (T, B, I) of samples [B, T, I, SLICE].
fn envelope(samples: &[f32], Sizes { steps, batch }: Sizes) -> Result<Array3<f32>> {
    let samples = ArrayView4::from_shape((batch, steps, INPUTS, SLICE), samples)?;
    Ok(Array3::from_shape_fn((steps, batch, INPUTS), |(t, b, i)| {
        samples.slice(s![b, t, i, ..]).iter().map(|sample| sample.abs()).sum::<f32>() / SLICE as f32
    }))
}
