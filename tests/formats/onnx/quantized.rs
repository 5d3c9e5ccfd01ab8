//! ONNX Runtime's int8 LSTM: files of its quantizer, and the other forms of scales.

use wgpu_lstm::{LstmWeights, find_lstms};

use super::builder::{INT8, attribute, bytes, floats, graph, model, named, node, of_domain, tensor};
use super::exporters::{file, truth};
use super::network::arrays;

/// A matrix (D, 4H, X) as (D, X, 4H).
fn transposed(values: &[f32], directions: usize, rows: usize) -> Vec<f32> {
    let columns = values.len() / directions / rows;
    let place = |index: usize| {
        let (direction, row, column) = (index / (rows * columns), index / columns % rows, index % columns);
        (direction * columns + column) * rows + row
    };
    (0..values.len()).map(|index| values[place(index)]).collect()
}

/// Against (q − zero point) · scale as NumPy computes it from the file's tensors.
#[test]
fn files_of_the_quantizer() {
    for name in ["quantized", "quantized_per_channel"] {
        let bytes = file(&format!("{name}.onnx"));
        let found = find_lstms(&bytes).unwrap();
        assert_eq!(found[0].prefix, "/LSTM_quant+/LSTM_1_quant");
        assert_eq!(found[0].element_types, ["F32", "I8"]);
        let network = LstmWeights::from_bytes(&bytes, "").unwrap();
        let exact = LstmWeights::from_bytes(&file("legacy_bidirectional.onnx"), "").unwrap();
        assert_eq!(network.config(), exact.config());
        let truth = truth(name);
        for layer in 0..2 {
            let [w, r, b] = arrays(&network, layer);
            for (what, values) in [("w", w), ("r", r)] {
                let (_, expected) = truth.iter().find(|(key, _)| *key == format!("{what}{layer}")).unwrap();
                let rows = expected.shape()[1];
                let expected: Vec<f32> = expected.iter().copied().collect();
                assert_eq!(transposed(&values, 2, rows), expected, "{name}: {what} of layer {layer}");
            }
            assert_eq!(b, arrays(&exact, layer)[2], "biases are not quantized");
        }
    }
}

/// H = 1, I = 2: the scale is a scalar, the zero point is left out or is uint8, in raw form.
#[test]
fn scalar_scales_and_raw_zero_points() {
    const UINT8: i64 = 2;
    let lstm = |inputs: &[&str]| {
        let attributes = [attribute::int_("hidden_size", 1)];
        of_domain(named(node("DynamicQuantizeLSTM", inputs, &["Y"], &attributes), "q"), "com.microsoft")
    };
    let scale = floats("s", &[], &[0.5]);
    let of_type = |data_type| {
        vec![
            tensor("W", &[1, 2, 4], data_type, bytes(9, [1, 2, 3, 4, 5, 6, 7, 0x88])),
            tensor("R", &[1, 1, 4], data_type, bytes(9, [0, 10, 20, 30])),
            scale.clone(),
        ]
    };
    let signed =
        model(graph(&[lstm(&["X", "W", "R", "", "", "", "", "", "s", "", "s", ""])], &of_type(INT8)));
    let network = LstmWeights::from_bytes(&signed, "q").unwrap();
    let [w, r, _] = arrays_without_biases(&network);
    assert_eq!(w, [0.5, 2.5, 1.0, 3.0, 1.5, 3.5, 2.0, -60.0]); // 0x88 is −120
    assert_eq!(r, [0.0, 5.0, 10.0, 15.0]);

    let mut initializers = of_type(UINT8);
    initializers.push(tensor("z", &[1], UINT8, bytes(9, [136])));
    let inputs = ["X", "W", "R", "", "", "", "", "", "s", "z", "s", "z"];
    let network = LstmWeights::from_bytes(&model(graph(&[lstm(&inputs)], &initializers)), "q").unwrap();
    let [w, r, _] = arrays_without_biases(&network);
    assert_eq!(w, [-67.5, -65.5, -67.0, -65.0, -66.5, -64.5, -66.0, 0.0]); // 0x88 is 136
    assert_eq!(r, [-68.0, -63.0, -58.0, -53.0]);
}

fn arrays_without_biases(network: &LstmWeights) -> [Vec<f32>; 3] {
    assert!(!network.config().bias());
    let gates = |name: &str| {
        let (_, array) = network.state_dict().find(|(other, _)| other == name).unwrap();
        let values: Vec<f32> = array.iter().copied().collect();
        let gate = |index: usize| values.chunks(values.len() / 4).nth(index).unwrap().to_vec();
        [gate(0), gate(3), gate(1), gate(2)].concat()
    };
    [gates("weight_ih_l0"), gates("weight_hh_l0"), Vec::new()]
}
