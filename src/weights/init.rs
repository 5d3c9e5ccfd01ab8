//! Parameters that are not read from a file: random ones and constant ones.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::LstmWeights;
use crate::config::LstmConfig;
use crate::error::Error;
use crate::host_memory::{check_memory, host_out_of_memory};

impl LstmWeights {
    /// Parameters drawn from U(-1/√H, 1/√H), PyTorch's default initialisation.
    ///
    /// The same seed gives the same bits on every platform. One stream of ChaCha8 serves them all,
    /// one 32-bit word a number, in the order of PyTorch's state dict: layer after layer, in each
    /// the forward direction and then the reverse one, in each `weight_ih`, `weight_hh`,
    /// `bias_ih`, `bias_hh`, `weight_hr` (those that the config has), each row after row. PyTorch
    /// itself draws other numbers from the same seed.
    ///
    /// # Errors
    ///
    /// [`Error::ZeroSize`], [`Error::ProjectionTooLarge`] for sizes that no network has;
    /// [`Error::SizeOverflow`] for parameters of more bytes than an allocation can have, [`Error::OutOfMemory`] for more
    /// than this machine has.
    ///
    /// # Source
    ///
    /// `torch.nn.RNNBase.reset_parameters`
    ///
    /// # Examples
    ///
    /// ```
    /// use wgpu_lstm::{LstmConfig, LstmWeights};
    ///
    /// let config = LstmConfig::new(3, 16);
    /// assert_eq!(LstmWeights::uniform(&config, 1)?, LstmWeights::uniform(&config, 1)?);
    /// assert_ne!(LstmWeights::uniform(&config, 1)?, LstmWeights::uniform(&config, 2)?);
    /// # Ok::<(), wgpu_lstm::Error>(())
    /// ```
    pub fn uniform(config: &LstmConfig, seed: u64) -> Result<Self, Error> {
        let bound = 1.0 / (config.hidden_size() as f32).sqrt();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        Self::filled_with(config, || bound * plus_minus_one(rng.next_u32()))
    }

    /// Parameters that all have the same value.
    ///
    /// # Errors
    ///
    /// As [`LstmWeights::uniform`].
    pub fn constant(config: &LstmConfig, value: f32) -> Result<Self, Error> {
        Self::filled_with(config, || value)
    }

    fn filled_with(config: &LstmConfig, mut next: impl FnMut() -> f32) -> Result<Self, Error> {
        config.check()?;
        check_memory_for(config)?;
        Self::build(config.clone(), |_, shape| Ok((0..shape.iter().product()).map(|_| next()).collect()))
    }
}

/// Refuses a network whose parameters need more memory than there is. Allocated one by one, they would end the
/// process once memory runs out.
pub(super) fn check_memory_for(config: &LstmConfig) -> Result<(), Error> {
    let bytes = bytes(config).filter(|&bytes| bytes <= isize::MAX as usize);
    let bytes = bytes.ok_or(Error::SizeOverflow { what: "the whole of the parameters" })?;
    check_memory::<u8>(bytes).map_err(host_out_of_memory)
}

/// A number of [-1, 1): the word's upper 24 bits, all that an f32 holds, as a multiple of 2⁻²³.
fn plus_minus_one(word: u32) -> f32 {
    (word >> 8) as f32 / (1 << 23) as f32 - 1.0
}

/// The bytes of all parameters; `None` if the count overflows.
fn bytes(config: &LstmConfig) -> Option<usize> {
    let (hidden, output) = (config.hidden_size(), config.output_size());
    let directions = config.num_directions();
    let projection = config.proj_size().checked_mul(hidden)?;
    let of_layer = |input: usize| {
        // A row of W_ih, of W_hh, of b_ih and of b_hh, 4H times.
        let row = input.checked_add(output)?.checked_add(2)?;
        hidden.checked_mul(4)?.checked_mul(row)?.checked_add(projection)?.checked_mul(directions)
    };
    let first = of_layer(config.input_size())?;
    let other = of_layer(directions.checked_mul(output)?)?;
    first.checked_add(other.checked_mul(config.num_layers() - 1)?)?.checked_mul(size_of::<f32>())
}
