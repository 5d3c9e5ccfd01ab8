//! How arrays are laid out in the device's buffers: the length, contents, offsets and indices of weights, rows and states,
//! each in one file. Every row is padded with zeros to whole `vec4f`, but for those of c.
//!
//! The shaders compute the same indices: `plan/tests/layout.rs` compares the constants and uniforms that they do it with, and
//! `layout/tests.rs` what they read of a weight.

mod rows;
mod states;
#[cfg(test)]
mod tests;
mod weights;

pub(crate) use rows::{GateRows, Rows, put_flushed};
pub(crate) use states::States;
pub(crate) use weights::{Matrix, PerWeight, bias, gates, projection, stored};

use crate::config::LstmConfig;
use crate::program::{Element, padded};

/// The layouts of a network's arrays.
#[derive(Clone, Debug)]
pub(crate) struct Layouts {
    config: LstmConfig,
    element: Element,
}

impl Layouts {
    pub fn new(config: &LstmConfig, element: Element) -> Self {
        Self { config: config.clone(), element }
    }

    /// The rows that enter a layer.
    pub fn input(&self, layer: usize) -> Rows {
        if layer == 0 { Rows { directions: 1, width: self.config.input_size() } } else { self.output() }
    }

    /// The rows that leave a layer.
    pub fn output(&self) -> Rows {
        Rows { directions: self.config.num_directions(), width: self.config.output_size() }
    }

    /// The rows that leave the last layer, with the directions side by side: they count as one.
    pub fn joined_output(&self) -> Rows {
        Rows { directions: 1, width: self.config.num_directions() * self.config.output_size() }
    }

    pub fn gates(&self, rows: usize) -> GateRows {
        GateRows { rows, hidden: self.config.hidden_size() }
    }

    /// h of a batch.
    pub fn hidden(&self, batch: usize) -> States {
        self.states(batch, padded(self.config.output_size()))
    }

    /// c of a batch: its rows are not padded.
    pub fn cell(&self, batch: usize) -> States {
        self.states(batch, self.config.hidden_size())
    }

    /// o ∘ tanh(c) of a batch, before the hidden projection.
    pub fn unprojected(&self, batch: usize) -> States {
        self.states(batch, padded(self.config.hidden_size()))
    }

    fn states(&self, batch: usize, stride: usize) -> States {
        States { directions: self.config.num_directions(), batch, stride }
    }

    /// Of a layer, every direction's.
    pub fn w_ih(&self, layer: usize) -> Matrix {
        self.matrix(self.input(layer).stride(), self.config.hidden_size())
    }

    pub fn w_hh(&self) -> Matrix {
        self.matrix(padded(self.config.output_size()), self.config.hidden_size())
    }

    pub fn w_hr(&self) -> Option<Matrix> {
        let projection = padded(self.config.proj_size()) / 4;
        (projection > 0).then(|| self.matrix(padded(self.config.hidden_size()), projection))
    }

    /// Elements of a layer's bias: [D, H], each the sums b_ih + b_hh of a unit's (i, f, g, o).
    pub fn bias_elements(&self) -> Option<usize> {
        self.config.num_directions().checked_mul(self.config.hidden_size())
    }

    /// The first element of a direction's bias.
    pub fn first_bias(&self, direction: usize) -> usize {
        direction * self.config.hidden_size()
    }

    fn matrix(&self, rows: usize, columns: usize) -> Matrix {
        Matrix { directions: self.config.num_directions(), rows, columns, element: self.element }
    }
}
