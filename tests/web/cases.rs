//! The golden cases as a part of the test program: a browser reads no files. All but the largest.

use wasm_bindgen_test::console_log;
use wgpu_lstm::ndarray::{ArrayD, Ix2, Ix3};
use wgpu_lstm::{Device, Error, Lstm, LstmState, Schedule, Tuning};

use crate::compare::{assert_close, f32_tolerance, worst_error};
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

/// Every case is within the tolerance of all platforms; on a GPU every schedule gives the same bits.
pub async fn check(device: &Device, schedules: &[Schedule]) {
    let mut worst = 0.0_f64;
    for case in all() {
        let lstm = network(device, &case).await;
        let results = run(&case, &lstm).await.unwrap();
        for (name, actual) in ["output", "h_n", "c_n"].into_iter().zip(&results) {
            let what = format!("{}: {name}", case.name);
            let truth = case.f64(name);
            assert_eq!(actual.shape(), truth.shape(), "{what}");
            let pytorch: Vec<f32> = case.f32(&format!("{name}_f32")).into_iter().collect();
            let actual: Vec<f32> = actual.iter().copied().collect();
            let truth: Vec<f64> = truth.into_iter().collect();
            let tolerance = f32_tolerance(&pytorch, &truth);
            assert_close(&what, &actual, &truth, tolerance);
            worst = worst.max(worst_error(&actual, &truth) / tolerance);
        }
        for &schedule in schedules {
            let lstm = lstm.clone().with_tuning(Tuning::Fixed(schedule));
            let same = run(&case, &lstm).await.unwrap();
            assert_eq!(same, results, "{}: {schedule} gives other bits", case.name);
        }
    }
    console_log!("{}: the worst error is {worst:.2} of the tolerance", device.name());
}
