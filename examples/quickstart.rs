//! The smallest LSTM there is, on the GPU and on the CPU: every parameter 0.5, one step of ones from a
//! state of ones. Run it with `cargo run --example quickstart`.

use wgpu_lstm::ndarray::Array3;
use wgpu_lstm::{Device, Error, Lstm, LstmConfig, LstmState, LstmWeights};

fn main() -> Result<(), Error> {
    let weights = LstmWeights::constant(&LstmConfig::new(10, 20), 0.5)?;
    let input = Array3::ones((1, 1, 10)); // (T, B, I)
    let start = LstmState { h: Array3::ones((1, 1, 20)), c: Array3::ones((1, 1, 20)) };
    for device in [Device::gpu()?, Device::cpu()] {
        let lstm = Lstm::new(&device, &weights)?;
        let (_output, state) = lstm.forward(input.view(), Some(&start))?;
        println!("{}: h_n = {:.7}, c_n = {:.7}", device.name(), state.h[[0, 0, 0]], state.c[[0, 0, 0]]);
    }
    Ok(())
}
