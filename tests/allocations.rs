//! Counts what a call allocates on the host. It has no test harness, because the harness's threads allocate too.
#![expect(unsafe_code, reason = "an allocator that counts implements GlobalAlloc")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use common::noop;
use ndarray::{Array2, Array3};
use wgpu_lstm::{Device, Lstm, LstmConfig, LstmStreamPool, LstmWeights, Schedule, Tuning, wgpu};

/// The system's allocator, which counts the allocations of all threads.
struct Counting {
    /// Allocations so far.
    count: AtomicUsize,
    /// Bytes of them.
    bytes: AtomicUsize,
    /// Bytes that are allocated now, and that were at most since the last [`measure`] began.
    live: AtomicUsize,
    peak: AtomicUsize,
}

#[global_allocator]
static ALLOCATOR: Counting = Counting {
    count: AtomicUsize::new(0),
    bytes: AtomicUsize::new(0),
    live: AtomicUsize::new(0),
    peak: AtomicUsize::new(0),
};

// SAFETY: both methods call the system's allocator. (The default `realloc` calls both of them.)
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.count.fetch_add(1, Relaxed);
        self.bytes.fetch_add(layout.size(), Relaxed);
        let live = self.live.fetch_add(layout.size(), Relaxed) + layout.size();
        self.peak.fetch_max(live, Relaxed);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.live.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[derive(Clone, Copy, Debug)]
struct Allocated {
    count: usize,
    /// All that was allocated.
    bytes: usize,
    /// The most at a time.
    peak: usize,
    /// Bytes that are still allocated at the end.
    kept: isize,
}

fn measure(action: impl FnOnce()) -> Allocated {
    let read = |counter: &AtomicUsize| counter.load(Relaxed);
    let (count, bytes, live) = (read(&ALLOCATOR.count), read(&ALLOCATOR.bytes), read(&ALLOCATOR.live));
    ALLOCATOR.peak.store(live, Relaxed);
    action();
    Allocated {
        count: read(&ALLOCATOR.count) - count,
        bytes: read(&ALLOCATOR.bytes) - bytes,
        peak: read(&ALLOCATOR.peak) - live,
        kept: read(&ALLOCATOR.live).wrapping_sub(live) as isize,
    }
}

struct Case {
    config: LstmConfig,
    steps: usize,
    batch: usize,
}

impl Case {
    fn new(config: LstmConfig, steps: usize, batch: usize) -> Self {
        Self { config, steps, batch }
    }

    /// Bytes of output, h_n and c_n.
    fn returned(&self) -> usize {
        let (config, directions) = (&self.config, self.config.num_directions());
        let states = config.num_layers() * (config.output_size() + config.hidden_size());
        4 * self.batch * directions * (self.steps * config.output_size() + states)
    }

    /// What each of some calls allocates, after a first one that allocates what they reuse.
    fn repeated(&self, lstm: &Lstm) -> [Allocated; 4] {
        let input = Array3::from_elem((self.steps, self.batch, self.config.input_size()), 0.5);
        let call = || drop(lstm.forward(input.view(), None).unwrap());
        call();
        [(); 4].map(|()| measure(call))
    }
}

fn cases() -> Vec<Case> {
    let small = LstmConfig::new(8, 16);
    vec![
        Case::new(small.clone(), 100, 1),
        Case::new(small.clone(), 1_600, 1),
        Case::new(small.clone(), 100, 800),
        Case::new(small.clone().with_num_layers(2).with_bidirectional(true), 100, 3),
        Case::new(LstmConfig::new(8, 128), 100, 64),
    ]
}

/// A repeated call on a GPU allocates what the docs of [`Lstm`] say: the arrays it returns; 12 words a sequence; the same
/// again and 4 words a sequence, to check that there is memory; and in wgpu 400 bytes a dispatch and 64 KiB.
fn what_a_call_on_a_gpu_allocates_is_what_is_said() {
    let device = noop::device(wgpu::Trace::Off);
    for case in cases() {
        let weights = LstmWeights::uniform(&case.config, 7).unwrap();
        let lstm = Lstm::new(&device, &weights).unwrap().with_tuning(Tuning::Fixed(Schedule::Step));
        let dispatches = case.config.num_layers() * (1 + case.steps);
        let checked = case.returned() + 8 * 16 * case.batch;
        let said = checked + case.returned() + 8 * 12 * case.batch + 400 * dispatches + (64 << 10);
        for allocated in case.repeated(&lstm) {
            assert!(
                allocated.bytes <= said,
                "T = {}, B = {}: {allocated:?}, said {said}",
                case.steps,
                case.batch
            );
            assert_eq!(allocated.kept, 0, "{allocated:?}");
        }
    }
}

/// A repeated push on a GPU allocates the outputs, and in wgpu as much as a call does.
fn a_push_on_a_gpu_allocates_its_outputs() {
    let device = noop::device(wgpu::Trace::Off);
    for (streams, steps) in [(1, 1), (1, 40), (800, 1), (30, 10)] {
        let config = LstmConfig::new(8, 16).with_num_layers(2);
        let weights = LstmWeights::uniform(&config, 7).unwrap();
        let lstm = Lstm::new(&device, &weights).unwrap().with_tuning(Tuning::Fixed(Schedule::Step));
        let mut pool = LstmStreamPool::new(&lstm, streams).unwrap();
        let chunk = Array2::from_elem((steps, 8), 0.5);
        let chunks: Vec<_> = (0..streams).map(|_| (pool.open().unwrap(), chunk.view())).collect();
        let mut push = || drop(pool.push(&chunks).unwrap());
        (0..3).for_each(|_| push()); // the first exchanges states; two turns of h
        let dispatches = 2 * (1 + steps);
        let list = streams * size_of::<Array2<f32>>(); // once more, to check that there is memory
        let outputs = streams * 4 * steps * 16 + 2 * list;
        for allocated in [(); 4].map(|()| measure(&mut push)) {
            let said = outputs + 400 * dispatches + (64 << 10);
            assert!(
                allocated.bytes <= said,
                "{streams} streams of {steps} steps: {allocated:?}, said {said}"
            );
            assert_eq!(allocated.kept, 0, "{allocated:?}");
        }
    }
}

/// The lists of 400,000 dispatches would take 120 MB: a call lists one submission at a time, and keeps none.
fn the_lists_of_a_long_call_are_bounded_by_its_budget() {
    const STEPS: usize = 400_000;
    const BUDGET: u64 = 64 << 20;
    let case = Case::new(LstmConfig::new(1, 1), STEPS, 1);
    let weights = LstmWeights::uniform(&case.config, 7).unwrap();
    let lstm = Lstm::new(&noop::device(wgpu::Trace::Off), &weights).unwrap();
    let lstm = lstm.with_tuning(Tuning::Fixed(Schedule::Step)).with_memory_budget(BUDGET);
    let told = lstm.memory(STEPS, 1).unwrap();
    assert!(told.host <= 16 << 20, "{told:?}");
    let input = Array3::from_elem((STEPS, 1, 1), 0.5);
    let call = || drop(lstm.forward(input.view(), None).unwrap());
    for (what, allocated) in [("the first call", measure(call)), ("the next", measure(call))] {
        // Besides the lists a call first reserves an eighth of the budget and 48 MiB, to check that there is memory. The
        // no-op backend also has its buffers in the host's memory.
        let said = case.returned() + (told.host + told.total() + BUDGET / 8) as usize + (48 << 20);
        assert!(allocated.peak <= said, "{what}: {allocated:?}, said {said}; {told:?}");
        assert!(allocated.kept <= told.total() as isize + (1 << 20), "{what}: {allocated:?}; {told:?}");
    }
}

/// On the CPU a call of more steps makes larger allocations, not more: the output, and what the call reserves first to
/// check that there is memory, twice as much for some networks.
fn a_call_on_the_cpu_allocates_no_more_often_for_more_steps() {
    let threads = std::thread::available_parallelism().unwrap().get().max(2);
    for case in cases() {
        let lstm = Lstm::new(&Device::cpu(), &LstmWeights::uniform(&case.config, 7).unwrap()).unwrap();
        let more_steps = 3 * case.steps;
        let longer = Case::new(case.config.clone(), case.steps + more_steps, case.batch);
        // Threads allocate some KiB of their own; how much at a time depends on when they start.
        let grows = 2 * (longer.returned() - case.returned()) + threads * (16 << 10);
        for (few, many) in case.repeated(&lstm).iter().zip(longer.repeated(&lstm)) {
            assert!(
                many.count <= few.count + A_FEW * threads && many.count < 100 * threads,
                "{few:?}, {many:?}"
            );
            assert!(many.peak <= few.peak + grows, "{few:?}, {many:?}, by {grows}");
            // A thread may free what it used for the call after the call has returned.
            assert!(few.kept.abs().max(many.kept.abs()) < 1_000, "{few:?}, {many:?}");
        }
        let many_calls = measure(|| drop((0..5).map(|_| case.repeated(&lstm)).collect::<Vec<_>>()));
        assert!(many_calls.kept < 1_000, "{many_calls:?}");
    }
}

/// Two calls may differ by so many allocations for each thread, depending on when these start, and on whether the longer
/// call is long enough for a helper, which exchanges four pairs of buffers with its call.
const A_FEW: usize = 8;

fn main() {
    let allocated = measure(|| drop(std::hint::black_box(vec![0_u8; 1_000])));
    assert_eq!((allocated.count, allocated.bytes, allocated.kept), (1, 1_000, 0), "it counts");
    what_a_call_on_a_gpu_allocates_is_what_is_said();
    a_push_on_a_gpu_allocates_its_outputs();
    the_lists_of_a_long_call_are_bounded_by_its_budget();
    a_call_on_the_cpu_allocates_no_more_often_for_more_steps();
    println!("what a call allocates is what is said ... ok");
}
