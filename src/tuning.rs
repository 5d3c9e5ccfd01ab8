//! Which schedule computes a call.

use std::fmt;

/// A way to spread a network over dispatches. All of them give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Schedule {
    /// The input's products for a block of time at once, then one dispatch a time step and layer.
    Step,
    /// As `Step`, but many time steps in one dispatch: a workgroup carries some sequences through them, and
    /// keeps the weights in registers where they fit. Without a projection, and where a workgroup has an
    /// invocation for every hidden unit.
    Scan,
    /// One dispatch a time step and layer, which also reduces the input's part: for calls of a single time step.
    Single,
    /// As `Single`, with up to four layers in one dispatch, each a time step behind the layer below. In one
    /// direction.
    Diagonal,
}

impl Schedule {
    /// Every schedule.
    pub const ALL: [Self; 4] = [Self::Step, Self::Scan, Self::Single, Self::Diagonal];

    /// Its name, as in `step`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Scan => "scan",
            Self::Single => "single",
            Self::Diagonal => "diagonal",
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Memory that one block of time steps may take, on the device and in the host's copies, unless
/// [`with_memory_budget`](crate::Lstm::with_memory_budget) says otherwise: 256 MiB.
pub const DEFAULT_MEMORY_BUDGET: u64 = 256 << 20;

/// Calls of a network that run at once, unless [`with_calls_in_flight`](crate::Lstm::with_calls_in_flight) says
/// otherwise: 4, so that some upload their inputs and read their results while the GPU computes another.
pub const DEFAULT_CALLS_IN_FLIGHT: usize = 4;

/// How the schedule of a call is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tuning {
    /// By a model of what dispatches, memory and arithmetic cost on this class of adapter.
    #[default]
    Model,
    /// By timing every schedule that can compute it, at the first call of a new shape: that call runs several
    /// times. (A browser rounds times to 0.1 ms or less: faster schedules may count as equal there.) The network keeps
    /// the choice; [`tuning_record`](crate::Lstm::tuning_record) saves it for another
    /// process.
    ///
    /// A choice also applies to similar calls: those whose time steps, sequences and sum of the lengths each differ
    /// from the measured call's by less than a factor of two. So ragged batches of about the same sizes are measured
    /// once, and a call of one time step, or of one sequence, never uses the choice for a call of more. Of several
    /// choices the one for the nearest shape is used. The choices for 1,024 shapes are kept; the oldest are dropped
    /// first.
    Measure,
    /// This schedule, or [`Schedule::Step`] if it can't compute the network.
    Fixed(Schedule),
}

/// The most shapes whose measured schedules a network keeps. Each serves all shapes within a factor of two, so 1,024
/// cover any practical range.
pub(crate) const MOST_MEASURED: usize = 1024;

/// The cost of a call under a schedule, by the model.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Cost {
    /// The schedule.
    pub schedule: Schedule,
    /// Dispatches, each of which waits for the one before it.
    pub dispatches: u64,
    /// Floating-point operations of the matrix products; a multiply-add counts as two.
    pub operations: u64,
    /// Bytes of weights that workgroups read, from a cache for the most part.
    pub weight_bytes: u64,
    /// Seconds, on this class of adapter.
    pub seconds: f64,
}
