//! What the shaders assume of their buffers' layouts, by constants and uniforms, against the layouts.

use proptest::prelude::*;

use super::{admitted, cases};
use crate::kernels::{Block, Slot, TimeStep};
use crate::layout::Layouts;
use crate::plan::{Network, Request, schedule};
use crate::program::{BufferRef, Dispatch, Program, Submission, VEC4};

/// A dispatch with what it refers to.
struct Bound<'a> {
    network: &'a Network,
    program: &'a Program,
    submission: &'a Submission,
    dispatch: &'a Dispatch,
}

impl Bound<'_> {
    fn constant(&self, name: &str) -> usize {
        let constants = &self.network.pipelines[self.dispatch.pipeline].constants;
        let found = constants.iter().find(|(constant, _)| *constant == name);
        found.unwrap_or_else(|| panic!("no {name}")).1 as usize
    }

    /// The length of a row of the sum, in f32.
    fn reduction(&self) -> usize {
        VEC4 * self.constant("REDUCTION")
    }

    fn uniform<U: bytemuck::Pod>(&self) -> U {
        self.submission.pass.uniform(self.dispatch)
    }

    fn buffer(&self, name: &str) -> BufferRef {
        let kernel = self.network.pipelines[self.dispatch.pipeline].kernel;
        self.program.bind_sets[self.dispatch.bind_set].buffer(kernel, name)
    }

    /// f32 of the program's buffer that it binds.
    fn program_len(&self, name: &str) -> usize {
        match self.buffer(name) {
            BufferRef::Program(index) => self.program.buffers[index].len,
            BufferRef::Resident(_) => panic!("{name} is a weight"),
        }
    }

    fn binds_every_matrix(&self) -> bool {
        let all = self.network.stacked.map(|stacked| BufferRef::Resident(stacked.matrices));
        Some(self.buffer("weights")) == all
    }

    /// Words of the weight that it binds.
    fn weight_words(&self) -> usize {
        match self.buffer("weights") {
            BufferRef::Resident(part) => part.len,
            BufferRef::Program(_) => panic!("weights are the network's"),
        }
    }

    /// Elements of four numbers of the weight that it binds.
    fn weight_elements(&self) -> usize {
        self.weight_words() / self.network.element.words()
    }

    /// A row of the input, in f32.
    fn input(&self) -> usize {
        let BufferRef::Program(x) = self.buffer("x") else { panic!("x is no weight") };
        let first = self.program.buffers[x].name == "input";
        self.network.layouts.input(usize::from(!first)).stride()
    }

    fn check(&self, layouts: &Layouts, batch: usize) {
        let name = self.network.pipelines[self.dispatch.pipeline].kernel.name;
        let (hidden, cell) = (layouts.hidden(batch), layouts.cell(batch));
        let output = layouts.output();
        let directions = self.network.config.num_directions();
        let columns = self.constant("COLUMNS");
        if name != "hidden_projection" {
            assert_eq!(columns, cell.stride, "c and the gates have a column for each unit");
        }
        // These bind every layer's matrices where they are in one buffer.
        let binds_all = name == "fused_step" || (name == "hidden_projection" && self.binds_every_matrix());
        if !binds_all {
            assert_eq!(self.weight_elements(), directions * self.reduction() * columns, "{name}");
        }
        let next = if self.network.config.proj_size() > 0 { layouts.unprojected(batch) } else { hidden };
        match name {
            "input_projection" => {
                assert_eq!(self.reduction(), self.input());
                // Directions that share a dispatch have halves of the gates.
                let rows = self.program_len("gates_x") / layouts.gates(1).len(directions);
                let gates_rows = self.uniform::<Block>().gates_rows as usize;
                assert_eq!(gates_rows, if self.dispatch.grid[2] > 1 || directions == 1 { rows } else { 0 });
            }
            "recurrent_step" | "fused_step" => {
                assert_eq!(self.reduction(), hidden.stride, "h");
                assert_eq!(self.constant("STRIDE"), next.stride, "h_next");
                assert!(self.network.config.proj_size() > 0 || next.stride * directions == output.stride());
            }
            "recurrent_scan" | "persistent_scan" | "streaming_scan" | "private_scan" => {
                assert_eq!(self.reduction(), hidden.stride, "h");
                assert_eq!(self.reduction() * directions, output.stride(), "output");
            }
            "hidden_projection" => {
                assert_eq!(self.reduction(), layouts.unprojected(batch).stride, "unprojected");
                assert_eq!(VEC4 * columns, hidden.stride, "h_next");
                assert_eq!(VEC4 * columns * directions, output.stride(), "output");
            }
            other => panic!("what does {other} assume?"),
        }
        if name == "fused_step" {
            let step: TimeStep = self.uniform();
            step.slots[..self.dispatch.grid[2] as usize]
                .iter()
                .for_each(|slot| self.check_slot(layouts, slot));
        }
    }

    /// Where a slot's matrices begin: each lies within its part of the weights, as long as the products are.
    fn check_slot(&self, layouts: &Layouts, slot: &Slot) {
        let (columns, words) = (self.constant("COLUMNS"), self.network.element.words());
        let found = self.network.weights.iter().enumerate().flat_map(|(layer, parts)| {
            let directions = 0..self.network.config.num_directions();
            directions.map(move |direction| (layer, parts, direction))
        });
        let mut same = found.filter(|(layer, parts, direction)| {
            slot.w_ih as usize == parts.w_ih.start / words + layouts.w_ih(*layer).first(*direction)
        });
        let (layer, parts, direction) = same.next().expect("a layer's w_ih begins there");
        let x = VEC4 * slot.x_length as usize;
        assert_eq!(x, layouts.input(layer).stride());
        let of_x = x * columns * words;
        assert!((slot.w_ih as usize) * words + of_x <= parts.w_ih.start + parts.w_ih.len);
        let first_hh = parts.w_hh.start + direction * self.reduction() * columns * words;
        assert_eq!(slot.w_hh as usize * words, first_hh);
        assert_eq!(slot.bias as usize * VEC4, parts.bias.start + direction * columns * VEC4);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

    #[test]
    fn shaders_assume_the_layouts_of_their_buffers(case in cases()) {
        let Some((planner, packing, admitted)) = admitted(&case) else { return Ok(()) };
        let network = &planner.network;
        let program = schedule(network, Request::call(&packing, case.budget), admitted, u64::MAX).unwrap();
        for submission in &program.submissions {
            for dispatch in &submission.pass.dispatches {
                let bound = Bound { network, program: &program, submission, dispatch };
                bound.check(&network.layouts, packing.batch());
            }
        }
    }
}
