//! tract on the CPU, with the ONNX model that ONNX Runtime gets too.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use protocol::{Answer, Peer, Workload};
use tract_onnx::prelude::*;

#[derive(Default)]
pub struct Tract {
    network: Option<(Arc<TypedRunnableModel>, Workload)>,
}

impl Peer for Tract {
    fn load(&mut self, folder: &Path, workload: &Workload) -> Result<String> {
        let model = tract_onnx::onnx().model_for_path(folder.join("model.onnx"))?;
        self.network = Some((model.into_optimized()?.into_runnable()?, workload.clone()));
        Ok(String::new())
    }

    fn call(&mut self, input: &[f32], state: Option<(&[f32], &[f32])>) -> Result<Answer> {
        let (model, workload) = self.network.as_ref().context("no network is loaded")?;
        let states = workload.layers * workload.directions();
        let state_shape = [states, workload.batch, workload.hidden_size];
        let zeros = vec![0.0; workload.state_len()];
        let (h, c) = state.unwrap_or((&zeros, &zeros));
        let tensor = |shape: [usize; 3], values: &[f32]| Tensor::from_shape(&shape, values);
        let x = tensor([workload.steps, workload.batch, workload.input_size], input)?;
        let inputs = tvec![x.into(), tensor(state_shape, h)?.into(), tensor(state_shape, c)?.into()];
        let outputs = model.run(inputs)?;
        let flat = |k: usize| -> Result<Vec<f32>> {
            Ok(outputs[k].to_plain_array_view::<f32>()?.iter().copied().collect())
        };
        Ok(Answer { output: flat(0)?, h: flat(1)?, c: flat(2)? })
    }
}
