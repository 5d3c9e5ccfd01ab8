//! Streams and pools: the bits of one `forward` over the whole sequence, whatever happens around it.

mod common;

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use common::noop;
use ndarray::{Array2, ArrayView2, Axis, concatenate, s};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use wgpu_lstm::{
    Device, Error, Lstm, LstmConfig, LstmState, LstmStream, LstmStreamPool, LstmWeights, Schedule, StatePart,
    StreamId, Tuning, wgpu,
};

fn random(shape: (usize, usize), rng: &mut impl Rng) -> Array2<f32> {
    Array2::from_shape_simple_fn(shape, || rng.random_range(-1.0..1.0))
}

fn bits<'a>(numbers: impl IntoIterator<Item = &'a f32>) -> Vec<u32> {
    numbers.into_iter().map(|x| x.to_bits()).collect()
}

fn network(device: &Device, config: &LstmConfig) -> Lstm {
    Lstm::new(device, &LstmWeights::uniform(config, 7).unwrap()).unwrap()
}

/// A stream that is open, and what it returned so far.
struct Open {
    id: StreamId,
    input: Array2<f32>,
    done: usize,
    outputs: Vec<Array2<f32>>,
}

/// Streams of a pool that come and go at random.
struct Company<'a> {
    lstm: &'a Lstm,
    pool: LstmStreamPool,
    open: Vec<Open>,
    rng: ChaCha8Rng,
    closed: usize,
}

impl Company<'_> {
    fn open(&mut self) {
        let steps = self.rng.random_range(1..30);
        let input = random((steps, self.lstm.config().input_size()), &mut self.rng);
        let id = self.pool.open().unwrap();
        self.open.push(Open { id, input, done: 0, outputs: Vec::new() });
        assert_eq!(self.pool.len(), self.open.len());
    }

    /// A stream moves: its state goes through the host, to whichever slot is free.
    fn move_one(&mut self) {
        let moved = self.rng.random_range(0..self.open.len());
        let stream = &mut self.open[moved];
        let state = self.pool.state(stream.id).unwrap();
        self.pool.close(stream.id).unwrap();
        assert!(matches!(self.pool.state(stream.id), Err(Error::UnknownStream)));
        stream.id = self.pool.open_with(&state).unwrap();
    }

    /// Some streams push 0 to 6 steps; or all as many, as in a steady application.
    fn push(&mut self) {
        let Self { pool, open, rng, .. } = self;
        open.shuffle(rng);
        let same = rng.random_bool(0.5).then(|| rng.random_range(1..4));
        let pushing = if same.is_some() { open.len() } else { rng.random_range(0..=open.len()) };
        let steps_of = |stream: &Open| {
            same.unwrap_or_else(|| rng.random_range(0..7)).min(stream.input.nrows() - stream.done)
        };
        let chunks: Vec<usize> = open[..pushing].iter().map(steps_of).collect();
        let views: Vec<_> = open
            .iter()
            .zip(&chunks)
            .map(|(stream, &steps)| (stream.id, stream.input.slice(s![stream.done..stream.done + steps, ..])))
            .collect();
        let outputs = pool.push(&views).unwrap();
        assert_eq!(outputs.len(), pushing);
        for ((stream, steps), output) in open.iter_mut().zip(chunks).zip(outputs) {
            assert_eq!(output.nrows(), steps);
            stream.done += steps;
            stream.outputs.push(output);
        }
    }

    /// Those that have ended are compared with one `forward`, and closed.
    fn close(&mut self) {
        let open = std::mem::take(&mut self.open);
        let (ended, going): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|stream| stream.done == stream.input.nrows());
        self.open = going;
        for stream in ended {
            let (expected, last) = self.lstm.forward_unbatched(stream.input.view(), None).unwrap();
            let parts: Vec<ArrayView2<'_, f32>> = stream.outputs.iter().map(|part| part.view()).collect();
            let output = concatenate(Axis(0), &parts).unwrap();
            let what = format!("{:?}, stream {}", self.lstm.config(), self.closed);
            assert_eq!(bits(&output), bits(&expected), "{what}: output");
            let state = self.pool.state(stream.id).unwrap();
            assert_eq!(bits(&state.h), bits(&last.h), "{what}: h");
            assert_eq!(bits(&state.c), bits(&last.c), "{what}: c");
            self.pool.close(stream.id).unwrap();
            self.closed += 1;
        }
    }
}

/// `count` streams of random lengths arrive, push chunks in random company and order, move to another slot now and then,
/// and close.
fn company_changes_no_bit(lstm: &Lstm, capacity: usize, count: usize, seed: u64) {
    let pool = LstmStreamPool::new(lstm, capacity).unwrap();
    let rng = ChaCha8Rng::seed_from_u64(seed);
    let mut company = Company { lstm, pool, open: Vec::new(), rng, closed: 0 };
    while company.closed < count {
        while company.closed + company.open.len() < count
            && company.open.len() < capacity
            && company.rng.random_bool(0.7)
        {
            company.open();
        }
        if !company.open.is_empty() && company.rng.random_bool(0.3) {
            company.move_one();
        }
        company.push();
        company.close();
    }
    assert!(company.pool.is_empty());
}

fn networks() -> [LstmConfig; 3] {
    [
        LstmConfig::new(7, 20).with_num_layers(3),
        LstmConfig::new(5, 33).with_num_layers(6),
        LstmConfig::new(4, 18).with_num_layers(2).with_proj_size(6),
    ]
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn a_thousand_streams_on_the_gpu() {
    let lstm = network(common::device::gpu(), &LstmConfig::new(9, 40).with_num_layers(2));
    company_changes_no_bit(&lstm, 37, 1000, 1);
}

#[test]
fn a_thousand_streams_on_the_cpu() {
    let lstm = network(&Device::cpu(), &LstmConfig::new(9, 40).with_num_layers(2));
    company_changes_no_bit(&lstm, 37, 1000, 1);
    for config in networks() {
        company_changes_no_bit(&network(&Device::cpu(), &config), 5, 40, 2);
    }
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn streams_by_every_schedule_in_blocks_and_on_a_plain_device() {
    for (number, config) in networks().into_iter().enumerate() {
        for schedule in Schedule::ALL {
            let lstm = network(common::device::gpu(), &config).with_tuning(Tuning::Fixed(schedule));
            company_changes_no_bit(&lstm, 5, 40, number as u64);
        }
        // Some hundred bytes a row: ticks are cut into blocks of time, and into submissions.
        let lstm = network(common::device::gpu(), &config).with_memory_budget(20_000);
        company_changes_no_bit(&lstm, 5, 20, 9);
        company_changes_no_bit(&network(common::device::plain_gpu(), &config), 3, 10, 10);
    }
}

/// The pool's batch changes schedules from tick to tick, which keep h in different buffers.
#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn a_stream_of_one_on_the_gpu() {
    one_stream(common::device::gpu());
}

#[test]
fn a_stream_of_one_on_the_cpu() {
    one_stream(&Device::cpu());
}

fn one_stream(device: &Device) {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for config in networks() {
        let lstm = network(device, &config);
        let mut stream = LstmStream::new(&lstm).unwrap();
        let mut state = None;
        for steps in [1, 1, 1, 4, 0, 1, 130, 1, 2] {
            let chunk = random((steps, config.input_size()), &mut rng);
            let output = stream.push(chunk.view()).unwrap();
            if steps > 0 {
                let (expected, next) = lstm.forward_unbatched(chunk.view(), state.as_ref()).unwrap();
                assert_eq!(bits(&output), bits(&expected), "{config:?}, {steps} steps");
                state = Some(next);
            }
        }
        let state = state.unwrap();
        assert_eq!(stream.state().unwrap(), state);
        stream.reset().unwrap();
        assert_eq!(stream.state().unwrap(), LstmState::zeros(&config, 1));
        let mut small = state.clone();
        small.c[[0, 0, 0]] = f32::MIN_POSITIVE / 2.0;
        stream.set_state(&small).unwrap();
        small.c[[0, 0, 0]] = 0.0;
        assert_eq!(stream.state().unwrap(), small, "subnormal numbers count as zero");
        stream.set_state(&state).unwrap();
        let chunk = random((3, config.input_size()), &mut rng);
        let (expected, _) = lstm.forward_unbatched(chunk.view(), Some(&state)).unwrap();
        assert_eq!(bits(&pollster::block_on(stream.push_async(chunk.view())).unwrap()), bits(&expected));
    }
}

/// A slot that is full of NaN, in every buffer, is a slot like others to the next stream.
fn a_reused_slot_starts_from_zeros(device: &Device) {
    let config = LstmConfig::new(3, 10).with_num_layers(2);
    let lstm = network(device, &config);
    let input = random((4, 3), &mut ChaCha8Rng::seed_from_u64(4));
    let (expected, _) = lstm.forward_unbatched(input.view(), None).unwrap();
    let poison = Array2::from_elem((3, 3), f32::NAN);
    let mut pool = LstmStreamPool::new(&lstm, 2).unwrap();
    for reset in [false, true] {
        for moves in [false, true] {
            let mut poisoned = pool.open().unwrap();
            for steps in [3, 2] {
                let output = pool.push(&[(poisoned, poison.slice(s![..steps, ..]))]).unwrap();
                assert!(output[0].iter().all(|x| x.is_nan()));
            }
            if moves {
                // Another company: the state is copied to its slot.
                let other = pool.open().unwrap();
                pool.push(&[(other, input.view())]).unwrap();
                pool.close(other).unwrap();
            }
            assert!(pool.state(poisoned).unwrap().c.iter().all(|x| x.is_nan()));
            if reset {
                pool.reset(poisoned).unwrap();
            } else {
                pool.close(poisoned).unwrap();
                poisoned = pool.open().unwrap();
            }
            assert_eq!(pool.state(poisoned).unwrap(), LstmState::zeros(&config, 1));
            let output = pool.push(&[(poisoned, input.view())]).unwrap();
            assert_eq!(bits(&output[0]), bits(&expected), "reset {reset}, moves {moves}");
            pool.close(poisoned).unwrap();
        }
    }
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn a_reused_slot_starts_from_zeros_on_the_gpu() {
    a_reused_slot_starts_from_zeros(common::device::gpu());
}

#[test]
fn a_reused_slot_starts_from_zeros_on_the_cpu() {
    a_reused_slot_starts_from_zeros(&Device::cpu());
}

type Chunk<'a> = (StreamId, ArrayView2<'a, f32>);

/// A pool of two streams, of which one was closed and opened again, and a stream of another pool.
struct Two {
    lstm: Lstm,
    pool: LstmStreamPool,
    open: [StreamId; 2],
    gone: StreamId,
    foreign: StreamId,
    states: [LstmState; 2],
    input: Array2<f32>,
}

impl Two {
    fn new(device: &Device) -> Self {
        let lstm = network(device, &LstmConfig::new(3, 10));
        let input = random((4, 3), &mut ChaCha8Rng::seed_from_u64(4));
        let mut pool = LstmStreamPool::new(&lstm, 2).unwrap();
        let foreign = LstmStreamPool::new(&lstm, 2).unwrap().open().unwrap();
        let (a, gone) = (pool.open().unwrap(), pool.open().unwrap());
        assert!(matches!(pool.open(), Err(Error::PoolFull { capacity: 2 })));
        pool.push(&[(a, input.view()), (gone, input.slice(s![..1, ..]))]).unwrap();
        let states = [a, gone].map(|id| pool.state(id).unwrap());
        pool.close(gone).unwrap();
        let b = pool.open_with(&states[1]).unwrap();
        Self { lstm, pool, open: [a, b], gone, foreign, states, input }
    }

    fn refuses(&mut self, chunks: &[Chunk<'_>], is_right: fn(&Error) -> bool) {
        let error = self.pool.push(chunks).unwrap_err();
        assert!(is_right(&error), "{error:?}");
        assert!(!error.to_string().is_empty());
        assert_eq!(self.open.map(|id| self.pool.state(id).unwrap()), self.states, "after {error}");
    }
}

fn an_error_moves_no_state(device: &Device) {
    let mut two = Two::new(device);
    let (input, wide) = (two.input.clone(), Array2::zeros((1, 4)));
    let vast = Array2::<f32>::zeros((1, 3));
    let vast = vast.broadcast((1 << 60, 3)).unwrap();
    let ([a, b], one, gone, foreign) = (two.open, input.view(), two.gone, two.foreign);
    two.refuses(&[(a, one), (b, wide.view())], |e| matches!(e, Error::InputWidth { expected: 3, actual: 4 }));
    two.refuses(&[(a, one), (b, one), (a, one)], |e| matches!(e, Error::RepeatedStream { index: 2 }));
    two.refuses(&[(a, one), (gone, one)], |e| matches!(e, Error::UnknownStream));
    two.refuses(&[(a, one), (foreign, one)], |e| matches!(e, Error::UnknownStream));
    two.refuses(&[(a, one), (b, vast)], |e| {
        matches!(e, Error::SizeOverflow { .. } | Error::OutOfMemory { .. })
    });
    let Two { lstm, mut pool, states, .. } = two;
    for id in [gone, foreign] {
        let results =
            [pool.close(id), pool.reset(id), pool.set_state(id, &states[0]), pool.state(id).map(drop)];
        assert!(results.iter().all(|result| matches!(result, Err(Error::UnknownStream))), "{results:?}");
    }
    let of_two = LstmState::zeros(lstm.config(), 2);
    let error = pool.set_state(a, &of_two).unwrap_err();
    let (part, expected, actual) = (StatePart::Hidden, [1, 1, 10], [1, 2, 10]);
    assert_eq!(error.to_string(), Error::StateShape { part, expected, actual }.to_string());
    pool.close(b).unwrap();
    assert!(pool.open_with(&of_two).is_err());
    assert_eq!(pool.len(), 1, "what can't be opened with its state is not open");
    let (expected, _) = lstm.forward_unbatched(input.view(), Some(&states[0])).unwrap();
    assert_eq!(bits(&pool.push(&[(a, input.view())]).unwrap()[0]), bits(&expected));
    assert!(pool.push(&[]).unwrap().is_empty());
}

fn what_can_not_be_a_pool_is_refused(device: &Device) {
    let config = LstmConfig::new(3, 10);
    let both = network(device, &config.clone().with_bidirectional(true));
    assert!(matches!(LstmStream::new(&both), Err(Error::Bidirectional)));
    let lstm = network(device, &config);
    assert!(matches!(LstmStreamPool::new(&lstm, 0), Err(Error::ZeroSize { .. })));
    let vast = LstmStreamPool::new(&lstm, usize::MAX / 2);
    assert!(matches!(vast, Err(Error::SizeOverflow { .. })), "{vast:?}");
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn an_error_moves_no_state_on_the_gpu() {
    an_error_moves_no_state(common::device::gpu());
    what_can_not_be_a_pool_is_refused(common::device::gpu());
    let lstm = network(common::device::gpu(), &LstmConfig::new(3, 10)).with_memory_budget(10_000);
    assert!(LstmStreamPool::new(&lstm, 10).is_ok());
    let large = LstmStreamPool::new(&lstm, 1000);
    assert!(
        matches!(&large, Err(Error::LimitExceeded { limit_name: "memory_budget", limit: 10_000, .. })),
        "{large:?}"
    );
}

#[test]
fn an_error_moves_no_state_on_the_cpu() {
    an_error_moves_no_state(&Device::cpu());
    what_can_not_be_a_pool_is_refused(&Device::cpu());
}

/// A push whose future is dropped has moved every state or none, and the pool goes on.
#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn a_dropped_push_moves_all_states_or_none() {
    let config = LstmConfig::new(3, 10).with_num_layers(2);
    let input = random((4, 3), &mut ChaCha8Rng::seed_from_u64(4));
    // In one submission, and in several.
    for budget in [1 << 28, 3_000] {
        let lstm = network(common::device::gpu(), &config).with_memory_budget(budget);
        let (_, first) = lstm.forward_unbatched(input.view(), None).unwrap();
        let (_, second) = lstm.forward_unbatched(input.view(), Some(&first)).unwrap();
        let mut seen = [false; 2];
        for polls in 0..4 {
            let mut pool = LstmStreamPool::new(&lstm, 2).unwrap();
            let ids = [pool.open().unwrap(), pool.open().unwrap()];
            let chunks = ids.map(|id| (id, input.view()));
            pool.push(&chunks).unwrap();
            {
                let mut push = pin!(pool.push_async(&chunks));
                for _ in 0..polls {
                    if let Poll::Ready(result) = push.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                        result.unwrap();
                        break;
                    }
                }
            }
            let states = ids.map(|id| pool.state(id).unwrap());
            assert_eq!(states[0], states[1], "{polls} polls");
            assert!(states[0] == first || states[0] == second, "{polls} polls");
            seen[usize::from(states[0] == second)] = true;
            let (expected, _) = lstm.forward_unbatched(input.view(), Some(&states[0])).unwrap();
            for output in pool.push(&chunks).unwrap() {
                assert_eq!(bits(&output), bits(&expected), "{polls} polls");
            }
        }
        assert!(seen[0], "without a poll nothing moves");
    }
}

/// wgpu's log: the same streams with as many steps make no object, and dispatch what a ragged batch takes; in other
/// company there are two dispatches more.
#[test]
fn a_repeated_tick_makes_nothing_and_dispatches_the_network_alone() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("streams");
    let device = noop::traced(&directory);
    for (steps, config) in
        [(1, networks()[0].clone()), (10, networks()[1].clone()), (3, networks()[2].clone())]
    {
        let lstm = network(&device, &config);
        let mut pool = LstmStreamPool::new(&lstm, 8).unwrap();
        let ids: Vec<_> = (0..8).map(|_| pool.open().unwrap()).collect();
        let chunk = Array2::from_elem((steps, config.input_size()), 0.5);
        let mut tick = |of: &[StreamId]| {
            let start = noop::log(&directory).len();
            let chunks: Vec<_> = of.iter().map(|&id| (id, chunk.view())).collect();
            pool.push(&chunks).unwrap();
            let log = noop::log(&directory)[start..].to_owned();
            let count = |name| noop::count(&log, name);
            [count("Create"), count("queued: true"), count("Submit("), count("DispatchWorkgroups")]
        };
        let dispatches = |batch| lstm.costs(steps, batch).unwrap()[0].dispatches as usize;
        assert!(tick(&ids)[0] > 0, "the first tick makes its buffers");
        tick(&ids); // the other turn
        for _ in 0..4 {
            assert_eq!(tick(&ids), [0, 0, 1, dispatches(8)], "{config:?}");
        }
        let reversed: Vec<_> = ids.iter().rev().copied().collect();
        assert_eq!(tick(&reversed), [0, 0, 1, dispatches(8)], "{config:?}: in another order");
        tick(&ids[2..5]);
        let made = tick(&ids[1..4]);
        assert_eq!((made[0], made[2], made[3]), (0, 1, dispatches(3) + 2), "{config:?}: other streams");
    }
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn a_lost_device_is_an_error_of_every_push() {
    let (gpu, queue) = common::device::open(wgpu::Features::empty(), wgpu::Limits::default());
    let device = Device::from_wgpu(gpu.clone(), queue).unwrap();
    let lstm = network(&device, &LstmConfig::new(3, 10));
    let mut pool = LstmStreamPool::new(&lstm, 2).unwrap();
    let id = pool.open().unwrap();
    let chunk = Array2::zeros((2, 3));
    pool.push(&[(id, chunk.view())]).unwrap();
    gpu.destroy();
    for _ in 0..2 {
        let result = pool.push(&[(id, chunk.view())]);
        assert!(matches!(result, Err(Error::DeviceLost { .. })), "{result:?}");
        assert!(matches!(pool.state(id), Err(Error::DeviceLost { .. })));
    }
    assert!(matches!(LstmStreamPool::new(&lstm, 2), Err(Error::DeviceLost { .. })));
}

#[test]
fn streams_may_move_to_other_threads() {
    fn is_send<T: Send>() {}
    is_send::<LstmStream>();
    is_send::<LstmStreamPool>();
    is_send::<wgpu_lstm::LstmPass>();
}
