//! A program is walked f32 by f32, as the kernels would go through it.

mod kernels;

use std::collections::HashMap;
use std::ops::Range;

use crate::plan::{Admitted, Keeper, Network, Request};
use crate::program::{
    Access, BufferRef, Contents, Dispatch, Owner, Pass, Program, State, StateCopy, Turn, Turns, padded,
};

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
    request: Request<'a>,
    program: &'a Program,
    /// Which buffers hold h before the first step.
    turns: Turns,
    in_place: bool,
    memory: Vec<Vec<Cell>>,
    /// The buffer where each f32 of h was last written, of those that take turns.
    newest: HashMap<usize, usize>,
    /// That of the submission that is walked.
    pass: &'a Pass,
}

impl<'a> Walk<'a> {
    pub fn new(
        network: &'a Network,
        request: Request<'a>,
        program: &'a Program,
        admitted: &Admitted,
    ) -> Self {
        let config = &network.config;
        let memory = program
            .buffers
            .iter()
            .map(|buffer| {
                let (row, width) = match buffer.name.as_str() {
                    "h" | "stored h" | "output" | "between layers" => {
                        (padded(config.output_size()), config.output_size())
                    }
                    "o ∘ tanh(c)" => (padded(config.hidden_size()), config.hidden_size()),
                    _ => (1, 1),
                };
                let cell = |i| if i % row < width { Cell::Empty } else { Cell::Padding };
                (0..buffer.len).map(cell).collect()
            })
            .collect();
        let (turns, in_place) =
            (admitted.turns(network, request.start()), admitted.buffers().hidden_in_place);
        let mut walk = Self {
            network,
            request,
            program,
            turns,
            in_place,
            memory,
            newest: HashMap::new(),
            pass: &program.submissions[0].pass,
        };
        walk.begin();
        walk
    }

    /// What is on the device before the program runs.
    fn begin(&mut self) {
        let keeper = self.request.keeper;
        for (index, buffer) in self.program.buffers.iter().enumerate() {
            let is_there = match (keeper, buffer.owner) {
                (Keeper::Caller, _) | (_, Owner::Scratch | Owner::Network) => false,
                (Keeper::Pass, Owner::Caller) => buffer.name == "input",
                (Keeper::Pass, Owner::State(state)) => state != State::Hidden(Turn::Second),
                (Keeper::Pool { .. }, Owner::Caller) => false,
                (Keeper::Pool { exchanges, .. }, Owner::State(state)) => match state {
                    State::StoredHidden | State::StoredCell => exchanges,
                    State::Cell => !exchanges,
                    State::Hidden(_) => false, // by layer, below
                },
            };
            if is_there {
                self.memory[index].iter_mut().filter(|c| **c == Cell::Empty).for_each(|c| *c = Cell::Used);
            }
        }
        if let Keeper::Pool { exchanges: false, .. } = keeper {
            for layer in 0..self.network.config.num_layers() {
                let (buffer, cells) = self.hidden_of(layer, 0);
                self.memory[buffer][cells].iter_mut().for_each(|c| {
                    if *c == Cell::Empty {
                        *c = Cell::Used;
                    }
                });
            }
        }
    }

    /// Where h of a layer's batch is after so many steps.
    fn hidden_of(&self, layer: usize, steps: usize) -> (usize, Range<usize>) {
        let turn = self.turns.of(layer, steps);
        let is_it = |owner: Owner| owner == Owner::State(State::Hidden(turn));
        let buffer = self.program.buffers.iter().position(|buffer| is_it(buffer.owner)).unwrap();
        let layout = self.network.layouts.hidden(self.request.places());
        let start = layout.row(layer, 0) * layout.stride;
        (buffer, start..start + self.request.packing.batch() * layout.stride)
    }

    /// The states are where the next recording, or the next tick, reads them.
    fn end(&self) {
        let steps = self.request.packing.steps();
        let newest = |buffer, mut cells: Range<usize>| cells.all(|i| self.newest.get(&i) == Some(&buffer));
        match self.request.keeper {
            Keeper::Caller => {}
            Keeper::Pass => {
                let first = Owner::State(State::Hidden(Turn::First));
                let h = self.program.buffers.iter().position(|buffer| buffer.owner == first).unwrap();
                assert!(newest(h, 0..self.memory[h].len()), "h_n of every layer is in the first buffer");
            }
            Keeper::Pool { .. } if self.request.packing.has_equal_lengths() => {
                for layer in 0..self.network.config.num_layers() {
                    let (buffer, cells) = self.hidden_of(layer, if self.in_place { 0 } else { steps });
                    assert!(newest(buffer, cells), "layer {layer}");
                }
            }
            Keeper::Pool { .. } => {}
        }
    }

    fn copy(&mut self, copy: StateCopy) {
        self.read(copy.from, copy.start, copy.len);
        self.write(copy.to, copy.start, copy.len, Cell::Computed);
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
        if let Owner::State(State::Hidden(_)) = self.program.buffers[buffer].owner {
            self.newest.extend((start..start + len).map(|i| (i, buffer)));
        }
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
            pass.copies_before.iter().for_each(|&copy| self.copy(copy));
            for dispatch in &pass.dispatches {
                self.check(dispatch);
                self.dispatch(dispatch);
                dispatches += 1;
            }
            pass.copies_after.iter().for_each(|&copy| self.copy(copy));
            for download in &submission.downloads {
                match download.contents {
                    // Of a buffer of h only the rows of sequences that ended there matter.
                    Contents::Hidden { .. } => self.memory[download.buffer].fill(Cell::Used),
                    _ => self.read(download.buffer, 0, download.len),
                }
            }
        }
        self.end();
        for (buffer, cells) in self.program.buffers.iter().zip(&self.memory) {
            let stays = match self.request.keeper {
                Keeper::Caller => false,
                Keeper::Pass | Keeper::Pool { .. } => matches!(buffer.owner, Owner::State(_)),
            };
            let is_read_by_caller = self.request.keeper == Keeper::Pass && buffer.owner == Owner::Caller;
            assert!(
                stays || is_read_by_caller || !cells.contains(&Cell::Computed),
                "{} is computed in vain",
                buffer.name
            );
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
