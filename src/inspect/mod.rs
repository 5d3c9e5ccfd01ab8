//! What a call would do, and the kernels that it would use: without a device.
//!
//! For those who work on a kernel or a schedule, or want to see what runs. `examples/plan.rs` prints it. The text is to be
//! read, not parsed: it changes from version to version.
//!
//! # Examples
//!
//! ```
//! use wgpu_lstm::inspect::{DeviceClass, Inspection};
//! use wgpu_lstm::{LstmConfig, Precision, Schedule};
//!
//! let config = LstmConfig::new(128, 128).with_num_layers(2);
//! let inspection = Inspection::new(&config, Precision::F32, DeviceClass::Hardware)?;
//! let text = inspection.program(3, 1, Some(Schedule::Step))?;
//! assert!(text.contains("recurrent_step"));
//! # Ok::<(), wgpu_lstm::Error>(())
//! ```

mod text;

use crate::batch::{Packing, SEQUENCE_BYTES};
use crate::call::Sequences;
use crate::config::LstmConfig;
use crate::error::Error;
use crate::host_memory::{check_memory, host_out_of_memory};
use crate::plan::{Planner, Request, costs, list_bytes, most_sequences, schedule};
use crate::program::{DeviceLimits, SubgroupSizes};
use crate::tuning::{Cost, DEFAULT_MEMORY_BUDGET, Schedule};
use crate::weights::Precision;

/// A class of devices: it decides which kernels run, and in which variants. Limits are those that WebGPU guarantees, but
/// for 1,024 invocations and 32 KiB of memory in a workgroup, which GPUs of desktops have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceClass {
    /// A GPU with subgroups of 32 lanes, or of fewer: NVIDIA's, Intel's, Apple's.
    Hardware,
    /// A GPU with subgroups of 32 lanes or 64, as its driver chooses: AMD's.
    HardwareOf64Lanes,
    /// A processor that emulates a GPU with subgroups of eight lanes, as Mesa's lavapipe.
    Software,
    /// A processor that emulates a GPU without subgroups, as on the web.
    SoftwareWithoutSubgroups,
}

impl DeviceClass {
    /// Every class.
    pub const ALL: [Self; 4] =
        [Self::Hardware, Self::HardwareOf64Lanes, Self::Software, Self::SoftwareWithoutSubgroups];

    /// `hardware`, `hardware-of-64-lanes`, `software` or `software-without-subgroups`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hardware => "hardware",
            Self::HardwareOf64Lanes => "hardware-of-64-lanes",
            Self::Software => "software",
            Self::SoftwareWithoutSubgroups => "software-without-subgroups",
        }
    }

    /// Every kernel that a device of this class may use, in every variant and for every height of a tile, with constants of
    /// some small networks, with and without projection, in one direction and two, and in both precisions.
    ///
    /// # Errors
    ///
    /// None that is known: all of these networks are within the limits.
    pub fn kernels(self) -> Result<Vec<Kernel>, Error> {
        let mut kernels: Vec<Kernel> = Vec::new();
        for precision in [Precision::F32, Precision::F16] {
            for config in every_kernel() {
                let of_network = Inspection::new(&config, precision, self)?.kernels();
                for kernel in of_network {
                    if !kernels.contains(&kernel) {
                        kernels.push(kernel);
                    }
                }
            }
        }
        Ok(kernels)
    }

    fn limits(self) -> DeviceLimits {
        let (software, lanes, units) = match self {
            Self::Hardware => (false, Some((32, 32)), 64),
            Self::HardwareOf64Lanes => (false, Some((32, 64)), 64),
            Self::Software => (true, Some((8, 8)), 2),
            Self::SoftwareWithoutSubgroups => (true, None, 2),
        };
        DeviceLimits {
            subgroups: lanes.map(|(min, max)| SubgroupSizes { min, max }),
            software,
            units,
            // As desktops' GPUs have them, at least.
            max_invocations: 1024,
            max_workgroup_bytes: 32 << 10,
            ..DeviceLimits::GUARANTEED
        }
    }
}

/// Networks that use every kernel together: with weights in registers and in memory, and with a projection.
fn every_kernel() -> impl Iterator<Item = LstmConfig> {
    let configs = [
        LstmConfig::new(16, 16),
        LstmConfig::new(64, 64),
        LstmConfig::new(128, 128),
        LstmConfig::new(40, 256),
        LstmConfig::new(40, 320), // in memory on a software adapter, which holds 256 in "registers"
        LstmConfig::new(40, 256).with_proj_size(64),
    ];
    configs.into_iter().flat_map(|config| [config.clone(), config.with_bidirectional(true)])
}

/// A network as it would be planned for a class of devices.
#[derive(Debug)]
pub struct Inspection {
    class: DeviceClass,
    planner: Planner,
    memory_budget: u64,
}

/// A kernel's whole text, and the constants of one pipeline.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Kernel {
    /// The entry point; then the sizes of its matrix in `vec4f`, the directions, the rows of its tile, and the twins that
    /// were chosen: `recurrent_step-m32-n128-d1-r4-subgroups`. No two kernels for a class of devices have the same.
    pub name: String,
    /// WGSL.
    pub source: String,
    /// `override` constants; a `bool` is 0 or 1.
    pub overrides: Vec<(&'static str, f64)>,
}

impl Inspection {
    /// Plans a network with weights of a precision.
    ///
    /// # Errors
    ///
    /// As [`Lstm::new`](crate::Lstm::new) on a device with these limits.
    pub fn new(config: &LstmConfig, precision: Precision, class: DeviceClass) -> Result<Self, Error> {
        let planner = Planner::new(config, &class.limits(), precision.element())?;
        Ok(Self { class, planner, memory_budget: DEFAULT_MEMORY_BUDGET })
    }

    /// As [`Lstm::with_memory_budget`](crate::Lstm::with_memory_budget), in bytes.
    #[must_use]
    pub fn with_memory_budget(mut self, bytes: u64) -> Self {
        self.memory_budget = bytes;
        self
    }

    /// What a call of T `steps` and B `batch` costs under every schedule that can compute it, the cheapest first. Of a
    /// batch that goes through in parts it is what the first part costs.
    ///
    /// # Errors
    ///
    /// [`Error::NoTimeSteps`], [`Error::ZeroSize`] for no sequence, [`Error::SizeOverflow`], [`Error::LimitExceeded`],
    /// [`Error::OutOfMemory`] if the host has no memory for the lists.
    pub fn costs(&self, steps: usize, batch: usize) -> Result<Vec<Cost>, Error> {
        let packing = self.packing(steps, batch, 0)?;
        costs(&self.planner, &packing, self.memory_budget)
    }

    /// The program of a call of T `steps` and B `batch`, as text: its buffers with their owners and sizes, and what is
    /// submitted: uploads, dispatches with bindings, grid and uniform, downloads. `None` takes the cheapest schedule. Of a
    /// batch that goes through in parts it is the program of the first part.
    ///
    /// # Errors
    ///
    /// As for [`costs`](Self::costs); [`Error::Unsupported`] if the schedule can't compute the network.
    pub fn program(&self, steps: usize, batch: usize, wanted: Option<Schedule>) -> Result<String, Error> {
        let packing = self.packing(steps, batch, u64::MAX)?;
        let wanted = match wanted {
            Some(wanted) => wanted,
            None => {
                let costs = costs(&self.planner, &packing, self.memory_budget)?;
                costs.first().map_or(Schedule::Step, |cost| cost.schedule)
            }
        };
        let admitted = self.planner.admit(&packing, wanted).ok_or(Error::Unsupported {
            what: "this schedule for this network",
            reason: "Inspection::costs lists those that can compute it",
        })?;
        let program =
            schedule(&self.planner.network, Request::call(&packing, self.memory_budget), admitted, u64::MAX)?;
        Ok(text::of_program(self.class, &self.planner.network, &program, wanted, (steps, batch)))
    }

    /// Every kernel that a call of this network may use on this class of devices, with the constants of each pipeline.
    pub fn kernels(&self) -> Vec<Kernel> {
        self.planner.network.pipelines.iter().map(text::of_pipeline).collect()
    }

    /// The first part of a batch, if the host has memory for it and for its lists, of which submissions are kept up to
    /// `keep` bytes.
    fn packing(&self, steps: usize, batch: usize, keep: u64) -> Result<Packing, Error> {
        if batch == 0 {
            return Err(Error::ZeroSize { what: "the batch" });
        }
        let (network, budget) = (&self.planner.network, self.memory_budget);
        Sequences::new(&network.config, steps, batch, None)?;
        let batch = batch.min(most_sequences(network, budget)?);
        // Text takes about as much as the list that it is written from.
        let lists = list_bytes(network, budget, keep, (steps, batch)).saturating_mul(2);
        let bytes = lists.saturating_add(batch.saturating_mul(SEQUENCE_BYTES));
        check_memory::<u8>(bytes).map_err(host_out_of_memory)?;
        Ok(Packing::equal(steps, batch))
    }
}
