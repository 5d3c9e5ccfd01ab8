//! The programs of a pool's ticks, and the buffers that they share.

use super::company::Company;
use super::sorted::Sorted;
use super::{GpuEngine, Options};
use crate::error::Error;
use crate::gpu::{Given, Prepared, StateBuffers};
use crate::plan::{Admitted, Keeper, Request, schedule};
use crate::program::{BindSet, Program, Turn, Turns};

/// Programs that are kept: each serves one list of lengths. They share their buffers, and their lists together take no
/// more than the memory budget.
const MOST_PROGRAMS: usize = 16;

#[derive(Default)]
pub(super) struct Ticks {
    /// The least recently used first.
    programs: Vec<Planned>,
    workspaces: Vec<Workspace>,
}

/// What a tick does, for one list of lengths.
struct Planned {
    /// Falling.
    lengths: Vec<usize>,
    start: Turn,
    exchanges: bool,
    admitted: Admitted,
    program: Program,
}

/// The buffers of the programs of one schedule: their lists of buffers are the same.
struct Workspace {
    admitted: Admitted,
    /// None while a tick runs, and after one that did not end.
    prepared: Option<Prepared>,
    /// Of the bind groups of all programs, in the order in which they were made.
    bind_sets: Vec<BindSet>,
}

impl Ticks {
    /// Finds or makes the program of a tick: it is the last one then.
    pub fn plan(
        &mut self,
        engine: &GpuEngine,
        options: Options,
        company: &Company,
        sorted: &Sorted,
    ) -> Result<(), Error> {
        let known = self.programs.iter().find(|known| known.lengths.iter().copied().eq(sorted.lengths()));
        let admitted = match known {
            Some(known) => known.admitted.clone(),
            None => engine.chosen(&sorted.packing, options),
        };
        let turns = admitted.turns(&engine.planner.network, Turn::First);
        let capacity = company.capacity();
        if let Some(start) = company.goes_on(sorted, turns.layers_in_group) {
            self.find_or_make(
                engine,
                options,
                sorted,
                &admitted,
                Form { capacity, start, exchanges: false },
            )?;
            if self.program().needs.submissions == 1 {
                return Ok(());
            }
            // Between the submissions of a long tick the slots have the states before it.
        }
        let form = Form { capacity, start: Turn::First, exchanges: true };
        self.find_or_make(engine, options, sorted, &admitted, form)
    }

    fn find_or_make(
        &mut self,
        engine: &GpuEngine,
        options: Options,
        sorted: &Sorted,
        admitted: &Admitted,
        Form { capacity, start, exchanges }: Form,
    ) -> Result<(), Error> {
        let is_it = |known: &Planned| {
            known.start == start
                && known.exchanges == exchanges
                && known.lengths.iter().copied().eq(sorted.lengths())
        };
        if let Some(known) = self.programs.iter().position(is_it) {
            self.programs[known..].rotate_left(1);
            return Ok(());
        }
        engine.check_lists(options, &sorted.packing)?;
        let workspace = self.workspace(admitted);
        let bind_sets = &self.workspaces[workspace].bind_sets;
        let keeper = Keeper::Pool { places: capacity, start, exchanges };
        let request = Request { packing: &sorted.packing, budget: options.memory_budget, keeper, bind_sets };
        let keep = options.memory_budget / MOST_PROGRAMS as u64;
        let program = schedule(&engine.planner.network, request, admitted.clone(), keep)?;
        self.workspaces[workspace].bind_sets.clone_from(&program.bind_sets);
        if self.programs.len() == MOST_PROGRAMS {
            self.programs.remove(0);
        }
        let lengths = sorted.lengths().collect();
        self.programs.push(Planned { lengths, start, exchanges, admitted: admitted.clone(), program });
        Ok(())
    }

    /// The index of a schedule's workspace, which is added if it is new.
    fn workspace(&mut self, admitted: &Admitted) -> usize {
        let same = |known: &Workspace| known.admitted.schedule() == admitted.schedule();
        self.workspaces.iter().position(same).unwrap_or_else(|| {
            let admitted = admitted.clone();
            self.workspaces.push(Workspace { admitted, prepared: None, bind_sets: Vec::new() });
            self.workspaces.len() - 1
        })
    }

    /// The program that was planned last.
    pub fn program(&self) -> &Program {
        &self.planned().program
    }

    fn planned(&self) -> &Planned {
        self.programs.last().expect("a tick is planned before it runs")
    }

    pub fn admitted(&self) -> &Admitted {
        &self.planned().admitted
    }

    /// Where h is before the first step.
    pub fn turns(&self, engine: &GpuEngine) -> Turns {
        let Planned { admitted, start, .. } = self.planned();
        admitted.turns(&engine.planner.network, *start)
    }

    /// What the program was planned for.
    pub fn request<'a>(&'a self, sorted: &'a Sorted, options: Options, capacity: usize) -> Request<'a> {
        let Planned { start, exchanges, program, .. } = self.planned();
        let keeper = Keeper::Pool { places: capacity, start: *start, exchanges: *exchanges };
        Request {
            packing: &sorted.packing,
            budget: options.memory_budget,
            keeper,
            bind_sets: &program.bind_sets,
        }
    }

    /// The buffers and bind groups for the program, which are taken out until they are [put back](Self::put_back).
    pub async fn prepare(&mut self, engine: &GpuEngine, states: &StateBuffers) -> Result<Prepared, Error> {
        let given = Given { resident: &engine.weights, states: Some(states) };
        let workspace = self.workspace(&self.admitted().clone());
        let prepared = self.workspaces[workspace].prepared.take();
        let program = self.program();
        match engine.gpu.prepare_in(prepared, program, &engine.pipelines, given).await {
            Err(Error::OutOfMemory { .. }) => {
                // Free the buffers of other shapes, and try again.
                engine.cache.clear();
                self.workspaces.iter_mut().for_each(|workspace| workspace.prepared = None);
                engine.gpu.poll();
                engine.gpu.prepare_in(None, self.program(), &engine.pipelines, given).await
            }
            result => result,
        }
    }

    pub fn put_back(&mut self, prepared: Prepared) {
        let workspace = self.workspace(&self.admitted().clone());
        self.workspaces[workspace].prepared = Some(prepared);
    }
}

/// Of a program, besides the lengths.
#[derive(Clone, Copy)]
struct Form {
    capacity: usize,
    start: Turn,
    exchanges: bool,
}
