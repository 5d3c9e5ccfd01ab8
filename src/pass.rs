//! A network that the caller records into an encoder of its own, with input, output and states on the device.

use std::fmt;

use crate::device::block_on;
use crate::engine::{ResidentPass, RowsOf};
use crate::error::Error;
use crate::lstm::{Engine, Lstm};

/// A network for one shape, on the caller's side of a GPU: [`Lstm::prepare`] allocates all of it, and
/// [`record`](Self::record) adds it to an encoder, between other work of the application.
///
/// # Buffers
///
/// Four buffers are the caller's to read and to write, by copies and in shaders (`STORAGE | COPY_SRC | COPY_DST`); they
/// stay the same as long as the pass lives:
///
/// | | row | width | before a recording | after it |
/// |---|---|---|---|---|
/// | [`input`](Self::input) | t·B + b | I | the caller writes it | unchanged |
/// | [`output`](Self::output) | t·B + b | D·O | anything | the last layer's output |
/// | [`hidden`](Self::hidden) | (l·D + d)·B + b | O | h_0 | h_n |
/// | [`cell`](Self::cell) | (l·D + d)·B + b | H | c_0 | c_n |
///
/// Each row begins [`stride`](Rows::stride) f32 after the one before. The stride is the width, or the next multiple of
/// four (input, output and h). What is between the width and the stride is zero; the caller leaves it zero: anything
/// else there changes the results.
///
/// # Recording
///
/// `record` adds dispatches to the encoder, and copies between buffers of the pass if h ends in another buffer than it
/// began; it submits nothing, waits for nothing and makes no wgpu object besides what the encoder keeps. The commands
/// are executed when the caller submits the encoder. wgpu orders them after what was recorded or submitted
/// before, and before what follows: a stage that writes the input, the pass, and a stage that reads the output need no
/// barrier of the caller's.
///
/// A pass may be recorded any number of times, into one encoder or many, and an encoder that is never submitted changes
/// nothing. Every recording is the same: it starts from what `hidden` and `cell` hold when it is executed and leaves
/// the last state there, so that the next one carries on. Between two recordings the caller may copy states from and
/// to these buffers. A new pass has a state of zeros, as after [`record_reset`](Self::record_reset).
///
/// A desktop resets a GPU that is busy with one submission for some two seconds. [`Lstm::costs`] estimates the seconds
/// of a recording: all recordings of one submission together should stay below one. On a software adapter a recording
/// of 2·10¹⁰ operations takes about that long.
///
/// In a browser the buffers are destroyed with the pass, and the weights with the last clone of its [`Lstm`] and the last
/// pass: keep the pass until the encoder is submitted. (Natively wgpu keeps what an encoder uses.)
///
/// # Device
///
/// The encoder belongs to the device that the network is on ([`Device::wgpu`](crate::Device::wgpu); to share a device with a
/// renderer, open it there and use [`Device::from_wgpu`](crate::Device::from_wgpu)). The pass needs what the network
/// needs, and no more.
///
/// # Results
///
/// They are those of [`Lstm::forward`], to the bit. Only subnormal numbers differ: `forward` flushes those of its input and
/// state to zero when it uploads them; a pass reads what the caller wrote.
///
/// # Examples
///
/// `examples/resident.rs` has a shader before and after the network, in one submission.
///
/// ```
/// use wgpu_lstm::{Device, Error, Lstm, LstmConfig, LstmWeights};
///
/// let device = Device::best();
/// let lstm = Lstm::new(&device, &LstmWeights::uniform(&LstmConfig::new(40, 64), 42)?)?;
/// let mut pass = match lstm.prepare(16, 1) {
///     Err(Error::Unsupported { .. }) => return Ok(()), // on the CPU
///     pass => pass?,
/// };
/// let (device, queue) = device.wgpu().expect("a GPU");
/// let features = vec![0.5_f32; pass.input().rows * pass.input().stride];
/// queue.write_buffer(pass.input().buffer, pass.input().offset, bytemuck::cast_slice(&features));
/// let mut encoder = device.create_command_encoder(&Default::default());
/// pass.record(&mut encoder);
/// queue.submit([encoder.finish()]);
/// # Ok::<(), Error>(())
/// ```
pub struct LstmPass(ResidentPass);

/// f32 rows in a buffer of a pass. Rows begin `stride` f32 apart; what is between `width` and `stride` is zero and stays
/// so. All of them span 4·`rows`·`stride` bytes from `offset`, which a shader can bind.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// The buffer, of usage `STORAGE | COPY_SRC | COPY_DST`.
    pub buffer: &'a wgpu::Buffer,
    /// Bytes before the first row: a multiple of what the device asks of the offset of a storage binding.
    pub offset: u64,
    /// How many rows there are.
    pub rows: usize,
    /// f32 of a row.
    pub width: usize,
    /// f32 from the beginning of one row to that of the next.
    pub stride: usize,
}

impl Lstm {
    /// Allocates everything that a call of T = `steps` and B = `batch` needs on the GPU, to be recorded into the caller's
    /// own encoders: see [`LstmPass`]. The pipelines that it compiles serve [`forward`](Self::forward) too: so this also
    /// compiles ahead of a first call. Rows are time first, whatever [`with_batch_first`](Self::with_batch_first) says.
    ///
    /// A pass is not cut into blocks of time: its input, gates and outputs are in memory at once, within the
    /// [memory budget](Self::with_memory_budget). A longer sequence is several recordings.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] on the CPU, and on a GPU in a browser: use [`prepare_async`](Self::prepare_async);
    /// [`Error::NoTimeSteps`], [`Error::ZeroSize`] for no sequence; [`Error::LimitExceeded`] if the rows exceed the memory
    /// budget or a limit of the device; [`Error::SizeOverflow`], [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn prepare(&self, steps: usize, batch: usize) -> Result<LstmPass, Error> {
        block_on("Lstm::prepare on a GPU", "use Lstm::prepare_async", self.prepare_async(steps, batch))
    }

    /// As [`prepare`](Self::prepare), without blocking.
    ///
    /// # Errors
    ///
    /// As for [`prepare`](Self::prepare), but `Unsupported` on the CPU alone.
    pub async fn prepare_async(&self, steps: usize, batch: usize) -> Result<LstmPass, Error> {
        match self.engine() {
            (Engine::Cpu(_), _) => Err(Error::Unsupported {
                what: "Lstm::prepare on the CPU",
                reason: "there are no buffers on a device: use Lstm::forward or LstmStream",
            }),
            (Engine::Gpu(engine), options) => Ok(LstmPass(engine.resident(options, steps, batch).await?)),
        }
    }
}

impl LstmPass {
    /// Row t·B + b, I wide: the caller writes it before a recording is executed.
    pub fn input(&self) -> Rows<'_> {
        rows(self.0.input())
    }

    /// Row t·B + b, D·O wide: the forward direction's O, then the reverse one's.
    pub fn output(&self) -> Rows<'_> {
        rows(self.0.output())
    }

    /// Row (l·D + d)·B + b, O wide: h_0 before a recording is executed, h_n after it.
    pub fn hidden(&self) -> Rows<'_> {
        rows(self.0.hidden())
    }

    /// Row (l·D + d)·B + b, H wide: c_0 before a recording is executed, c_n after it.
    pub fn cell(&self) -> Rows<'_> {
        rows(self.0.cell())
    }

    /// Records the whole network: from the input and the state in the buffers to the output and the last state.
    pub fn record(&mut self, encoder: &mut wgpu::CommandEncoder) {
        self.0.record(encoder);
    }

    /// Records zeros into [`hidden`](Self::hidden) and [`cell`](Self::cell).
    pub fn record_reset(&self, encoder: &mut wgpu::CommandEncoder) {
        self.0.record_reset(encoder);
    }
}

impl fmt::Debug for LstmPass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LstmPass")
            .field("input", &self.input())
            .field("output", &self.output())
            .field("hidden", &self.hidden())
            .field("cell", &self.cell())
            .finish()
    }
}

fn rows((buffer, rows, width, stride): RowsOf<'_>) -> Rows<'_> {
    Rows { buffer, offset: 0, rows, width, stride }
}
