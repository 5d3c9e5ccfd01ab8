//! Networks of random and of constant parameters.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::memory::check_memory_for;
use super::parameters::LstmWeights;
use crate::config::LstmConfig;
use crate::error::Error;

impl LstmWeights {
    /// Parameters drawn from U(-1/√H, 1/√H), PyTorch's default initialisation.
    ///
    /// The same seed gives the same bits on every platform. All numbers come from one stream of ChaCha8,
    /// one 32-bit word each, in the order of PyTorch's state dict: layer after layer, in each
    /// the forward direction and then the reverse one, in each `weight_ih`, `weight_hh`,
    /// `bias_ih`, `bias_hh`, `weight_hr` (as far as the config has them), each row after row. PyTorch
    /// generates other numbers from the same seed.
    ///
    /// # Errors
    ///
    /// [`Error::ZeroSize`], [`Error::ProjectionTooLarge`] for sizes that no network can have;
    /// [`Error::SizeOverflow`] for parameters of more bytes than an allocation can have, [`Error::OutOfMemory`] for more
    /// bytes than this machine has.
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
    /// Those of [`LstmWeights::uniform`].
    pub fn constant(config: &LstmConfig, value: f32) -> Result<Self, Error> {
        Self::filled_with(config, || value)
    }

    fn filled_with(config: &LstmConfig, mut next: impl FnMut() -> f32) -> Result<Self, Error> {
        config.check()?;
        check_memory_for(config)?;
        Self::build(config.clone(), |_, shape| Ok((0..shape.iter().product()).map(|_| next()).collect()))
    }
}

/// A number of [-1, 1): the word's upper 24 bits, all that an f32 holds, as a multiple of 2⁻²³.
fn plus_minus_one(word: u32) -> f32 {
    (word >> 8) as f32 / (1 << 23) as f32 - 1.0
}
