//! Networks with tensors removed, added and of wrong shapes. A state dict and its file give the same result; weights that
//! are written and read again are equal; and the prefixes that an error lists can be read.
#![no_main]

use std::collections::{BTreeMap, HashMap};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use wgpu_lstm::ndarray::ArrayD;
use wgpu_lstm::{Error, LstmConfig, LstmWeights};

#[derive(Arbitrary, Debug)]
struct Input {
    networks: Vec<Network>,
    edits: Vec<Edit>,
    prefix: Prefix,
    dtype: u8,
    metadata: Option<(Name, Name)>,
}

#[derive(Arbitrary, Debug)]
struct Network {
    prefix: Prefix,
    cell: bool,
    sizes: [u8; 4],
    bias: bool,
    bidirectional: bool,
}

#[derive(Arbitrary, Debug)]
enum Edit {
    Remove(u8),
    Reshape(u8, Vec<u8>),
    Add(Name, Vec<u8>),
}

#[derive(Arbitrary, Debug)]
enum Prefix {
    Common(u8),
    Any(String),
}

impl Prefix {
    fn text(&self) -> &str {
        const COMMON: [&str; 9] =
            ["", "lstm.", "m.", "module.", "m.module.", "no_dot", "lstm", "module.lstm.", "m.base_layer."];
        match self {
            Self::Common(choice) => COMMON[usize::from(*choice) % COMMON.len()],
            Self::Any(text) => text,
        }
    }
}

#[derive(Arbitrary, Debug)]
struct Name {
    prefix: Prefix,
    stem: u8,
    suffix: u8,
    any: Option<String>,
}

impl Name {
    fn text(&self) -> String {
        const STEMS: [&str; 19] = [
            "weight_ih",
            "weight_hh",
            "bias_ih",
            "bias_hh",
            "weight_hr",
            "h0",
            "fc.weight",
            "weight",
            "peephole",
            "parametrizations.weight_hh_l0",
            "_packed_params",
            "_all_weight_values",
            "weight_hh.weight_hh",
            "layernorm_i.weight",
            "mask_weight_hh",
            "lora_A.default.weight",
            "w_ci",
            "norm.weight",
            "",
        ];
        const SUFFIXES: [&str; 14] = [
            "",
            "_l0",
            "_l1",
            "_l2",
            "_l0_reverse",
            "_l1_reverse",
            "_raw",
            "_l0_raw",
            "_l0_g",
            "_v",
            ".x",
            ".original0",
            "_l18446744073709551615",
            "_l00",
        ];
        let pick = |list: &[&'static str], choice: u8| list[usize::from(choice) % list.len()];
        let prefix = self.prefix.text();
        match &self.any {
            Some(any) => format!("{prefix}{any}"),
            None => format!("{prefix}{}{}", pick(&STEMS, self.stem), pick(&SUFFIXES, self.suffix)),
        }
    }
}

type Dict = BTreeMap<String, ArrayD<f32>>;

fuzz_target!(|input: Input| {
    let dict = dict(&input);
    let prefix = input.prefix.text();
    let from_dict = LstmWeights::from_state_dict(dict.clone(), prefix);
    let from_file = LstmWeights::from_safetensors(&file(&dict, Dtype::F32, None), prefix);
    match (&from_dict, &from_file) {
        (Ok(one), Ok(other)) => assert_eq!(one, other),
        (Err(one), Err(other)) => assert_eq!(one.to_string(), other.to_string()),
        _ => panic!("{from_dict:?} from the state dict, {from_file:?} from the file"),
    }
    match from_dict {
        Ok(weights) => round_trip(&weights, prefix),
        Err(Error::WrongPrefix { found, .. }) => {
            // A prefix without a dot at its end is a guess, which other names can contradict.
            for lstm in found.iter().filter(|lstm| lstm.prefix.is_empty() || lstm.prefix.ends_with('.')) {
                let read = LstmWeights::from_state_dict(dict.clone(), &lstm.prefix);
                match (&lstm.config, &read) {
                    (Ok(config), Ok(weights)) => assert_eq!(config, weights.config()),
                    // The error of reading also names the other LSTMs.
                    (Err(told), Err(error)) => assert!(error.to_string().starts_with(&told.to_string())),
                    _ => panic!("{lstm:?}, but {read:?}"),
                }
            }
        }
        Err(_) => {}
    }
    // Other types, and what the metadata may tie together, have no state dict to be compared with.
    const DTYPES: [Dtype; 6] = [Dtype::F16, Dtype::BF16, Dtype::F64, Dtype::I8, Dtype::BOOL, Dtype::F32];
    let dtype = DTYPES[usize::from(input.dtype) % DTYPES.len()];
    let metadata = input.metadata.map(|(name, kept)| HashMap::from([(name.text(), kept.text())]));
    if let Ok(weights) = LstmWeights::from_safetensors(&file(&dict, dtype, metadata), prefix) {
        round_trip(&weights, prefix);
    }
});

fn dict(input: &Input) -> Dict {
    let mut dict = Dict::new();
    for network in input.networks.iter().take(3) {
        let [i, h, l, p] = network.sizes.map(usize::from);
        let config = LstmConfig::new(1 + i % 4, 1 + h % 4).with_bias(network.bias);
        let config = if network.cell {
            config
        } else {
            config
                .with_num_layers(1 + l % 3)
                .with_bidirectional(network.bidirectional)
                .with_proj_size(p % (1 + h % 4))
        };
        let weights = LstmWeights::uniform(&config, 1).expect("a network");
        dict.extend(weights.state_dict().map(|(name, array)| {
            let name = if network.cell { name.trim_end_matches("_l0") } else { &name };
            (format!("{}{name}", network.prefix.text()), array.to_owned())
        }));
    }
    let zeros = |shape: &[u8]| {
        let shape: Vec<_> = shape.iter().take(3).map(|&axis| usize::from(axis % 17)).collect();
        ArrayD::zeros(shape)
    };
    for edit in input.edits.iter().take(8) {
        let at = |choice: u8| dict.keys().nth(usize::from(choice) % dict.len().max(1)).cloned();
        match edit {
            Edit::Remove(choice) => {
                at(*choice).map(|name| dict.remove(&name));
            }
            Edit::Reshape(choice, shape) => {
                at(*choice).map(|name| dict.insert(name, zeros(shape)));
            }
            Edit::Add(name, shape) => {
                dict.insert(name.text(), zeros(shape));
            }
        }
    }
    // A file has its metadata under that name.
    dict.remove("__metadata__");
    dict
}

/// The file of a dict. In other types than F32 every byte is 0.
fn file(dict: &Dict, dtype: Dtype, metadata: Option<HashMap<String, String>>) -> Vec<u8> {
    let bytes = dict.values().map(|array| match dtype {
        Dtype::F32 => array.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>(),
        _ => vec![0; array.len() * dtype.bitsize() / 8],
    });
    let bytes: Vec<_> = bytes.collect();
    let views = dict.iter().zip(&bytes).map(|((name, array), bytes)| {
        (name, TensorView::new(dtype, array.shape().to_vec(), bytes).expect("a tensor"))
    });
    safetensors::serialize(views, metadata).expect("a file")
}

fn round_trip(weights: &LstmWeights, prefix: &str) {
    let file = weights.to_safetensors(prefix).expect("a file");
    assert_eq!(&LstmWeights::from_safetensors(&file, prefix).expect("what was written is read"), weights);
    let dict = weights.state_dict().map(|(name, array)| (name, array.to_owned()));
    assert_eq!(&LstmWeights::from_state_dict(dict, "").expect("what was given is taken"), weights);
}
