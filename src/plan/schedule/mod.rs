//! The schedules: one file each. It has the schedule's kernels, what it can compute, the buffers that it needs, and its
//! dispatches with what each of them computes, from which costs are counted.

mod diagonal;
mod fused;
mod scan;
mod single;
mod step;

use std::fmt;
use std::sync::Arc;

use crate::batch::Packing;
use crate::config::LstmConfig;
use crate::error::Error;
use crate::plan::buffers::BufferOptions;
use crate::plan::call::Span;
use crate::plan::dispatcher::Dispatcher;
use crate::plan::network::Network;
use crate::program::{DeviceLimits, Element, Turn, Turns};
use crate::tuning::Schedule;

/// A schedule with its kernels for a network.
pub(crate) trait NetworkSchedule: fmt::Debug + Send + Sync {
    fn schedule(&self) -> Schedule;
    /// Whether it can compute a batch.
    fn admits(&self, network: &Network, packing: &Packing) -> bool;
    fn buffers(&self) -> BufferOptions;
    /// Dispatches a span of the call.
    fn dispatch(&self, dispatcher: &mut Dispatcher<'_>, span: &Span);
}

/// Adds a schedule's kernels to a network, if the schedule can compute any batch with it.
type Plan = fn(&mut Network) -> Result<Option<Arc<dyn NetworkSchedule>>, Error>;

/// Every schedule, in the order of [`Schedule::ALL`].
const PLANS: [Plan; 4] = [step::plan, scan::plan, single::plan, diagonal::plan];

/// A network with the schedules that can compute it.
#[derive(Clone, Debug)]
pub(crate) struct Planner {
    pub network: Network,
    schedules: Vec<Arc<dyn NetworkSchedule>>,
}

/// A schedule that can compute a batch: [`Planner::admit`] alone makes it.
#[derive(Clone, Debug)]
pub(crate) struct Admitted(Arc<dyn NetworkSchedule>);

impl Planner {
    pub fn new(config: &LstmConfig, limits: &DeviceLimits, element: Element) -> Result<Self, Error> {
        let mut network = Network::new(config, limits, element)?;
        let mut schedules = Vec::with_capacity(PLANS.len());
        for plan in PLANS {
            schedules.extend(plan(&mut network)?);
        }
        Ok(Self { network, schedules })
    }

    /// The schedule, if it can compute this batch.
    pub fn admit(&self, packing: &Packing, schedule: Schedule) -> Option<Admitted> {
        let planned = self.schedules.iter().find(|planned| planned.schedule() == schedule)?;
        planned.admits(&self.network, packing).then(|| Admitted(Arc::clone(planned)))
    }

    /// Every schedule that can compute this batch, in the order of [`Schedule::ALL`].
    pub fn admitted(&self, packing: &Packing) -> impl Iterator<Item = Admitted> {
        let admits = |schedule: &&Arc<dyn NetworkSchedule>| schedule.admits(&self.network, packing);
        self.schedules.iter().filter(admits).cloned().map(Admitted)
    }

    /// The schedule; if it can't compute this batch, [`Schedule::Step`], which can compute every one.
    pub fn admit_or_step(&self, packing: &Packing, schedule: Schedule) -> Admitted {
        let step = || self.admit(packing, Schedule::Step);
        self.admit(packing, schedule).or_else(step).expect("step computes every network and batch")
    }
}

impl Admitted {
    pub fn schedule(&self) -> Schedule {
        self.0.schedule()
    }

    pub fn buffers(&self) -> BufferOptions {
        self.0.buffers()
    }

    /// Which buffers hold h before the first step, if that of the lowest layer is at `start`.
    pub fn turns(&self, network: &Network, start: Turn) -> Turns {
        let BufferOptions { layers_in_group, hidden_in_place, .. } = self.buffers();
        let in_turns = layers_in_group.min(network.config.num_layers());
        Turns { start, layers_in_group: if hidden_in_place { 1 } else { in_turns } }
    }

    /// Dispatches a span of the call.
    pub fn dispatch(&self, dispatcher: &mut Dispatcher<'_>, span: &Span) {
        self.0.dispatch(dispatcher, span);
    }
}
