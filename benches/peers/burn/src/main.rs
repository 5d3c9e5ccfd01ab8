//! burn's own `nn::Lstm` and `nn::BiLstm` on its wgpu backend, kernels in WGSL, fusion and autotune on.

use std::path::Path;

use anyhow::{Context, Result};
use burn::module::Param;
use burn::nn::{BiLstm, BiLstmConfig, GateController, Lstm, LstmConfig, LstmState};
use burn::tensor::{Device, DeviceKind, Tensor, TensorData};
use protocol::{Answer, Peer, Weights, Workload};

enum Layer {
    One(Box<Lstm>),
    Two(Box<BiLstm>),
}

struct Burn {
    device: Device,
    network: Option<(Vec<Layer>, Workload)>,
}

impl Burn {
    /// One direction of layer k with PyTorch's parameters: gates i, f, g, o; burn keeps them apart.
    fn fill(&self, lstm: &mut Lstm, weights: &Weights, suffix: &str, sizes: (usize, usize)) -> Result<()> {
        let (inputs, hidden) = sizes;
        let named = |name: &str| weights.get(&format!("{name}_{suffix}"));
        let (w_ih, w_hh) = (named("weight_ih")?, named("weight_hh")?);
        let (b_ih, b_hh) = (named("bias_ih")?, named("bias_hh")?);
        let matrix = |all: &[f32], gate: usize, columns: usize| {
            let rows = all[gate * hidden * columns..][..hidden * columns].to_vec();
            let tensor = Tensor::<2>::from_data(TensorData::new(rows, [hidden, columns]), &self.device);
            // a Linear holds (in, out) in rows
            let turned = tensor.transpose().into_data();
            Param::from_tensor(Tensor::from_data(turned, &self.device))
        };
        let vector = |all: &[f32], gate: usize| {
            let row = all[gate * hidden..][..hidden].to_vec();
            Some(Param::from_tensor(Tensor::<1>::from_data(TensorData::new(row, [hidden]), &self.device)))
        };
        let fill_gate = |controller: &mut GateController, gate: usize| {
            controller.input_transform.weight = matrix(&w_ih, gate, inputs);
            controller.input_transform.bias = vector(&b_ih, gate);
            controller.hidden_transform.weight = matrix(&w_hh, gate, hidden);
            controller.hidden_transform.bias = vector(&b_hh, gate);
        };
        fill_gate(&mut lstm.input_gate, 0);
        fill_gate(lstm.forget_gate.as_mut().context("there is a forget gate")?, 1);
        fill_gate(&mut lstm.cell_gate, 2);
        fill_gate(&mut lstm.output_gate, 3);
        Ok(())
    }

    fn tensor<const D: usize>(&self, values: &[f32], shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values.to_vec(), shape), &self.device)
    }
}

impl Peer for Burn {
    fn load(&mut self, folder: &Path, workload: &Workload) -> Result<String> {
        let weights = Weights::of(folder)?;
        let mut layers = Vec::new();
        for layer in 0..workload.layers {
            let sizes = (workload.layer_input_size(layer), workload.hidden_size);
            layers.push(if workload.bidirectional {
                let config = BiLstmConfig::new(sizes.0, sizes.1, true).with_batch_first(false);
                let mut both = config.init(&self.device);
                self.fill(&mut both.forward, &weights, &format!("l{layer}"), sizes)?;
                self.fill(&mut both.reverse, &weights, &format!("l{layer}_reverse"), sizes)?;
                Layer::Two(Box::new(both))
            } else {
                let config = LstmConfig::new(sizes.0, sizes.1, true).with_batch_first(false);
                let mut one = config.init(&self.device);
                self.fill(&mut one, &weights, &format!("l{layer}"), sizes)?;
                Layer::One(Box::new(one))
            });
        }
        self.network = Some((layers, workload.clone()));
        Ok(String::new())
    }

    fn call(&mut self, input: &[f32], state: Option<(&[f32], &[f32])>) -> Result<Answer> {
        let (layers, workload) = self.network.as_ref().context("no network is loaded")?;
        let (batch, hidden, directions) = (workload.batch, workload.hidden_size, workload.directions());
        let mut x = self.tensor(input, [workload.steps, batch, workload.input_size]);
        let (mut states_h, mut states_c) = (Vec::new(), Vec::new());
        for (k, layer) in layers.iter().enumerate() {
            let part = directions * batch * hidden;
            let start =
                |values: &[f32]| self.tensor(&values[k * part..][..part], [directions, batch, hidden]);
            let state = state.map(|(h, c)| LstmState::new(start(c), start(h)));
            let (y, end) = match layer {
                Layer::One(one) => {
                    let (y, end) = one.forward(x, state.map(|state| state.squeeze_dim(0)));
                    (y, end.unsqueeze_dim::<3>(0))
                }
                Layer::Two(both) => both.forward(x, state),
            };
            x = y;
            states_h.push(end.hidden);
            states_c.push(end.cell);
        }
        // reading back waits for the device
        let read = |tensor: Tensor<3>| {
            tensor.try_into_data()?.try_to_vec::<f32>().map_err(|error| anyhow::anyhow!("{error:?}"))
        };
        Ok(Answer {
            output: read(x)?,
            h: read(Tensor::cat(states_h, 0))?,
            c: read(Tensor::cat(states_c, 0))?,
        })
    }
}

fn main() -> Result<()> {
    let device = Device::wgpu(DeviceKind::DefaultDevice);
    let about = "burn 0.22.1, wgpu backend, WGSL, fusion and autotune on";
    protocol::serve(about, &mut Burn { device, network: None })
}
