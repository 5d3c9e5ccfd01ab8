//! The GPU device: a network's weights and programs on a GPU, and how its calls run.

mod cache;
mod choice;
mod company;
mod measured;
mod memory;
mod pass;
mod permits;
mod pool;
mod record;
mod run;
mod sorted;
mod tick;
mod ticks;
mod transfer;

use std::sync::Arc;

use self::cache::Cache;
use self::measured::Measured;
pub use self::memory::Memory;
pub(crate) use self::pass::{ResidentPass, RowsOf};
use self::permits::Permits;
pub(crate) use self::pool::GpuPool;
pub(crate) use self::record::{read_record, write_record};
use self::run::Ready;
use crate::error::Error;
use crate::gpu::{Gpu, Pipelines, Resident};
use crate::host_memory::{check_memory, host_out_of_memory};
use crate::plan::Planner;
use crate::tuning::Tuning;
use crate::weights::LstmWeights;

/// A network on a GPU. Its methods have the contract of [`CpuEngine`](crate::cpu::CpuEngine)'s.
pub(crate) struct GpuEngine {
    gpu: Arc<Gpu>,
    planner: Planner,
    pipelines: Pipelines,
    weights: Resident,
    cache: Cache<Ready>,
    measured: Measured,
    /// For the calls that wait in their threads, and for the others: see [`GpuEngine::permit`].
    permits: [Arc<Permits>; 2],
}

/// How a call runs, besides its arrays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Whether the caller's input and output are (B, T, ·).
    pub batch_first: bool,
    /// Bytes.
    pub memory_budget: u64,
    pub tuning: Tuning,
    pub calls_in_flight: usize,
}

impl GpuEngine {
    /// Uploads the weights. Pipelines are compiled when a call first needs them.
    pub async fn new(gpu: &Arc<Gpu>, weights: &LstmWeights) -> Result<Self, Error> {
        let planner = Planner::new(weights.config(), gpu.limits(), weights.precision().element())?;
        Self::with_planner(gpu, planner, weights).await
    }

    pub(crate) async fn with_planner(
        gpu: &Arc<Gpu>,
        planner: Planner,
        weights: &LstmWeights,
    ) -> Result<Self, Error> {
        let network = &planner.network;
        let pipelines = Pipelines::new(network.pipelines.clone());
        check_memory::<u8>(network.layout_bytes()).map_err(host_out_of_memory)?;
        let parts: Vec<_> = network.weights.iter().flat_map(|weights| weights.all()).collect();
        let words = weights.device_words().flat_map(|words| words.all());
        let resident = gpu.upload_resident(&network.resident, &parts, words).await?;
        Ok(Self {
            gpu: Arc::clone(gpu),
            planner,
            pipelines,
            weights: resident,
            cache: Cache::new(),
            measured: Measured::default(),
            permits: Default::default(),
        })
    }

    /// The adapter's name.
    pub fn adapter(&self) -> &str {
        &self.gpu.info().name
    }

    /// The number of programs that are kept.
    #[cfg(test)]
    pub fn kept_programs(&self) -> usize {
        self.cache.len()
    }

    #[cfg(test)]
    pub fn planner(&self) -> &Planner {
        &self.planner
    }
}
