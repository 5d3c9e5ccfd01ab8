//! A model's configuration: its layers, and whether a layer computes what `torch.nn.LSTM` does.

use std::collections::HashMap;

use serde_json::Value;

use super::settings::{Shapes, check_layer, class_of};
use crate::error::Error;

/// Models in each other. Each takes several levels of JSON, of which serde_json reads 128.
const DEPTH: usize = 64;

/// Memory that the configuration may take: so many times its length in bytes, and some more; and what an object and any
/// other value take.
const MEMORY_TIMES: usize = 8;
const MEMORY_MORE: usize = 1 << 20;
const OBJECT_BYTES: usize = 640;
const VALUE_BYTES: usize = 64;

/// The longest name of a model with those of the models around it, in bytes: each of its layers repeats them.
const MODEL_NAMES: usize = 1 << 10;

/// A layer that the configuration describes, but no model of layers.
pub(super) struct Described {
    /// Names of the models that it is in, and its own.
    pub(super) names: Vec<String>,
    /// The path of its group in Keras 3's files of weights.
    pub(super) place: Vec<String>,
    pub(super) class: String,
    pub(super) config: Value,
    /// The layer of a Sequential model before it, if nothing between the two changes a value.
    pub(super) after: Option<usize>,
}

impl Described {
    pub(super) fn name(&self) -> String {
        self.names.join("/")
    }

    /// Whether its class is one of Keras's LSTMs, or a wrapper of one.
    pub(super) fn is_lstm(&self) -> bool {
        is_lstm(&self.class, &self.config)
    }

    /// Whether it computes `torch.nn.LSTM`, or in what it differs.
    pub(super) fn check(&self, shapes: &Shapes) -> Result<(), String> {
        check_layer(&self.class, &self.config, shapes, false)
    }

    /// What the configuration does not say either.
    pub(super) fn assumed(&self) -> Option<String> {
        let config = innermost(&self.class, &self.config);
        let missing: Vec<String> = [("activation", "tanh"), ("recurrent_activation", "sigmoid")]
            .iter()
            .filter(|(key, _)| self.class != "CuDNNLSTM" && config.get(*key).is_none())
            .map(|(key, value)| format!("{key} {value}"))
            .collect();
        let missing = missing.join(" and ");
        (!missing.is_empty()).then(|| format!("the layer's configuration has no {missing}: that is assumed"))
    }
}

/// The layers of the model that this JSON text describes; none if it is a model of a class of its own.
pub(super) fn layers(text: &[u8]) -> Result<Vec<Described>, Error> {
    let malformed = |reason: String| Error::MalformedFile { format: "Keras model", reason };
    let count = |bytes: &[u8]| text.iter().filter(|byte| bytes.contains(byte)).count();
    let memory =
        count(b"{").saturating_mul(OBJECT_BYTES).saturating_add(count(b",:[").saturating_mul(VALUE_BYTES));
    if memory > text.len().saturating_mul(MEMORY_TIMES).saturating_add(MEMORY_MORE) {
        return Err(malformed(format!(
            "its configuration takes {memory} bytes of memory, and has {}",
            text.len()
        )));
    }
    let model: Value = serde_json::from_slice(text)
        .map_err(|error| malformed(format!("its configuration is no valid JSON: {error}")))?;
    let mut described = Vec::new();
    walk(&model, &Names::default(), &mut described).map_err(malformed)?;
    Ok(described)
}

/// The names of the models around a layer.
#[derive(Clone, Default)]
struct Names {
    names: Vec<String>,
    place: Vec<String>,
}

/// Adds the layers of a model. The error is the reason why the configuration is refused.
fn walk(model: &Value, outer: &Names, described: &mut Vec<Described>) -> Result<(), String> {
    let (Some(layers), true) = (layers_of(model), outer.names.len() < DEPTH) else {
        return Ok(());
    };
    let mut used = HashMap::new();
    let mut before = None;
    for layer in layers {
        let (class, config) = (class_of(layer), layer.get("config").unwrap_or(&Value::Null));
        let name = layer.get("name").or_else(|| config.get("name")).and_then(Value::as_str);
        let mut inner = outer.clone();
        let group = group_name(class, &mut used);
        inner.names.push(name.unwrap_or(&group).to_owned());
        inner.place.extend(["layers".to_owned(), group]);
        if is_model(class) && layers_of(layer).is_some() {
            let length: usize = inner.names.iter().map(String::len).sum();
            if length > MODEL_NAMES {
                return Err(format!(
                    "the name of a model in its configuration has {length} bytes, more than {MODEL_NAMES}, with \
                     those of the models around it"
                ));
            }
            walk(layer, &inner, described)?;
            before = None;
            continue;
        }
        let after = before;
        before = match class {
            "Dropout"
            | "SpatialDropout1D"
            | "GaussianDropout"
            | "AlphaDropout"
            | "GaussianNoise"
            | "ActivityRegularization"
            | "InputLayer" => before,
            _ if class_of(model) == "Sequential" && returns_sequences(class, config) => Some(described.len()),
            _ => None,
        };
        let Names { names, place } = inner;
        described.push(Described { names, place, class: class.to_owned(), config: config.clone(), after });
    }
    Ok(())
}

fn is_model(class: &str) -> bool {
    matches!(class, "Sequential" | "Functional" | "Model")
}

/// The layers of a model. The configuration of an old Sequential model is the list itself.
fn layers_of(model: &Value) -> Option<&Vec<Value>> {
    let config = model.get("config")?;
    config.as_array().or_else(|| config.get("layers")?.as_array())
}

/// The name of a layer's group in Keras 3's files: its class, and a number if the class is there several times.
fn group_name(class: &str, used: &mut HashMap<String, usize>) -> String {
    // A class of somebody's own is called `package>class`.
    let name = snake_case(class.rsplit('>').next().unwrap_or(class));
    let count = used.entry(name.clone()).or_default();
    let group = if *count == 0 { name } else { format!("{name}_{count}") };
    *count += 1;
    group
}

/// As `keras.src.utils.naming.to_snake_case`: a line before a capital with small letters, then between a small letter
/// and a capital.
fn snake_case(class: &str) -> String {
    let letters: Vec<char> = class.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
    let small = |at: usize| letters.get(at).is_some_and(char::is_ascii_lowercase);
    let mut snake = String::new();
    for (at, letter) in letters.iter().enumerate() {
        if letter.is_ascii_uppercase() && at > 0 && (small(at + 1) || small(at - 1)) {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

fn returns_sequences(class: &str, config: &Value) -> bool {
    let config =
        if class == "Bidirectional" { config.pointer("/layer/config").unwrap_or(config) } else { config };
    config.get("return_sequences") == Some(&Value::Bool(true))
}

fn is_lstm(class: &str, config: &Value) -> bool {
    match class {
        "LSTM" | "CuDNNLSTM" | "LSTMCell" => true,
        "RNN" => config.get("cell").is_some_and(|cell| class_of(cell) == "LSTMCell"),
        "Bidirectional" | "TimeDistributed" => {
            let inner = config.get("layer");
            inner.is_some_and(|inner| is_lstm(class_of(inner), inner.get("config").unwrap_or(&Value::Null)))
        }
        _ => false,
    }
}

/// The configuration that has the activations.
fn innermost<'c>(class: &str, config: &'c Value) -> &'c Value {
    let path = match class {
        "RNN" => "/cell/config",
        "Bidirectional" | "TimeDistributed" => match config.get("layer") {
            Some(layer) => return innermost(class_of(layer), layer.get("config").unwrap_or(&Value::Null)),
            None => return config,
        },
        _ => return config,
    };
    config.pointer(path).unwrap_or(config)
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    /// The right side is what `keras.src.utils.naming.to_snake_case` of Keras 3.15 returns.
    #[test]
    fn groups_are_named_as_keras_names_them() {
        for (class, name) in [
            ("LSTM", "lstm"),
            ("Bidirectional", "bidirectional"),
            ("TimeDistributed", "time_distributed"),
            ("CuDNNLSTM", "cu_dnnlstm"),
            ("ConvLSTM1D", "conv_lstm1d"),
            ("SimpleRNN", "simple_rnn"),
            ("MyLSTMBlock", "my_lstm_block"),
            ("My_Cell", "my__cell"),
            ("Conv1DTranspose", "conv1d_transpose"),
        ] {
            assert_eq!(snake_case(class), name);
        }
    }
}
