//! What a network needs on a device, whatever it is called with: pipelines and packed weights.

use super::limits::{AS_F16, check_binding, check_workgroups};
use crate::config::LstmConfig;
use crate::error::Error;
use crate::kernels::{
    FusedStep, HiddenProjection, InputProjection, RecurrentScan, RecurrentStep, TileShape, Tiling,
};
use crate::program::{BufferSpec, DeviceLimits, PipelineSpec, ResidentRef, VEC4, padded};

/// The device's side of a network: made once, from the sizes and the device's limits.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub config: LstmConfig,
    pub limits: DeviceLimits,
    pub tiling: Tiling,
    pub pipelines: Vec<PipelineSpec>,
    /// Buffers of packed weights, and the parts of them, in the order of `LstmWeights::pack`: per layer
    /// w_ih, bias, w_hh and, where there is a projection, w_hr.
    pub resident: Vec<BufferSpec>,
    pub parts: Vec<ResidentRef>,
    /// Where one buffer holds every layer's matrices and another every bias: these.
    pub stacked: Option<[ResidentRef; 2]>,
    pub layers: Vec<Layer>,
}

/// One layer: its kernels, and where its weights are.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub input: Stage,
    pub step: Stage,
    /// Where one workgroup can carry the layer.
    pub scan: Option<Stage>,
    /// Where the weights are stacked.
    pub fused: Option<Stage>,
    pub projection: Option<Stage>,
    pub w_ih: ResidentRef,
    pub bias: ResidentRef,
    pub w_hh: ResidentRef,
    pub w_hr: Option<ResidentRef>,
}

/// A kernel at one layer's sizes.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub shape: TileShape,
    pub tiling: Tiling,
    /// Indices of the pipelines, one for each height of a tile.
    pub pipelines: Vec<usize>,
}

impl Network {
    /// `half_weights`: whether the matrices are kept as f16.
    pub fn new(config: &LstmConfig, limits: &DeviceLimits, half_weights: bool) -> Result<Self, Error> {
        config.check()?;
        let mut network = Self::without_layers(config, limits, half_weights);
        network.place_weights().map_err(|error| match error {
            Error::LimitExceeded { what, needed, limit_name, limit, .. }
                if !half_weights && Self::without_layers(config, limits, true).place_weights().is_ok() =>
            {
                Error::LimitExceeded { what, needed, limit_name, limit, advice: Some(AS_F16) }
            }
            other => other,
        })?;
        for layer in 0..config.num_layers() {
            network.add_layer(layer)?;
        }
        Ok(network)
    }

    fn without_layers(config: &LstmConfig, limits: &DeviceLimits, half_weights: bool) -> Self {
        Self {
            config: config.clone(),
            limits: *limits,
            tiling: Tiling::of(limits, half_weights),
            pipelines: Vec::new(),
            resident: Vec::new(),
            parts: Vec::new(),
            stacked: None,
            layers: Vec::new(),
        }
    }

    /// Bytes that packing the largest layer's weights takes on the host: its f32, put together from those of each
    /// direction, and as they are uploaded.
    pub fn packing_bytes(&self) -> usize {
        let parts_of_layer = self.parts.len() / self.config.num_layers();
        let words =
            |parts: &[ResidentRef]| parts.iter().fold(0usize, |sum, part| sum.saturating_add(part.len));
        let largest = self.parts.chunks(parts_of_layer).map(words).max().unwrap_or(0);
        let f32_of_word = VEC4 / self.words_of_element();
        largest.saturating_mul(3 * f32_of_word * size_of::<f32>())
    }

    /// f32 of one row of what enters `layer`, padded.
    pub fn input_row(&self, layer: usize) -> usize {
        if layer == 0 { padded(self.config.input_size()) } else { self.output_row() }
    }

    /// f32 of one row of what leaves a layer, every direction padded.
    pub fn output_row(&self) -> usize {
        self.config.num_directions() * padded(self.config.output_size())
    }

    /// Words of four weights: an element of a packed matrix.
    pub fn words_of_element(&self) -> usize {
        if self.tiling.variant.half_weights { 2 } else { VEC4 }
    }

    fn input_shape(&self, layer: usize) -> TileShape {
        InputProjection::shape(self.input_row(layer), self.config.hidden_size())
    }

    fn step_shape(&self) -> TileShape {
        RecurrentStep::shape(self.config.output_size(), self.config.hidden_size())
    }

    fn projection_shape(&self) -> Option<TileShape> {
        let projection = self.config.proj_size();
        (projection > 0).then(|| HiddenProjection::shape(self.config.hidden_size(), projection))
    }

    /// Lays out the weights: all matrices in one buffer and all biases in another where the device can bind
    /// these, else every one in its own.
    fn place_weights(&mut self) -> Result<(), Error> {
        let mut names = Vec::new();
        for layer in 0..self.config.num_layers() {
            let w_ih = self.matrix_len(self.input_shape(layer))?;
            names.push((format!("weight_ih_l{layer}"), w_ih, false));
            let bias = self.config.num_directions().checked_mul(4);
            let bias = bias.and_then(|n| n.checked_mul(self.config.hidden_size()));
            names.push((format!("bias_l{layer}"), bias.ok_or(Error::SizeOverflow { what: "a bias" })?, true));
            names.push((format!("weight_hh_l{layer}"), self.matrix_len(self.step_shape())?, false));
            if let Some(shape) = self.projection_shape() {
                names.push((format!("weight_hr_l{layer}"), self.matrix_len(shape)?, false));
            }
        }
        let alignment = (self.limits.storage_alignment as usize).div_ceil(4);
        let mut total = [0usize; 2];
        for (label, len, is_bias) in &names {
            check_binding(&self.limits, label, *len)?;
            let start = total[usize::from(*is_bias)];
            self.parts.push(ResidentRef { buffer: usize::from(*is_bias), start, len: *len });
            total[usize::from(*is_bias)] = start.saturating_add(*len).next_multiple_of(alignment);
        }
        if total.iter().all(|&len| check_binding(&self.limits, "weights", len).is_ok()) {
            self.resident = vec![
                BufferSpec { label: "weights".to_owned(), len: total[0] },
                BufferSpec { label: "biases".to_owned(), len: total[1] },
            ];
            self.stacked = Some([0, 1].map(|buffer| ResidentRef { buffer, start: 0, len: total[buffer] }));
        } else {
            self.resident = names.into_iter().map(|(label, len, _)| BufferSpec { label, len }).collect();
            let alone = |(buffer, part): (usize, &ResidentRef)| ResidentRef { buffer, start: 0, ..*part };
            self.parts = self.parts.iter().enumerate().map(alone).collect();
        }
        Ok(())
    }

    /// Words of a packed matrix, [D, 4·M, N] elements.
    fn matrix_len(&self, shape: TileShape) -> Result<usize, Error> {
        self.config
            .num_directions()
            .checked_mul(VEC4 * self.words_of_element())
            .and_then(|n| n.checked_mul(shape.reduction))
            .and_then(|n| n.checked_mul(shape.columns))
            .ok_or(Error::SizeOverflow { what: "a weight" })
    }

    fn add_layer(&mut self, layer: usize) -> Result<(), Error> {
        let (directions, projected) = (self.config.num_directions(), self.config.proj_size() > 0);
        let tiling = self.tiling;

        let shape = self.input_shape(layer);
        let input = self.stage(shape, tiling, InputProjection::pipelines(shape, &tiling))?;

        let shape = self.step_shape();
        let pipelines = RecurrentStep::pipelines(shape, &tiling, directions, projected);
        let step = self.stage(shape, tiling, pipelines)?;
        let fused = match self.stacked {
            Some(_) => {
                let pipelines = FusedStep::pipelines(shape, &tiling, directions, projected);
                Some(self.stage(shape, tiling, pipelines)?)
            }
            None => None,
        };
        let carrying = tiling.carrying(self.config.hidden_size(), &self.limits).filter(|_| !projected);
        let scan = match carrying {
            Some(tiling) => {
                Some(self.stage(shape, tiling, RecurrentScan::pipelines(shape, &tiling, directions))?)
            }
            None => None,
        };
        let projection = match self.projection_shape() {
            Some(shape) => {
                Some(self.stage(shape, tiling, HiddenProjection::pipelines(shape, &tiling, directions))?)
            }
            None => None,
        };
        let parts = &self.parts[layer * (3 + usize::from(projected))..];
        self.layers.push(Layer {
            input,
            step,
            scan,
            fused,
            projection,
            w_ih: parts[0],
            bias: parts[1],
            w_hh: parts[2],
            w_hr: projected.then(|| parts[3]),
        });
        Ok(())
    }

    /// Adds what is new of a stage's pipelines: layers of equal sizes share theirs.
    fn stage(&mut self, shape: TileShape, tiling: Tiling, specs: Vec<PipelineSpec>) -> Result<Stage, Error> {
        let groups = shape.columns.div_ceil(tiling.workgroup_size as usize);
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
        Ok(Stage { shape, tiling, pipelines })
    }
}
