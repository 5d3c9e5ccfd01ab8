//! The schedules: one file each. It has what the schedule can compute, the buffers that it needs, and its dispatches with
//! what each of them computes, from which costs are counted.

mod diagonal;
mod fused;
mod scan;
mod single;
mod step;

use std::fmt;
use std::sync::Arc;

use crate::batch::Packing;
use crate::plan::buffers::BufferOptions;
use crate::plan::call::Span;
use crate::plan::dispatcher::Dispatcher;
use crate::plan::network::Network;
use crate::tuning::Schedule;

use self::diagonal::DiagonalSchedule;
use self::scan::ScanSchedule;
use self::single::SingleSchedule;
use self::step::StepSchedule;

/// A schedule that can compute a network on a batch; it has all that its dispatches need.
pub(crate) trait AdmittedSchedule: fmt::Debug + Send + Sync {
    fn schedule(&self) -> Schedule;
    fn buffers(&self) -> BufferOptions;
    /// Dispatches a span of the call.
    fn dispatch(&self, dispatcher: &mut Dispatcher<'_>, span: &Span);
}

pub(crate) type Admitted = Arc<dyn AdmittedSchedule>;

/// The schedule, if it can compute the network on this batch.
pub(crate) fn admit(network: &Network, packing: &Packing, schedule: Schedule) -> Option<Admitted> {
    match schedule {
        Schedule::Step => shared(Some(StepSchedule)),
        Schedule::Scan => shared(ScanSchedule::admit(network, packing)),
        Schedule::Single => shared(SingleSchedule::admit(network, packing)),
        Schedule::Diagonal => shared(DiagonalSchedule::admit(network, packing)),
    }
}

fn shared(admitted: Option<impl AdmittedSchedule + 'static>) -> Option<Admitted> {
    admitted.map(|admitted| Arc::new(admitted) as Admitted)
}

/// The schedule, or [`Schedule::Step`], which computes every network, where it can't.
pub(crate) fn admit_or_step(network: &Network, packing: &Packing, schedule: Schedule) -> Admitted {
    admit(network, packing, schedule).unwrap_or_else(|| Arc::new(StepSchedule))
}
