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

/// `count` streams of random lengths arrive, push chunks of 0 to 6 steps in random company and order, move to another
/// slot now and then, and close; each is then compared with one `forward`.
fn company_changes_no_bit(lstm: &Lstm, capacity: usize, count: usize, seed: u64) {
    let config = lstm.config().clone();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut pool = LstmStreamPool::new(lstm, capacity).unwrap();
    let mut open: Vec<Open> = Vec::new();
    let (mut opened, mut closed) = (0, 0);
    while closed < count {
        while opened < count && open.len() < capacity && rng.random_bool(0.7) {
            let steps = rng.random_range(1..30);
            let input = random((steps, config.input_size()), &mut rng);
            open.push(Open { id: pool.open().unwrap(), input, done: 0, outputs: Vec::new() });
            opened += 1;
        }
        assert_eq!(pool.len(), open.len());
        if rng.random_bool(0.3) && !open.is_empty() {
            // A stream moves: its state through the host, to whichever slot is free.
            let moved = rng.random_range(0..open.len());
            let stream = &mut open[moved];
            let state = pool.state(stream.id).unwrap();
            pool.close(stream.id).unwrap();
            assert!(matches!(pool.state(stream.id), Err(Error::UnknownStream)));
            stream.id = pool.open_with(&state).unwrap();
        }
        open.shuffle(&mut rng);
        // Often all with as many steps, as a steady application would.
        let same = rng.random_bool(0.5).then(|| rng.random_range(1..4));
        let pushing = if same.is_some() { open.len() } else { rng.random_range(0..=open.len()) };
        let chunks: Vec<usize> = open[..pushing]
            .iter()
            .map(|stream| {
                same.unwrap_or_else(|| rng.random_range(0..7)).min(stream.input.nrows() - stream.done)
            })
            .collect();
        let views: Vec<_> = open
            .iter()
            .zip(&chunks)
            .map(|(stream, &steps)| (stream.id, stream.input.slice(s![stream.done..stream.done + steps, ..])))
            .collect();
        let outputs = pool.push(&views).unwrap();
        assert_eq!(outputs.len(), pushing);
        for ((stream, steps), output) in open.iter_mut().zip(chunks).zip(outputs) {
            assert_eq!(output.dim(), (steps, config.output_size()));
            stream.done += steps;
            stream.outputs.push(output);
        }
        let (ended, going): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|stream| stream.done == stream.input.nrows());
        open = going;
        for stream in ended {
            let (expected, last) = lstm.forward_unbatched(stream.input.view(), None).unwrap();
            let parts: Vec<ArrayView2<'_, f32>> = stream.outputs.iter().map(|part| part.view()).collect();
            let output = concatenate(Axis(0), &parts).unwrap();
            let what = format!("{config:?}, stream {closed}");
            assert_eq!(bits(&output), bits(&expected), "{what}: output");
            let state = pool.state(stream.id).unwrap();
            assert_eq!(bits(&state.h), bits(&last.h), "{what}: h");
            assert_eq!(bits(&state.c), bits(&last.c), "{what}: c");
            pool.close(stream.id).unwrap();
            closed += 1;
        }
    }
    assert!(pool.is_empty());
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

fn an_error_moves_no_state(device: &Device) {
    let config = LstmConfig::new(3, 10);
    let lstm = network(device, &config);
    let input = random((4, 3), &mut ChaCha8Rng::seed_from_u64(4));
    let wide = Array2::zeros((1, 4));
    let mut pool = LstmStreamPool::new(&lstm, 2).unwrap();
    let mut other_pool = LstmStreamPool::new(&lstm, 2).unwrap();
    let (a, b) = (pool.open().unwrap(), pool.open().unwrap());
    let foreign = other_pool.open().unwrap();
    assert!(matches!(pool.open(), Err(Error::PoolFull { capacity: 2 })));
    pool.push(&[(a, input.view()), (b, input.slice(s![..1, ..]))]).unwrap();
    let before = [a, b].map(|id| pool.state(id).unwrap());
    let gone = {
        pool.close(b).unwrap();
        let reopened = pool.open_with(&before[1]).unwrap();
        (b, reopened)
    };
    let b = gone.1;
    let vast = Array2::<f32>::zeros((1, 3));
    let vast = vast.broadcast((1 << 60, 3)).unwrap();
    type Check = fn(&Error) -> bool;
    let one = input.view();
    let cases: [(&[(StreamId, ArrayView2<'_, f32>)], Check); 5] = [
        (&[(a, one), (b, wide.view())], |e| matches!(e, Error::InputWidth { expected: 3, actual: 4 })),
        (&[(a, one), (b, one), (a, one)], |e| matches!(e, Error::RepeatedStream { index: 2 })),
        (&[(a, one), (gone.0, one)], |e| matches!(e, Error::UnknownStream)),
        (&[(a, one), (foreign, one)], |e| matches!(e, Error::UnknownStream)),
        (&[(a, one), (b, vast)], |e| matches!(e, Error::SizeOverflow { .. } | Error::OutOfMemory { .. })),
    ];
    for (number, (chunks, is_right)) in cases.into_iter().enumerate() {
        let error = pool.push(chunks).unwrap_err();
        assert!(is_right(&error), "case {number}: {error:?}");
        assert!(!error.to_string().is_empty());
        assert_eq!([a, b].map(|id| pool.state(id).unwrap()), before, "case {number}");
    }
    for id in [gone.0, foreign] {
        for result in
            [pool.close(id), pool.reset(id), pool.set_state(id, &before[0]), pool.state(id).map(drop)]
        {
            assert!(matches!(result, Err(Error::UnknownStream)), "{result:?}");
        }
    }
    let state = LstmState::zeros(&config, 2);
    let shape = pool.set_state(a, &state);
    assert!(
        matches!(
            shape,
            Err(Error::StateShape { part: StatePart::Hidden, expected: [1, 1, 10], actual: [1, 2, 10] })
        ),
        "{shape:?}"
    );
    pool.close(b).unwrap();
    assert!(pool.open_with(&state).is_err());
    assert_eq!(pool.len(), 1, "what can't be opened with its state is not open");
    let (expected, _) = lstm.forward_unbatched(input.view(), Some(&before[0])).unwrap();
    assert_eq!(bits(&pool.push(&[(a, input.view())]).unwrap()[0]), bits(&expected));
    assert!(pool.push(&[]).unwrap().is_empty());

    let both = network(device, &config.clone().with_bidirectional(true));
    assert!(matches!(LstmStream::new(&both), Err(Error::Bidirectional)));
    assert!(matches!(LstmStreamPool::new(&lstm, 0), Err(Error::ZeroSize { .. })));
    let vast = LstmStreamPool::new(&lstm, usize::MAX / 2);
    assert!(matches!(vast, Err(Error::SizeOverflow { .. })), "{vast:?}");
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn an_error_moves_no_state_on_the_gpu() {
    an_error_moves_no_state(common::device::gpu());
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
