//! The speech network for many sources: each has a stream in one pool, and a tick computes whichever chunks are there.

use anyhow::{Context, Result};
use ndarray::{Array2, Axis, concatenate, s};
use wgpu_lstm::{Device, Lstm, LstmStreamPool, LstmWeights, StreamId};

use crate::network::{CHUNK, CONTEXT, Decoder, Encoder, FEATURES, FRAME, LSTM_PREFIX, fill_frame, load};
use crate::sources::Chunk;

/// Hears all sources.
pub struct Listener {
    encoder: Encoder,
    pool: LstmStreamPool,
    decoder: Decoder,
    ears: Vec<Ear>,
}

/// What the network keeps of a source between its chunks.
struct Ear {
    /// From the source's first chunk to its last.
    stream: Option<StreamId>,
    /// The last samples of the chunk before.
    context: [f32; CONTEXT],
}

impl Listener {
    /// The network of a model file, for up to so many sources.
    pub fn new(model: &[u8], device: &Device, sources: usize) -> Result<Self> {
        let (encoder, decoder) = load(model)?;
        let weights = LstmWeights::from_safetensors(model, LSTM_PREFIX)?;
        let lstm = Lstm::new(device, &weights).context("cannot put the LSTM on the device")?;
        let mut pool = LstmStreamPool::new(&lstm, sources).context("cannot have so many streams")?;
        warm_up(&mut pool).context("the LSTM cannot run")?;
        let ears = (0..sources).map(|_| Ear { stream: None, context: [0.0; CONTEXT] }).collect();
        Ok(Self { encoder, pool, decoder, ears })
    }

    /// The probability of speech in each chunk. The chunks are any number of each source: one source's stand together, in
    /// order.
    pub fn hear(&mut self, chunks: &[Chunk]) -> Result<Vec<f32>> {
        let frames = self.frames(chunks);
        let features = self.encoder.encode_frames(frames)?;
        let mut inputs = Vec::new();
        let mut start = 0;
        for run in chunks.chunk_by(|a, b| a.source == b.source) {
            let ear = &mut self.ears[run[0].source];
            let stream = match ear.stream {
                Some(stream) => stream,
                None => *ear.stream.insert(self.pool.open()?),
            };
            let end = start + run.len();
            inputs.push((stream, features.slice(s![start..end, 0, ..])));
            start = end;
        }
        let outputs = self.pool.push(&inputs).context("the LSTM cannot run")?;
        for chunk in chunks.iter().filter(|chunk| chunk.last) {
            if let Some(stream) = self.ears[chunk.source].stream.take() {
                self.pool.close(stream)?;
            }
        }
        let outputs: Vec<_> = outputs.iter().map(|output| output.view()).collect();
        self.decoder.decode(concatenate(Axis(0), &outputs)?.insert_axis(Axis(1)).view())
    }

    /// The chunks as the encoder wants them; their ends are kept for the chunks that follow.
    fn frames(&mut self, chunks: &[Chunk]) -> Array2<f32> {
        let mut frames = Array2::zeros((chunks.len(), FRAME));
        for (chunk, frame) in chunks.iter().zip(frames.rows_mut()) {
            let Ear { context, .. } = &mut self.ears[chunk.source];
            fill_frame(frame, |n| if n < CONTEXT { context[n] } else { chunk.samples[n - CONTEXT] });
            context.copy_from_slice(&chunk.samples[CHUNK - CONTEXT..]);
        }
        frames
    }
}

/// Computes ticks of few streams and of many. A GPU's pipelines are compiled when a tick first needs them, and larger
/// batches take others: no chunk should wait for that.
fn warm_up(pool: &mut LstmStreamPool) -> Result<()> {
    let streams = (0..pool.capacity()).map(|_| pool.open()).collect::<Result<Vec<_>, _>>()?;
    for steps in [1, 2] {
        let silence = Array2::zeros((steps, FEATURES));
        let mut count = 1;
        while count <= streams.len() {
            let chunks: Vec<_> = streams[..count].iter().map(|&stream| (stream, silence.view())).collect();
            pool.push(&chunks)?;
            count += count.div_ceil(4);
        }
    }
    for stream in streams {
        pool.close(stream)?;
    }
    Ok(())
}
