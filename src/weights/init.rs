//! Parameters out of nothing: random ones and constant ones.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::LstmWeights;
use crate::config::LstmConfig;
use crate::error::Error;

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
    /// [`Error::SizeOverflow`] for one that no memory can hold.
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
        if bytes(config).is_none() {
            return Err(Error::SizeOverflow { what: PARAMETERS });
        }
        Self::build(config.clone(), |_, shape| {
            let len = shape.iter().product();
            let mut numbers = Vec::new();
            // What overflows nothing can still be more than there is.
            numbers
                .try_reserve_exact(len)
                .map_err(|_| Error::SizeOverflow { what: PARAMETERS })?;
            numbers.extend((0..len).map(|_| next()));
            Ok(numbers)
        })
    }
}

const PARAMETERS: &str = "the network's parameters";

/// A number of [-1, 1): the word's upper 24 bits, all that an f32 holds, as a multiple of 2⁻²³.
fn plus_minus_one(word: u32) -> f32 {
    (word >> 8) as f32 * 2_f32.powi(-23) - 1.0
}

/// The bytes of all parameters, if an allocation may be as large.
fn bytes(config: &LstmConfig) -> Option<usize> {
    let hidden = config.hidden_size();
    let directions = config.num_directions();
    let widest = directions
        .checked_mul(config.output_size())?
        .max(config.input_size());
    // Each row of the 4H: W_ih, W_hh, b_ih, b_hh. Every layer is taken to be as wide as the widest.
    let row = widest.checked_add(config.output_size())?.checked_add(2)?;
    let projection = config.proj_size().checked_mul(hidden)?;
    hidden
        .checked_mul(4)?
        .checked_mul(row)?
        .checked_add(projection)?
        .checked_mul(config.num_layers().checked_mul(directions)?)?
        .checked_mul(size_of::<f32>())
        .filter(|&bytes| bytes <= isize::MAX as usize)
}
