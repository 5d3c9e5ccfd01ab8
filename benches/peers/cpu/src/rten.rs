//! rten on the CPU, with the ONNX model that ONNX Runtime gets too.

use std::path::Path;

use anyhow::{Context, Result};
use protocol::{Answer, Peer, Workload};
use rten::{Model, NodeId, Value, ValueView};

#[derive(Default)]
pub struct Rten {
    network: Option<(Network, Workload)>,
}

struct Network {
    model: Model,
    inputs: [NodeId; 3],
    outputs: [NodeId; 3],
}

impl Peer for Rten {
    fn load(&mut self, folder: &Path, workload: &Workload) -> Result<String> {
        let model = Model::load_file(folder.join("model.onnx"))?;
        let inputs = [model.node_id("x")?, model.node_id("h0")?, model.node_id("c0")?];
        let outputs = [model.node_id("y")?, model.node_id("hn")?, model.node_id("cn")?];
        self.network = Some((Network { model, inputs, outputs }, workload.clone()));
        Ok(String::new())
    }

    fn call(&mut self, input: &[f32], state: Option<(&[f32], &[f32])>) -> Result<Answer> {
        let (network, workload) = self.network.as_ref().context("no network is loaded")?;
        let states = workload.layers * workload.directions();
        let state_shape = [states, workload.batch, workload.hidden_size];
        let zeros = vec![0.0; workload.state_len()];
        let (h, c) = state.unwrap_or((&zeros, &zeros));
        let [x_id, h_id, c_id] = network.inputs;
        let inputs = vec![
            (
                x_id,
                ValueView::from_shape([workload.steps, workload.batch, workload.input_size], input)?.into(),
            ),
            (h_id, ValueView::from_shape(state_shape, h)?.into()),
            (c_id, ValueView::from_shape(state_shape, c)?.into()),
        ];
        let [output, h, c] = network.model.run_n(inputs, network.outputs, None)?;
        let flat = |value: Value| -> Result<Vec<f32>> { Ok(value.into_shape_vec::<f32, 3>()?.1) };
        Ok(Answer { output: flat(output)?, h: flat(h)?, c: flat(c)? })
    }
}
