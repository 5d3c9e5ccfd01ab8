//! What differs in a browser: threads, clocks, waiting, what an adapter is called. Every `cfg` of WebAssembly is in this
//! file.
//!
//! A browser's main thread must not block, WebAssembly starts no threads, and std's clock panics there. The rest of
//! the crate asks the functions below, whose results say what the platform can't do.

use std::time::Duration;

pub(crate) use self::here::{apart, block_on, browsers_adapter, clock, processors, search_adapters};

/// Threads of this program that run at the same time, at least 1: in a browser 1.
pub(crate) fn parallelism() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The name of an adapter and all that is known of it, from its vendor, architecture, device and description in
/// `GPUAdapterInfo`. A browser leaves empty what it hides.
#[cfg(any(target_family = "wasm", test))]
fn adapter_of(info: [String; 4]) -> (String, String) {
    let said = |words: &[String]| {
        let words: Vec<_> = words.iter().filter(|word| !word.is_empty()).map(String::as_str).collect();
        (!words.is_empty()).then(|| words.join(" "))
    };
    let all = said(&info).unwrap_or_default();
    let name = said(&info[3..]).or_else(|| said(&info[..3]));
    (name.unwrap_or_else(|| "unnamed adapter".to_owned()), all)
}

#[cfg(not(target_family = "wasm"))]
mod here {
    use std::time::Instant;

    use futures_channel::oneshot;

    use super::Duration;

    /// Waits for a future in the calling thread. `None` in a browser, where nothing may block: the future is dropped
    /// unpolled.
    pub(crate) fn block_on<R>(future: impl Future<Output = R>) -> Option<R> {
        Some(pollster::block_on(future))
    }

    /// Runs `wait`, which blocks, in a new thread, so that the caller's executor goes on; in the calling thread if no
    /// thread can be started. `None` in a browser, where `wait` does not run: what it waits for arrives through the event
    /// loop.
    pub(crate) async fn apart<R: Send + 'static>(wait: impl Fn() -> R + Clone + Send + 'static) -> Option<R> {
        let (done, result) = oneshot::channel();
        let work = wait.clone();
        let thread = move || {
            let result = work();
            drop(work); // and what it holds, before the caller goes on
            let _ = done.send(result); // nobody receives it if the call's future was dropped
        };
        match std::thread::Builder::new().spawn(thread) {
            Ok(_) => result.await.ok(),
            Err(_) => Some(wait()), // to block is better than to never wake up
        }
    }

    /// A function that returns the time since this call. Browsers round it, to 0.1 ms or less.
    pub(crate) fn clock() -> impl Fn() -> Duration {
        let start = Instant::now();
        move || start.elapsed()
    }

    /// Processors of the machine, which a software adapter has for itself: as many threads as a browser reports.
    pub(crate) fn processors() -> usize {
        super::parallelism()
    }

    /// Whether wgpu can search for adapters here, or why not: without a window or a worker it panics, and without WebGPU
    /// its message lists native backends.
    pub(crate) fn search_adapters() -> Result<(), &'static str> {
        Ok(())
    }

    /// What a browser says about the adapter of a device: a name for people, and all that it says. `None` natively, where
    /// wgpu has both.
    pub(crate) fn browsers_adapter(_: &wgpu::Device) -> Option<(String, String)> {
        None
    }
}

#[cfg(target_family = "wasm")]
mod here {
    use js_sys::Reflect;
    use js_sys::wasm_bindgen::JsValue;
    use web_time::Instant;

    use super::Duration;

    /// A property of a JavaScript object, if it has that property.
    fn member(object: &JsValue, name: &str) -> Option<JsValue> {
        let value = Reflect::get(object, &name.into()).ok()?;
        (!value.is_undefined() && !value.is_null()).then_some(value)
    }

    pub(crate) fn block_on<R>(_: impl Future<Output = R>) -> Option<R> {
        None
    }

    pub(crate) async fn apart<R>(_: impl Fn() -> R + Clone) -> Option<R> {
        None
    }

    pub(crate) fn clock() -> impl Fn() -> Duration {
        let start = Instant::now();
        move || start.elapsed()
    }

    pub(crate) fn processors() -> usize {
        let navigator = member(&js_sys::global(), "navigator");
        let count = navigator.and_then(|navigator| member(&navigator, "hardwareConcurrency")?.as_f64());
        count.map_or(1, |count| count as usize).max(1)
    }

    pub(crate) fn search_adapters() -> Result<(), &'static str> {
        let global = js_sys::global();
        let has = |name| member(&global, name).is_some();
        if !has("Window") && !has("WorkerGlobalScope") {
            return Err("wgpu finds WebGPU only in a window or a worker, and here is no Window and no \
                        WorkerGlobalScope: is it Node, or an audio worklet?");
        }
        match member(&global, "navigator").map(|navigator| member(&navigator, "gpu").is_some()) {
            None => Err("there is no navigator, which would have WebGPU"),
            Some(false) => Err(
                "the browser has no WebGPU (there is no navigator.gpu), or not for this page: it must be from \
                                https or localhost",
            ),
            Some(true) => Ok(()),
        }
    }

    pub(crate) fn browsers_adapter(device: &wgpu::Device) -> Option<(String, String)> {
        let info = device.as_webgpu()?.adapter_info();
        Some(super::adapter_of([info.vendor(), info.architecture(), info.device(), info.description()]))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::{adapter_of, apart, block_on, clock, parallelism, processors};

    #[test]
    fn waits_and_times_where_the_platform_can() {
        assert!(parallelism() > 0 && processors() >= parallelism());
        let here = thread::current().id();
        let there = block_on(apart(|| thread::current().id())).flatten();
        assert_ne!(there, Some(here), "it blocks in a thread of its own");
        assert!(there.is_some());
        let now = clock();
        let first = now();
        assert!(now() >= first);
    }

    #[test]
    fn a_browsers_adapter_is_called_what_it_says_of_itself() {
        for (info, name, all) in [
            (["google", "swiftshader", "", ""], "google swiftshader", "google swiftshader"),
            (["nvidia", "ampere", "", "RTX 3060"], "RTX 3060", "nvidia ampere RTX 3060"),
            (["", "", "", "RTX 3060"], "RTX 3060", "RTX 3060"),
            ([""; 4], "unnamed adapter", ""),
        ] {
            assert_eq!(adapter_of(info.map(str::to_owned)), (name.to_owned(), all.to_owned()));
        }
    }
}
