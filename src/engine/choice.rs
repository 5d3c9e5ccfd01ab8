//! Which schedule computes a call: by the model, or by timing those that can.

use std::time::Duration;

use super::measured::Shape;
use super::transfer::Arrays;
use super::{GpuEngine, Options};
use crate::batch::Packing;
use crate::call::Sequences;
use crate::error::Error;
use crate::gpu::Waiting;
use crate::plan::{Admitted, costs, most_sequences};
use crate::platform;
use crate::program::Element;
use crate::tuning::{Cost, MOST_MEASURED, Schedule, Tuning};

/// Runs of each schedule that are timed, after one that is not; the fastest counts.
const RUNS: usize = 3;

impl GpuEngine {
    /// The schedule for a part of the batch. Before a shape is measured, the model chooses.
    pub(super) fn chosen(&self, packing: &Packing, options: Options) -> Admitted {
        let wanted = match options.tuning {
            Tuning::Model => None,
            Tuning::Measure => self.known(packing),
            Tuning::Fixed(wanted) => Some(wanted),
        };
        // Where the call can't be planned at all, planning it with any schedule says why.
        let costs = || costs(&self.planner, packing, options.memory_budget).unwrap_or_default();
        let cheapest = || costs().first().map(|cost| cost.schedule);
        self.planner.admit_or_step(packing, wanted.or_else(cheapest).unwrap_or(Schedule::Step))
    }

    /// The fastest schedule for a part of the batch: that of a similar shape if one was measured, else by timing
    /// each.
    pub(super) async fn measure(
        &self,
        options: Options,
        packing: &Packing,
        arrays: &mut Arrays<'_>,
        wait: &Waiting,
    ) -> Result<Schedule, Error> {
        let now = platform::clock();
        if let Some(known) = self.known(packing) {
            return Ok(known);
        }
        let mut fastest = (Duration::MAX, Schedule::Step);
        for schedule in self.planner.admitted(packing).map(|admitted| admitted.schedule()) {
            let options = Options { tuning: Tuning::Fixed(schedule), ..options };
            for run in 0..=RUNS {
                let start = now();
                self.run_part(options, packing, arrays, wait).await?;
                if run > 0 {
                    fastest = fastest.min((now() - start, schedule));
                }
            }
        }
        self.measured.set(Shape::of(packing), fastest.1);
        Ok(fastest.1)
    }

    /// The cost of a call under each schedule that can compute it, the cheapest first.
    pub fn costs(&self, options: Options, sequences: Sequences<'_>) -> Result<Vec<Cost>, Error> {
        let (steps, batch) = (sequences.steps(), sequences.batch());
        if batch == 0 {
            return Ok(Vec::new());
        }
        self.check_host(options, steps, batch)?;
        let most = most_sequences(&self.planner.network, options.memory_budget)?;
        // All parts but the last have as many sequences.
        let parts = [(batch / most, most), (1, batch % most)];
        let mut total = Vec::new();
        for (count, batch) in parts.into_iter().filter(|&(count, batch)| count > 0 && batch > 0) {
            let packing = Packing::equal(steps, batch);
            let of_part = costs(&self.planner, &packing, options.memory_budget)?;
            total = added(&total, &of_part, count as u64);
        }
        Ok(total)
    }

    /// The choices that were measured or loaded, the oldest first.
    pub fn measured(&self) -> Vec<(Shape, Schedule)> {
        self.measured.choices()
    }

    /// Adds choices of an earlier process.
    pub fn take_over(&self, choices: Vec<(Shape, Schedule)>) {
        let too_old = choices.len().saturating_sub(MOST_MEASURED);
        let kept = choices.into_iter().skip(too_old);
        kept.for_each(|(shape, schedule)| self.measured.set(shape, schedule));
    }

    /// The device for which a measurement is valid.
    pub fn made_for(&self) -> String {
        let info = self.gpu.info();
        let half = if self.planner.network.element == Element::F16 { ", f16" } else { "" };
        format!("{} ({:?}, {} {}){half}", info.name, info.backend, info.driver, info.driver_info)
    }

    /// The schedule that was measured for a part of the batch, or for a similar one, if it can compute this one.
    fn known(&self, packing: &Packing) -> Option<Schedule> {
        self.measured.get(Shape::of(packing), |schedule| self.planner.admit(packing, schedule).is_some())
    }
}

/// Adds `count` times the others to `costs`, for the schedules that both have, the cheapest first.
fn added(costs: &[Cost], others: &[Cost], count: u64) -> Vec<Cost> {
    let of = |costs: &[Cost], schedule| costs.iter().find(|cost| cost.schedule == schedule).copied();
    let sum = |schedule| {
        let other = of(others, schedule)?;
        let Cost { dispatches, operations, weight_bytes, seconds, .. } = match costs {
            [] => Cost { dispatches: 0, operations: 0, weight_bytes: 0, seconds: 0.0, ..other },
            costs => of(costs, schedule)?,
        };
        Some(Cost {
            schedule,
            dispatches: dispatches.saturating_add(count.saturating_mul(other.dispatches)),
            operations: operations.saturating_add(count.saturating_mul(other.operations)),
            weight_bytes: weight_bytes.saturating_add(count.saturating_mul(other.weight_bytes)),
            seconds: seconds + count as f64 * other.seconds,
        })
    };
    let mut sums: Vec<Cost> = Schedule::ALL.into_iter().filter_map(sum).collect();
    sums.sort_by(|a, b| a.seconds.total_cmp(&b.seconds)); // stable
    sums
}
