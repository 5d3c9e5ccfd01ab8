//! Which schedule computes a call: by the model, or by timing those that can.

use serde_json::{Value, json};

use super::measured::{Shape, from_json};
use super::transfer::Call;
use super::{Engine, GpuEngine, Lstm};
use crate::check::check_input;
use crate::error::Error;
use crate::gpu::Wait;
use crate::plan::{Admitted, Packing, admit, admit_or_step, costs};
use crate::tuning::{Cost, MOST_MEASURED, Schedule, Tuning};

/// Runs of each schedule that are timed, after one that is not; the fastest counts.
#[cfg(not(target_family = "wasm"))]
const RUNS: usize = 3;

impl Lstm {
    /// The schedule of a part of the batch; of what has yet to be measured, the model's.
    pub(super) fn chosen(&self, engine: &GpuEngine, packing: &Packing, tuning: Tuning) -> Admitted {
        let network = &engine.network;
        let wanted = match tuning {
            Tuning::Model => None,
            Tuning::Measure => known(engine, packing),
            Tuning::Fixed(wanted) => Some(wanted),
        };
        let cheapest = || costs(network, packing).first().map(|cost| cost.schedule);
        admit_or_step(network, packing, wanted.or_else(cheapest).unwrap_or(Schedule::Step))
    }

    /// The fastest schedule for a part of the batch, timed unless it is known of a shape like it.
    #[cfg(not(target_family = "wasm"))]
    pub(super) async fn measure(
        &self,
        engine: &GpuEngine,
        packing: &Packing,
        call: &mut Call<'_>,
        wait: Wait,
    ) -> Result<Schedule, Error> {
        if let Some(known) = known(engine, packing) {
            return Ok(known);
        }
        let mut fastest = (std::time::Duration::MAX, Schedule::Step);
        for schedule in Schedule::ALL {
            if admit(&engine.network, packing, schedule).is_none() {
                continue;
            }
            for run in 0..=RUNS {
                let start = std::time::Instant::now();
                self.run_part(engine, packing, Tuning::Fixed(schedule), call, wait).await?;
                if run > 0 {
                    fastest = fastest.min((start.elapsed(), schedule));
                }
            }
        }
        engine.measured.set(Shape::of(packing), fastest.1);
        Ok(fastest.1)
    }

    /// A browser's clock is not std's.
    #[cfg(target_family = "wasm")]
    pub(super) async fn measure(
        &self,
        _: &GpuEngine,
        _: &Packing,
        _: &mut Call<'_>,
        _: Wait,
    ) -> Result<Schedule, Error> {
        Err(Error::Unsupported { what: "Tuning::Measure in a browser", reason: "use Tuning::Model" })
    }

    /// What each schedule that can compute it costs a call of [`forward`](Self::forward) with T = `steps` and
    /// B = `batch`, by the model that [`Tuning::Model`] chooses by: the first is the cheapest. A call is taken
    /// to be one block of time and one part of the batch. On the CPU there are no schedules.
    ///
    /// # Errors
    ///
    /// [`Error::NoTimeSteps`], [`Error::SizeOverflow`].
    pub fn costs(&self, steps: usize, batch: usize) -> Result<Vec<Cost>, Error> {
        check_input(&self.config, (steps, batch, self.config.input_size()), None)?;
        let Engine::Gpu(engine) = &self.engine else { return Ok(Vec::new()) };
        if batch == 0 {
            return Ok(Vec::new());
        }
        let packing = Packing::new((0..batch).map(|b| (b, steps)).collect());
        Ok(costs(&engine.network, &packing))
    }

    /// The schedules that [`Tuning::Measure`] has chosen so far, as JSON, to be loaded by
    /// [`load_tuning`](Self::load_tuning) the next time: for each shape that was measured the time steps,
    /// sequences and the sum of their lengths, the oldest first. On the CPU there are none.
    pub fn tuning_record(&self) -> String {
        let choices: Vec<Value> = match &self.engine {
            Engine::Cpu(_) => Vec::new(),
            Engine::Gpu(engine) => engine.measured.to_json(),
        };
        json!({ "made_for": self.made_for(), "choices": choices }).to_string()
    }

    /// Takes over what [`tuning_record`](Self::tuning_record) gave, so that [`Tuning::Measure`] need not time
    /// these shapes again, nor those that are alike. Of a record with more shapes than are kept, 1,024, the last
    /// count.
    ///
    /// # Errors
    ///
    /// [`Error::TuningRecord`] for text that is no such record, or one of another network, adapter or driver;
    /// then nothing is taken over.
    pub fn load_tuning(&self, record: &str) -> Result<(), Error> {
        let wrong = |reason: String| Error::TuningRecord { reason };
        let record: Value = serde_json::from_str(record).map_err(|error| wrong(error.to_string()))?;
        let made_for = record["made_for"].as_str().unwrap_or("nothing");
        if made_for != self.made_for() {
            return Err(wrong(format!("it was made for {made_for}, and this is {}", self.made_for())));
        }
        let choices = record["choices"].as_array().ok_or_else(|| wrong("it has no choices".to_owned()))?;
        let choices: Option<Vec<_>> = choices.iter().map(from_json).collect();
        let choices = choices
            .ok_or_else(|| wrong("a choice lacks a size, or a schedule of this version".to_owned()))?;
        if let Engine::Gpu(engine) = &self.engine {
            let too_old = choices.len().saturating_sub(MOST_MEASURED);
            let kept = choices.into_iter().skip(too_old);
            kept.for_each(|(shape, schedule)| engine.measured.set(shape, schedule));
        }
        Ok(())
    }

    /// What a choice is good for.
    fn made_for(&self) -> String {
        let device = match &self.engine {
            Engine::Cpu(_) => "CPU".to_owned(),
            Engine::Gpu(engine) => {
                let info = engine.gpu.info();
                let half = if engine.network.tiling.variant.half_weights { ", f16" } else { "" };
                format!("{} ({:?}, {} {}){half}", info.name, info.backend, info.driver, info.driver_info)
            }
        };
        format!("{:?} on {device}", self.config)
    }
}

/// The schedule that was measured for a part of the batch, or for one like it, if it can compute this one.
fn known(engine: &GpuEngine, packing: &Packing) -> Option<Schedule> {
    engine.measured.get(Shape::of(packing), |schedule| admit(&engine.network, packing, schedule).is_some())
}
