//! `scan`: as `step`, with many time steps in one dispatch. A workgroup carries some sequences through them, and keeps
//! the weights in registers where they fit.

use super::AdmittedSchedule;
use crate::batch::Packing;
use crate::kernels::{Moment, RecurrentScan, SCAN_STEPS, Scan};
use crate::plan::buffers::Layout;
use crate::plan::limits::SUBMISSION;
use crate::plan::network::{Network, Stage};
use crate::plan::passes::{Part, Passes};
use crate::plan::phase::{self, Phase, product};
use crate::program::BufferRef;
use crate::tuning::Schedule;

#[derive(Debug)]
pub(super) struct ScanSchedule {
    /// The kernel of each layer.
    stages: Vec<Stage>,
}

impl ScanSchedule {
    /// Where a workgroup has an invocation for every hidden unit, there is no projection, and a dispatch takes the
    /// whole batch.
    pub fn admit(network: &Network, packing: &Packing) -> Option<Self> {
        let most_workgroups = network.limits.max_workgroups as usize;
        // The tiles may be lower than the network's.
        let carries = |stage: &Stage| packing.batch().div_ceil(stage.tiling.tallest()) <= most_workgroups;
        let stages = network.layers.iter().map(|layer| layer.scan.clone().filter(carries));
        stages.collect::<Option<_>>().map(|stages| Self { stages })
    }
}

impl AdmittedSchedule for ScanSchedule {
    fn schedule(&self) -> Schedule {
        Schedule::Scan
    }

    fn layout(&self) -> Layout {
        Layout { layers_in_group: 1, hidden_in_place: true, gates: true }
    }

    fn dispatch(&self, passes: &mut Passes<'_>, part: &Part) {
        passes.input_projection(part);
        let stage = &self.stages[part.group];
        let times: Vec<_> = passes.times(part).collect();
        let most = steps_of_scan(stage, passes.packing.batch(), part.directions.len());
        times.chunks(most).for_each(|times| recurrent_scan(passes, part, stage, times));
    }

    fn phases(&self, network: &Network, packing: &Packing) -> Vec<Phase> {
        let directions = network.config.num_directions();
        let mut phases = phase::input_projections(network, packing);
        let mut scans = Phase::default();
        for stage in &self.stages {
            scans = scans.and(scans_of_layer(network, packing, stage, directions));
        }
        phases.push(scans);
        phases
    }
}

fn scans_of_layer(network: &Network, packing: &Packing, stage: &Stage, directions: usize) -> Phase {
    let persistent = stage.tiling.persistent_rows().is_some();
    let mut scans = Phase::default();
    for (t, alike) in phase::stretches(packing, directions) {
        let running = phase::rows_at(packing, t, directions);
        let step = product(network, stage, stage.shape, running, directions).times(alike);
        scans.operations += step.operations;
        // What persists is read once a dispatch.
        scans.bytes += if persistent { 0.0 } else { step.bytes };
    }
    // A dispatch has the rows of its fullest step.
    let each = product(network, stage, stage.shape, packing.batch(), directions);
    let most = steps_of_scan(stage, packing.batch(), directions);
    scans.dispatches = packing.steps().div_ceil(most) as f64;
    scans.workgroups = each.workgroups * scans.dispatches;
    if persistent {
        scans.bytes = each.bytes * scans.dispatches;
        let in_turn = stage.tiling.rows_of_workgroup(0, packing.batch(), directions);
        scans.turns = (packing.steps() * in_turn) as f64;
    } else {
        scans.barriers = packing.steps() as f64;
    }
    scans
}

/// Some time steps of a layer in one dispatch.
fn recurrent_scan(passes: &mut Passes<'_>, part: &Part, stage: &Stage, times: &[[usize; 2]]) {
    let (packing, directions) = (passes.packing, part.directions.len());
    let group = &passes.buffers.groups[part.group];
    let buffers = vec![
        BufferRef::Resident(passes.network.layers[part.group].w_hh),
        group.hidden.read_and_write(0)[0],
        passes.buffers.gates(),
        BufferRef::Program(group.cell),
        passes.output_of(part),
    ];
    let running =
        |times: &[usize; 2]| part.directions.clone().map(|d| packing.running(times[d])).max().unwrap_or(0);
    let fullest = times.iter().map(running).max().unwrap_or(0);
    let height = stage.tiling.height_for(fullest);
    let mut scan = Scan {
        batch: packing.batch() as u32,
        direction: part.directions.start as u32,
        count: times.len() as u32,
        rows: stage.tiling.rows_of_workgroup(height, fullest, directions) as u32,
        slabs: RecurrentScan::slabs(stage.shape) as u32,
        unused: [0; 3],
        steps: [[Moment::default(); 2]; SCAN_STEPS],
    };
    let row = stage.shape.operations(1);
    let mut operations = 0;
    for (step, times) in scan.steps.iter_mut().zip(times) {
        for d in part.directions.clone() {
            let running = packing.running(times[d]);
            let first = passes.row(part.block, times[d]);
            step[d] = Moment {
                running: running as u32,
                gates_row: (passes.gates_row(d) + first) as u32,
                output_row: passes.output_row(first, d),
                unused: 0,
            };
            operations += row * running as u64;
        }
    }
    passes.dispatch(stage, buffers, &scan, (fullest, directions), operations);
}

/// The most time steps of one dispatch: as many as its uniform has place for, within a submission's operations.
fn steps_of_scan(stage: &Stage, batch: usize, directions: usize) -> usize {
    let step = stage.shape.operations(1) * (batch * directions) as u64;
    usize::try_from(SUBMISSION.operations / step.max(1)).unwrap_or(usize::MAX).clamp(1, SCAN_STEPS)
}
