//! What a network needs on a device, whatever it is called with: pipelines, and the places of the weights.

use std::marker::PhantomData;

use super::limits::{AS_F16, check_binding, check_workgroups};
use crate::config::LstmConfig;
use crate::error::Error;
use crate::kernels::{
    ExchangeStates, HiddenProjection, InputProjection, JoinDirections, TileShape, Tiles, Tiling,
};
use crate::layout::{Layouts, Matrix, PerWeight};
use crate::program::{BufferSpec, DeviceLimits, Element, Owner, PipelineSpec, ResidentRef, VEC4};

/// The device's side of a network: made once, from the sizes and the device's limits.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub config: LstmConfig,
    pub limits: DeviceLimits,
    pub layouts: Layouts,
    /// How the matrices are stored.
    pub element: Element,
    pub tiling: Tiling,
    pub pipelines: Vec<PipelineSpec>,
    /// Buffers of weights, and where each layer's are in them.
    pub resident: Vec<BufferSpec>,
    pub weights: Vec<PerWeight<ResidentRef>>,
    /// Where one buffer holds every layer's matrices and another every bias: these.
    pub stacked: Option<Stacked>,
    /// The kernels that several schedules use: one a layer, and one for every layer.
    pub inputs: Vec<SizedKernel<InputProjection>>,
    pub projection: Option<SizedKernel<HiddenProjection>>,
    /// The pipelines of the kernels that copy for a pool and for a pass.
    pub exchange: usize,
    pub join: usize,
}

/// Buffers of the weights of all layers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stacked {
    pub matrices: ResidentRef,
    pub biases: ResidentRef,
}

/// A kernel at one layer's sizes.
#[derive(Clone, Debug)]
pub(crate) struct SizedKernel<K> {
    pub shape: TileShape,
    pub tiles: Tiles,
    /// Indices of the pipelines, one for each tile.
    pub pipelines: Vec<usize>,
    kernel: PhantomData<K>,
}

impl Network {
    pub fn new(config: &LstmConfig, limits: &DeviceLimits, element: Element) -> Result<Self, Error> {
        config.check()?;
        let mut network = Self::without_kernels(config, limits, element);
        network.place_weights().map_err(|error| match error {
            Error::LimitExceeded { what, needed, limit_name, limit, .. }
                if Self::without_kernels(config, limits, Element::F16).place_weights().is_ok() =>
            {
                Error::LimitExceeded { what, needed, limit_name, limit, advice: Some(AS_F16) }
            }
            other => other,
        })?;
        network.add_kernels()?;
        Ok(network)
    }

    fn without_kernels(config: &LstmConfig, limits: &DeviceLimits, element: Element) -> Self {
        Self {
            config: config.clone(),
            limits: *limits,
            layouts: Layouts::new(config, element),
            element,
            tiling: Tiling::of(limits, element),
            pipelines: Vec::new(),
            resident: Vec::new(),
            weights: Vec::new(),
            stacked: None,
            inputs: Vec::new(),
            projection: None,
            exchange: 0,
            join: 0,
        }
    }

    /// Bytes that the largest layer's weights take on the host while they are laid out: its f32, put together from those
    /// of each direction, and as they are uploaded.
    pub fn layout_bytes(&self) -> usize {
        let words = |weights: &PerWeight<ResidentRef>| {
            weights.all().fold(0usize, |sum, part| sum.saturating_add(part.len))
        };
        let largest = self.weights.iter().map(words).max().unwrap_or(0);
        let f32_of_word = VEC4 / self.element.words();
        largest.saturating_mul(3 * f32_of_word * size_of::<f32>())
    }

    /// Places the weights: all matrices in one buffer and all biases in another where the device can bind these, else
    /// every one in its own.
    fn place_weights(&mut self) -> Result<(), Error> {
        let layers = 0..self.config.num_layers();
        let words = layers.map(|layer| self.layer_words(layer)).collect::<Result<Vec<_>, Error>>()?;
        let alignment = (self.limits.storage_alignment as usize).div_ceil(4);
        let (mut matrices, mut biases) = (0usize, 0usize);
        let mut names = Vec::new();
        for (layer, words) in words.into_iter().enumerate() {
            let mut place = |buffer: usize, weight: &str, len: usize| {
                let name = format!("{weight}_l{layer}");
                check_binding(&self.limits, &name, len)?;
                names.push(name);
                let end = if buffer == 0 { &mut matrices } else { &mut biases };
                let start = *end;
                *end = start.saturating_add(len).next_multiple_of(alignment);
                Ok::<_, Error>(ResidentRef { buffer, start, len })
            };
            self.weights.push(PerWeight {
                w_ih: place(0, "weight_ih", words.w_ih)?,
                bias: place(1, "bias", words.bias)?,
                w_hh: place(0, "weight_hh", words.w_hh)?,
                w_hr: words.w_hr.map(|len| place(0, "weight_hr", len)).transpose()?,
            });
        }
        let buffer = |name: &str, len| BufferSpec { owner: Owner::Network, name: name.to_owned(), len };
        if [matrices, biases].iter().all(|&len| check_binding(&self.limits, "weights", len).is_ok()) {
            self.resident = vec![buffer("weights", matrices), buffer("biases", biases)];
            self.stacked = Some(Stacked {
                matrices: ResidentRef { buffer: 0, start: 0, len: matrices },
                biases: ResidentRef { buffer: 1, start: 0, len: biases },
            });
        } else {
            self.place_apart(&names);
        }
        Ok(())
    }

    /// Puts every weight into a buffer of its own.
    fn place_apart(&mut self, names: &[String]) {
        let resident = &mut self.resident;
        let mut names = names.iter();
        let mut alone = |part: ResidentRef| {
            let name = names.next().cloned().unwrap_or_default();
            resident.push(BufferSpec { owner: Owner::Network, name, len: part.len });
            ResidentRef { buffer: resident.len() - 1, start: 0, ..part }
        };
        for parts in &mut self.weights {
            *parts = PerWeight {
                w_ih: alone(parts.w_ih),
                bias: alone(parts.bias),
                w_hh: alone(parts.w_hh),
                w_hr: parts.w_hr.map(&mut alone),
            };
        }
    }

    /// Words of a layer's weights.
    fn layer_words(&self, layer: usize) -> Result<PerWeight<usize>, Error> {
        let words = |matrix: Matrix| matrix.words().ok_or(Error::SizeOverflow { what: "a weight" });
        let bias = self.layouts.bias_elements().and_then(|elements| elements.checked_mul(VEC4));
        Ok(PerWeight {
            w_ih: words(self.layouts.w_ih(layer))?,
            bias: bias.ok_or(Error::SizeOverflow { what: "a bias" })?,
            w_hh: words(self.layouts.w_hh())?,
            w_hr: self.layouts.w_hr().map(words).transpose()?,
        })
    }

    fn add_kernels(&mut self) -> Result<(), Error> {
        for layer in 0..self.config.num_layers() {
            let shape = TileShape::of(&self.layouts.w_ih(layer));
            let tiles = self.tiling.tiles(shape);
            let pipelines = InputProjection::pipelines(shape, &tiles);
            let input = self.kernel(shape, tiles, pipelines)?;
            self.inputs.push(input);
        }
        if let Some(w_hr) = self.layouts.w_hr() {
            let shape = TileShape::of(&w_hr);
            let tiles = self.tiling.tiles(shape);
            let pipelines = HiddenProjection::pipelines(shape, &tiles, self.config.num_directions());
            self.projection = Some(self.kernel(shape, tiles, pipelines)?);
        }
        self.exchange = self.pipeline(ExchangeStates::pipeline());
        self.join = self.pipeline(JoinDirections::pipeline());
        Ok(())
    }

    /// The index of a pipeline, which is added if it is new.
    fn pipeline(&mut self, spec: PipelineSpec) -> usize {
        let known = self.pipelines.iter().position(|other| *other == spec);
        known.unwrap_or_else(|| {
            self.pipelines.push(spec);
            self.pipelines.len() - 1
        })
    }

    /// A kernel at these sizes. Adds those of its pipelines that are new: layers of equal sizes share theirs.
    pub fn kernel<K>(
        &mut self,
        shape: TileShape,
        tiles: Tiles,
        specs: Vec<PipelineSpec>,
    ) -> Result<SizedKernel<K>, Error> {
        let narrowest = tiles.list.iter().map(|tile| tile.width as usize).min().unwrap_or(1);
        check_workgroups(&self.limits, specs[0].kernel.name, shape.columns.div_ceil(narrowest))?;
        let pipelines = specs.into_iter().map(|spec| self.pipeline(spec)).collect();
        Ok(SizedKernel { shape, tiles, pipelines, kernel: PhantomData })
    }
}

impl<K> SizedKernel<K> {
    /// Which tile is used for `rows` rows in each of `slots`, and how many of them a workgroup takes.
    pub fn choose(&self, rows: usize, slots: usize) -> (usize, usize) {
        self.tiles.choose(self.shape.columns, rows, slots)
    }

    /// Workgroups: tiles of columns, of rows, and slots.
    pub fn grid(&self, tile: usize, rows: usize, slots: usize) -> [u32; 3] {
        let columns = self.shape.columns.div_ceil(self.tiles.list[tile].width as usize);
        [columns as u32, rows as u32, slots as u32]
    }
}
