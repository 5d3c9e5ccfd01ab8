//! Every error of a device or a call is returned, and the next right call works.
//! (Those of weights are in tests/weights, those of the reference in tests/reference.)

mod common;

#[cfg(target_os = "linux")]
use common::process::in_a_process_of_its_own;
use ndarray::{Array2, Array3, s};
use wgpu_lstm::{Device, Error, Lstm, LstmConfig, LstmState, LstmWeights, Precision, StatePart, wgpu};

fn weights() -> LstmWeights {
    LstmWeights::uniform(&LstmConfig::new(3, 5).with_num_layers(2).with_proj_size(2), 1).unwrap()
}

fn input() -> Array3<f32> {
    Array3::from_shape_fn((4, 2, 3), |(t, b, i)| (t + 2 * b) as f32 / 4.0 - i as f32 / 3.0)
}

/// Every wrong call on one `Lstm`, and after each of them the right one.
fn wrong_calls(device: &Device) {
    let lstm = Lstm::new(device, &weights()).unwrap();
    let input = input();
    let right = lstm.forward(input.view(), None).unwrap();
    let check =
        |what: &str, result: Result<(Array3<f32>, LstmState), Error>, is_right: fn(&Error) -> bool| {
            let error = result.expect_err(what);
            assert!(is_right(&error), "{what}: {error:?}");
            assert!(!error.to_string().is_empty());
            assert_eq!(lstm.forward(input.view(), None).unwrap(), right, "after {what}");
        };
    let forward = |shape: [usize; 3]| lstm.forward(Array3::zeros(shape).view(), None);
    check("input width", forward([4, 2, 4]), |e| matches!(e, Error::InputWidth { expected: 3, actual: 4 }));
    check("no steps", forward([0, 2, 3]), |e| matches!(e, Error::NoTimeSteps));
    let with_state = |h: [usize; 3], c: [usize; 3]| {
        let state = LstmState { h: Array3::zeros(h), c: Array3::zeros(c) };
        lstm.forward(input.view(), Some(&state))
    };
    check("h", with_state([2, 2, 5], [2, 2, 5]), |e| {
        matches!(e, Error::StateShape { part: StatePart::Hidden, expected: [2, 2, 2], actual: [2, 2, 5] })
    });
    check("c", with_state([2, 2, 2], [2, 1, 5]), |e| {
        matches!(e, Error::StateShape { part: StatePart::Cell, expected: [2, 2, 5], actual: [2, 1, 5] })
    });
    let padded = |lengths: &[usize]| lstm.forward_padded(input.view(), lengths, None);
    check("length count", padded(&[4]), |e| matches!(e, Error::LengthCount { expected: 2, actual: 1 }));
    check("length 0", padded(&[4, 0]), |e| {
        matches!(e, Error::LengthOutOfRange { index: 1, length: 0, steps: 4 })
    });
    check("length beyond T", padded(&[5, 4]), |e| {
        matches!(e, Error::LengthOutOfRange { index: 0, length: 5, steps: 4 })
    });
    let one = Array3::zeros((1, 1, 3));
    let overflowing = one.broadcast((1 << 56, 16, 3)).unwrap(); // 3·2⁶⁰ elements: as f64 beyond any address
    check("sizes", lstm.forward(overflowing, None), |e| {
        matches!(e, Error::SizeOverflow { .. })
            && e.to_string()
                == format!(
                    "the input, (T, B, I) would take more than {} bytes, the largest allocation there can be",
                    isize::MAX
                )
    });
    let vast = one.broadcast((1 << 45, 1, 3)).unwrap(); // 2⁴⁸ bytes: more than a process can address
    check("memory", lstm.forward(vast, None), |e| {
        matches!(e, Error::OutOfMemory { .. }) && e.to_string().starts_with("out of memory: the host")
    });
    let unbatched = lstm.forward_unbatched(Array2::zeros((4, 2)).view(), None);
    assert!(matches!(unbatched, Err(Error::InputWidth { expected: 3, actual: 2 })));
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn wrong_calls_on_the_gpu() {
    wrong_calls(common::device::gpu());
}

#[test]
fn wrong_calls_on_the_cpu() {
    wrong_calls(&Device::cpu());
}

#[test]
fn sizes_that_no_network_has() {
    let uniform = |config: LstmConfig| LstmWeights::uniform(&config, 0).unwrap_err();
    assert!(matches!(uniform(LstmConfig::new(0, 5)), Error::ZeroSize { what: "input_size" }));
    assert!(matches!(uniform(LstmConfig::new(5, 0)), Error::ZeroSize { what: "hidden_size" }));
    let none = LstmConfig::new(5, 5).with_num_layers(0);
    assert!(matches!(uniform(none), Error::ZeroSize { what: "num_layers" }));
    let wide = LstmConfig::new(5, 5).with_proj_size(5);
    assert!(matches!(uniform(wide), Error::ProjectionTooLarge { proj_size: 5, hidden_size: 5 }));
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn no_adapter() {
    in_a_process_of_its_own("no_adapter", &[("WGPU_ADAPTER_NAME", "none of this name")], || {
        let error = Device::gpu().expect_err("there is no such adapter");
        assert!(
            matches!(&error, Error::NoAdapter { reason } if reason.contains("none of this name")),
            "{error}"
        );
        assert!(!Device::best().is_gpu());
    });
}

#[test]
fn the_best_device_without_a_driver_is_the_cpu() {
    let none = "/no/such/file.json";
    let environment = [("VK_DRIVER_FILES", none), ("VK_ICD_FILENAMES", none), ("WGPU_BACKEND", "vulkan")];
    in_a_process_of_its_own("the_best_device_without_a_driver_is_the_cpu", &environment, || {
        assert!(matches!(Device::gpu(), Err(Error::NoAdapter { .. })));
        let device = Device::best();
        assert_eq!((device.name().as_str(), device.is_gpu()), ("CPU", false));
        let lstm = Lstm::new(&device, &weights()).unwrap();
        assert!(lstm.forward(input().view(), None).is_ok());
    });
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn limits_exceeded() {
    let small = wgpu::Limits { max_storage_buffer_binding_size: 1 << 16, ..Default::default() };
    let (device, queue) = common::device::open(wgpu::Features::empty(), small);
    let device = Device::from_wgpu(device, queue).unwrap();
    let wide = LstmWeights::constant(&LstmConfig::new(4, 128), 0.1).unwrap();
    let error = Lstm::new(&device, &wide).unwrap_err();
    assert!(
        matches!(
            &error,
            Error::LimitExceeded { what, needed: 262_144, limit: 65_536, .. } if what == "weight_hh_l0"
        ),
        "{error}"
    );

    assert!(error.to_string().ends_with("; the CPU device has no such limit"), "{error}");
    assert!(Lstm::new(&Device::cpu(), &wide).is_ok());
    // Half of that fits.
    let weights_88 = LstmWeights::constant(&LstmConfig::new(4, 88), 0.1).unwrap();
    let error = Lstm::new(&device, &weights_88).unwrap_err();
    let said = "weight_hh_l0 needs 123904, but max_storage_buffer_binding_size is 65536; as f16 \
        (LstmWeights::to_precision) the weights would fit, and the CPU device has no such limit";
    assert_eq!(error.to_string(), said);
    assert!(Lstm::new(&device, &weights_88.to_precision(Precision::F16).unwrap()).is_ok());

    let lstm = Lstm::new(&device, &weights()).unwrap();
    let right = lstm.forward(input().view(), None).unwrap();
    let lstm = lstm.with_memory_budget(100);
    let error = lstm.forward(input().view(), None).unwrap_err();
    assert!(error.to_string().ends_with("; Lstm::with_memory_budget raises it"), "{error}");
    assert!(matches!(error, Error::LimitExceeded { limit_name: "memory_budget", limit: 100, .. }), "{error}");
    let lstm = lstm.with_memory_budget(1 << 20);
    assert_eq!(lstm.forward(input().view(), None).unwrap(), right);

    let none = wgpu::Limits::downlevel_webgl2_defaults();
    let (device, queue) = common::device::open(wgpu::Features::empty(), none);
    let error = Device::from_wgpu(device, queue).unwrap_err();
    assert!(matches!(error, Error::LimitExceeded { .. }), "{error}");
}

/// A device that can't allocate: the test limits the address space of its own process after everything is prepared.
/// The driver must survive that. Mesa 25 crashes; but it reports how much memory is in use, so wgpu can refuse before
/// memory runs out: here at 0 % of it, when the device is requested.
#[test]
#[cfg(target_os = "linux")]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn out_of_memory_on_the_device() {
    let mut instance = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    instance.memory_budget_thresholds.for_resource_creation = Some(0);
    let limits = wgpu::Limits::default();
    if let Err(error) = common::device::open_from(instance, wgpu::Features::empty(), limits) {
        println!("this driver reports its memory: {error}");
        return;
    }
    in_a_process_of_its_own::<&str>("out_of_memory_on_the_device", &[], || {
        let weights = LstmWeights::constant(&LstmConfig::new(1, 256), 0.1).unwrap();
        let lstm = Lstm::new(common::device::gpu(), &weights).unwrap();
        let small = Array3::zeros((4, 10, 1));
        let right = lstm.forward(small.view(), None).unwrap();
        let large = Array3::zeros((32, 1000, 1)); // gates of 125 MiB, results of 31 MiB
        common::process::bound_growth(100 << 20);
        let result = lstm.forward(large.view(), None);
        assert!(
            matches!(&result, Err(Error::OutOfMemory { reason }) if reason.starts_with("the device: ")),
            "{result:?}"
        );
        assert_eq!(lstm.forward(small.view(), None).unwrap(), right);
    });
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn a_lost_device_stays_lost_and_says_so() {
    let (raw, queue) = common::device::open(wgpu::Features::empty(), wgpu::Limits::default());
    let device = Device::from_wgpu(raw.clone(), queue).unwrap();
    let lstm = Lstm::new(&device, &weights()).unwrap();
    assert!(lstm.forward(input().view(), None).is_ok());
    raw.destroy();
    for _ in 0..3 {
        let result = lstm.forward(input().view(), None);
        assert!(matches!(result, Err(Error::DeviceLost { .. })), "{result:?}");
    }
    let result = Lstm::new(&device, &weights());
    assert!(matches!(result, Err(Error::DeviceLost { .. })), "{result:?}");
    // Another device works.
    assert!(Lstm::new(common::device::gpu(), &weights()).is_ok());
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn a_queue_of_another_device_is_refused() {
    let (device, _) = common::device::open(wgpu::Features::empty(), wgpu::Limits::default());
    let (_, queue) = common::device::open(wgpu::Features::empty(), wgpu::Limits::default());
    let result = Device::from_wgpu(device, queue);
    assert!(matches!(result, Err(Error::QueueMismatch)), "{result:?}");
}

/// Views of any layout are valid input, and so is an empty batch.
fn unusual_calls(device: &Device) {
    let lstm = Lstm::new(device, &weights()).unwrap();
    let wide =
        Array3::from_shape_fn((8, 4, 6), |(t, b, i)| ((7 * t + 5 * b + 3 * i) % 11) as f32 / 11.0 - 0.5);
    for view in [
        wide.slice(s![..;2, ..;2, ..;2]),
        wide.slice(s![..;-2, ..;-2, ..;-2]),
        wide.slice(s![..4, 1..3, ..3]),
        wide.view().permuted_axes([1, 2, 0]).slice_move(s![.., ..2, ..3]),
        wide.slice(s![..1, ..1, ..3]).broadcast((4, 2, 3)).unwrap(),
    ] {
        let copy = view.as_standard_layout();
        assert_eq!(lstm.forward(view, None).unwrap(), lstm.forward(copy.view(), None).unwrap());
    }
    let reversed = LstmState {
        h: Array3::from_shape_fn((2, 2, 2), |(l, b, o)| (l + b + o) as f32).slice_move(s![..;-1, ..;-1, ..]),
        c: Array3::from_shape_fn((2, 5, 2), |(l, h, b)| (l * b) as f32 - h as f32).permuted_axes([0, 2, 1]),
    };
    let copy = LstmState {
        h: reversed.h.as_standard_layout().into_owned(),
        c: reversed.c.as_standard_layout().into_owned(),
    };
    let input = input();
    assert_eq!(
        lstm.forward(input.view(), Some(&reversed)).unwrap(),
        lstm.forward(input.view(), Some(&copy)).unwrap()
    );

    for (lstm, shape, expected) in [
        (Lstm::new(device, &weights()).unwrap(), [4, 0, 3], [4, 0, 2]),
        (Lstm::new(device, &weights()).unwrap().with_batch_first(true), [0, 4, 3], [0, 4, 2]),
    ] {
        let (output, state) = lstm.forward(Array3::zeros(shape).view(), None).unwrap();
        assert_eq!(output.shape(), expected);
        assert_eq!((state.h.dim(), state.c.dim()), ((2, 0, 2), (2, 0, 5)));
        let (output, _) = lstm.forward_padded(Array3::zeros(shape).view(), &[], None).unwrap();
        assert_eq!(output.shape(), expected);
    }
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn unusual_calls_on_the_gpu() {
    unusual_calls(common::device::gpu());
}

#[test]
fn unusual_calls_on_the_cpu() {
    unusual_calls(&Device::cpu());
}
