//! `shaders/common/scan.wgsl`: the uniform and the bindings of the kernels that compute many time steps in one
//! dispatch.

use bytemuck::{Pod, Zeroable};

use crate::program::{Binding, BufferRef, KernelTypes, Named};

/// Time steps of a dispatch at most: with the head they make 4 KiB of uniforms, a quarter of what every device binds.
pub(crate) const SCAN_STEPS: usize = 127;

/// The uniform `scan`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub(crate) struct Scan {
    /// B.
    pub batch: u32,
    /// Direction of the workgroups with z = 0.
    pub direction: u32,
    /// Time steps of the dispatch.
    pub count: u32,
    /// Sequences of a workgroup.
    pub rows: u32,
    /// Slabs of eight `vec4f` in a row of h.
    pub slabs: u32,
    /// Row of sequence 0 in the states, in direction 0.
    pub state: u32,
    /// Sequences that the states have place for, in a direction.
    pub places: u32,
    pub unused: u32,
    /// Of each time step, in each direction.
    pub steps: [[Moment; 2]; SCAN_STEPS],
}

/// A time step of a [`Scan`] in one direction.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub(crate) struct Moment {
    /// Sequences that have this time step.
    pub running: u32,
    /// Row of sequence 0 in `gates_x`.
    pub gates_row: u32,
    /// Row of sequence 0 in `output`, of rows·D.
    pub output_row: u32,
    pub unused: u32,
}

impl Scan {
    /// As lines of text: the head, then the first and the last step in each of the dispatch's directions.
    pub(super) fn describe(&self, directions: usize) -> Vec<String> {
        let Self { batch, direction, count, rows, slabs, state, places, .. } = self;
        let head = format!(
            "batch: {batch}, direction: {direction}, count: {count}, rows: {rows}, slabs: {slabs}, state: {state}, \
             places: {places}"
        );
        let mut lines = vec![head];
        let first = *direction as usize;
        for d in (first..first + directions).filter(|&d| d < 2) {
            let mut steps = vec![0, (*count as usize).saturating_sub(1)];
            steps.dedup();
            lines.extend(steps.iter().map(|&k| format!("step {k}, direction {d}: {:?}", self.steps[k][d])));
        }
        lines
    }
}

/// The bindings of the kernels.
pub(super) const BINDINGS: [Binding; 6] = [
    Binding::uniform::<Scan>("scan"),
    Binding::read("weights"),
    Binding::read_write("h"),
    Binding::read("gates_x"),
    Binding::read_write("c"),
    Binding::read_write("output"),
];

pub(crate) struct ScanBuffers {
    pub weights: BufferRef,
    pub h: BufferRef,
    pub gates_x: BufferRef,
    pub c: BufferRef,
    pub output: BufferRef,
}

impl Named for ScanBuffers {
    fn named(&self, put: &mut dyn FnMut(&'static str, BufferRef)) {
        put("weights", self.weights);
        put("h", self.h);
        put("gates_x", self.gates_x);
        put("c", self.c);
        put("output", self.output);
    }
}

/// Any of the scans, for one layer's sizes: see [`Carrying`](super::Carrying).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScanKernel;

impl KernelTypes for ScanKernel {
    type Uniform = Scan;
    type Buffers = ScanBuffers;
}
