//! From named tensors to a network: which names there must be, and which sizes they have.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::LstmWeights;
use super::diagnose::Other;
use super::find::wrong_prefix;
use super::names::{self, Kind, Name, Param, Spelling};
use super::{beside, diagnose, init};
use crate::config::LstmConfig;
use crate::error::Error;

/// A tensor of any kind: what is checked before its numbers are read.
#[derive(Clone)]
pub(super) struct Tensor<D> {
    /// Full name, prefix included.
    pub(super) name: String,
    pub(super) shape: Rc<[usize]>,
    /// The name of its element type, if this crate does not read that type.
    pub(super) unreadable: Option<Rc<str>>,
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
        Error::TensorShape { name: self.name.clone(), expected, actual: self.shape.to_vec() }
    }

    fn unexpected(&self, reason: &str) -> Error {
        Error::UnexpectedTensor { name: self.name.clone(), reason: reason.to_owned() }
    }

    /// The same without the numbers.
    fn outline(self) -> Tensor<()> {
        Tensor { name: self.name, shape: self.shape, unreadable: self.unreadable, data: () }
    }
}

/// The parameters under one prefix.
pub(super) struct StateDict<'a, D> {
    prefix: &'a str,
    spelling: Spelling,
    has: Has,
    tensors: BTreeMap<Name, Tensor<D>>,
    /// Those that can extend the LSTM, by their names.
    near: Vec<Tensor<()>>,
}

/// What the names show of the network, collected in one pass, because a file can have many layers.
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

/// Tensors, sorted by how they relate to the LSTM under one prefix.
struct Sorted<D> {
    layers: BTreeMap<Name, Tensor<D>>,
    cell: BTreeMap<Name, Tensor<D>>,
    /// The first one that stands in place of a parameter.
    changed: Option<Error>,
    /// The first one that is refused beside parameters.
    doubtful: Option<Error>,
    others: Vec<Tensor<()>>,
}

impl<D> Sorted<D> {
    /// Refuses a parameter that is given twice.
    fn new(tensors: impl IntoIterator<Item = Tensor<D>>, prefix: &str) -> Result<Self, Error> {
        let mut sorted = Self {
            layers: BTreeMap::new(),
            cell: BTreeMap::new(),
            changed: None,
            doubtful: None,
            others: Vec::new(),
        };
        for tensor in tensors {
            let kind = match tensor.name.strip_prefix(prefix).and_then(names::split) {
                Some(("", kind)) => Some(kind),
                _ => diagnose::dropped_outside(prefix, &tensor.name).map(Kind::Doubtful),
            };
            let same_spelling = match kind {
                Some(Kind::Param(Spelling::Layers, name)) => Some((&mut sorted.layers, name)),
                Some(Kind::Param(Spelling::Cell, name)) => Some((&mut sorted.cell, name)),
                Some(Kind::Changed(reason) | Kind::Packed(reason)) => {
                    sorted.changed.get_or_insert_with(|| tensor.unexpected(reason));
                    continue;
                }
                Some(Kind::Doubtful(reason)) => {
                    sorted.doubtful.get_or_insert_with(|| tensor.unexpected(reason));
                    None
                }
                None => None,
            };
            let Some((params, name)) = same_spelling else {
                sorted.others.push(tensor.outline());
                continue;
            };
            if let Some(twin) = params.insert(name, tensor) {
                return Err(Error::DuplicateTensor { name: twin.name });
            }
        }
        Ok(sorted)
    }
}

impl<'a, D> StateDict<'a, D> {
    /// Selects the parameters under the prefix. Other modules' tensors are left alone; changed parameters are
    /// refused, because the results would be wrong without the change.
    pub(super) fn new(tensors: impl IntoIterator<Item = Tensor<D>>, prefix: &'a str) -> Result<Self, Error> {
        let Sorted { layers, mut cell, changed, doubtful, mut others } = Sorted::new(tensors, prefix)?;
        let nothing = layers.is_empty() && cell.is_empty();
        if let Some(error) = changed.or(if nothing { None } else { doubtful }) {
            return Err(error);
        }
        if nothing && !others.is_empty() {
            return Err(wrong_prefix(prefix, others));
        }
        let (spelling, tensors) = match (layers.is_empty(), cell.pop_first()) {
            (_, None) => (Spelling::Layers, layers),
            (true, Some((name, tensor))) => {
                cell.insert(name, tensor);
                (Spelling::Cell, cell)
            }
            (false, Some((_, tensor))) => {
                let reason = "it is a name of an LSTMCell among names of an LSTM's layers";
                return Err(tensor.unexpected(reason));
            }
        };
        others.retain(|tensor| beside::is_near(prefix, &tensor.name));
        Ok(Self { prefix, spelling, has: Has::of(tensors.keys()), tensors, near: others })
    }

    /// The sizes of the network, if all tensors are there and fit, and nothing beside them extends it.
    pub(super) fn config(&self) -> Result<LstmConfig, Error> {
        self.check_names()?;
        let config = self.sizes().and_then(|config| self.check_shapes(&config).map(|()| config));
        let config = config.map_err(|error| match error {
            Error::TensorShape { .. } => self.other_network().unwrap_or(error),
            _ => error,
        })?;
        for tensor in self.tensors.values() {
            if let Some(actual) = &tensor.unreadable {
                return Err(Error::TensorType { name: tensor.name.clone(), actual: actual.to_string() });
            }
        }
        beside::check(self.prefix, &self.near, &config)?;
        Ok(config)
    }

    /// Checks that all tensors are there and fit, and reads the numbers of each.
    pub(super) fn into_weights(
        mut self,
        numbers: impl Fn(Tensor<D>) -> Result<Vec<f32>, Error>,
    ) -> Result<LstmWeights, Error> {
        let config = self.config()?;
        init::check_memory_for(&config)?;
        let weights = LstmWeights::build(config, |name, _| {
            let tensor = self.tensors.remove(&name);
            numbers(tensor.ok_or_else(|| self.missing(name))?)
        })?;
        Ok(LstmWeights { spelling: self.spelling, ..weights })
    }

    /// The data of each matrix.
    pub(super) fn matrices(&self) -> impl Iterator<Item = &D> {
        self.tensors.iter().filter(|(name, _)| !name.param.is_bias()).map(|(_, tensor)| &tensor.data)
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

    fn check_shapes(&self, config: &LstmConfig) -> Result<(), Error> {
        for (name, tensor) in &self.tensors {
            let expected = name.shape(config);
            if tensor.shape[..] != expected {
                return Err(tensor.misshapen(format!("{expected:?}")));
            }
        }
        Ok(())
    }

    /// The network that all the shapes fit, if it is a known one.
    fn other_network(&self) -> Option<Error> {
        let other = Other::of(&self.tensors.get(&first(Param::WeightHh))?.shape)?;
        let directions = 1 + usize::from(self.has.reverse);
        let all = self.tensors.iter().all(|(&name, tensor)| other.has(name, &tensor.shape, directions));
        all.then(|| Error::NotAnLstm { prefix: self.prefix.to_owned(), reason: other.to_string() })
    }

    fn get(&self, name: Name) -> Result<&Tensor<D>, Error> {
        self.tensors.get(&name).ok_or_else(|| self.missing(name))
    }

    fn missing(&self, name: Name) -> Error {
        Error::MissingTensor { name: format!("{}{}", self.prefix, name.spell(self.spelling)) }
    }
}

/// The parameter of the first layer, forward.
fn first(param: Param) -> Name {
    Name { layer: 0, direction: 0, param }
}
