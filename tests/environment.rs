//! The `WGPU_*` variables, and what `Device::best` logs. The environment and the logger belong to a process, so every
//! test runs in its own.

mod common;

use std::sync::Mutex;

use common::process::in_a_process_of_its_own;
use log::{Level, LevelFilter, Log, Metadata, Record};
use wgpu_lstm::{Device, Error};

/// What the crate logged.
static LINES: Mutex<Vec<(Level, String)>> = Mutex::new(Vec::new());

struct Lines;

impl Log for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if record.target().starts_with("wgpu_lstm") {
            LINES.lock().unwrap().push((record.level(), record.args().to_string()));
        }
    }

    fn flush(&self) {}
}

/// `Device::best`, and the one line that it logs.
fn best() -> (Device, Level, String) {
    log::set_logger(&Lines).expect("the first in this process");
    log::set_max_level(LevelFilter::Info);
    let device = Device::best();
    let mut lines = LINES.lock().unwrap();
    let (level, line) = lines.pop().expect("best says why it chose");
    assert!(lines.is_empty(), "{lines:?}");
    (device, level, line)
}

/// In a process with this variable alone: `gpu` fails with a reason that has all of `said`, and `best` is the CPU and
/// logs it.
fn refused(test: &str, variable: &str, value: &str, said: &[&str]) {
    in_a_process_of_its_own(test, &[(variable, value)], || {
        let error = Device::gpu().unwrap_err();
        let Error::NoAdapter { reason } = &error else { panic!("{error:?}") };
        assert!(said.iter().all(|part| reason.contains(part)), "{reason}");
        let (device, level, line) = best();
        assert!(!device.is_gpu());
        assert_eq!((level, line), (Level::Warn, format!("Device::best chose the CPU: {error}")));
    });
}

#[test]
fn a_backend_that_is_none_is_refused_by_name() {
    let test = "a_backend_that_is_none_is_refused_by_name";
    refused(test, "WGPU_BACKEND", "nonsense", &["WGPU_BACKEND", "\"nonsense\"", "vulkan"]);
}

/// wgpu reads an empty list of backends as no backend at all.
#[test]
fn an_empty_list_of_backends_is_refused_by_name() {
    refused("an_empty_list_of_backends_is_refused_by_name", "WGPU_BACKEND", "", &["WGPU_BACKEND", "\"\""]);
}

#[test]
fn a_backend_without_an_adapter_is_named() {
    refused("a_backend_without_an_adapter_is_named", "WGPU_BACKEND", "noop", &["WGPU_BACKEND", "\"noop\""]);
}

#[test]
fn a_power_preference_that_is_none_is_refused_by_name() {
    let test = "a_power_preference_that_is_none_is_refused_by_name";
    refused(test, "WGPU_POWER_PREF", "fast", &["WGPU_POWER_PREF", "\"fast\"", "low, high or none"]);
}

#[test]
#[cfg(unix)]
fn a_variable_that_is_no_unicode_is_refused_by_name() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let test = "a_variable_that_is_no_unicode_is_refused_by_name";
    in_a_process_of_its_own(test, &[("WGPU_ADAPTER_NAME", OsStr::from_bytes(b"a\xff"))], || {
        let error = Device::gpu().unwrap_err();
        let Error::NoAdapter { reason } = &error else { panic!("{error:?}") };
        assert!(reason.contains("WGPU_ADAPTER_NAME"), "{reason}");
    });
}

/// wgpu looks for part of a name, and an empty string is part of every name.
#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn an_empty_name_and_preference_ask_for_nothing() {
    let test = "an_empty_name_and_preference_ask_for_nothing";
    in_a_process_of_its_own(test, &[("WGPU_ADAPTER_NAME", ""), ("WGPU_POWER_PREF", "")], || {
        assert!(Device::gpu().unwrap().is_gpu());
    });
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn a_list_with_one_backend_in_it_is_that_backend() {
    let test = "a_list_with_one_backend_in_it_is_that_backend";
    in_a_process_of_its_own(test, &[("WGPU_BACKEND", "nonsense, VK, mtl, dx12")], || {
        assert!(Device::gpu().unwrap().is_gpu());
    });
}

#[test]
#[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
fn the_best_device_says_why_it_is_the_best() {
    in_a_process_of_its_own(
        "the_best_device_says_why_it_is_the_best",
        &[("WGPU_POWER_PREF", "high")],
        || {
            let name = Device::gpu().unwrap().name();
            let (device, level, line) = best();
            assert_eq!(level, Level::Info);
            if device.is_gpu() {
                assert_eq!(line, format!("Device::best chose {name}"));
            } else {
                assert!(line.starts_with("Device::best chose the CPU") && line.contains(&name), "{line}");
            }
        },
    );
}
