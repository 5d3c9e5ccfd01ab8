//! What a call costs under each schedule, by the formulas of the schedules' files; `docs/performance.md` writes them out.
//! The tests hold them to a count over the programs that are run.

use super::network::Network;
use super::phase::Phase;
use super::schedule::{Admitted, admit};
use crate::batch::Packing;
use crate::program::DeviceLimits;
use crate::tuning::{Cost, Schedule};

/// What a class of devices takes for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Machine {
    /// Seconds from one dispatch to the next that depends on it.
    pub dispatch: f64,
    /// Seconds from one step to the next within a dispatch, besides what is computed: with weights from memory, and
    /// in registers.
    pub barrier: f64,
    pub turn: f64,
    /// Workgroups that run side by side.
    pub units: f64,
    /// Operations, and bytes of weights from the cache, a second and unit.
    pub operations: f64,
    pub bytes: f64,
    /// Whether a unit loads while it computes.
    pub overlaps: bool,
}

impl Machine {
    /// The class of a device, with as many units as its limits tell.
    pub fn of(limits: &DeviceLimits) -> Self {
        let units = f64::from(limits.units);
        if limits.software { Self::software(units) } else { Self::hardware(units) }
    }

    /// Measured on lavapipe 25.0.7, two cores of a Xeon: 30 µs a dispatch, 40 GFLOP/s in the tallest tiles,
    /// and about 100 cycles for the 128 bytes that eight lanes load. A step within a dispatch takes 3 to 5 µs besides
    /// its products with weights in registers; with weights from memory 100 to 600, for it shares h through memory and
    /// at each barrier an invocation's values go there and back.
    fn software(units: f64) -> Self {
        Self {
            dispatch: 30e-6,
            barrier: 200e-6,
            turn: 3e-6,
            units,
            operations: 20e9,
            bytes: 3.5e9,
            overlaps: false,
        }
    }

    /// A prediction from datasheets, not measured: a mid-range GPU at 2 GHz, 64 lanes a unit at half of their
    /// rate, 32 bytes a clock from the second-level cache, and 4 µs for a dependent dispatch.
    fn hardware(units: f64) -> Self {
        Self {
            dispatch: 4e-6,
            barrier: 0.5e-6,
            turn: 0.5e-6,
            units,
            operations: 128e9,
            bytes: 64e9,
            overlaps: true,
        }
    }

    /// Seconds that a phase takes: its dispatches one after the other, each on as many units as it has
    /// workgroups.
    pub fn seconds(&self, phase: &Phase) -> f64 {
        let side_by_side = (phase.workgroups / phase.dispatches.max(1.0)).clamp(1.0, self.units);
        let (compute, load) = (phase.operations / self.operations, phase.bytes / self.bytes);
        let work = if self.overlaps { compute.max(load) } else { compute + load };
        phase.dispatches * self.dispatch
            + phase.barriers * self.barrier
            + phase.turns * self.turn
            + work / side_by_side
    }
}

/// What every schedule that can compute the call costs on the network's device, the cheapest first; of equals
/// the first of [`Schedule::ALL`].
pub(crate) fn costs(network: &Network, packing: &Packing) -> Vec<Cost> {
    let machine = Machine::of(&network.limits);
    let admitted = Schedule::ALL.into_iter().filter_map(|schedule| admit(network, packing, schedule));
    let mut costs: Vec<Cost> =
        admitted.map(|admitted| cost_on(&machine, network, packing, &admitted)).collect();
    costs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds)); // stable
    costs
}

pub(super) fn cost_on(machine: &Machine, network: &Network, packing: &Packing, admitted: &Admitted) -> Cost {
    let phases = admitted.phases(network, packing);
    let all = phases.iter().fold(Phase::default(), |sum, &phase| sum.and(phase));
    Cost {
        schedule: admitted.schedule(),
        dispatches: all.dispatches as u64,
        operations: all.operations as u64,
        weight_bytes: all.bytes as u64,
        seconds: phases.iter().map(|phase| machine.seconds(phase)).sum(),
    }
}
