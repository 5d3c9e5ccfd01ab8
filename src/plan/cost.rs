//! What a call costs under each schedule, by formulas over its sizes; `docs/performance.md` writes them out.
//! The tests hold them to a count over the programs that are run.

use super::dispatches::steps_of_scan;
use super::network::{Network, Stage};
use super::packing::Packing;
use super::schedule::admits;
use crate::kernels::{SLOTS, TileShape};
use crate::spec::DeviceLimits;
use crate::tuning::{Cost, Schedule};

/// Dispatches that are alike.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Phase {
    pub dispatches: f64,
    /// Workgroups, floating-point operations and bytes of weights that they read: all of them together.
    pub workgroups: f64,
    pub operations: f64,
    pub bytes: f64,
    /// Time steps that follow each other within a dispatch, of all of them together, with weights from memory.
    pub barriers: f64,
    /// The same with weights in registers, where a workgroup takes its sequences one after the other: each counts.
    pub turns: f64,
}

impl Phase {
    fn and(self, other: Self) -> Self {
        Self {
            dispatches: self.dispatches + other.dispatches,
            workgroups: self.workgroups + other.workgroups,
            operations: self.operations + other.operations,
            bytes: self.bytes + other.bytes,
            barriers: self.barriers + other.barriers,
            turns: self.turns + other.turns,
        }
    }

    fn times(self, count: usize) -> Self {
        let count = count as f64;
        Self {
            dispatches: self.dispatches * count,
            workgroups: self.workgroups * count,
            operations: self.operations * count,
            bytes: self.bytes * count,
            barriers: self.barriers * count,
            turns: self.turns * count,
        }
    }
}

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
    let admitted = Schedule::ALL.into_iter().filter(|&schedule| admits(network, packing, schedule));
    let mut costs: Vec<Cost> =
        admitted.map(|schedule| cost_on(&machine, network, packing, schedule)).collect();
    costs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds)); // stable
    costs
}

pub(super) fn cost_on(machine: &Machine, network: &Network, packing: &Packing, schedule: Schedule) -> Cost {
    let phases = phases(network, packing, schedule);
    let all = phases.iter().fold(Phase::default(), |sum, &phase| sum.and(phase));
    Cost {
        schedule,
        dispatches: all.dispatches as u64,
        operations: all.operations as u64,
        weight_bytes: all.bytes as u64,
        seconds: phases.iter().map(|phase| machine.seconds(phase)).sum(),
    }
}

/// A call in one block of time, whose directions share dispatches.
pub(crate) fn phases(network: &Network, packing: &Packing, schedule: Schedule) -> Vec<Phase> {
    let directions = network.config.num_directions();
    let rows = packing.first_row(packing.steps());
    let mut phases = Vec::new();
    let mut steps = Phase::default();
    for (number, layer) in network.layers.iter().enumerate() {
        let ahead = matches!(schedule, Schedule::Step | Schedule::Scan);
        if ahead {
            phases.push(product(network, &layer.input, layer.input.shape, rows, directions));
        }
        let stage = match schedule {
            Schedule::Scan => layer.scan.as_ref().unwrap_or(&layer.step),
            _ => &layer.step,
        };
        for (t, alike) in stretches(packing, directions) {
            // In two directions the grid has the rows of the one that has more.
            let running = packing.running(t).max(match directions {
                1 => 0,
                _ => packing.running(packing.steps() - 1 - t),
            });
            let mut step = product(network, stage, stage.shape, running, directions);
            if schedule == Schedule::Scan && stage.tiling.persistent_rows().is_some() {
                step.bytes = 0.0; // once a dispatch
            }
            if !ahead {
                let x = TileShape { reduction: layer.input.shape.reduction, ..stage.shape };
                let of_x = product(network, stage, x, running, directions);
                step = Phase {
                    operations: step.operations + of_x.operations,
                    bytes: step.bytes + of_x.bytes,
                    ..step
                };
            }
            if let Some(projection) = &layer.projection {
                step = step.and(product(network, projection, projection.shape, running, directions));
            }
            steps = steps.and(step.times(alike));
        }
        if schedule == Schedule::Scan {
            // A dispatch has the rows of its fullest step.
            let most = steps_of_scan(stage, packing.batch(), directions);
            let dispatches = packing.steps().div_ceil(most);
            let each = product(network, stage, stage.shape, packing.batch(), directions);
            if stage.tiling.persistent_rows().is_some() {
                steps.bytes += each.bytes * dispatches as f64;
                let in_turn = stage.tiling.rows_of_workgroup(0, packing.batch(), directions);
                steps.turns += (packing.steps() * in_turn) as f64;
            } else {
                steps.barriers += packing.steps() as f64;
            }
            steps.dispatches += dispatches as f64 - packing.steps() as f64;
            steps.workgroups = each.workgroups * steps.dispatches;
        }
        if schedule == Schedule::Diagonal && number % SLOTS > 0 {
            // Runs along with the layers below it, but for its last step.
            let passes = 1 + usize::from(layer.projection.is_some());
            steps.dispatches -= ((packing.steps() - 1) * passes) as f64;
        }
    }
    phases.push(steps);
    phases
}

/// Time steps that have the same rows in every direction: the first of them, and how many there are.
fn stretches(packing: &Packing, directions: usize) -> Vec<(usize, usize)> {
    let mut changes: Vec<usize> = packing.changes().collect();
    if directions > 1 {
        changes.extend(packing.changes().map(|t| packing.steps() - t));
    }
    changes.sort_unstable();
    changes.dedup();
    changes.windows(2).map(|pair| (pair[0], pair[1] - pair[0])).collect()
}

/// One dispatch of a stage.
fn product(network: &Network, stage: &Stage, shape: TileShape, rows: usize, directions: usize) -> Phase {
    let [x, y, z] = shape.grid(&stage.tiling, stage.tiling.height_for(rows), rows, directions);
    let matrix = 4 * shape.reduction * shape.columns * 4 * network.words_of_element();
    Phase {
        dispatches: 1.0,
        workgroups: f64::from(x) * f64::from(y) * f64::from(z),
        operations: shape.operations(rows) as f64 * directions as f64,
        bytes: matrix as f64 * f64::from(y) * f64::from(z),
        barriers: 0.0,
        turns: 0.0,
    }
}
