//! A device that is lost within a call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use ndarray::Array3;

use crate::common;
use crate::config::LstmConfig;
use crate::device::{Backend, Device};
use crate::error::Error;
use crate::gpu::{Gpu, Wait};
use crate::lstm::{DEFAULT_MEMORY_BUDGET, Lstm};
use crate::tuning::{Schedule, Tuning};
use crate::weights::LstmWeights;
/// Where in a call the device is lost.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    /// The first of three submissions is on its way, the second not yet recorded.
    BetweenSubmissions,
    /// The only submission is on its way, and nothing was asked back yet.
    BeforeTheWait,
    /// The call waits, and wgpu is about to tell it that its results are there.
    InTheWait,
}

/// Arms `gpu` to be lost within the next call; whether it is yet. wgpu itself calls back at each moment: first when
/// that call submits, since nothing is submitted or polled before.
fn lose_within_a_call(gpu: &Arc<Gpu>, moment: Moment) -> Arc<AtomicBool> {
    let lost = Arc::new(AtomicBool::new(false));
    let lose = {
        let (gpu, lost) = (Arc::clone(gpu), Arc::clone(&lost));
        move || {
            gpu.wgpu().0.destroy();
            lost.store(true, Relaxed);
        }
    };
    let (device, queue) = gpu.wgpu();
    if moment != Moment::InTheWait {
        queue.on_submitted_work_done(lose);
        return lost;
    }
    let idle = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 4,
        usage: wgpu::BufferUsages::MAP_READ,
        mapped_at_creation: false,
    });
    let gpu = Arc::clone(gpu);
    queue.on_submitted_work_done(move || {
        // No submission uses this buffer: the next look, the call's wait, answers for it before the call's own.
        let kept = idle.clone(); // one that nobody holds any more is answered for at once
        idle.map_async(wgpu::MapMode::Read, .., move |result| {
            result.expect("nothing but the call's wait answers");
            lose();
            gpu.poll(); // frees what the device had, as a real loss would
            drop(kept);
        });
    });
    lost
}

/// A device of one's own to lose: one that we open, whose loss wgpu tells us, or a caller's, whose loss shows in
/// what it refuses.
fn doomed(ours: bool) -> Arc<Gpu> {
    if ours {
        return Arc::new(pollster::block_on(Gpu::open()).unwrap());
    }
    let (device, queue) = common::device::open(wgpu::Features::empty(), wgpu::Limits::default());
    let device = Device::from_wgpu(device, queue).unwrap();
    let Backend::Gpu(gpu) = device.backend() else { panic!("not a GPU") };
    Arc::clone(gpu)
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn a_device_lost_in_the_middle_of_a_call_hangs_nobody() {
    let weights = LstmWeights::uniform(&LstmConfig::new(7, 16), 7).unwrap();
    let input = Array3::zeros((28, 2, 7));
    // tests/steady.rs counts the submissions: three in this budget, one in the default.
    for (moment, budget) in [
        (Moment::BetweenSubmissions, 9 << 10),
        (Moment::BeforeTheWait, DEFAULT_MEMORY_BUDGET),
        (Moment::InTheWait, DEFAULT_MEMORY_BUDGET),
    ] {
        for (wait, ours) in
            [(Wait::Block, true), (Wait::Block, false), (Wait::Async, true), (Wait::Async, false)]
        {
            let what = format!("{moment:?}, {wait:?}, ours: {ours}");
            let gpu = doomed(ours);
            let lstm = pollster::block_on(Lstm::on_gpu(&gpu, &weights)).unwrap();
            let lstm = lstm.with_memory_budget(budget).with_tuning(Tuning::Fixed(Schedule::Step));
            lstm.forward(input.view(), None).unwrap(); // compiles, and makes what the next call reuses
            let lost = lose_within_a_call(&gpu, moment);
            assert!(!lost.load(Relaxed), "{what}: lost before the call");
            let result = pollster::block_on(lstm.run(input.view(), None, None, wait));
            assert!(lost.load(Relaxed), "{what}: not lost within the call");
            assert!(matches!(result, Err(Error::DeviceLost { .. })), "{what}: {result:?}");
            for _ in 0..2 {
                let result = lstm.forward(input.view(), None);
                assert!(matches!(result, Err(Error::DeviceLost { .. })), "{what}, afterwards: {result:?}");
            }
        }
    }
}
