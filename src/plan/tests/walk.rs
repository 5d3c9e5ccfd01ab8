//! A program is walked f32 by f32, as the kernels would go through it.

use crate::batch::Packing;
use crate::kernels::{Block, Scan, Slot, Step};
use crate::plan::{HostData, Network};
use crate::program::{Access, BufferRef, Dispatch, Program, VEC4, padded};

/// What is known of one f32 on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    /// Nothing wrote it.
    Empty,
    /// Padding at the end of a row: zero from the start.
    Padding,
    /// Uploaded, and not read yet.
    Uploaded,
    /// Computed, and not read yet.
    Computed,
    /// Written and read.
    Used,
}

/// Walks a program and panics where an invariant breaks.
pub(super) struct Walk<'a> {
    network: &'a Network,
    packing: &'a Packing,
    program: &'a Program<HostData>,
    memory: Vec<Vec<Cell>>,
    /// Uniforms of the submission that is walked.
    params: &'a [u8],
}

impl<'a> Walk<'a> {
    pub fn new(network: &'a Network, packing: &'a Packing, program: &'a Program<HostData>) -> Self {
        let config = &network.config;
        let memory = program
            .buffers
            .iter()
            .map(|buffer| {
                let (row, width) = match buffer.label.as_str() {
                    "h" => (padded(config.output_size()), config.output_size()),
                    label if label.starts_with("output") => {
                        (padded(config.output_size()), config.output_size())
                    }
                    "o ∘ tanh(c)" => (padded(config.hidden_size()), config.hidden_size()),
                    _ => (1, 1),
                };
                let cell = |i| if i % row < width { Cell::Empty } else { Cell::Padding };
                (0..buffer.len).map(cell).collect()
            })
            .collect();
        Self { network, packing, program, memory, params: &[] }
    }

    fn read(&mut self, buffer: usize, start: usize, len: usize) {
        let label = &self.program.buffers[buffer].label;
        for cell in &mut self.memory[buffer][start..start + len] {
            assert_ne!(*cell, Cell::Empty, "{label} is read before it is written");
            if *cell != Cell::Padding {
                *cell = Cell::Used;
            }
        }
    }

    fn write(&mut self, buffer: usize, start: usize, len: usize, written: Cell) {
        let label = &self.program.buffers[buffer].label;
        for cell in &mut self.memory[buffer][start..start + len] {
            assert_ne!(*cell, Cell::Computed, "{label} is overwritten before it is read");
            // Both turns of h are uploaded where some sequence starts at the second.
            assert!(*cell != Cell::Uploaded || label == "h", "{label} is uploaded in vain");
            if *cell != Cell::Padding {
                *cell = written;
            }
        }
    }

    pub fn run(mut self) -> usize {
        let mut dispatches = 0;
        for submission in &self.program.submissions {
            self.params = &submission.params;
            assert!(self.params.len() as u64 <= self.network.limits.max_buffer);
            assert!(submission.upload_bytes() <= self.network.limits.max_buffer);
            assert!(submission.download_bytes() <= self.network.limits.max_buffer);
            for upload in &submission.uploads {
                self.write(upload.buffer, 0, upload.len, Cell::Uploaded);
            }
            for dispatch in &submission.dispatches {
                self.check(dispatch);
                self.dispatch(dispatch);
                dispatches += 1;
            }
            for download in &submission.downloads {
                match download.tag {
                    // Of a buffer of h only the rows of sequences that ended there matter.
                    HostData::Hidden { .. } => self.memory[download.buffer].fill(Cell::Used),
                    _ => self.read(download.buffer, 0, download.len),
                }
            }
        }
        for (buffer, cells) in self.program.buffers.iter().zip(&self.memory) {
            assert!(!cells.contains(&Cell::Computed), "{} is computed in vain", buffer.label);
        }
        dispatches
    }

    /// Everything about a dispatch that needs no memory.
    fn check(&self, dispatch: &Dispatch) {
        let (program, limits) = (self.program, &self.network.limits);
        let spec = &self.network.pipelines[dispatch.pipeline];
        let set = &program.bind_sets[dispatch.bind_set];
        assert_eq!(spec.kernel.name, self.network.pipelines[set.pipeline].kernel.name);
        let storage = &spec.kernel.bindings[1..];
        assert_eq!(set.buffers.len(), storage.len());
        for (k, (&buffer, binding)) in set.buffers.iter().zip(storage).enumerate() {
            let bytes = match buffer {
                BufferRef::Resident(part) => {
                    assert!(part.start + part.len <= self.network.resident[part.buffer].len);
                    assert_eq!(4 * part.start % limits.storage_alignment as usize, 0);
                    4 * part.len as u64
                }
                BufferRef::Program(index) => program.buffers[index].bytes(),
            };
            assert!(bytes <= limits.max_binding && bytes <= limits.max_buffer);
            if binding.access == Access::ReadWrite {
                let twice = set.buffers.iter().enumerate().any(|(other, &b)| other != k && b == buffer);
                assert!(!twice, "{} shares its buffer", binding.name);
            }
        }
        assert!(dispatch.grid.iter().all(|&n| n >= 1 && n <= limits.max_workgroups));
        assert_eq!(dispatch.params % limits.uniform_alignment, 0);
        let of_kernel = match spec.kernel.bindings[0].access {
            Access::Uniform(bytes) => bytes as usize,
            other => panic!("binding 0 is {other:?}"),
        };
        assert!(dispatch.params as usize + of_kernel <= self.params.len());
    }

    fn params<P: bytemuck::Pod>(&self, dispatch: &Dispatch) -> P {
        let bytes = &self.params[dispatch.params as usize..][..size_of::<P>()];
        bytemuck::pod_read_unaligned(bytes)
    }

    /// The rows that a grid covers: enough, and no row of workgroups for nothing.
    fn covers(&self, dispatch: &Dispatch, rows: usize) {
        let pipeline = &self.network.pipelines[dispatch.pipeline];
        let constant = |name| pipeline.constants.iter().find(|(n, _)| *n == name).map(|(_, c)| *c as usize);
        let height = constant("ROWS").unwrap_or_else(|| {
            let scan: Scan = self.params(dispatch);
            assert!(scan.rows as usize * constant("REDUCTION").unwrap() <= constant("H_TILE").unwrap());
            assert_eq!(scan.slabs as usize, constant("SLABS").unwrap());
            scan.rows as usize
        });
        assert_eq!(dispatch.grid[1] as usize, rows.div_ceil(height));
    }

    /// What the kernel reads and writes.
    #[allow(clippy::too_many_lines, reason = "one arm a kernel")]
    fn dispatch(&mut self, dispatch: &Dispatch) {
        let config = self.network.config.clone();
        let (hidden, output) = (config.hidden_size(), padded(config.output_size()));
        let set = self.program.bind_sets[dispatch.bind_set].clone();
        let buffer = |binding: usize| match set.buffers[binding - 1] {
            BufferRef::Program(index) => index,
            BufferRef::Resident(_) => panic!("a weight is written"),
        };
        let all = dispatch.grid[2] as usize;
        match self.network.pipelines[dispatch.pipeline].kernel.name {
            "input_projection" => {
                let block: Block = self.params(dispatch);
                let (first_row, rows) =
                    (block.first_row as usize, block.rows as usize - block.first_row as usize);
                self.covers(dispatch, rows);
                let from_below = self.program.buffers[buffer(2)].label.starts_with("output");
                let input = if from_below { self.network.output_row() } else { self.network.input_row(0) };
                self.read(buffer(2), first_row * input, rows * input);
                for d in block.direction as usize..block.direction as usize + all {
                    let first = d * block.gates_rows as usize + first_row;
                    self.write(buffer(4), 4 * first * hidden, 4 * rows * hidden, Cell::Computed);
                }
            }
            "recurrent_step" | "fused_step" => {
                let step: Step = self.params(dispatch);
                let slots = &step.slots[..all];
                self.covers(dispatch, slots.iter().map(|slot| slot.running).max().unwrap() as usize);
                // Everything is read before anything is written: slots run side by side.
                for slot in slots {
                    let (rows, state) = (slot.running as usize, slot.state as usize);
                    self.read(buffer(2), state * output, rows * output);
                    self.read(buffer(4), state * hidden, rows * hidden);
                    if self.network.pipelines[dispatch.pipeline].kernel.name == "recurrent_step" {
                        self.read(buffer(3), 4 * slot.gates_row as usize * hidden, 4 * rows * hidden);
                    } else {
                        let length = VEC4 * slot.x_length as usize;
                        let x = buffer(if slot.x_source == Slot::FROM_STATE { 2 } else { 7 });
                        self.read(x, slot.x_row as usize * length, rows * length);
                    }
                }
                for slot in slots {
                    let (rows, state) = (slot.running as usize, slot.state as usize);
                    self.write(buffer(4), state * hidden, rows * hidden, Cell::Computed);
                    if config.proj_size() > 0 {
                        let hidden = padded(hidden);
                        self.write(buffer(5), state * hidden, rows * hidden, Cell::Computed);
                    } else {
                        self.write_h(buffer(5), buffer(6), slot);
                    }
                }
            }
            "recurrent_scan" | "persistent_scan" => {
                let scan: Scan = self.params(dispatch);
                assert_eq!(scan.batch as usize, self.packing.batch());
                let directions = scan.direction as usize..scan.direction as usize + all;
                let steps = &scan.steps[..scan.count as usize];
                let running =
                    |d: usize| steps.iter().map(move |step| step[d].running).max().unwrap() as usize;
                self.covers(dispatch, directions.clone().map(running).max().unwrap());
                for d in directions {
                    let (rows, state) = (running(d), d * scan.batch as usize);
                    self.read(buffer(2), state * output, rows * output);
                    self.read(buffer(4), state * hidden, rows * hidden);
                    for step in steps {
                        let rows = step[d].running as usize;
                        self.read(buffer(3), 4 * step[d].gates_row as usize * hidden, 4 * rows * hidden);
                        self.write_output(buffer(5), step[d].output_row as usize, rows);
                    }
                    self.write(buffer(2), state * output, rows * output, Cell::Computed);
                    self.write(buffer(4), state * hidden, rows * hidden, Cell::Computed);
                }
            }
            "hidden_projection" => {
                let step: Step = self.params(dispatch);
                for slot in &step.slots[..all] {
                    let (rows, hidden) = (slot.running as usize, padded(hidden));
                    self.read(buffer(2), slot.state as usize * hidden, rows * hidden);
                }
                for slot in &step.slots[..all] {
                    self.write_h(buffer(3), buffer(4), slot);
                }
            }
            other => panic!("what does {other} do?"),
        }
    }

    fn write_h(&mut self, h: usize, output: usize, slot: &Slot) {
        let width = padded(self.network.config.output_size());
        let rows = slot.running as usize;
        self.write(h, slot.state as usize * width, rows * width, Cell::Computed);
        if slot.output_row != Slot::NO_OUTPUT {
            self.write_output(output, slot.output_row as usize, rows);
        }
    }

    fn write_output(&mut self, output: usize, first: usize, rows: usize) {
        let width = padded(self.network.config.output_size());
        for row in 0..rows {
            let row = first + row * self.network.config.num_directions();
            self.write(output, row * width, width, Cell::Computed);
        }
    }
}
