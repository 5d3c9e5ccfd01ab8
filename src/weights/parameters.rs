//! The parameters of a network and of each of its layers.

use ndarray::{Array1, Array2, ArrayViewD};

use super::names::{Name, Param, Spelling};
use super::precision::Precision;
use crate::config::LstmConfig;
use crate::error::Error;
use crate::host_memory::host_out_of_memory;

/// The parameters of an LSTM: `torch.nn.LSTM`'s state dict, and the sizes that follow from it.
///
/// | name | shape |
/// |---|---|
/// | `weight_ih_l{k}` | (4H, I), from the second layer on (4H, D·O) |
/// | `weight_hh_l{k}` | (4H, O) |
/// | `bias_ih_l{k}`, `bias_hh_l{k}` | (4H), both or neither |
/// | `weight_hr_l{k}` | (P, H), where there is a projection |
///
/// The names of the reverse direction end in `_reverse` (`weight_ih_l0_reverse`). The 4H rows are the
/// gates i, f, g, o, H rows each.
///
/// # Source
///
/// `torch.nn.LSTM`, "Variables"; `torch.nn.LSTMCell` for the names without a layer.
///
/// # Examples
///
/// ```
/// use wgpu_lstm::{LstmConfig, LstmWeights};
///
/// let config = LstmConfig::new(5, 8).with_num_layers(2).with_bidirectional(true);
/// let weights = LstmWeights::uniform(&config, 7)?;
///
/// let file = weights.to_safetensors("encoder.lstm.")?;
/// let read = LstmWeights::from_safetensors(&file, "encoder.lstm.")?;
/// assert_eq!(read, weights);
/// assert_eq!(read.config(), &config); // inferred from names and shapes
/// # Ok::<(), wgpu_lstm::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LstmWeights {
    pub(super) config: LstmConfig,
    /// Index layer · D + direction.
    pub(super) layers: Vec<LayerWeights>,
    pub(super) precision: Precision,
    /// The spelling of the names in a file or state dict of this network.
    pub(super) spelling: Spelling,
}

/// Weights are equal if sizes, values and precision are; whether a file named them as an `LSTM` or an `LSTMCell` makes no
/// difference.
impl PartialEq for LstmWeights {
    fn eq(&self, other: &Self) -> bool {
        let Self { config, layers, precision, spelling: _ } = self;
        *config == other.config && *layers == other.layers && *precision == other.precision
    }
}

/// The parameters of one layer and direction; every array in standard (C) layout.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LayerWeights {
    /// (4H, I), from the second layer on (4H, D·O).
    pub(crate) w_ih: Array2<f32>,
    /// (4H, O).
    pub(crate) w_hh: Array2<f32>,
    /// b_ih and b_hh, (4H) each.
    pub(crate) bias: Option<(Array1<f32>, Array1<f32>)>,
    /// (P, H).
    pub(crate) w_hr: Option<Array2<f32>>,
}

impl LayerWeights {
    /// Calls `tensor` for the values and the shape of each parameter, in state-dict order.
    fn build(
        config: &LstmConfig,
        mut tensor: impl FnMut(Param) -> Result<(Vec<f32>, Vec<usize>), Error>,
    ) -> Result<Self, Error> {
        let w_ih = matrix(tensor(Param::WeightIh)?);
        let w_hh = matrix(tensor(Param::WeightHh)?);
        let bias = if config.bias() {
            let (b_ih, _) = tensor(Param::BiasIh)?;
            let (b_hh, _) = tensor(Param::BiasHh)?;
            Some((Array1::from_vec(b_ih), Array1::from_vec(b_hh)))
        } else {
            None
        };
        let w_hr = if config.proj_size() > 0 { Some(matrix(tensor(Param::WeightHr)?)) } else { None };
        Ok(Self { w_ih, w_hh, bias, w_hr })
    }

    pub(super) fn matrices_mut(&mut self) -> impl Iterator<Item = (Param, &mut Array2<f32>)> {
        let w_hr = self.w_hr.as_mut().map(|w_hr| (Param::WeightHr, w_hr));
        [(Param::WeightIh, &mut self.w_ih), (Param::WeightHh, &mut self.w_hh)].into_iter().chain(w_hr)
    }

    /// The values of one parameter, if this layer has it.
    pub(super) fn param(&self, param: Param) -> Option<ArrayViewD<'_, f32>> {
        let bias = self.bias.as_ref();
        match param {
            Param::WeightIh => Some(self.w_ih.view().into_dyn()),
            Param::WeightHh => Some(self.w_hh.view().into_dyn()),
            Param::BiasIh => bias.map(|(b_ih, _)| b_ih.view().into_dyn()),
            Param::BiasHh => bias.map(|(_, b_hh)| b_hh.view().into_dyn()),
            Param::WeightHr => self.w_hr.as_ref().map(|w_hr| w_hr.view().into_dyn()),
        }
    }
}

impl LstmWeights {
    /// The sizes of the network.
    pub fn config(&self) -> &LstmConfig {
        &self.config
    }

    /// The parameters of every layer and direction, for tests to edit.
    #[cfg(test)]
    pub(crate) fn layers_mut(&mut self) -> &mut [LayerWeights] {
        &mut self.layers
    }

    /// The parameters of one layer and direction (0 forward, 1 reverse).
    pub(crate) fn layer(&self, layer: usize, direction: usize) -> &LayerWeights {
        &self.layers[layer * self.config.num_directions() + direction]
    }

    /// Calls `values` for each parameter, in state-dict order. It must return as many values as the shape has, row
    /// after row.
    ///
    /// The config must have been checked ([`Name::shape`] does not check for overflow).
    pub(super) fn build(
        config: LstmConfig,
        mut values: impl FnMut(Name, &[usize]) -> Result<Vec<f32>, Error>,
    ) -> Result<Self, Error> {
        let mut layers = Vec::new();
        layers
            .try_reserve_exact(config.num_layers() * config.num_directions())
            .map_err(host_out_of_memory)?;
        for layer in 0..config.num_layers() {
            for direction in 0..config.num_directions() {
                layers.push(LayerWeights::build(&config, |param| {
                    let name = Name { layer, direction, param };
                    let shape = name.shape(&config);
                    Ok((values(name, &shape)?, shape))
                })?);
            }
        }
        Ok(Self { config, layers, precision: Precision::F32, spelling: Spelling::Layers })
    }
}

fn matrix((values, shape): (Vec<f32>, Vec<usize>)) -> Array2<f32> {
    Array2::from_shape_vec((shape[0], shape[1]), values)
        .expect("a parameter has as many values as its shape says")
}
