//! The work, and both ways to do it with this crate: a pool, and one call a stream.

use anyhow::{Result, ensure};
use ndarray::{Array2, Array3, ArrayView2, Axis, concatenate};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use wgpu_lstm::{Lstm, LstmConfig, LstmState, LstmStreamPool, LstmWeights, StreamId, reference};

use crate::record::Sizes;

/// Features of the input, and hidden units.
pub const WIDTH: usize = 128;
/// Ticks of a check, with an input each.
pub const CHECKED: usize = 3;
/// Errors of float32 against float64 stay below 1e-6 on this network; a wrong gate is off by 1e-2.
pub const TOLERANCE: f64 = 1e-5;

pub fn config() -> LstmConfig {
    LstmConfig::new(WIDTH, WIDTH)
}

/// The chunks of some ticks: of each tick, of each stream, (T, I).
pub struct Work {
    pub sizes: Sizes,
    pub ticks: Vec<Vec<Array2<f32>>>,
}

impl Work {
    pub fn new(sizes: Sizes) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let mut chunk =
            |_| Array2::from_shape_simple_fn((sizes.steps, WIDTH), || random.random_range(-1.0..1.0));
        let ticks = (0..CHECKED).map(|_| (0..sizes.streams).map(&mut chunk).collect()).collect();
        Self { sizes, ticks }
    }
}

/// Chunks or outputs of all streams as one batch, (T, B, ·).
pub fn stack(chunks: &[Array2<f32>]) -> Array3<f32> {
    let (steps, width) = chunks[0].dim();
    let mut stacked = Array3::zeros((steps, chunks.len(), width));
    for (chunk, to) in chunks.iter().zip(stacked.axis_iter_mut(Axis(1))) {
        { to }.assign(chunk);
    }
    stacked
}

/// All streams in one pool.
pub struct Streams {
    pool: LstmStreamPool,
    ids: Vec<StreamId>,
}

impl Streams {
    pub fn new(lstm: &Lstm, sizes: Sizes) -> Result<Self> {
        let mut pool = LstmStreamPool::new(lstm, sizes.streams)?;
        let ids = (0..sizes.streams).map(|_| pool.open()).collect::<Result<_, _>>()?;
        Ok(Self { pool, ids })
    }

    pub fn tick(&mut self, chunks: &[Array2<f32>]) -> Result<Vec<Array2<f32>>> {
        let chunks: Vec<_> = self.ids.iter().copied().zip(chunks.iter().map(|chunk| chunk.view())).collect();
        Ok(self.pool.push(&chunks)?)
    }
}

/// One call a stream, whose states are host arrays.
pub struct Calls {
    lstm: Lstm,
    states: Vec<Option<LstmState>>,
}

impl Calls {
    pub fn new(lstm: &Lstm, sizes: Sizes) -> Self {
        Self { lstm: lstm.clone(), states: vec![None; sizes.streams] }
    }

    pub fn tick(&mut self, chunks: &[Array2<f32>]) -> Result<Vec<Array2<f32>>> {
        let call = |(chunk, state): (&Array2<f32>, &mut Option<LstmState>)| {
            let (output, next) = self.lstm.forward_unbatched(chunk.view(), state.as_ref())?;
            *state = Some(next);
            Ok(output)
        };
        chunks.iter().zip(&mut self.states).map(call).collect()
    }
}

/// Some ticks: fails unless both ways give the same bits, and the first and the last stream those of the reference, within
/// the tolerance. Returns the outputs, tick after tick, as batches.
pub fn check(
    pool: &mut Streams,
    calls: &mut Calls,
    weights: &LstmWeights,
    work: &Work,
) -> Result<Vec<Array3<f32>>> {
    let mut all = Vec::new();
    for (tick, chunks) in work.ticks.iter().enumerate() {
        let (ours, theirs) = (pool.tick(chunks)?, calls.tick(chunks)?);
        ensure!(ours.len() == work.sizes.streams && theirs.len() == ours.len(), "an output a stream");
        for (stream, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            let same = ours.dim() == theirs.dim()
                && ours.iter().zip(theirs).all(|(a, b)| a.to_bits() == b.to_bits());
            ensure!(same, "in tick {tick} stream {stream} of the pool differs from one call");
        }
        all.push(ours);
    }
    for stream in [0, work.sizes.streams - 1] {
        let whole = |ticks: &[Vec<Array2<f32>>]| {
            let pieces: Vec<ArrayView2<'_, f32>> = ticks.iter().map(|of| of[stream].view()).collect();
            concatenate(Axis(0), &pieces)
        };
        let input = whole(&work.ticks)?.mapv(f64::from).insert_axis(Axis(1));
        let (truth, _, _) = reference::forward(weights, input.view(), None, None)?;
        let worst = worst(whole(&all)?.iter(), truth.iter().copied());
        ensure!(worst <= TOLERANCE, "stream {stream} is off by {worst:.1e}");
    }
    Ok(all.iter().map(|outputs| stack(outputs)).collect())
}

/// The largest difference; NaN is the largest of all.
pub fn worst<'a>(numbers: impl Iterator<Item = &'a f32>, truth: impl Iterator<Item = f64>) -> f64 {
    let differences = numbers.zip(truth).map(|(&number, truth)| (f64::from(number) - truth).abs());
    differences.max_by(f64::total_cmp).unwrap_or(f64::NAN)
}
