//! What the networks of real files compute.

use wgpu_lstm::{Device, Lstm, LstmWeights};

use crate::common::compare::{TIMES_WRONG, assert_close, f32_tolerance_by, worst_error};
use crate::common::device;
use crate::truth::{Network, Sample, networks, path};

fn load(file: &str, prefix: &str) -> LstmWeights {
    LstmWeights::from_file(path(file), prefix).unwrap_or_else(|error| panic!("{file} {prefix:?}: {error}"))
}

/// Under the name that the truth was computed with.
fn weights(network: &Network) -> LstmWeights {
    let (file, prefix) = &network.sources[0];
    load(file, prefix)
}

/// Output, h_n and c_n, each with its truth: only the elements that have one.
fn run<'a>(
    device: &Device,
    weights: &LstmWeights,
    network: &'a Network,
) -> Vec<(String, Vec<f32>, &'a Sample)> {
    let lstm = Lstm::new(device, weights).unwrap();
    let (output, state) = lstm.forward(network.input().view(), Some(&network.state())).unwrap();
    let results =
        [("output", output, &network.output), ("h_n", state.h, &network.h_n), ("c_n", state.c, &network.c_n)];
    let compared = results.into_iter().map(|(tensor, actual, sample)| {
        assert_eq!(actual.shape(), sample.shape, "{}: {tensor}", network.name());
        let actual = actual.as_slice().expect("standard layout");
        let actual = sample.positions.iter().map(|&position| actual[position]).collect();
        (tensor.to_owned(), actual, sample)
    });
    compared.collect()
}

fn tolerance(sample: &Sample) -> f64 {
    f32_tolerance_by(sample.float32_error, &sample.values)
}

fn check(device: &Device, network: &Network) {
    for (tensor, actual, sample) in run(device, &weights(network), network) {
        let what = format!("{}: {tensor}", network.name());
        let (ours, theirs) = (worst_error(&actual, &sample.values), sample.float32_error);
        println!("{what}: off by {ours:.1e}, the framework's float32 by up to {theirs:.1e}");
        assert_close(&what, &actual, &sample.values, tolerance(sample));
    }
}

#[test]
fn the_cpu_computes_what_the_original_frameworks_do() {
    let networks = networks();
    networks.iter().for_each(|network| check(&Device::cpu(), network));
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn the_gpu_computes_what_pytorch_does() {
    let networks = networks();
    let three_layers = networks.iter().find(|network| network.name().starts_with("arabic-diacritizer"));
    check(device::gpu(), three_layers.expect("the network of arabic-diacritizer"));
}

/// BeatNet's state dict and its whole module; silero-vad's five exports to ONNX; both branches of an `If`.
#[test]
fn a_network_is_the_same_in_every_file_and_under_every_name() {
    let mut compared = 0;
    for network in networks() {
        let first = weights(&network);
        assert_eq!(first.config(), &network.config(), "{}", network.name());
        for (file, prefix) in &network.sources[1..] {
            assert_eq!(load(file, prefix), first, "{file} {prefix} is not {}", network.name());
            compared += 1;
        }
    }
    assert_eq!(compared, 1 + 6 + 1 + 1 + 1);
}

/// The layers of a stack of nodes are also networks of their own.
#[test]
fn a_node_of_a_stack_is_one_of_its_layers() {
    let file = "vad-web/silero_vad_legacy.onnx";
    let stack = load(file, "LSTM_881+LSTM_951");
    for (layer, node) in ["LSTM_881", "LSTM_951"].into_iter().enumerate() {
        let node = load(file, node);
        assert_eq!(node.config().num_layers(), 1);
        for (name, values) in node.state_dict() {
            let in_stack = name.replace("_l0", &format!("_l{layer}"));
            let mut in_stack = stack.state_dict().filter(|(name, _)| *name == in_stack);
            assert_eq!(in_stack.next().expect("the layer's parameter").1, values, "{name} of layer {layer}");
        }
    }
}

/// Networks of the same sizes, trained alike: the samples tell them apart.
#[test]
fn another_network_is_seen() {
    let networks = networks();
    let mut compared = 0;
    for network in &networks {
        let same_size =
            |other: &&Network| other.name() != network.name() && other.config() == network.config();
        for other in networks.iter().filter(same_size) {
            for (tensor, actual, sample) in run(&Device::cpu(), &weights(other), network) {
                let error = worst_error(&actual, &sample.values);
                let what = format!("{tensor} of {} in place of {}", other.name(), network.name());
                assert!(error > TIMES_WRONG * tolerance(sample), "{what} errs by {error:.1e} alone");
            }
            compared += 1;
        }
    }
    assert!(compared >= 10, "{compared}");
}
