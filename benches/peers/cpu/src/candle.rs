//! candle-nn's `LSTM` on the CPU. It is one layer in one direction; layers and directions are stacked here.

use std::path::Path;

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use candle_nn::rnn::{Direction, LSTM, LSTMConfig, LSTMState, RNN};
use candle_nn::var_builder::VarBuilder;
use protocol::{Answer, Peer, Workload};

#[derive(Default)]
pub struct Candle {
    network: Option<(Vec<LSTM>, Workload)>,
}

fn flat(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(tensor.flatten_all()?.to_vec1()?)
}

/// The time steps of (B, T, ·) in the opposite order.
fn reversed(tensor: &Tensor) -> Result<Tensor> {
    let last = tensor.dim(1)? as u32;
    let order: Vec<u32> = (0..last).rev().collect();
    Ok(tensor.index_select(&Tensor::new(order, &Device::Cpu)?, 1)?)
}

impl Peer for Candle {
    fn load(&mut self, folder: &Path, workload: &Workload) -> Result<String> {
        let bytes = std::fs::read(folder.join("weights.safetensors"))?;
        let variables = VarBuilder::from_buffered_safetensors(bytes, DType::F32, &Device::Cpu)?;
        let mut cells = Vec::new();
        for layer_idx in 0..workload.layers {
            for direction in [Direction::Forward, Direction::Backward].into_iter().take(workload.directions())
            {
                let config = LSTMConfig { layer_idx, direction, ..Default::default() };
                let inputs = workload.layer_input_size(layer_idx);
                cells.push(LSTM::new(inputs, workload.hidden_size, config, variables.clone())?);
            }
        }
        self.network = Some((cells, workload.clone()));
        Ok(String::new())
    }

    fn call(&mut self, input: &[f32], state: Option<(&[f32], &[f32])>) -> Result<Answer> {
        let (cells, workload) = self.network.as_ref().context("no network is loaded")?;
        let (batch, hidden) = (workload.batch, workload.hidden_size);
        let input_shape = (workload.steps, batch, workload.input_size);
        // candle's sequences are (B, T, I)
        let mut x = Tensor::from_slice(input, input_shape, &Device::Cpu)?.transpose(0, 1)?.contiguous()?;
        let mut answer = Answer { output: Vec::new(), h: Vec::new(), c: Vec::new() };
        let directions = workload.directions();
        for (k, layer) in cells.chunks(directions).enumerate() {
            let mut outputs = Vec::new();
            for (direction, cell) in layer.iter().enumerate() {
                let start = |values: &[f32]| {
                    let part = &values[(k * directions + direction) * batch * hidden..][..batch * hidden];
                    Tensor::from_slice(part, (batch, hidden), &Device::Cpu)
                };
                let state = match state {
                    Some((h, c)) => LSTMState::new(start(h)?, start(c)?),
                    None => cell.zero_state(batch)?,
                };
                let steps = if direction == 0 { x.clone() } else { reversed(&x)? };
                let states = cell.seq_init(&steps, &state)?;
                let output = cell.states_to_tensor(&states)?;
                outputs.push(if direction == 0 { output } else { reversed(&output)? });
                let end = states.last().context("there is a time step")?;
                answer.h.extend(flat(end.h())?);
                answer.c.extend(flat(end.c())?);
            }
            x = Tensor::cat(&outputs, 2)?;
        }
        answer.output = flat(&x.transpose(0, 1)?)?;
        Ok(answer)
    }
}
