//! Whether the settings of a layer are those of `torch.nn.LSTM`.

use serde_json::Value;

/// What the file's shapes say about a layer.
pub(super) struct Shapes {
    pub(super) cells: usize,
    pub(super) hidden: usize,
    /// Biases of each cell: none, 4H or 8H numbers.
    pub(super) bias: Bias,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bias {
    None,
    One,
    /// A CuDNNLSTM's.
    Two,
}

/// Refuses a layer that computes something else. `backward` is whether the layer should go backwards.
pub(super) fn check_layer(
    class: &str,
    config: &Value,
    shapes: &Shapes,
    backward: bool,
) -> Result<(), String> {
    let inner = |key: &str| config.get(key).filter(|inner| inner.is_object());
    let config_of = |layer: &'_ Value| layer.get("config").cloned().unwrap_or(Value::Null);
    match class {
        "LSTM" | "CuDNNLSTM" | "LSTMCell" => {
            check_cells(shapes, 1)?;
            check_direction(config, backward)?;
            check_cell(class, config, shapes)
        }
        "RNN" => {
            let cell = inner("cell").ok_or("it is an RNN layer of no cell")?;
            if class_of(cell) != "LSTMCell" {
                return Err(format!(
                    "its cell is of the class {}, not LSTMCell",
                    shown(&class_of(cell).into())
                ));
            }
            check_cells(shapes, 1)?;
            check_direction(config, backward)?;
            check_cell("LSTMCell", &config_of(cell), shapes)
        }
        "Bidirectional" => {
            check_cells(shapes, 2)?;
            if let Some(mode) = config.get("merge_mode").filter(|mode| mode.as_str() != Some("concat")) {
                return Err(format!("merge_mode is {}, not concat", shown(mode)));
            }
            let forward = inner("layer").ok_or("it is a Bidirectional of no layer")?;
            let one = Shapes { cells: 1, ..*shapes };
            check_layer(class_of(forward), &config_of(forward), &one, false)?;
            inner("backward_layer").map_or(Ok(()), |backward| {
                check_layer(class_of(backward), &config_of(backward), &one, true)
                    .map_err(|reason| format!("in its backward_layer, {reason}"))
            })
        }
        "TimeDistributed" => {
            let layer = inner("layer").ok_or("it is a TimeDistributed of no layer")?;
            check_layer(class_of(layer), &config_of(layer), shapes, false)
        }
        _ => Err(format!(
            "its class is {}, which is not one of Keras's LSTM layers; if it computes an LSTM with Keras's default \
             settings, save the weights alone (model.save_weights)",
            shown(&class.into())
        )),
    }
}

fn check_cells(shapes: &Shapes, expected: usize) -> Result<(), String> {
    if shapes.cells == expected {
        return Ok(());
    }
    Err(format!("the file has {} cells of it, not {expected}", shapes.cells))
}

fn check_direction(config: &Value, backward: bool) -> Result<(), String> {
    let actual = config.get("go_backwards").unwrap_or(&Value::Bool(false));
    if *actual == Value::Bool(backward) {
        return Ok(());
    }
    Err(format!("go_backwards is {}", shown(actual)))
}

/// Refuses other settings of the cell than PyTorch's, and settings that the tensors contradict.
fn check_cell(class: &str, config: &Value, shapes: &Shapes) -> Result<(), String> {
    for (key, expected) in [("activation", "tanh"), ("recurrent_activation", "sigmoid")] {
        if let Some(actual) = config.get(key).filter(|actual| !is_function(actual, expected)) {
            return Err(format!("{key} is {}, not {expected}", shown(actual)));
        }
    }
    if let Some(units) = config.get("units").filter(|units| units.as_u64() != Some(shapes.hidden as u64)) {
        let hidden = shapes.hidden;
        return Err(format!("units is {}, but its tensors have {hidden} hidden units", shown(units)));
    }
    let expected = match (class, config.get("use_bias")) {
        ("CuDNNLSTM", _) => Bias::Two,
        (_, None | Some(Value::Bool(true))) => Bias::One,
        (_, Some(_)) => Bias::None,
    };
    if shapes.bias == expected {
        return Ok(());
    }
    let use_bias = config.get("use_bias").map(|value| format!(" with use_bias {}", shown(value)));
    let actual = match shapes.bias {
        Bias::None => "no bias",
        Bias::One => "a bias of 4·H",
        Bias::Two => "a bias of 8·H",
    };
    Err(format!("its class is {class}{}, but the file has {actual} of it", use_bias.unwrap_or_default()))
}

/// Whether this is one of Keras's own functions, by its name or as an object that names it.
fn is_function(value: &Value, name: &str) -> bool {
    let is_keras = || {
        let module = value.get("module").and_then(Value::as_str);
        module.is_some_and(|module| module.split('.').next() == Some("keras"))
    };
    value.as_str() == Some(name) || (value.get("config").and_then(Value::as_str) == Some(name) && is_keras())
}

/// The class of a layer that is described as an object.
pub(super) fn class_of(layer: &Value) -> &str {
    layer.get("class_name").and_then(Value::as_str).unwrap_or_default()
}

/// A value of the configuration, cut.
pub(super) fn shown(value: &Value) -> String {
    const SHOWN: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
