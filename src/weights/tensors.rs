//! From named tensors to a network: which names there must be, and which sizes they have.

use std::collections::BTreeMap;

use super::LstmWeights;
use super::names::{Name, Param, Spelling};
use crate::config::LstmConfig;
use crate::error::Error;

/// A tensor of any kind: what is checked before anyone looks at its numbers.
pub(super) struct Tensor<D> {
    /// Full name, prefix included.
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    /// The type of its elements, if they are of none that is read.
    pub(super) unreadable: Option<String>,
    pub(super) data: D,
}

impl<D> Tensor<D> {
    /// The shape as two axes with at least one element, or what was expected in their place.
    fn matrix(&self, expected: &str) -> Result<(usize, usize), Error> {
        match self.shape[..] {
            [rows, columns] if rows > 0 && columns > 0 => Ok((rows, columns)),
            _ => Err(self.misshapen(expected.to_owned())),
        }
    }

    fn misshapen(&self, expected: String) -> Error {
        Error::TensorShape { name: self.name.clone(), expected, actual: self.shape.clone() }
    }
}

/// The tensors under one prefix, each with a name that an LSTM can have.
pub(super) struct StateDict<'a, D> {
    prefix: &'a str,
    spelling: Spelling,
    has: Has,
    tensors: BTreeMap<Name, Tensor<D>>,
}

/// What the names say of the network, read off in one pass: a file can have many layers.
#[derive(Default)]
struct Has {
    last_layer: usize,
    reverse: bool,
    bias: bool,
    projection: bool,
}

impl Has {
    fn of<'a>(names: impl Iterator<Item = &'a Name>) -> Self {
        names.fold(Self::default(), |has, name| Self {
            last_layer: has.last_layer.max(name.layer),
            reverse: has.reverse || name.direction == 1,
            bias: has.bias || name.param.is_bias(),
            projection: has.projection || name.param == Param::WeightHr,
        })
    }
}

impl<'a, D> StateDict<'a, D> {
    /// Picks the tensors under the prefix and refuses names that can't be or stand there twice.
    pub(super) fn new(tensors: impl IntoIterator<Item = Tensor<D>>, prefix: &'a str) -> Result<Self, Error> {
        let mut layers = BTreeMap::new();
        let mut cell = BTreeMap::new();
        for tensor in tensors {
            let Some(text) = tensor.name.strip_prefix(prefix) else {
                continue;
            };
            let (spelling, name) = Name::parse(text).map_err(|reason| Error::UnexpectedTensor {
                name: tensor.name.clone(),
                reason: reason.to_owned(),
            })?;
            let same_spelling = match spelling {
                Spelling::Layers => &mut layers,
                Spelling::Cell => &mut cell,
            };
            if let Some(twin) = same_spelling.insert(name, tensor) {
                return Err(Error::DuplicateTensor { name: twin.name });
            }
        }
        let (spelling, tensors) = match (layers.is_empty(), cell.pop_first()) {
            (_, None) => (Spelling::Layers, layers),
            (true, Some((name, tensor))) => {
                cell.insert(name, tensor);
                (Spelling::Cell, cell)
            }
            (false, Some((_, tensor))) => {
                return Err(Error::UnexpectedTensor {
                    name: tensor.name,
                    reason: "it is a name of an LSTMCell among names of an LSTM's layers".into(),
                });
            }
        };
        Ok(Self { prefix, spelling, has: Has::of(tensors.keys()), tensors })
    }

    /// Checks that all tensors are there and fit, and reads the numbers of each.
    pub(super) fn into_weights(
        mut self,
        numbers: impl Fn(Tensor<D>) -> Result<Vec<f32>, Error>,
    ) -> Result<LstmWeights, Error> {
        self.check_names()?;
        let config = self.sizes()?;
        self.check_tensors(&config)?;
        let weights = LstmWeights::build(config, |name, _| {
            let tensor = self.tensors.remove(&name);
            numbers(tensor.ok_or_else(|| self.missing(name))?)
        })?;
        Ok(LstmWeights { spelling: self.spelling, ..weights })
    }

    /// What the matrices consist of, in the caller's terms.
    pub(super) fn matrices(&self) -> impl Iterator<Item = &D> {
        self.tensors.iter().filter(|(name, _)| !name.param.is_bias()).map(|(_, tensor)| &tensor.data)
    }

    /// Refuses a shape that does not fit the sizes, and an element type that is not read.
    fn check_tensors(&self, config: &LstmConfig) -> Result<(), Error> {
        for (name, tensor) in &self.tensors {
            let expected = name.shape(config);
            if tensor.shape != expected {
                return Err(tensor.misshapen(format!("{expected:?}")));
            }
        }
        for tensor in self.tensors.values() {
            if let Some(actual) = &tensor.unreadable {
                return Err(Error::TensorType { name: tensor.name.clone(), actual: actual.clone() });
            }
        }
        Ok(())
    }

    /// Refuses a gap: what one layer and direction has, every one has.
    fn check_names(&self) -> Result<(), Error> {
        let Has { last_layer, reverse, bias, projection } = self.has;
        // Ends at the first gap, however high the last layer's number.
        for layer in 0..=last_layer {
            for direction in 0..1 + usize::from(reverse) {
                for name in Name::of_layer(layer, direction, bias, projection) {
                    self.get(name)?;
                }
            }
        }
        Ok(())
    }

    /// Reads the sizes off the first layer's shapes and what kinds of names there are.
    fn sizes(&self) -> Result<LstmConfig, Error> {
        let first = |param| Name { layer: 0, direction: 0, param };
        let w_ih = self.get(first(Param::WeightIh))?;
        let expected = "[4·H, I], H and I at least 1";
        let (gates, input_size) = w_ih.matrix(expected)?;
        if gates % 4 != 0 {
            return Err(w_ih.misshapen(expected.to_owned()));
        }
        let hidden_size = gates / 4;
        let proj_size = if self.has.projection {
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
            .with_num_layers(self.has.last_layer + 1)
            .with_bias(self.has.bias)
            .with_bidirectional(self.has.reverse)
            .with_proj_size(proj_size);
        config.check()?;
        Ok(config)
    }

    fn get(&self, name: Name) -> Result<&Tensor<D>, Error> {
        self.tensors.get(&name).ok_or_else(|| self.missing(name))
    }

    fn missing(&self, name: Name) -> Error {
        Error::MissingTensor { name: format!("{}{}", self.prefix, name.spell(self.spelling)) }
    }
}
