//! What each kernel reads and writes, by its uniform.

use super::{Cell, Walk};
use crate::kernels::{Block, Exchange, Join, Scan, Slot, TimeStep};
use crate::program::{BufferRef, Dispatch, VEC4, padded};

impl Walk<'_> {
    pub(super) fn dispatch(&mut self, dispatch: &Dispatch) {
        match self.kernel(dispatch) {
            "input_projection" => self.input_projection(dispatch),
            "recurrent_step" | "fused_step" => self.step(dispatch),
            "recurrent_scan" | "persistent_scan" | "streaming_scan" | "private_scan" => self.scan(dispatch),
            "hidden_projection" => self.hidden_projection(dispatch),
            "exchange_states" => self.exchange_states(dispatch),
            "join_directions" => self.join_directions(dispatch),
            other => panic!("what does {other} do?"),
        }
    }

    fn kernel(&self, dispatch: &Dispatch) -> &'static str {
        self.network.pipelines[dispatch.pipeline].kernel.name
    }

    /// The program's buffer that a dispatch binds under a name.
    fn buffer(&self, dispatch: &Dispatch, name: &str) -> usize {
        let kernel = self.network.pipelines[dispatch.pipeline].kernel;
        match self.program.bind_sets[dispatch.bind_set].buffer(kernel, name) {
            BufferRef::Program(index) => index,
            BufferRef::Resident(_) => panic!("{name} is a weight"),
        }
    }

    /// The grid covers `rows`, and has no row of workgroups for nothing.
    fn covers(&self, dispatch: &Dispatch, rows: usize) {
        let pipeline = &self.network.pipelines[dispatch.pipeline];
        let constant = |name| pipeline.constants.iter().find(|(n, _)| *n == name).map(|(_, c)| *c as usize);
        let height = constant("ROWS").unwrap_or_else(|| {
            let scan: Scan = self.pass.uniform(dispatch);
            let width = constant("REDUCTION").unwrap();
            match constant("SLABS") {
                Some(slabs) => {
                    assert_eq!(scan.slabs as usize, slabs);
                    assert!(scan.rows as usize * width <= constant("H_TILE").unwrap()); // in vec4f
                }
                None => assert!(scan.rows as usize <= constant("PARTS").unwrap()),
            }
            scan.rows as usize
        });
        assert_eq!(dispatch.grid[1] as usize, rows.div_ceil(height));
    }

    fn input_projection(&mut self, dispatch: &Dispatch) {
        let block: Block = self.pass.uniform(dispatch);
        let (first_row, rows) = (block.first_row as usize, block.rows as usize - block.first_row as usize);
        self.covers(dispatch, rows);
        let x = self.buffer(dispatch, "x");
        let first_layer = self.program.buffers[x].name == "input";
        let row = self.network.layouts.input(usize::from(!first_layer)).stride();
        self.read(x, first_row * row, rows * row);
        let (gates_x, hidden) = (self.buffer(dispatch, "gates_x"), self.network.config.hidden_size());
        let directions = block.direction..block.direction + dispatch.grid[2];
        for d in directions {
            let first = d as usize * block.gates_rows as usize + first_row;
            self.write(gates_x, 4 * first * hidden, 4 * rows * hidden, Cell::Computed);
        }
    }

    fn step(&mut self, dispatch: &Dispatch) {
        let step: TimeStep = self.pass.uniform(dispatch);
        let slots = &step.slots[..dispatch.grid[2] as usize];
        self.covers(dispatch, slots.iter().map(|slot| slot.running).max().unwrap() as usize);
        let config = self.network.config.clone();
        let (hidden, output) = (config.hidden_size(), padded(config.output_size()));
        let [h, c, h_next] = ["h", "c", "h_next"].map(|name| self.buffer(dispatch, name));
        // Everything is read before anything is written: slots run side by side.
        for slot in slots {
            let (rows, state) = (slot.running as usize, slot.state as usize);
            self.read(h, state * output, rows * output);
            self.read(c, state * hidden, rows * hidden);
            if self.kernel(dispatch) == "recurrent_step" {
                let gates_x = self.buffer(dispatch, "gates_x");
                self.read(gates_x, 4 * slot.gates_row as usize * hidden, 4 * rows * hidden);
            } else {
                let length = VEC4 * slot.x_length as usize;
                let x = if slot.x_source == Slot::FROM_STATE { h } else { self.buffer(dispatch, "x") };
                self.read(x, slot.x_row as usize * length, rows * length);
            }
        }
        for slot in slots {
            let (rows, state) = (slot.running as usize, slot.state as usize);
            self.write(c, state * hidden, rows * hidden, Cell::Computed);
            if config.proj_size() > 0 {
                let hidden = padded(hidden);
                self.write(h_next, state * hidden, rows * hidden, Cell::Computed);
            } else {
                self.write_h(h_next, self.buffer(dispatch, "output"), slot);
            }
        }
    }

    fn scan(&mut self, dispatch: &Dispatch) {
        let scan: Scan = self.pass.uniform(dispatch);
        assert_eq!(scan.batch as usize, self.request.packing.batch());
        let config = &self.network.config;
        let (hidden, output) = (config.hidden_size(), padded(config.output_size()));
        let directions = scan.direction as usize..(scan.direction + dispatch.grid[2]) as usize;
        let steps = &scan.steps[..scan.count as usize];
        let running = |d: usize| steps.iter().map(move |step| step[d].running).max().unwrap() as usize;
        self.covers(dispatch, directions.clone().map(running).max().unwrap());
        let [h, c, gates_x] = ["h", "c", "gates_x"].map(|name| self.buffer(dispatch, name));
        for d in directions {
            let (rows, state) = (running(d), scan.state as usize + d * scan.places as usize);
            self.read(h, state * output, rows * output);
            self.read(c, state * hidden, rows * hidden);
            for step in steps {
                let rows = step[d].running as usize;
                self.read(gates_x, 4 * step[d].gates_row as usize * hidden, 4 * rows * hidden);
                self.write_output(self.buffer(dispatch, "output"), step[d].output_row as usize, rows);
            }
            self.write(h, state * output, rows * output, Cell::Computed);
            self.write(c, state * hidden, rows * hidden, Cell::Computed);
        }
    }

    fn hidden_projection(&mut self, dispatch: &Dispatch) {
        let step: TimeStep = self.pass.uniform(dispatch);
        let slots = &step.slots[..dispatch.grid[2] as usize];
        self.covers(dispatch, slots.iter().map(|slot| slot.running).max().unwrap() as usize);
        let unprojected = self.buffer(dispatch, "unprojected");
        for slot in slots {
            let (rows, hidden) = (slot.running as usize, padded(self.network.config.hidden_size()));
            self.read(unprojected, slot.state as usize * hidden, rows * hidden);
        }
        let [h_next, output] = ["h_next", "output"].map(|name| self.buffer(dispatch, name));
        for slot in slots {
            self.write_h(h_next, output, slot);
        }
    }

    /// Nothing is at the places before; all of the batch is loaded.
    fn exchange_states(&mut self, dispatch: &Dispatch) {
        let exchange: Exchange = self.pass.uniform(dispatch);
        let layouts = &self.network.layouts;
        let (places, batch) = (exchange.places as usize, self.request.packing.batch());
        assert_eq!(places, self.request.places());
        let (hidden, cell) = (layouts.hidden(places), layouts.cell(places));
        assert_eq!([exchange.h_stride, exchange.c_stride], [hidden.stride, cell.stride].map(|s| s as u32));
        let [h_first, h_second, c] = ["h_first", "h_second", "c"].map(|name| self.buffer(dispatch, name));
        let [stored_h, stored_c] = ["stored_h", "stored_c"].map(|name| self.buffer(dispatch, name));
        if exchange.to_places == 0 {
            return;
        }
        for layer in 0..exchange.layers as usize {
            let second = (exchange.turn as usize + layer % exchange.layers_in_group as usize) % 2 == 1;
            let (h_row, c_row) = (hidden.row(layer, 0) * hidden.stride, cell.row(layer, 0) * cell.stride);
            self.read(stored_h, h_row, places * hidden.stride);
            self.read(stored_c, c_row, places * cell.stride);
            let h = if second { h_second } else { h_first };
            self.write(h, h_row, batch * hidden.stride, Cell::Computed);
            self.write(c, c_row, batch * cell.stride, Cell::Computed);
        }
    }

    fn join_directions(&mut self, dispatch: &Dispatch) {
        let join: Join = self.pass.uniform(dispatch);
        let [rows, directions, width, padded_width, stride] =
            [join.rows, join.directions, join.width, join.padded, join.stride].map(|n| n as usize);
        let config = &self.network.config;
        assert_eq!([directions, width], [config.num_directions(), config.output_size()]);
        assert_eq!([padded_width, stride], [padded(width), padded(directions * width)]);
        let [separate, joined] = ["separate", "joined"].map(|name| self.buffer(dispatch, name));
        self.read(separate, 0, rows * directions * padded_width);
        self.write(joined, 0, rows * stride, Cell::Computed);
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
