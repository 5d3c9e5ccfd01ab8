//! wgpu-lstm as a peer: `peer-ours gpu` or `cpu`; `peer-ours limits` prints what the adapter can do at most.

#[path = "../../../limits/mod.rs"]
mod limits;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use protocol::{Answer, Peer, Workload};
use wgpu_lstm::ndarray::{Array3, ArrayView3};
use wgpu_lstm::{Device, Lstm, LstmState, LstmWeights};

struct Ours {
    device: Device,
    network: Option<(Lstm, Workload)>,
}

impl Peer for Ours {
    fn load(&mut self, folder: &Path, workload: &Workload) -> Result<String> {
        let weights = LstmWeights::from_safetensors(&fs::read(folder.join("weights.safetensors"))?, "")?;
        self.network = Some((Lstm::new(&self.device, &weights)?, workload.clone()));
        Ok(String::new())
    }

    fn call(&mut self, input: &[f32], state: Option<(&[f32], &[f32])>) -> Result<Answer> {
        let (lstm, workload) = self.network.as_ref().context("no network is loaded")?;
        let input = ArrayView3::from_shape((workload.steps, workload.batch, workload.input_size), input)?;
        let shape = (workload.layers * workload.directions(), workload.batch, workload.hidden_size);
        let array = |values: &[f32]| Array3::from_shape_vec(shape, values.to_vec());
        let state = match state {
            Some((h, c)) => Some(LstmState { h: array(h)?, c: array(c)? }),
            None => None,
        };
        let (output, state) = lstm.forward(input, state.as_ref())?;
        let flat = |array: Array3<f32>| array.into_raw_vec_and_offset().0;
        Ok(Answer { output: flat(output), h: flat(state.h), c: flat(state.c) })
    }
}

/// The limits of the adapter that the usual variables choose, and its driver, as JSON.
fn print_limits() -> Result<()> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
    let adapter = pollster::block_on(wgpu::util::initialize_adapter_from_env_or_default(&instance, None))?;
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default()))?;
    let limits = limits::measure(&device, &queue);
    let info = adapter.get_info();
    let json = serde_json::json!({
        "adapter": info.name,
        "driver": format!("{} {}", info.driver, info.driver_info),
        "backend": info.backend.to_string(),
        "fma_gflops": limits.fma_gflops,
        "load_gbps": limits.load_gbps,
        "dispatch_us": limits.dispatch_us,
        "round_trip_us": limits.round_trip_us,
    });
    println!("{json}");
    Ok(())
}

fn main() -> Result<()> {
    let device = match std::env::args().nth(1).as_deref() {
        Some("gpu") => Device::gpu()?,
        Some("cpu") => Device::cpu(),
        Some("limits") => return print_limits(),
        _ => bail!("peer-ours gpu | cpu | limits"),
    };
    let about = format!("wgpu-lstm on {}", device.name());
    protocol::serve(&about, &mut Ours { device, network: None })
}
