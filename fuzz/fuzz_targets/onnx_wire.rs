//! The crate's own reader of protobuf against `prost`: of a model that both read, every initializer has the same name,
//! type, axes and numbers. What only one of them refuses is not compared: `prost` merges a message that comes twice,
//! skips groups, and reads the text of every field.
#![no_main]

/// What these files use of the crate.
mod error {
    pub use wgpu_lstm::Error;
}

// The crate's files, as they are; a part of them is compared.
#[allow(dead_code)]
#[path = "../../src/weights/format/onnx/messages.rs"]
mod messages;
#[allow(dead_code)]
#[path = "../../src/weights/format/onnx/wire.rs"]
mod wire;

use error::Error;
use libfuzzer_sys::{Corpus, fuzz_target};
use messages::{ModelProto, TensorProto};
use prost::Message;
use wire::fields;

/// What is compared. Floats are their bits, since NaN equals nothing.
#[derive(Debug, Default, PartialEq)]
struct Initializer {
    name: String,
    data_type: i64,
    axes: Vec<i64>,
    raw: Vec<u8>,
    external: Vec<String>,
    floats: Vec<u32>,
    int32s: Vec<i32>,
    int64s: Vec<i64>,
    doubles: Vec<u64>,
    uint64s: Vec<u64>,
}

/// The initializers of a model, by the crate's reader.
fn initializers(model: &[u8]) -> Result<Vec<Initializer>, Error> {
    let mut all = Vec::new();
    for field in fields(ModelProto::read(model)?.graph) {
        let field = field?;
        if field.number == 5 {
            all.push(initializer(field.bytes()?)?);
        }
    }
    Ok(all)
}

fn initializer(bytes: &[u8]) -> Result<Initializer, Error> {
    let tensor = TensorProto::read(bytes)?;
    let mut numbers = Initializer::default();
    for field in fields(bytes) {
        let field = field?;
        match field.number {
            4 => field.floats(|float| numbers.floats.push(u32::from_le_bytes(float)))?,
            5 => field.integers(|integer| numbers.int32s.push(integer as i32))?,
            7 => field.integers(|integer| numbers.int64s.push(integer))?,
            10 => field.doubles(|double| numbers.doubles.push(u64::from_le_bytes(double)))?,
            11 => field.integers(|integer| numbers.uint64s.push(integer.cast_unsigned()))?,
            _ => {}
        }
    }
    Ok(Initializer {
        name: tensor.name.to_owned(),
        data_type: tensor.data_type,
        axes: tensor.shape.iter().map(|&axis| axis as i64).collect(),
        raw: tensor.raw.unwrap_or_default().to_vec(),
        external: tensor.external.unwrap_or_default().iter().map(|(k, v)| format!("{k}={v}")).collect(),
        ..numbers
    })
}

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "5")]
    initializers: Vec<Tensor>,
}

#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int64, tag = "2")]
    data_type: i64,
    #[prost(float, repeated, tag = "4")]
    float_data: Vec<f32>,
    #[prost(int32, repeated, tag = "5")]
    int32_data: Vec<i32>,
    #[prost(int64, repeated, tag = "7")]
    int64_data: Vec<i64>,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    raw_data: Vec<u8>,
    #[prost(double, repeated, tag = "10")]
    double_data: Vec<f64>,
    #[prost(uint64, repeated, tag = "11")]
    uint64_data: Vec<u64>,
    #[prost(message, repeated, tag = "13")]
    external_data: Vec<Entry>,
    #[prost(int64, tag = "14")]
    data_location: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

impl From<Tensor> for Initializer {
    fn from(tensor: Tensor) -> Self {
        let entries = tensor.external_data.iter().filter(|_| tensor.data_location == 1);
        Self {
            name: tensor.name,
            data_type: tensor.data_type,
            axes: tensor.dims,
            raw: tensor.raw_data,
            external: entries.map(|entry| format!("{}={}", entry.key, entry.value)).collect(),
            floats: tensor.float_data.into_iter().map(f32::to_bits).collect(),
            int32s: tensor.int32_data,
            int64s: tensor.int64_data,
            doubles: tensor.double_data.into_iter().map(f64::to_bits).collect(),
            uint64s: tensor.uint64_data,
        }
    }
}

fuzz_target!(|file: &[u8]| -> Corpus {
    let (Ok(ours), Ok(theirs)) = (initializers(file), Model::decode(file)) else { return Corpus::Keep };
    let theirs = theirs.graph.unwrap_or_default().initializers;
    assert_eq!(ours, theirs.into_iter().map(Initializer::from).collect::<Vec<_>>());
    Corpus::Keep
});
