//! Shared by these tests: small networks, and state dicts and files of them.

use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use wgpu_lstm::ndarray::ArrayD;
use wgpu_lstm::{Error, LstmConfig, LstmWeights};

pub const PREFIXES: [&str; 4] = ["", "lstm.", "encoder.rnn.0.", "no_dot"];

/// Every combination of the options, with small sizes.
pub fn configs() -> Vec<LstmConfig> {
    let mut configs = Vec::new();
    for num_layers in [1, 2, 3] {
        for bidirectional in [false, true] {
            for bias in [false, true] {
                for proj_size in [0, 2] {
                    configs.push(
                        LstmConfig::new(5, 3)
                            .with_num_layers(num_layers)
                            .with_bidirectional(bidirectional)
                            .with_bias(bias)
                            .with_proj_size(proj_size),
                    );
                }
            }
        }
    }
    assert_eq!(configs.len(), 24);
    configs
}

pub type StateDict = BTreeMap<String, ArrayD<f32>>;

/// The state dict of a random network, read from its file.
pub fn state_dict(config: &LstmConfig, prefix: &str) -> StateDict {
    let file = LstmWeights::uniform(config, 11).and_then(|weights| weights.to_safetensors(prefix)).unwrap();
    read(&file)
}

pub fn read(file: &[u8]) -> StateDict {
    let file = SafeTensors::deserialize(file).unwrap();
    file.iter()
        .map(|(name, view)| {
            assert_eq!(view.dtype(), Dtype::F32);
            let (chunks, _) = view.data().as_chunks::<4>();
            let numbers = chunks.iter().map(|&chunk| f32::from_le_bytes(chunk));
            let array = ArrayD::from_shape_vec(view.shape(), numbers.collect()).unwrap();
            (name.to_owned(), array)
        })
        .collect()
}

/// A file in which all tensors have this element type. The numbers must be ones that the type represents exactly.
pub fn file_of(dtype: Dtype, dict: &StateDict) -> Vec<u8> {
    let entries: Vec<_> = dict
        .iter()
        .map(|(name, array)| {
            let bytes: Vec<u8> = array
                .iter()
                .flat_map(|&x| match dtype {
                    Dtype::F32 => x.to_le_bytes().to_vec(),
                    Dtype::F16 => f16::from_f32(x).to_le_bytes().to_vec(),
                    Dtype::BF16 => bf16::from_f32(x).to_le_bytes().to_vec(),
                    Dtype::F64 => f64::from(x).to_le_bytes().to_vec(),
                    _ => vec![0; dtype.bitsize() / 8],
                })
                .collect();
            (name, array.shape().to_vec(), bytes)
        })
        .collect();
    let views = entries
        .iter()
        .map(|(name, shape, bytes)| (name, TensorView::new(dtype, shape.clone(), bytes).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

/// A file with this header, which may be invalid.
pub fn file_with_header(header: &str, data: &[u8]) -> Vec<u8> {
    let length = header.len() as u64;
    [&length.to_le_bytes(), header.as_bytes(), data].concat()
}

pub fn zeros(shape: &[usize]) -> ArrayD<f32> {
    ArrayD::zeros(shape)
}

/// Reads the dict and a file of it, which must fail with the same message, and returns the error.
#[track_caller]
pub fn error(dict: &StateDict, prefix: &str) -> Error {
    let file = file_of(Dtype::F32, dict);
    let from_file = LstmWeights::from_safetensors(&file, prefix).unwrap_err();
    let from_dict = LstmWeights::from_state_dict(dict.clone(), prefix).unwrap_err();
    assert_eq!(from_file.to_string(), from_dict.to_string());
    from_dict
}
