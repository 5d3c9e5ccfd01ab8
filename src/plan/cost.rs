//! What a call costs under each schedule: the dispatches of the program that would run, counted, and what a class of
//! devices takes for them. `docs/performance.md` writes the sums out.

use super::call::CallPlan;
use super::dispatcher::{Dispatcher, Planned, Sink, Steps};
use super::network::Network;
use super::request::Request;
use super::schedule::{Admitted, Planner};
use super::scheduler::compute;
use crate::batch::Packing;
use crate::error::Error;
use crate::program::{DeviceLimits, Owner};
use crate::tuning::{Cost, Schedule};

/// Counts dispatches, and adds up what they take on a machine, one after the other.
pub(super) struct Counter {
    machine: Machine,
    element_bytes: u64,
    pub total: Total,
}

/// All dispatches of a program together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Total {
    pub dispatches: u64,
    /// Calls of [`Sink::dispatch`]; a run of equal dispatches is one call.
    pub calls: u64,
    pub workgroups: u64,
    pub operations: u64,
    pub weight_bytes: u64,
    /// Time steps that follow each other within a dispatch.
    pub steps_within: u64,
    pub seconds: f64,
}

impl Sink for Counter {
    fn counts(&self) -> bool {
        true
    }

    fn dispatch(&mut self, dispatch: &Planned<'_>, alike: usize) {
        let alike = alike as u64;
        let [x, y, z] = dispatch.grid.map(u64::from);
        let [reduction, after] = dispatch.work.reductions;
        let one = Counted {
            workgroups: x * y * z,
            invocations: u64::from(dispatch.tile.workgroup_size()),
            turns: dispatch.tile.turns(reduction) + dispatch.tile.turns(after),
            operations: dispatch.work.operations,
            weight_bytes: dispatch.work.elements * self.element_bytes * y,
            steps: dispatch.work.steps,
        };
        let steps_within = match one.steps {
            Steps::One | Steps::Ahead => 0,
            Steps::Carried(steps) | Steps::Persistent(steps) => steps as u64,
        };
        let total = &mut self.total;
        let add = |sum: &mut u64, each: u64| *sum = sum.saturating_add(alike.saturating_mul(each));
        add(&mut total.dispatches, 1);
        add(&mut total.workgroups, one.workgroups);
        add(&mut total.operations, one.operations);
        add(&mut total.weight_bytes, one.weight_bytes);
        add(&mut total.steps_within, steps_within);
        total.calls += 1;
        total.seconds += alike as f64 * self.machine.seconds(&one);
    }
}

/// A dispatch, as far as its cost goes.
pub(super) struct Counted {
    workgroups: u64,
    /// Of a workgroup.
    invocations: u64,
    /// Loads of weights that an invocation waits for one after the other, in a time step.
    turns: u64,
    /// Floating-point operations.
    operations: u64,
    /// Bytes of weights that the workgroups read.
    weight_bytes: u64,
    steps: Steps,
}

/// The dispatches of the program that [`schedule`](super::schedule()) makes of these, counted.
pub(super) fn count(
    machine: &Machine,
    network: &Network,
    request: Request<'_>,
    admitted: &Admitted,
) -> Result<Total, Error> {
    let mut buffers = 0;
    let add = |_: Owner, _: &str, _: usize| {
        buffers += 1;
        buffers - 1
    };
    let plan = CallPlan::new(network, request, admitted.buffers(), add)?;
    let element_bytes = 4 * network.element.words() as u64;
    let mut counter = Counter { machine: *machine, element_bytes, total: Total::default() };
    for span in compute(&plan) {
        admitted.dispatch(&mut Dispatcher::new(&plan, &mut counter), &span);
    }
    Ok(counter.total)
}

/// The times and rates of a class of devices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Machine {
    /// Seconds from one dispatch to the next that depends on it.
    pub dispatch: f64,
    /// Seconds from one step to the next within a dispatch, besides what is computed: with weights from memory, and
    /// in registers.
    pub carried_step: f64,
    pub persistent_step: f64,
    /// Workgroups that run side by side.
    pub units: f64,
    /// Invocations that a unit holds at once: as many as its registers take.
    pub resident: f64,
    /// Seconds from a load's issue to its data, from the cache that all units share.
    pub latency: f64,
    /// Operations, and bytes of weights from the cache, a second and unit.
    pub operations: f64,
    pub bytes: f64,
    /// Share of that rate which the products within time steps reach, on their few rows.
    pub in_step: f64,
    /// Whether a unit loads while it computes.
    pub overlaps: bool,
}

impl Machine {
    /// The class of a device, with as many units as its limits say.
    pub fn of(limits: &DeviceLimits) -> Self {
        let units = f64::from(limits.units);
        match (limits.software, limits.browser) {
            (true, false) => Self::software(units),
            (true, true) => Self::software_in_a_browser(units),
            (false, _) => Self::hardware(units, f64::from(limits.dispatch_ns) * 1e-9),
        }
    }

    /// Measured on lavapipe 25.0.7, two cores of a Xeon: 30 µs a dispatch, 40 GFLOP/s in the tallest tiles,
    /// and about 100 cycles for the 128 bytes that eight lanes load. A step within a dispatch takes 3 to 5 µs besides
    /// its products with weights in private memory; with weights from memory 100 to 600, for it shares h through memory
    /// and at each barrier an invocation's values go there and back. A thread runs one workgroup at a time, and a
    /// processor waits for no load of its own caches.
    fn software(units: f64) -> Self {
        Self {
            dispatch: 30e-6,
            carried_step: 200e-6,
            persistent_step: 3e-6,
            units,
            resident: f64::INFINITY,
            latency: 0.0,
            operations: 20e9,
            bytes: 3.5e9,
            in_step: 1.0,
            overlaps: false,
        }
    }

    /// Fitted to SwiftShader in Chromium 156, two cores of an EPYC, 2026-11-26: `src/plan/tests/browser.rs` has what
    /// was measured. There are no subgroups, every index is checked, and SwiftShader computes four lanes at a time.
    fn software_in_a_browser(units: f64) -> Self {
        Self {
            dispatch: 70e-6,
            persistent_step: 12e-6,
            operations: 2.7e9,
            bytes: 0.55e9,
            ..Self::software(units)
        }
    }

    /// A GPU at 2 GHz, 64 lanes a unit at half of their rate and 32 bytes a clock from the second-level cache, by
    /// datasheets. A turn, from its loads to its sums, takes 0.4 to 0.6 µs on an H100, and a step in registers 0.7 to 1.1
    /// (`benches/record/h100.md`). So does the share of products within steps: in batches of 256 and more `step`, which computes
    /// half of its products ahead, took 0.7 to 0.9 of the time of `single`. No other maker's GPU was measured. A unit has 65,536 registers; the kernels take 64 to 128 of
    /// them (`benches/record/compilers.md`).
    fn hardware(units: f64, dispatch: f64) -> Self {
        Self {
            dispatch,
            carried_step: 0.5e-6,
            persistent_step: 0.8e-6,
            units,
            resident: 512.0,
            latency: 0.5e-6,
            operations: 128e9,
            bytes: 64e9,
            in_step: 0.7,
            overlaps: true,
        }
    }

    /// Seconds of a dispatch. Its workgroups run on as many units as there are, some side by side in each; what takes
    /// longer, its loads' latency or its throughput, bounds it.
    fn seconds(&self, counted: &Counted) -> f64 {
        let workgroups = (counted.workgroups as f64).max(1.0);
        let side_by_side = workgroups.min(self.units);
        let rate = if matches!(counted.steps, Steps::Ahead) { 1.0 } else { self.in_step };
        let compute = counted.operations as f64 / (self.operations * rate);
        let load = counted.weight_bytes as f64 / self.bytes;
        let work = if self.overlaps { compute.max(load) } else { compute + load };
        // With weights in registers only the first step waits for loads; what streaming_scan loads in each step counts as
        // bytes alone.
        let (loading, steps) = match counted.steps {
            Steps::One | Steps::Ahead => (1, 0.0),
            Steps::Carried(steps) => (steps, steps as f64 * self.carried_step),
            Steps::Persistent(steps) => (1, steps as f64 * self.persistent_step),
        };
        // Workgroups that find no place wait until others are done.
        let waves = (workgroups * counted.invocations as f64 / (self.units * self.resident)).ceil().max(1.0);
        let waiting = waves * (loading as u64 * counted.turns) as f64 * self.latency;
        self.dispatch + steps + waiting.max(work / side_by_side)
    }
}

impl Total {
    /// As the cost of a schedule.
    pub fn cost(&self, schedule: Schedule) -> Cost {
        let Self { dispatches, operations, weight_bytes, seconds, .. } = *self;
        Cost { schedule, dispatches, operations, weight_bytes, seconds }
    }
}

/// What every schedule that can compute the call costs on the network's device, the cheapest first; of equals
/// the first of [`Schedule::ALL`].
pub(crate) fn costs(planner: &Planner, packing: &Packing, budget: u64) -> Result<Vec<Cost>, Error> {
    let network = &planner.network;
    let machine = Machine::of(&network.limits);
    let cost = |admitted: Admitted| {
        Ok(count(&machine, network, Request::call(packing, budget), &admitted)?.cost(admitted.schedule()))
    };
    let mut costs = planner.admitted(packing).map(cost).collect::<Result<Vec<Cost>, Error>>()?;
    costs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds)); // stable
    Ok(costs)
}
