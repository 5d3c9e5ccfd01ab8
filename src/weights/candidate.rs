//! From the tensors under one prefix to a network: checks the names, infers the sizes, checks the shapes.

use std::collections::BTreeMap;

use super::extensions;
use super::memory::check_memory_for;
use super::names::{Name, Param, Spelling};
use super::other_network::OtherNetwork;
use super::parameters::LstmWeights;
use super::sorted::Sorted;
use super::tensor::Tensor;
use crate::config::LstmConfig;
use crate::error::Error;

/// The tensors of what can be an LSTM under one prefix.
pub(super) struct Candidate<'a, V> {
    prefix: &'a str,
    spelling: Spelling,
    summary: Summary,
    params: BTreeMap<Name, Tensor<V>>,
    /// Beside parameters, those that can extend the LSTM by their names; without parameters, all tensors.
    others: Vec<Tensor<()>>,
}

/// What the names of the parameters say about the network, collected in one pass, because a file can have many
/// layers.
#[derive(Default)]
struct Summary {
    last_layer: usize,
    reverse: bool,
    bias: bool,
    projection: bool,
}

impl Summary {
    fn of<'a>(names: impl Iterator<Item = &'a Name>) -> Self {
        names.fold(Self::default(), |summary, name| Self {
            last_layer: summary.last_layer.max(name.layer),
            reverse: summary.reverse || name.direction == 1,
            bias: summary.bias || name.param.is_bias(),
            projection: summary.projection || name.param == Param::WeightHr,
        })
    }
}

impl<'a, V> Candidate<'a, V> {
    /// Selects the parameters under the prefix. Tensors of other modules are ignored; changed parameters are
    /// refused, because the results would be wrong without the change.
    pub(super) fn new(tensors: impl IntoIterator<Item = Tensor<V>>, prefix: &'a str) -> Result<Self, Error> {
        let Sorted { layers, cell, changed, doubtful, mut others } = Sorted::new(tensors, prefix)?;
        let has_parameters = !(layers.is_empty() && cell.is_empty());
        if let Some(error) = changed.or(if has_parameters { doubtful } else { None }) {
            return Err(error);
        }
        let (spelling, params) = match cell.values().next() {
            None => (Spelling::Layers, layers),
            Some(_) if layers.is_empty() => (Spelling::Cell, cell),
            Some(tensor) => {
                let reason = "it is a name of an LSTMCell among names of an LSTM's layers";
                return Err(tensor.unexpected(reason));
            }
        };
        if has_parameters {
            others.retain(|tensor| extensions::can_extend(prefix, &tensor.name));
        }
        Ok(Self { prefix, spelling, summary: Summary::of(params.keys()), params, others })
    }

    /// Fails if there are tensors, but no parameter. The error is the tensors.
    pub(super) fn require_parameters(self) -> Result<Self, Vec<Tensor<()>>> {
        if self.params.is_empty() && !self.others.is_empty() { Err(self.others) } else { Ok(self) }
    }

    /// The sizes of the network.
    ///
    /// # Errors
    ///
    /// A parameter is missing, has the wrong shape or an element type that is not read, or another tensor extends
    /// the LSTM.
    pub(super) fn config(&self) -> Result<LstmConfig, Error> {
        self.check_names()?;
        let config = self.sizes().and_then(|config| self.check_shapes(&config).map(|()| config));
        let config = config.map_err(|error| match error {
            Error::TensorShape { .. } => self.other_network().unwrap_or(error),
            _ => error,
        })?;
        self.params.values().try_for_each(Tensor::check_element_type)?;
        extensions::check(self.prefix, &self.others, &config)?;
        Ok(config)
    }

    /// The network. `values` converts a tensor to its values, row after row; the errors are those of
    /// [`config`](Self::config) and of `values`.
    pub(super) fn into_weights(
        mut self,
        values: impl Fn(Tensor<V>) -> Result<Vec<f32>, Error>,
    ) -> Result<LstmWeights, Error> {
        let config = self.config()?;
        check_memory_for(&config)?;
        let weights = LstmWeights::build(config, |name, _| {
            let tensor = self.params.remove(&name);
            values(tensor.ok_or_else(|| self.missing(name))?)
        })?;
        Ok(LstmWeights { spelling: self.spelling, ..weights })
    }

    /// Every parameter but the biases.
    pub(super) fn matrices(&self) -> impl Iterator<Item = &Tensor<V>> {
        self.params.iter().filter(|(name, _)| !name.param.is_bias()).map(|(_, tensor)| tensor)
    }

    /// Requires the parameters that one layer and direction has in all others.
    fn check_names(&self) -> Result<(), Error> {
        let Summary { last_layer, reverse, bias, projection } = self.summary;
        // This ends at the first gap, so that a large number of the last layer costs nothing.
        for layer in 0..=last_layer {
            for direction in 0..1 + usize::from(reverse) {
                for name in Name::of_layer(layer, direction, bias, projection) {
                    self.get(name)?;
                }
            }
        }
        Ok(())
    }

    /// Infers the sizes from the first layer's shapes and from the names.
    fn sizes(&self) -> Result<LstmConfig, Error> {
        let w_ih = self.get(first(Param::WeightIh))?;
        let expected = "[4·H, I], H and I at least 1";
        let (gates, input_size) = w_ih.matrix(expected)?;
        if gates % 4 != 0 {
            return Err(w_ih.misshapen(expected.to_owned()));
        }
        let hidden_size = gates / 4;
        let proj_size = if self.summary.projection {
            let w_hr = self.get(first(Param::WeightHr))?;
            let expected = format!("[P, {hidden_size}], P at least 1");
            let (proj_size, columns) = w_hr.matrix(&expected)?;
            if columns != hidden_size {
                return Err(w_hr.misshapen(expected));
            }
            proj_size
        } else {
            0
        };
        let config = LstmConfig::new(input_size, hidden_size)
            .with_num_layers(self.summary.last_layer + 1)
            .with_bias(self.summary.bias)
            .with_bidirectional(self.summary.reverse)
            .with_proj_size(proj_size);
        config.check()?;
        Ok(config)
    }

    fn check_shapes(&self, config: &LstmConfig) -> Result<(), Error> {
        for (name, tensor) in &self.params {
            let expected = name.shape(config);
            if tensor.shape[..] != expected {
                return Err(tensor.misshapen(format!("{expected:?}")));
            }
        }
        Ok(())
    }

    /// The error that names another network, if all shapes fit one.
    fn other_network(&self) -> Option<Error> {
        let other = OtherNetwork::of(&self.params.get(&first(Param::WeightHh))?.shape)?;
        let directions = 1 + usize::from(self.summary.reverse);
        let all = self.params.iter().all(|(&name, tensor)| other.has(name, &tensor.shape, directions));
        all.then(|| Error::NotAnLstm { prefix: self.prefix.to_owned(), reason: other.to_string() })
    }

    fn get(&self, name: Name) -> Result<&Tensor<V>, Error> {
        self.params.get(&name).ok_or_else(|| self.missing(name))
    }

    fn missing(&self, name: Name) -> Error {
        Error::MissingTensor { name: format!("{}{}", self.prefix, name.spell(self.spelling)) }
    }
}

/// The name of a parameter of the first layer, forward.
fn first(param: Param) -> Name {
    Name { layer: 0, direction: 0, param }
}
