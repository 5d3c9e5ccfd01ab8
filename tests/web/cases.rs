//! The golden cases as a part of the test program: a browser reads no files. All but the largest.

use wgpu_lstm::ndarray::{ArrayD, Ix2, Ix3};
use wgpu_lstm::{Device, Error, Lstm, LstmState};

use crate::golden::{self, Golden, Layout};

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!("../golden/", $name, ".safetensors")).as_slice())),*]
    };
}

const FILES: [(&str, &[u8]); golden::CASES - 1] = files![
    "batch_first",
    "bidirectional",
    "constant_half",
    "five_layers",
    "hidden_128",
    "initial_state",
    "long",
    "no_bias",
    "odd_sizes",
    "one_step",
    "packed",
    "packed_projection_batch_first",
    "packed_two_layers_bidirectional",
    "projection",
    "projection_two_layers_bidirectional",
    "saturated",
    "scalar",
    "single_layer",
    "two_layers",
    "two_layers_bidirectional",
    "unbatched",
];

pub fn all() -> impl Iterator<Item = Golden> {
    FILES.iter().map(|(name, bytes)| golden::parse(name, bytes.to_vec()))
}

pub fn load(name: &str) -> Golden {
    all().find(|case| case.name == name).unwrap_or_else(|| panic!("no case {name}"))
}

/// A case through the public methods, with arrays as they are in the file: output, h_n, c_n.
pub async fn run(case: &Golden, lstm: &Lstm) -> Result<[ArrayD<f32>; 3], Error> {
    let state = case.state_batched().map(|(h, c)| LstmState { h, c });
    let state = state.as_ref();
    let input = case.f32("input");
    let (output, state) = match case.layout {
        Layout::Unbatched => {
            let input = input.into_dimensionality::<Ix2>().unwrap();
            let (output, state) = lstm.forward_unbatched_async(input.view(), state).await?;
            (output.into_dyn(), state)
        }
        layout => {
            let input = input.into_dimensionality::<Ix3>().unwrap();
            let (output, state) = match (layout, &case.lengths) {
                (Layout::Packed, Some(lengths)) => {
                    lstm.forward_padded_async(input.view(), lengths, state).await?
                }
                _ => lstm.forward_async(input.view(), state).await?,
            };
            (output.into_dyn(), state)
        }
    };
    Ok([output, case.state_as_in_file(state.h), case.state_as_in_file(state.c)])
}

/// A network of a case on a device.
pub async fn network(device: &Device, case: &Golden) -> Lstm {
    let lstm = Lstm::new_async(device, &case.weights()).await;
    lstm.unwrap_or_else(|error| panic!("{}: {error}", case.name)).with_batch_first(case.batch_first)
}
