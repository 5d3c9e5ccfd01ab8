//! Many calls of one network at once: how many run, what they take, and what is left when they are dropped or their
//! device is lost.

mod common;

use std::future::poll_fn;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use common::noop;
use ndarray::Array3;
use wgpu_lstm::{
    DEFAULT_CALLS_IN_FLIGHT, Device, Error, Lstm, LstmConfig, LstmState, LstmStreamPool, LstmWeights, Tuning,
    wgpu,
};

const STEPS: usize = 60;
const BATCH: usize = 4;

/// Far longer than the calls take: a watchdog against an endless wait, not a measurement.
const DEADLINE: Duration = Duration::from_secs(300);

type Output = Result<(Array3<f32>, LstmState), Error>;
type Call<'a> = Pin<Box<dyn Future<Output = Output> + Send + 'a>>;

fn network(device: &Device) -> Lstm {
    Lstm::new(device, &LstmWeights::uniform(&LstmConfig::new(16, 32), 3).unwrap()).unwrap()
}

fn input(seed: usize) -> Array3<f32> {
    let cell = |(t, b, i)| (((t * 31 + b * 17 + i * 7 + seed * 13) % 101) as f32) / 50.0 - 1.0;
    Array3::from_shape_fn((STEPS, BATCH, 16), cell)
}

/// A device of one's own, to count what is on it, or to lose.
fn own_device() -> (Device, wgpu::Device, wgpu::Queue) {
    let (device, queue) = common::device::open(wgpu::Features::SUBGROUP, wgpu::Limits::default());
    (Device::from_wgpu(device.clone(), queue.clone()).unwrap(), device, queue)
}

/// Buffers and their bytes that are alive, once the device is idle. Of OpenGL's buffers wgpu counts no bytes.
fn alive(device: &wgpu::Device, queue: &wgpu::Queue) -> (isize, isize) {
    queue.submit([]); // a write by the queue keeps its staging buffer until the next submit
    device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    let counters = device.get_internal_counters().hal;
    (counters.buffers.read(), counters.buffer_memory.read())
}

/// A call that is not ready when it is first polled: where the device is fast enough, it would be.
fn call<'a>(lstm: &'a Lstm, input: &'a Array3<f32>) -> Call<'a> {
    Box::pin(async move {
        let mut call = pin!(lstm.forward_async(input.view(), None));
        let (mut first, mut early) = (true, None);
        poll_fn(|context| match early.take() {
            Some(result) => Poll::Ready(result),
            None => match call.as_mut().poll(context) {
                Poll::Ready(result) if std::mem::take(&mut first) => {
                    early = Some(result);
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
                poll => {
                    first = false;
                    poll
                }
            },
        })
        .await
    })
}

/// The call is on its way, or waits for its turn.
fn poll_once(call: &mut Call<'_>) {
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

/// Sends its number when the future is to be polled.
struct Woken(usize, mpsc::Sender<usize>);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        let _ = self.1.send(self.0); // nobody listens once all have returned
    }
}

/// Polls all calls as an executor would, and runs `look` after each poll.
fn all<'a>(calls: impl IntoIterator<Item = Call<'a>>, mut look: impl FnMut()) -> Vec<Output> {
    let mut calls: Vec<_> = calls.into_iter().map(Some).collect();
    let (wake, woken) = mpsc::channel();
    let wakers: Vec<_> = (0..calls.len()).map(|k| Waker::from(Arc::new(Woken(k, wake.clone())))).collect();
    wakers.iter().for_each(Waker::wake_by_ref);
    let mut results: Vec<_> = calls.iter().map(|_| None).collect();
    while results.iter().any(Option::is_none) {
        let k = woken.recv_timeout(DEADLINE).expect("a call is woken");
        if let Some(call) = &mut calls[k]
            && let Poll::Ready(result) = call.as_mut().poll(&mut Context::from_waker(&wakers[k]))
        {
            (results[k], calls[k]) = (Some(result), None);
        }
        look();
    }
    results.into_iter().flatten().collect()
}

/// Runs `work` in a thread of its own; panics if it does not end.
fn ends<R: Send + 'static>(what: &str, work: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        let _ = done.send(work()); // nobody receives it past the deadline
    });
    ended.recv_timeout(DEADLINE).unwrap_or_else(|error| panic!("{what}: {error}"))
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn four_hundred_calls_take_what_those_that_run_take() {
    let (device, gpu, queue) = own_device();
    let (buffers, before) = alive(&gpu, &queue);
    let lstm = network(&device);
    let (weights, _) = alive(&gpu, &queue);
    let inputs: Vec<_> = (0..8).map(input).collect();
    let said = lstm.memory(STEPS, BATCH).unwrap();
    let most = DEFAULT_CALLS_IN_FLIGHT as isize;
    let expected = lstm.forward(inputs[0].view(), None).unwrap();
    let (one, bytes_of_one) = alive(&gpu, &queue);
    let calls_buffers = one - weights;
    assert!(calls_buffers > 3 && weights > buffers, "{buffers}, {weights}, {one}");

    let mut calls: Vec<_> = (0..400).map(|k| call(&lstm, &inputs[k % 8])).collect();
    calls.iter_mut().for_each(poll_once);
    let (all_started, bytes) = alive(&gpu, &queue);
    let bound = weights + most * calls_buffers;
    assert!(all_started <= bound, "{all_started} buffers of 400 calls under way, at most {bound}");
    if gpu.adapter_info().backend != wgpu::Backend::Gl {
        assert_eq!((bytes_of_one - before) as u64, said.total());
        let bytes_bound = said.weights + most as u64 * (said.total() - said.weights);
        assert!((bytes - before) as u64 <= bytes_bound, "{bytes} - {before} bytes, at most {bytes_bound}");
    }

    // New programs' uniforms are written through staging buffers, one each.
    let (mut peak, bound) = (0, bound + most);
    let look = || peak = peak.max(gpu.get_internal_counters().hal.buffers.read());
    let results: Vec<_> = all(calls, look).into_iter().map(Result::unwrap).collect();
    assert!(peak <= bound, "{peak} buffers, at most {bound}");
    assert_eq!(results[0], expected);
    for (k, result) in results.iter().enumerate() {
        let alone = (k < 8).then(|| lstm.forward(inputs[k].view(), None).unwrap());
        assert_eq!(result, alone.as_ref().unwrap_or(&results[k % 8]), "call {k}");
    }
    drop(lstm);
    assert_eq!(alive(&gpu, &queue), (buffers, before));
}

/// On the no-op backend, whose log has every object that was ever made.
#[test]
fn calls_that_wait_make_nothing_and_clones_wait_for_each_other() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("concurrency-waiting");
    let input = input(0);
    for (set, most) in [(None, DEFAULT_CALLS_IN_FLIGHT), (Some(0), 1), (Some(1), 1), (Some(7), 7)] {
        let device = noop::traced(&directory);
        let lstm = network(&device);
        let lstm = set.map_or(lstm.clone(), |calls| lstm.with_calls_in_flight(calls));
        let made = |action: &mut dyn FnMut()| {
            let start = noop::log(&directory).len();
            action();
            noop::count(&noop::log(&directory)[start..], "CreateBuffer")
        };
        let one = made(&mut || drop(lstm.forward(input.view(), None).unwrap()));
        assert!(one > 3, "{one}");
        let clone = lstm.clone();
        let mut calls: Vec<Call<'_>> = Vec::new();
        let started = made(&mut || {
            for k in 0..60 {
                let lstm = if k % 2 == 0 { &lstm } else { &clone };
                calls.push(call(lstm, &input));
                poll_once(&mut calls[k]);
            }
        });
        let rest = made(&mut || {
            let results = all(std::mem::take(&mut calls), || {});
            assert!(results.into_iter().all(|result| result.is_ok()));
        });
        // The buffers of the first call are reused.
        assert!(started + rest <= (most - 1) * one, "{set:?}: {started} and {rest}, {one} for one call");
    }
}

#[test]
fn a_clone_makes_nothing_and_has_options_of_its_own() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("concurrency-clone");
    let lstm = network(&noop::traced(&directory));
    let input = input(0);
    let asked = |action: &mut dyn FnMut()| {
        let start = noop::log(&directory).len();
        action();
        let log = &noop::log(&directory)[start..];
        ["Create", "queued: true", "Submit("].map(|name| noop::count(log, name))
    };
    assert!(asked(&mut || drop(lstm.forward(input.view(), None).unwrap()))[0] > 10);
    let mut clone = None;
    assert_eq!(asked(&mut || clone = Some(lstm.clone())), [0; 3]);
    let clone = clone.unwrap();
    assert_eq!(asked(&mut || drop(clone.forward(input.view(), None).unwrap())), [0, 0, 1]);
    drop(lstm);
    assert_eq!(asked(&mut || drop(clone.forward(input.view(), None).unwrap())), [0, 0, 1]);

    // (T, B, ·) and (B, T, ·), in one block of time and in many.
    let other = clone.clone().with_batch_first(true).with_memory_budget(20_000).with_tuning(Tuning::Model);
    let steps_first = clone.forward(input.view(), None).unwrap().0;
    let batch_first = other.forward(input.view().permuted_axes([1, 0, 2]), None).unwrap().0;
    assert_eq!((steps_first.dim(), batch_first.dim()), ((STEPS, BATCH, 32), (BATCH, STEPS, 32)));
    let of_both = [&clone, &other].map(|lstm| lstm.memory(STEPS, BATCH).unwrap().device);
    assert!(of_both[0] > of_both[1], "{of_both:?}");
    assert_eq!(asked(&mut || drop(clone.forward(input.view(), None).unwrap()))[2], 1);
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn clones_return_the_same_bits() {
    for device in [common::device::gpu(), &Device::cpu()] {
        let lstm = network(device);
        let clone = lstm.clone();
        let results = [&lstm, &clone].map(|lstm| lstm.forward(input(1).view(), None).unwrap());
        assert_eq!(results[0], results[1]);
        drop(lstm);
        assert_eq!(clone.forward(input(1).view(), None).unwrap(), results[0]);
    }
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn threads_that_block_and_async_calls_wait_in_any_mixture() {
    let lstm = network(common::device::gpu()).with_calls_in_flight(2);
    let inputs: Vec<_> = (0..4).map(input).collect();
    let expected: Vec<_> = inputs.iter().map(|input| lstm.forward(input.view(), None).unwrap()).collect();
    ends("12 threads", move || {
        thread::scope(|scope| {
            for k in 0..12 {
                let (lstm, inputs, expected) = (lstm.clone(), &inputs, &expected);
                scope.spawn(move || {
                    for turn in 0..6 {
                        let input = inputs[(k + turn) % 4].view();
                        let call = lstm.forward_async(input, None);
                        let result =
                            if k % 2 == 0 { lstm.forward(input, None) } else { pollster::block_on(call) };
                        assert_eq!(result.unwrap(), expected[(k + turn) % 4]);
                    }
                });
            }
        });
    });
}

/// A thread that blocks may be the one that should poll the calls that run.
#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn a_blocking_call_never_waits_for_async_ones() {
    let lstm = network(common::device::gpu()).with_calls_in_flight(1);
    ends("a blocking call", move || {
        let input = input(2);
        let mut calls: Vec<_> = (0..3).map(|_| call(&lstm, &input)).collect();
        calls.iter_mut().for_each(poll_once);
        let result = lstm.forward(input.view(), None).unwrap();
        for call in all(calls, || {}) {
            assert_eq!(call.unwrap(), result);
        }
    });
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn a_call_that_fails_lets_the_next_one_start() {
    let lstm = network(common::device::gpu()).with_calls_in_flight(1);
    let refused = lstm.clone().with_memory_budget(1);
    ends("calls after some that fail", move || {
        let input = input(0);
        for _ in 0..3 {
            let failed = pollster::block_on(refused.forward_async(input.view(), None));
            assert!(matches!(failed, Err(Error::LimitExceeded { .. })), "{failed:?}");
            let failed = refused.forward(input.view(), None);
            assert!(matches!(failed, Err(Error::LimitExceeded { .. })), "{failed:?}");
        }
        let result = pollster::block_on(lstm.forward_async(input.view(), None)).unwrap();
        assert_eq!(lstm.forward(input.view(), None).unwrap(), result);
    });
}

/// When a future is dropped.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// It was never polled.
    Unpolled,
    /// It was polled once: some calls are on their way, the others wait for their turn.
    Started,
    /// As `Started`, and the device has computed those that are on their way.
    Computed,
    /// The last ones first, so that those that wait are dropped before those that run.
    Reversed,
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn a_dropped_call_leaves_nothing_behind() {
    let (device, gpu, queue) = own_device();
    // In so small a budget no buffers are kept for later calls.
    let config = LstmConfig::new(16, 16).with_bidirectional(true);
    let lstm = Lstm::new(&device, &LstmWeights::uniform(&config, 7).unwrap()).unwrap();
    let lstm = lstm.with_memory_budget(16 << 10);
    let before = alive(&gpu, &queue);
    let input = input(5);
    let expected = lstm.forward(input.view(), None).unwrap();
    assert_eq!(alive(&gpu, &queue), before);
    // It starts when no async call is left, also not in a thread that waits for a dropped one.
    let last = lstm.clone().with_calls_in_flight(1);
    for moment in [Moment::Unpolled, Moment::Started, Moment::Computed, Moment::Reversed] {
        let mut calls: Vec<_> = (0..20).map(|_| call(&lstm, &input)).collect();
        if !matches!(moment, Moment::Unpolled) {
            calls.iter_mut().for_each(poll_once);
        }
        if matches!(moment, Moment::Computed) {
            alive(&gpu, &queue); // waits for the device
        }
        if matches!(moment, Moment::Reversed) {
            calls.reverse();
        }
        let kept = calls.pop().unwrap(); // of those that wait, unless reversed
        drop(calls);
        for call in [kept, call(&last, &input)] {
            assert_eq!(all([call], || {}).remove(0).unwrap(), expected, "{moment:?}");
        }
        assert_eq!(alive(&gpu, &queue), before, "{moment:?}");
    }
}

/// Drops everything of the crate's while calls are under way: in this order, with and without the last handle of the device.
#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn everything_may_be_dropped_while_the_device_works() {
    let (device, gpu, queue) = own_device();
    drop(device);
    let before = alive(&gpu, &queue);
    for started in [0, 1, 2 * DEFAULT_CALLS_IN_FLIGHT] {
        let (gpu, queue) = (gpu.clone(), queue.clone());
        ends("dropping everything", move || {
            let device = Device::from_wgpu(gpu.clone(), queue.clone()).unwrap();
            let lstm = network(&device);
            drop(device);
            let owned = |seed: usize| -> Call<'static> {
                let lstm = lstm.clone();
                Box::pin(async move { call(&lstm, &input(seed)).await })
            };
            let mut calls: Vec<_> = (0..3 * DEFAULT_CALLS_IN_FLIGHT).map(owned).collect();
            calls[..started].iter_mut().for_each(poll_once);
            drop(lstm);
            drop(calls);
            // A thread that waits for a dropped call may be about to free its buffers.
            while alive(&gpu, &queue) != before {
                thread::yield_now();
            }
        });
        ends("dropping the device's last handle", || {
            let (device, _, _) = own_device();
            let lstm = network(&device);
            let mut owned: Call<'static> = Box::pin(async move { call(&lstm, &input(0)).await });
            poll_once(&mut owned);
            drop(device);
            drop(owned);
        });
    }
}

/// A pass whose recording was just submitted, one that was recorded and is submitted later, and pools with a push under
/// way.
#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn passes_and_pools_may_be_dropped_while_the_device_works() {
    let (device, gpu, queue) = own_device();
    let before = alive(&gpu, &queue);
    for polls in 0..3 {
        let (device, gpu, queue) = (device.clone(), gpu.clone(), queue.clone());
        ends("dropping a pass and a pool", move || {
            let lstm = network(&device);
            let mut encoders = [(); 2].map(|()| gpu.create_command_encoder(&Default::default()));
            let mut pass = lstm.prepare(STEPS, 2).unwrap();
            encoders.iter_mut().for_each(|encoder| pass.record(encoder));
            let [first, second] = encoders.map(wgpu::CommandEncoder::finish);
            queue.submit([first]);
            let mut pool = LstmStreamPool::new(&lstm, 2).unwrap();
            let (id, whole) = (pool.open().unwrap(), input(0));
            let chunk = whole.index_axis(ndarray::Axis(1), 0);
            pool.push(&[(id, chunk)]).unwrap();
            drop((lstm, device));
            {
                let chunks = [(id, chunk)];
                let mut push = pin!(pool.push_async(&chunks));
                for _ in 0..polls {
                    // On a busy machine the second poll can already return it.
                    if push.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                        break;
                    }
                }
            }
            drop((pool, pass));
            queue.submit([second]);
            while alive(&gpu, &queue) != before {
                thread::yield_now();
            }
        });
    }
}

/// Lost between the first poll and the others: calls that run, calls that wait, and later ones.
#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn every_call_on_a_lost_device_says_so_and_a_new_device_works() {
    let expected = network(common::device::gpu()).forward(input(3).view(), None).unwrap();
    let is_lost = |result: Output| match result {
        Err(Error::DeviceLost { .. }) => true,
        Err(error) => panic!("{error:?}"),
        Ok(_) => false,
    };
    for (ours, idle, reversed) in [
        (true, false, false),
        (true, false, true),
        (true, true, false),
        (true, true, true),
        (false, false, false),
        (false, false, true),
        (false, true, false),
        (false, true, true),
    ] {
        let what = format!("ours: {ours}, idle: {idle}, reversed: {reversed}");
        let result = ends(&what.clone(), move || {
            let device = if ours { Device::gpu().unwrap() } else { own_device().0 };
            let lstm = network(&device);
            let input = input(3);
            lstm.forward(input.view(), None).unwrap();
            // Where a call is done within its first poll, as often on OpenGL, it returns before the loss.
            let forward = |_| Box::pin(lstm.forward_async(input.view(), None));
            let mut calls: Vec<_> = (0..3 * DEFAULT_CALLS_IN_FLIGHT).map(forward).collect();
            let mut context = Context::from_waker(Waker::noop());
            calls.retain_mut(|call| call.as_mut().poll(&mut context).is_pending());
            let (gpu, _) = device.wgpu().unwrap();
            if idle {
                gpu.poll(wgpu::PollType::wait_indefinitely()).unwrap();
            }
            gpu.destroy();
            if reversed {
                calls.reverse();
            }
            for call in calls {
                assert!(is_lost(pollster::block_on(call)), "{what}");
            }
            for _ in 0..2 * DEFAULT_CALLS_IN_FLIGHT {
                assert!(is_lost(lstm.forward(input.view(), None)), "{what}");
                assert!(
                    is_lost(pollster::block_on(lstm.clone().forward_async(input.view(), None))),
                    "{what}"
                );
            }
            let new = if ours { Device::gpu().unwrap() } else { own_device().0 };
            network(&new).forward(input.view(), None).unwrap()
        });
        assert_eq!(result, expected);
    }
}

/// As above, with a thread for each call.
#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn calls_in_threads_end_when_the_device_is_lost() {
    let (device, gpu, _) = own_device();
    let lstm = network(&device).with_calls_in_flight(2);
    lstm.forward(input(3).view(), None).unwrap();
    let returned = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..12)
        .map(|k| {
            let (lstm, returned) = (lstm.clone(), Arc::clone(&returned));
            thread::spawn(move || {
                let input = input(k);
                // Calls until the device is lost.
                loop {
                    let call = lstm.forward_async(input.view(), None);
                    let result =
                        if k % 2 == 0 { lstm.forward(input.view(), None) } else { pollster::block_on(call) };
                    match result {
                        Ok(_) => returned.fetch_add(1, Relaxed),
                        Err(error) => return error,
                    };
                }
            })
        })
        .collect();
    ends("calls in threads", move || {
        while returned.load(Relaxed) < 12 {
            thread::yield_now();
        }
        gpu.destroy();
        for thread in threads {
            let error = thread.join().unwrap();
            assert!(matches!(error, Error::DeviceLost { .. }), "{error:?}");
        }
    });
}
