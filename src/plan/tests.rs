//! The plan's invariants, with no device: a program is walked f32 by f32, as the kernels would.

use proptest::prelude::*;

use super::cost::{Machine, cost_on, phases};
use super::{HostData, Network, Packing, admits, most_sequences, schedule};
use crate::config::LstmConfig;
use crate::error::Error;
use crate::kernels::tests::limits;
use crate::kernels::{Block, Scan, Slot, Step};
use crate::spec::{Access, BufferRef, DeviceLimits, Dispatch, Program, SubgroupSizes, VEC4, padded};
use crate::tuning::Schedule;

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
struct Walk<'a> {
    network: &'a Network,
    packing: &'a Packing,
    program: &'a Program<HostData>,
    memory: Vec<Vec<Cell>>,
    /// Uniforms of the submission that is walked.
    params: &'a [u8],
}

impl<'a> Walk<'a> {
    fn new(network: &'a Network, packing: &'a Packing, program: &'a Program<HostData>) -> Self {
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

    fn run(mut self) -> usize {
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
            assert_eq!(scan.blocks as usize, constant("BLOCKS").unwrap());
            scan.rows as usize
        });
        assert_eq!(dispatch.grid[1] as usize, rows.div_ceil(height));
    }

    /// What the kernel reads and writes.
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
                    |d: usize| steps.iter().map(move |step| step.running[d]).max().unwrap() as usize;
                self.covers(dispatch, directions.clone().map(running).max().unwrap());
                for d in directions {
                    let (rows, state) = (running(d), d * scan.batch as usize);
                    self.read(buffer(2), state * output, rows * output);
                    self.read(buffer(4), state * hidden, rows * hidden);
                    for step in steps {
                        let rows = step.running[d] as usize;
                        self.read(buffer(3), 4 * step.gates_row[d] as usize * hidden, 4 * rows * hidden);
                        self.write_output(
                            buffer(5),
                            step.output_row[d] as usize * config.num_directions() + d,
                            rows,
                        );
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

#[derive(Clone, Debug)]
struct Case {
    config: LstmConfig,
    lengths: Vec<usize>,
    limits: DeviceLimits,
    budget: u64,
    schedule: Schedule,
    half_weights: bool,
}

fn cases() -> impl Strategy<Value = Case> {
    let config = (1..7usize, 1..10usize, 1..4usize, any::<bool>(), 0..9usize).prop_map(
        |(input, hidden, layers, bidirectional, projection)| {
            LstmConfig::new(input, hidden)
                .with_num_layers(layers)
                .with_bidirectional(bidirectional)
                .with_proj_size(projection % hidden)
        },
    );
    let ragged = prop::collection::vec(1..9usize, 1..20);
    let uniform = (1..20usize, 1..12usize).prop_map(|(batch, steps)| vec![steps; batch]);
    let subgroups = prop_oneof![Just(None), Just(Some(SubgroupSizes { min: 8, max: 8 }))];
    let device = (any::<bool>(), subgroups).prop_map(|(software, sizes)| limits(software, sizes));
    // From a budget that only takes a few rows to one that takes everything.
    let way = (prop::sample::select(&Schedule::ALL[..]), any::<bool>());
    (config, prop_oneof![ragged, uniform], device, 10..22u32, way).prop_map(
        |(config, lengths, limits, budget, (schedule, half_weights))| Case {
            config,
            lengths,
            limits,
            budget: 1 << budget,
            schedule,
            half_weights,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_program_reads_what_was_written_and_wastes_nothing(case in cases()) {
        let network = Network::new(&case.config, &case.limits, case.half_weights).unwrap();
        let most = match most_sequences(&network, case.budget) {
            Ok(most) => most,
            Err(Error::LimitExceeded { limit_name: "memory_budget", needed, .. }) => {
                prop_assert!(needed > case.budget);
                return Ok(());
            }
            Err(other) => panic!("{other}"),
        };
        let sequences: Vec<_> = case.lengths.iter().copied().enumerate().collect();
        for part in sequences.chunks(most) {
            let packing = Packing::new(part.to_vec());
            if !admits(&network, &packing, case.schedule) {
                prop_assert!(
                    (case.schedule == Schedule::Scan && case.config.proj_size() > 0)
                        || (case.schedule == Schedule::Diagonal && case.config.bidirectional())
                );
                return Ok(());
            }
            let program = schedule(&network, &packing, case.budget, case.schedule).unwrap();
            let dispatches = Walk::new(&network, &packing, &program).run();
            if !case.config.bidirectional() {
                let labels = ["input", "gates_x", "output of even groups", "output of odd groups"];
                let block = program.buffers.iter().filter(|b| labels.contains(&b.label.as_str()));
                prop_assert!(block.map(|b| b.bytes()).sum::<u64>() <= case.budget);
            }
            if case.schedule != Schedule::Step {
                continue;
            }

            let input_projections = dispatches_of(&network, &program, "input_projection");
            let steps = packing.steps() * (1 + usize::from(case.config.proj_size() > 0));
            let layers = case.config.num_layers();
            let passes = dispatches_per_layer(&case.config, &network, &program);
            let blocks = input_projections / (layers * passes);
            prop_assert_eq!(dispatches, layers * passes * (blocks + steps), "L·D'·(N + T·(1 + p))");
        }
    }

    // The cost model's formulas, against a count over the programs of calls in one block.
    #[test]
    fn a_schedule_costs_what_its_formulas_say(case in cases()) {
        let network = Network::new(&case.config, &case.limits, case.half_weights).unwrap();
        let packing = Packing::new(case.lengths.iter().copied().enumerate().collect());
        if !admits(&network, &packing, case.schedule) {
            return Ok(());
        }
        let program = schedule(&network, &packing, 1 << 30, case.schedule).unwrap();
        let dispatches: Vec<_> = program.submissions.iter().flat_map(|s| &s.dispatches).collect();
        let told = phases(&network, &packing, case.schedule);
        let sum = |of: fn(&super::cost::Phase) -> f64| told.iter().map(of).sum::<f64>();
        prop_assert_eq!(sum(|phase| phase.dispatches), dispatches.len() as f64);
        let uniform = packing.is_uniform();
        if uniform {
            // On a ragged diagonal layers have different rows, and in two directions the grid has the
            // rows of the direction that has more, of which a formula knows nothing.
            let operations: u64 = dispatches.iter().map(|dispatch| dispatch.operations).sum();
            prop_assert_eq!(sum(|phase| phase.operations), operations as f64);
            let bytes: usize = dispatches.iter().map(|dispatch| weight_bytes(&network, &program, dispatch)).sum();
            prop_assert_eq!(sum(|phase| phase.bytes), bytes as f64);
        }
    }
}

/// Bytes of weights that a dispatch's workgroups read, each row of them a whole matrix.
fn weight_bytes(network: &Network, program: &Program<HostData>, dispatch: &Dispatch) -> usize {
    let constant = |name: &str| {
        let constants = &network.pipelines[dispatch.pipeline].constants;
        constants.iter().find(|(n, _)| *n == name).unwrap().1 as usize
    };
    let matrix = |reduction: usize| 4 * reduction * constant("COLUMNS") * 4 * network.words_of_element();
    let params = &program.submissions[0].params[dispatch.params as usize..];
    let fixed = matrix(constant("REDUCTION")) * dispatch.grid[2] as usize;
    let each = match network.pipelines[dispatch.pipeline].kernel.name {
        "fused_step" => {
            let step: Step = bytemuck::pod_read_unaligned(&params[..size_of::<Step>()]);
            fixed
                + step.slots[..dispatch.grid[2] as usize]
                    .iter()
                    .map(|s| matrix(s.x_length as usize))
                    .sum::<usize>()
        }
        "persistent_scan" => fixed, // once
        "recurrent_scan" => {
            let scan: Scan = bytemuck::pod_read_unaligned(&params[..size_of::<Scan>()]);
            fixed * scan.count as usize
        }
        _ => fixed,
    };
    each * dispatch.grid[1] as usize
}

fn dispatches_of(network: &Network, program: &Program<HostData>, name: &str) -> usize {
    let all = program.submissions.iter().flat_map(|submission| &submission.dispatches);
    all.filter(|dispatch| network.pipelines[dispatch.pipeline].kernel.name == name).count()
}

/// 2 where the directions run apart, else 1.
fn dispatches_per_layer(config: &LstmConfig, network: &Network, program: &Program<HostData>) -> usize {
    let mut all = program.submissions.iter().flat_map(|submission| &submission.dispatches);
    let step = |dispatch: &&Dispatch| network.pipelines[dispatch.pipeline].kernel.name == "recurrent_step";
    let together = all.find(step).is_some_and(|dispatch| dispatch.grid[2] == 2);
    if config.bidirectional() && !together { 2 } else { 1 }
}

fn plan(config: &LstmConfig, batch: usize, steps: usize, budget: u64) -> (Network, Program<HostData>) {
    let network = Network::new(config, &limits(false, None), false).unwrap();
    let packing = Packing::new((0..batch).map(|b| (b, steps)).collect());
    let program = schedule(&network, &packing, budget, Schedule::Step).unwrap();
    (network, program)
}

#[test]
fn a_call_of_ordinary_size_is_one_submission_of_the_documented_dispatches() {
    for (directions, projection, expected) in [(false, 0, 3 * 101), (true, 0, 3 * 101), (true, 7, 3 * 201)] {
        let config = LstmConfig::new(40, 64)
            .with_num_layers(3)
            .with_bidirectional(directions)
            .with_proj_size(projection);
        let (_, program) = plan(&config, 8, 100, 256 << 20);
        assert_eq!(program.submissions.len(), 1);
        assert_eq!(program.submissions[0].dispatches.len(), expected, "L·(1 + T·(1 + p))");
    }
}

#[test]
fn layers_and_directions_share_uniforms() {
    let config = LstmConfig::new(8, 8).with_num_layers(4).with_bidirectional(true);
    let (network, program) = plan(&config, 2, 50, 256 << 20);
    let alignment = network.limits.uniform_alignment as usize;
    assert_eq!(program.params_bytes(), (1 + 50) * alignment, "one for the block, one a step");
}

#[test]
fn a_long_call_stays_within_the_default_limits_and_below_the_watchdog() {
    let wide = LstmConfig::new(256, 256);
    let huge = LstmConfig::new(2896, 2896); // as large as these limits let a weight be
    for (config, batch, steps) in [
        (&wide, 64, 4_000),
        (&wide.clone().with_bidirectional(true).with_num_layers(2), 64, 4_000),
        (&huge, 64, 500),
        (&huge, 250, 3),
        (&LstmConfig::new(1, 1), 1, 40_000),
        (&LstmConfig::new(1, 1).with_bidirectional(true), 1, 40_000),
    ] {
        let (network, program) = plan(config, batch, steps, 256 << 20);
        assert!(program.buffers.iter().all(|buffer| buffer.bytes() <= network.limits.max_binding));
        assert!(program.submissions.len() > 1);
        for submission in &program.submissions {
            let operations: u64 = submission.dispatches.iter().map(|dispatch| dispatch.operations).sum();
            assert!(operations <= 20_000_000_000, "{operations}");
            assert!(submission.dispatches.len() <= 32_768);
        }
    }
}

#[test]
fn the_work_of_a_ragged_batch_grows_with_the_sum_of_its_lengths() {
    let network =
        Network::new(&LstmConfig::new(8, 8).with_bidirectional(true), &limits(false, None), false).unwrap();
    let operations = |lengths: &[usize]| -> u64 {
        let packing = Packing::new(lengths.iter().copied().enumerate().collect());
        let program = schedule(&network, &packing, 256 << 20, Schedule::Step).unwrap();
        program.submissions.iter().flat_map(|s| &s.dispatches).map(|d| d.operations).sum()
    };
    // One long sequence among many short ones: as if the short ones did not fill its steps.
    let mut lengths = vec![1; 100];
    lengths[50] = 1000;
    let padded = operations(&vec![1000; 100]);
    assert!(operations(&lengths) * 50 < padded);
}

#[test]
fn weights_and_batches_beyond_the_limits_are_refused_by_name() {
    let tiny = DeviceLimits { max_binding: 1 << 10, ..limits(false, None) };
    let error = Network::new(&LstmConfig::new(100, 100), &tiny, false).unwrap_err();
    assert!(
        matches!(&error, Error::LimitExceeded { what, needed: 160_000, limit: 1024, .. } if what == "weight_ih_l0"),
        "{error}"
    );
    let huge = LstmConfig::new(usize::MAX / 8, usize::MAX / 8);
    let error = Network::new(&huge, &limits(false, None), false).unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { .. } | Error::SizeOverflow { .. }), "{error}");
}

/// Classes of GPU by their datasheets, half of the peak rate, and 64 bytes a clock and unit of second-level
/// cache; what a dispatch costs is assumed.
fn classes() -> [(&'static str, Machine); 3] {
    let class = |dispatch, units, peak: f64, clock: f64| Machine {
        dispatch,
        barrier: 0.5e-6,
        units,
        operations: peak / units / 2.0,
        bytes: 64.0 * clock,
        overlaps: true,
    };
    [
        ("Intel Iris Xe, 6 × 16 EU, 2.0 TFLOP/s", class(8e-6, 6.0, 2.0e12, 1.3e9)),
        ("GeForce RTX 3060, 28 SM, 12.7 TFLOP/s", class(4e-6, 28.0, 12.7e12, 1.78e9)),
        ("GeForce RTX 4090, 128 SM, 82.6 TFLOP/s", class(4e-6, 128.0, 82.6e12, 2.52e9)),
    ]
}

/// The table of `docs/performance.md`.
fn predictions() -> String {
    let classes = classes();
    let mut table =
        format!("| workload | {} |\n|---|---|---|---|\n", classes.map(|(name, _)| name).join(" | "));
    for (name, config, batch, steps) in [
        ("L1 H64 B1 T100", LstmConfig::new(64, 64), 1, 100),
        ("keyword: L1 H128 B1 T100", LstmConfig::new(128, 128), 1, 100),
        ("L1 H256 B1 T100", LstmConfig::new(256, 256), 1, 100),
        (
            "ocr: L2 bidirectional H256 B1 T100",
            LstmConfig::new(256, 256).with_num_layers(2).with_bidirectional(true),
            1,
            100,
        ),
        ("speaker: L3 I40 H256 B8 T160", LstmConfig::new(40, 256).with_num_layers(3), 8, 160),
        ("batch: L1 H256 B64 T100", LstmConfig::new(256, 256), 64, 100),
        ("crowd: L2 H256 B256 T16", LstmConfig::new(256, 256).with_num_layers(2), 256, 16),
        ("stream: L1 H128 B1 T1", LstmConfig::new(128, 128), 1, 1),
    ] {
        let sizes = SubgroupSizes { min: 32, max: 32 };
        let network = Network::new(&config, &limits(false, Some(sizes)), false).unwrap();
        let packing = Packing::new((0..batch).map(|b| (b, steps)).collect());
        table += &format!("| {name} |");
        for (_, machine) in classes {
            let admitted = Schedule::ALL.into_iter().filter(|&s| admits(&network, &packing, s));
            let costs: Vec<_> = admitted.map(|s| cost_on(&machine, &network, &packing, s)).collect();
            let best = costs.iter().min_by(|a, b| a.seconds.total_cmp(&b.seconds)).unwrap();
            let step = costs.iter().find(|cost| cost.schedule == Schedule::Step).unwrap();
            table += &format!(" {} {:.3} ({:.3}) |", best.schedule, best.seconds * 1e3, step.seconds * 1e3);
        }
        table += "\n";
    }
    table
}

#[test]
fn the_documented_predictions_are_the_models() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md");
    let text = std::fs::read_to_string(path).unwrap();
    let table = predictions();
    assert!(text.contains(&table), "docs/performance.md should have, between its marks:\n{table}");
}
