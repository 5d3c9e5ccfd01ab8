//! What the tests change and count in JavaScript.

use js_sys::{Function, Reflect, global};

/// Runs a function's body.
pub fn run(body: &str) -> js_sys::wasm_bindgen::JsValue {
    Function::new_no_args(body).call0(&global()).unwrap_or_else(|error| panic!("{body}: {error:?}"))
}

fn number(name: &str) -> f64 {
    Reflect::get(&global(), &name.into()).unwrap().as_f64().unwrap_or_else(|| panic!("{name}"))
}

/// Counts buffers and pipelines from here on.
pub struct Counts(());

impl Counts {
    pub fn start() -> Self {
        run("
            globalThis.live_bytes = globalThis.peak_bytes = globalThis.pipelines = 0;
            if (globalThis.counts) return;
            globalThis.counts = true;
            const device = GPUDevice.prototype, buffer = GPUBuffer.prototype;
            const create = device.createBuffer, destroy = buffer.destroy, compile = device.createComputePipeline;
            const alive = new WeakSet();
            device.createBuffer = function (descriptor) {
                const made = create.call(this, descriptor);
                alive.add(made);
                globalThis.live_bytes += made.size;
                globalThis.peak_bytes = Math.max(globalThis.peak_bytes, globalThis.live_bytes);
                return made;
            };
            buffer.destroy = function () {
                if (alive.delete(this)) globalThis.live_bytes -= this.size;
                destroy.call(this);
            };
            device.createComputePipeline = function (descriptor) {
                globalThis.pipelines += 1;
                return compile.call(this, descriptor);
            };
        ");
        Self(())
    }

    /// Bytes of the buffers that were created and not destroyed.
    pub fn live_bytes(&self) -> f64 {
        number("live_bytes")
    }

    /// The most there were.
    pub fn peak_bytes(&self) -> f64 {
        number("peak_bytes")
    }

    pub fn pipelines(&self) -> f64 {
        number("pipelines")
    }
}
