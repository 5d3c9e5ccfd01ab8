//! A network's weights in the layout of the device's buffers.

use super::{LayerWeights, LstmWeights};
use crate::layout::{PerWeight, bias, gates, projection, stored};
use crate::program::Element;

impl LstmWeights {
    /// The words of each layer's weights; biases are f32 always.
    pub(crate) fn device_words(&self) -> impl Iterator<Item = PerWeight<Vec<u32>>> + '_ {
        (0..self.config().num_layers()).map(|layer| {
            let (config, matrix) = (self.config(), self.precision().element());
            // The layer below leaves every direction's part padded.
            let width = if layer == 0 { config.input_size() } else { config.output_size() };
            let both = |lay_out: &dyn Fn(&LayerWeights) -> Vec<f32>| -> Vec<f32> {
                let directions = 0..config.num_directions();
                directions.flat_map(|direction| lay_out(self.layer(layer, direction))).collect()
            };
            let no_bias = || vec![0.0; 4 * config.hidden_size()];
            let bias = |w: &LayerWeights| match &w.bias {
                Some((b_ih, b_hh)) => bias(config.hidden_size(), b_ih, b_hh),
                None => no_bias(),
            };
            let w_hr = |w: &LayerWeights| w.w_hr.as_ref().map_or(Vec::new(), |w_hr| projection(w_hr.view()));
            PerWeight {
                w_ih: stored(matrix, both(&|w| gates(w.w_ih.view(), width))),
                bias: stored(Element::F32, both(&bias)),
                w_hh: stored(matrix, both(&|w| gates(w.w_hh.view(), config.output_size()))),
                w_hr: (config.proj_size() > 0).then(|| stored(matrix, both(&w_hr))),
            }
        })
    }
}
