//! From the tensors under one prefix to a network: checks the names, infers the sizes, checks the shapes.

use std::collections::{BTreeMap, BTreeSet};

use super::extensions;
use super::memory::check_memory_for;
use super::names::{Name, Param, Spelling};
use super::other_network::OtherNetwork;
use super::parameters::LstmWeights;
use super::precision::Precision;
use super::sorted::Sorted;
use super::tensor::{ElementType, Tensor};
use crate::config::LstmConfig;
use crate::error::Error;

/// The tensors of what can be an LSTM under one prefix.
pub(super) struct Candidate<V> {
    prefix: String,
    spelling: Spelling,
    summary: Summary,
    params: BTreeMap<Name, Tensor<V>>,
    /// Those that can extend the LSTM by their names.
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

impl<V> Candidate<V> {
    /// Selects the parameters under the prefix. Tensors of other modules are ignored; changed parameters are
    /// refused, because the results would be wrong without the change. Tensors that seem to extend the LSTM are
    /// refused too, unless they are ignored.
    pub(super) fn new(
        tensors: impl IntoIterator<Item = Tensor<V>>,
        prefix: &str,
        ignore_others: bool,
    ) -> Result<Self, Error> {
        let Sorted { layers, cell, changed, doubtful, mut others } = Sorted::new(tensors, prefix)?;
        let has_parameters = !(layers.is_empty() && cell.is_empty());
        let doubtful = if has_parameters && !ignore_others { doubtful } else { None };
        if let Some(error) = changed.or(doubtful) {
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
        others.retain(|tensor| !ignore_others && extensions::can_extend(prefix, &tensor.name));
        Ok(Self { spelling, others, ..Self::of(prefix, params) })
    }

    /// A network of these parameters, without other tensors.
    pub(super) fn of(prefix: &str, params: BTreeMap<Name, Tensor<V>>) -> Self {
        let summary = Summary::of(params.keys());
        Self { prefix: prefix.to_owned(), spelling: Spelling::Layers, summary, params, others: Vec::new() }
    }

    /// Whether there is no parameter.
    pub(super) fn is_empty(&self) -> bool {
        self.params.is_empty()
    }

    /// The names of the parameters' element types, without repetition.
    pub(super) fn element_types(&self) -> Vec<String> {
        let names: BTreeSet<_> = self.params.values().map(|tensor| tensor.element_type.name()).collect();
        names.into_iter().map(str::to_owned).collect()
    }

    /// The sizes of the network.
    ///
    /// # Errors
    ///
    /// A parameter is missing, is damaged, has the wrong shape or an element type that is not read, or another tensor
    /// extends the LSTM.
    pub(super) fn config(&self) -> Result<LstmConfig, Error> {
        self.check_names()?;
        self.params.values().try_for_each(Tensor::check_whole)?;
        let config = self.sizes().and_then(|config| self.check_shapes(&config).map(|()| config));
        let config = config.map_err(|error| match error {
            Error::TensorShape { .. } => self.other_network().unwrap_or(error),
            _ => error,
        })?;
        self.params.values().try_for_each(Tensor::check_element_type)?;
        extensions::check(&self.prefix, &self.others, &config)?;
        Ok(config)
    }

    /// The network. `precision` is that which the file says it has; it counts only if the matrices are stored so.
    /// `values` converts a tensor to its values, row after row; the errors are those of [`config`](Self::config) and
    /// of `values`.
    pub(super) fn into_weights(
        mut self,
        precision: Precision,
        values: impl Fn(Tensor<V>) -> Result<Vec<f32>, Error>,
    ) -> Result<LstmWeights, Error> {
        let config = self.config()?;
        check_memory_for(&config)?;
        let mut matrices = self.params.iter().filter(|(name, _)| !name.param.is_bias());
        let is_f16 = matrices.all(|(_, matrix)| matrix.element_type == ElementType::F16);
        let precision = if is_f16 { precision } else { Precision::F32 };
        let weights = LstmWeights::build(config, |name, _| {
            let tensor = self.params.remove(&name);
            values(tensor.ok_or_else(|| self.missing(name))?)
        })?;
        Ok(LstmWeights { spelling: self.spelling, precision, ..weights })
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
        all.then(|| Error::NotAnLstm { prefix: self.prefix.clone(), reason: other.to_string() })
    }

    fn get(&self, name: Name) -> Result<&Tensor<V>, Error> {
        self.params.get(&name).ok_or_else(|| self.missing(name))
    }

    fn missing(&self, name: Name) -> Error {
        Error::MissingTensor {
            name: format!("{}{}", self.prefix, name.spell(self.spelling)),
            found: Vec::new(),
        }
    }
}

/// The name of a parameter of the first layer, forward.
fn first(param: Param) -> Name {
    Name { layer: 0, direction: 0, param }
}
