//! Sizes of a network.

/// The sizes and options of an LSTM: the arguments of `torch.nn.LSTM`.
///
/// Its methods check nothing; a function that takes a config refuses one with a size of zero or with
/// P ≥ H ([`Error::ZeroSize`](crate::Error::ZeroSize), [`Error::ProjectionTooLarge`](crate::Error::ProjectionTooLarge)).
///
/// ```
/// use wgpu_lstm::LstmConfig;
///
/// let config = LstmConfig::new(40, 256).with_num_layers(3).with_bidirectional(true);
/// assert_eq!(config.num_directions(), 2);
/// assert_eq!(config.output_size(), 256);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LstmConfig {
    input_size: usize,
    hidden_size: usize,
    num_layers: usize,
    bias: bool,
    bidirectional: bool,
    proj_size: usize,
}

impl LstmConfig {
    /// One unidirectional layer with biases and no projection, I wide in and H wide out.
    pub fn new(input_size: usize, hidden_size: usize) -> Self {
        Self { input_size, hidden_size, num_layers: 1, bias: true, bidirectional: false, proj_size: 0 }
    }

    /// L, the number of stacked layers (1 by default).
    #[must_use]
    pub fn with_num_layers(mut self, n: usize) -> Self {
        self.num_layers = n;
        self
    }

    /// Whether the layers have biases (they do by default).
    #[must_use]
    pub fn with_bias(mut self, bias: bool) -> Self {
        self.bias = bias;
        self
    }

    /// Whether every layer also runs backwards in time (D = 2; not by default).
    #[must_use]
    pub fn with_bidirectional(mut self, yes: bool) -> Self {
        self.bidirectional = yes;
        self
    }

    /// P, the size that hidden states are projected to; 0, the default, is no projection.
    #[must_use]
    pub fn with_proj_size(mut self, p: usize) -> Self {
        self.proj_size = p;
        self
    }

    /// I, the width of the input.
    pub fn input_size(&self) -> usize {
        self.input_size
    }

    /// H, the number of hidden units of a layer and direction.
    pub fn hidden_size(&self) -> usize {
        self.hidden_size
    }

    /// L, the number of stacked layers.
    pub fn num_layers(&self) -> usize {
        self.num_layers
    }

    /// Whether the layers have biases.
    pub fn bias(&self) -> bool {
        self.bias
    }

    /// Whether every layer also runs backwards in time.
    pub fn bidirectional(&self) -> bool {
        self.bidirectional
    }

    /// P, the size that hidden states are projected to, or 0.
    pub fn proj_size(&self) -> usize {
        self.proj_size
    }

    /// D, the number of directions: 1 or 2.
    pub fn num_directions(&self) -> usize {
        1 + usize::from(self.bidirectional)
    }

    /// O, the width of what leaves a layer in one direction: P where there is a projection, else H.
    pub fn output_size(&self) -> usize {
        if self.proj_size > 0 { self.proj_size } else { self.hidden_size }
    }

    /// Refuses sizes that no network has.
    pub(crate) fn check(&self) -> Result<(), WrongSize> {
        for (what, size) in [
            ("input_size", self.input_size),
            ("hidden_size", self.hidden_size),
            ("num_layers", self.num_layers),
        ] {
            if size == 0 {
                return Err(WrongSize::Zero { what });
            }
        }
        let (proj_size, hidden_size) = (self.proj_size, self.hidden_size);
        if proj_size >= hidden_size {
            return Err(WrongSize::Projection { proj_size, hidden_size });
        }
        Ok(())
    }

    /// The width of what enters `layer`: I for the first, D·O for the others.
    pub fn layer_input_size(&self, layer: usize) -> usize {
        if layer == 0 { self.input_size } else { self.num_directions().saturating_mul(self.output_size()) }
    }
}

/// Why a config is not a network's: [`Error`](crate::Error) has a variant for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WrongSize {
    /// The size of this name is zero.
    Zero { what: &'static str },
    /// P ≥ H.
    Projection { proj_size: usize, hidden_size: usize },
}
