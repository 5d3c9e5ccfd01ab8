//! A program is walked f32 by f32, as the kernels would go through it.

mod kernels;

use crate::batch::Packing;
use crate::plan::Network;
use crate::program::{Access, BufferRef, Contents, Dispatch, Pass, Program, padded};

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
    program: &'a Program,
    memory: Vec<Vec<Cell>>,
    /// That of the submission that is walked.
    pass: &'a Pass,
}

impl<'a> Walk<'a> {
    pub fn new(network: &'a Network, packing: &'a Packing, program: &'a Program) -> Self {
        let config = &network.config;
        let memory = program
            .buffers
            .iter()
            .map(|buffer| {
                let (row, width) = match buffer.name.as_str() {
                    "h" | "output" | "between layers" => (padded(config.output_size()), config.output_size()),
                    "o ∘ tanh(c)" => (padded(config.hidden_size()), config.hidden_size()),
                    _ => (1, 1),
                };
                let cell = |i| if i % row < width { Cell::Empty } else { Cell::Padding };
                (0..buffer.len).map(cell).collect()
            })
            .collect();
        Self { network, packing, program, memory, pass: &program.submissions[0].pass }
    }

    fn read(&mut self, buffer: usize, start: usize, len: usize) {
        let name = &self.program.buffers[buffer].name;
        for cell in &mut self.memory[buffer][start..start + len] {
            assert_ne!(*cell, Cell::Empty, "{name} is read before it is written");
            if *cell != Cell::Padding {
                *cell = Cell::Used;
            }
        }
    }

    fn write(&mut self, buffer: usize, start: usize, len: usize, written: Cell) {
        let name = &self.program.buffers[buffer].name;
        for cell in &mut self.memory[buffer][start..start + len] {
            assert_ne!(*cell, Cell::Computed, "{name} is overwritten before it is read");
            // Both turns of h are uploaded where some sequence starts at the second.
            assert!(*cell != Cell::Uploaded || name == "h", "{name} is uploaded in vain");
            if *cell != Cell::Padding {
                *cell = written;
            }
        }
    }

    pub fn run(mut self) -> usize {
        let mut dispatches = 0;
        for submission in &self.program.submissions {
            let pass = &submission.pass;
            self.pass = pass;
            assert!(self.pass.uniforms.len() as u64 <= self.network.limits.max_buffer);
            assert!(submission.upload_bytes() <= self.network.limits.max_buffer);
            assert!(submission.download_bytes() <= self.network.limits.max_buffer);
            for upload in &submission.uploads {
                self.write(upload.buffer, 0, upload.len, Cell::Uploaded);
            }
            for dispatch in &pass.dispatches {
                self.check(dispatch);
                self.dispatch(dispatch);
                dispatches += 1;
            }
            for download in &submission.downloads {
                match download.contents {
                    // Of a buffer of h only the rows of sequences that ended there matter.
                    Contents::Hidden { .. } => self.memory[download.buffer].fill(Cell::Used),
                    _ => self.read(download.buffer, 0, download.len),
                }
            }
        }
        for (buffer, cells) in self.program.buffers.iter().zip(&self.memory) {
            assert!(!cells.contains(&Cell::Computed), "{} is computed in vain", buffer.name);
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
        assert_eq!(dispatch.uniform % limits.uniform_alignment, 0);
        let of_kernel = match spec.kernel.bindings[0].access {
            Access::Uniform(bytes) => bytes as usize,
            other => panic!("binding 0 is {other:?}"),
        };
        assert!(dispatch.uniform as usize + of_kernel <= self.pass.uniforms.len());
    }
}
