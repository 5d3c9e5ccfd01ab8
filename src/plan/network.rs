//! What a network needs on a device, whatever it is called with: pipelines and packed weights.

use super::limits::{check_binding, check_workgroups};
use crate::config::LstmConfig;
use crate::error::Error;
use crate::kernels::{HiddenProjection, InputProjection, RecurrentStep, TileShape, Tiling};
use crate::spec::{BufferSpec, DeviceLimits, PipelineSpec, padded};

/// The device's side of a network: made once, from the sizes and the device's limits.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub config: LstmConfig,
    pub limits: DeviceLimits,
    pub tiling: Tiling,
    pub pipelines: Vec<PipelineSpec>,
    /// Packed weights, per layer: w_ih, bias, w_hh and, where there is a projection, w_hr.
    pub resident: Vec<BufferSpec>,
    pub layers: Vec<Layer>,
}

/// One layer: its kernels, and which resident buffers hold its weights.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub input: Stage,
    pub step: Stage,
    /// With the buffer of w_hr.
    pub projection: Option<(Stage, usize)>,
    pub w_ih: usize,
    pub bias: usize,
    pub w_hh: usize,
}

/// A kernel at one layer's sizes.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub shape: TileShape,
    /// Indices of the pipelines, one for each height of a tile.
    pub pipelines: Vec<usize>,
}

impl Network {
    pub fn new(config: &LstmConfig, limits: &DeviceLimits) -> Result<Self, Error> {
        config.check()?;
        let mut network = Self {
            config: config.clone(),
            limits: *limits,
            tiling: Tiling::of(limits),
            pipelines: Vec::new(),
            resident: Vec::new(),
            layers: Vec::new(),
        };
        for layer in 0..config.num_layers() {
            network.add_layer(layer)?;
        }
        Ok(network)
    }

    /// f32 of one row of what enters `layer`, padded.
    pub fn input_row(&self, layer: usize) -> usize {
        if layer == 0 { padded(self.config.input_size()) } else { self.output_row() }
    }

    /// f32 of one row of what leaves a layer, every direction padded.
    pub fn output_row(&self) -> usize {
        self.config.num_directions() * padded(self.config.output_size())
    }

    fn add_layer(&mut self, layer: usize) -> Result<(), Error> {
        let config = self.config.clone();
        let (hidden, output) = (config.hidden_size(), config.output_size());
        let (directions, projected) = (config.num_directions(), config.proj_size() > 0);

        let shape = InputProjection::shape(self.input_row(layer), hidden);
        let input = self.stage(shape, InputProjection::pipelines(shape, &self.tiling))?;
        let w_ih = self.weights(format!("weight_ih_l{layer}"), shape)?;
        let bias = directions.checked_mul(4).and_then(|n| n.checked_mul(hidden));
        let bias = bias.ok_or(Error::SizeOverflow { what: "a bias" })?;
        let bias = self.resident(format!("bias_l{layer}"), bias)?;

        let shape = RecurrentStep::shape(output, hidden);
        let pipelines = RecurrentStep::pipelines(shape, &self.tiling, directions, projected);
        let step = self.stage(shape, pipelines)?;
        let w_hh = self.weights(format!("weight_hh_l{layer}"), shape)?;

        let mut projection = None;
        if projected {
            let shape = HiddenProjection::shape(hidden, config.proj_size());
            let pipelines = HiddenProjection::pipelines(shape, &self.tiling, directions);
            let stage = self.stage(shape, pipelines)?;
            projection = Some((stage, self.weights(format!("weight_hr_l{layer}"), shape)?));
        }
        self.layers.push(Layer { input, step, projection, w_ih, bias, w_hh });
        Ok(())
    }

    /// Adds what is new of a stage's pipelines: layers of equal sizes share theirs.
    fn stage(&mut self, shape: TileShape, specs: Vec<PipelineSpec>) -> Result<Stage, Error> {
        let groups = shape.columns.div_ceil(self.tiling.workgroup_size as usize);
        check_workgroups(&self.limits, specs[0].kernel.name, groups)?;
        let pipelines = specs
            .into_iter()
            .map(|spec| {
                let known = self.pipelines.iter().position(|other| *other == spec);
                known.unwrap_or_else(|| {
                    self.pipelines.push(spec);
                    self.pipelines.len() - 1
                })
            })
            .collect();
        Ok(Stage { shape, pipelines })
    }

    /// A resident buffer for packed weights, [D, 4·M, N] vec4f.
    fn weights(&mut self, label: String, shape: TileShape) -> Result<usize, Error> {
        let len = self
            .config
            .num_directions()
            .checked_mul(16)
            .and_then(|n| n.checked_mul(shape.reduction))
            .and_then(|n| n.checked_mul(shape.columns))
            .ok_or(Error::SizeOverflow { what: "a weight" })?;
        self.resident(label, len)
    }

    fn resident(&mut self, label: String, len: usize) -> Result<usize, Error> {
        check_binding(&self.limits, &label, len)?;
        self.resident.push(BufferSpec { label, len });
        Ok(self.resident.len() - 1)
    }
}
