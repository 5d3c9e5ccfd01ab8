//! Tensors that share their values: PyTorch's `save_model` writes one of them, and the names of the others.

use std::collections::HashMap;

use safetensors::{Dtype, SafeTensors};
use wgpu_lstm::{Error, LstmConfig, LstmWeights};

use crate::support::{StateDict, file_of, file_with_header, state_dict, zeros};

/// A file of the dict, with these pairs as metadata.
fn with_metadata(dict: &StateDict, pairs: &[(&str, &str)]) -> Vec<u8> {
    let file = file_of(Dtype::F32, dict);
    let file = SafeTensors::deserialize(&file).unwrap();
    let metadata: HashMap<_, _> =
        pairs.iter().map(|&(name, kept)| (name.to_owned(), kept.to_owned())).collect();
    let views: Vec<_> = file.iter().map(|(name, view)| (name.to_owned(), view)).collect();
    safetensors::serialize(views, Some(metadata)).unwrap()
}

#[test]
fn a_tied_tensor_is_read_under_the_name_that_is_stored() {
    // Both layers of one LSTM share weight_hh, as `lstm.weight_hh_l1 = lstm.weight_hh_l0` makes them.
    let mut dict = state_dict(&LstmConfig::new(3, 3).with_num_layers(2), "lstm.");
    dict.insert("lstm.weight_hh_l1".into(), dict["lstm.weight_hh_l0"].clone());
    let expected = LstmWeights::from_state_dict(dict.clone(), "lstm.").unwrap();
    dict.remove("lstm.weight_hh_l1");
    let pairs = [("format", "pt"), ("lstm.weight_hh_l1", "lstm.weight_hh_l0")];
    assert_eq!(LstmWeights::from_safetensors(&with_metadata(&dict, &pairs), "lstm.").unwrap(), expected);
}

#[test]
fn a_tied_network_is_read_under_both_prefixes() {
    let dict = state_dict(&LstmConfig::new(3, 2), "encoder.");
    let expected = LstmWeights::from_state_dict(dict.clone(), "encoder.").unwrap();
    let pairs: Vec<_> = dict.keys().map(|name| (name.replace("encoder", "decoder"), name)).collect();
    let pairs: Vec<_> = pairs.iter().map(|(name, kept)| (name.as_str(), kept.as_str())).collect();
    let file = with_metadata(&dict, &pairs);
    for prefix in ["encoder.", "decoder."] {
        assert_eq!(LstmWeights::from_safetensors(&file, prefix).unwrap(), expected, "{prefix}");
    }
}

#[test]
fn metadata_replaces_no_tensor_and_names_none_that_is_not_stored() {
    let dict = state_dict(&LstmConfig::new(3, 3), "lstm.");
    let expected = LstmWeights::from_state_dict(dict.clone(), "lstm.").unwrap();
    let pairs = [("lstm.weight_hh_l0", "lstm.weight_ih_l0"), ("lstm.weight_ih_l1", "no tensor")];
    assert_eq!(LstmWeights::from_safetensors(&with_metadata(&dict, &pairs), "lstm.").unwrap(), expected);

    let mut dict = dict;
    dict.remove("lstm.weight_hh_l0");
    for kept in ["lstm.weight_hh_l0", "no tensor"] {
        let file = with_metadata(&dict, &[("lstm.weight_hh_l0", kept)]);
        match LstmWeights::from_safetensors(&file, "lstm.") {
            Err(Error::MissingTensor { name, .. }) => assert_eq!(name, "lstm.weight_hh_l0"),
            other => panic!("{other:?}"),
        }
    }
    // A tied tensor must have the right shape too.
    let file = with_metadata(&dict, &[("lstm.weight_hh_l0", "lstm.bias_hh_l0")]);
    match LstmWeights::from_safetensors(&file, "lstm.") {
        Err(Error::TensorShape { name, .. }) => assert_eq!(name, "lstm.weight_hh_l0"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_tensor_that_is_tied_to_a_name_given_twice_is_refused() {
    let entry = r#"{"dtype":"F32","shape":[4,1],"data_offsets":[16,32]}"#;
    let header = format!(
        r#"{{"__metadata__":{{"lstm.weight_hh_l0":"x"}},"x":{entry},"x":{entry},
            "lstm.weight_ih_l0":{{"dtype":"F32","shape":[4,1],"data_offsets":[0,16]}}}}"#
    );
    match LstmWeights::from_safetensors(&file_with_header(&header, &[0; 32]), "lstm.") {
        Err(Error::DuplicateTensor { name }) => assert_eq!(name, "x"),
        other => panic!("{other:?}"),
    }
}

/// A small file can have large parameters: here 200 matrices are tied to one of 4 MB. Too little memory for them is
/// an error. The limit of the address space is that of a process, so the test runs itself in another process.
#[test]
#[cfg(target_os = "linux")]
fn more_than_there_is_memory_for_is_refused() {
    const TEST: &str = "tied::more_than_there_is_memory_for_is_refused";
    let bounded = "WGPU_LSTM_TEST_BOUNDED";
    if std::env::var_os(bounded).is_none() {
        let command = "ulimit -v 300000; exec \"$0\" --exact \"$1\" --test-threads 1";
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", command]).arg(std::env::current_exe().unwrap()).arg(TEST).env(bounded, "1");
        let child = shell.output().unwrap();
        let said = String::from_utf8_lossy(&[child.stdout, child.stderr].concat()).into_owned();
        assert!(child.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let names: Vec<_> =
        (0..100).flat_map(|layer| [format!("weight_ih_l{layer}"), format!("weight_hh_l{layer}")]).collect();
    let dict = StateDict::from([("head.stored".to_owned(), zeros(&[2048, 512]))]);
    let pairs: Vec<_> = names.iter().map(|name| (name.as_str(), "head.stored")).collect();
    let read = LstmWeights::from_safetensors(&with_metadata(&dict, &pairs[..4]), "").unwrap();
    assert_eq!(read.config(), &LstmConfig::new(512, 512).with_num_layers(2).with_bias(false));
    let result = LstmWeights::from_safetensors(&with_metadata(&dict, &pairs), "");
    assert!(matches!(result, Err(Error::OutOfMemory { .. })), "{result:?}");
}
