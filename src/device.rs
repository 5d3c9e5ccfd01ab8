//! Where a network runs.

use std::fmt;
use std::sync::Arc;

use crate::error::Error;
use crate::gpu::Gpu;
use crate::platform;

/// The GPU or the CPU. Cheap to clone; clones are the same device.
///
/// It is `Send` and `Sync`, as networks and streams are, except in WebAssembly with threads (the target feature `atomics`):
/// there WebGPU's objects belong to one thread.
///
/// ```
/// let device = wgpu_lstm::Device::best(); // never fails: the CPU where there is no GPU
/// println!("{}", device.name());
/// ```
#[derive(Clone)]
pub struct Device {
    backend: Backend,
}

#[derive(Clone)]
pub(crate) enum Backend {
    Cpu,
    Gpu(Arc<Gpu>),
}

impl Device {
    /// A hardware GPU where there is one, else the CPU: a software adapter is slower than the CPU path.
    ///
    /// It logs its choice through the [`log`](https://docs.rs/log) crate: as `info`, or as `warn` if it is the CPU
    /// because of an error of [`gpu`](Self::gpu), which the message has.
    ///
    /// In a browser, where nothing may block, it is always the CPU: use [`best_async`](Self::best_async).
    pub fn best() -> Self {
        Self::chosen(Self::gpu())
    }

    /// As [`best`](Self::best), without blocking.
    pub async fn best_async() -> Self {
        Self::chosen(Self::gpu_async().await)
    }

    fn chosen(gpu: Result<Self, Error>) -> Self {
        match gpu {
            Ok(device) if !device.is_software() => {
                log::info!("Device::best chose {}", device.name());
                device
            }
            Ok(device) => {
                log::info!(
                    "Device::best chose the CPU: {} is a software adapter, which is slower",
                    device.name()
                );
                Self::cpu()
            }
            Err(error) => {
                log::warn!("Device::best chose the CPU: {error}");
                Self::cpu()
            }
        }
    }

    /// Any GPU adapter, software ones too. `WGPU_BACKEND`, `WGPU_ADAPTER_NAME` and `WGPU_POWER_PREF`
    /// choose among several, as wgpu documents them; without them it is the fastest. An empty `WGPU_BACKEND` names no
    /// backend; the other two have no effect if they are empty.
    ///
    /// # Errors
    ///
    /// [`Error::NoAdapter`], also for a variable whose value names nothing, as `WGPU_BACKEND=nonsense`;
    /// [`Error::DeviceRequest`]; [`Error::LimitExceeded`] for an adapter with less than every kernel needs;
    /// [`Error::Unsupported`] in a browser, where nothing may block: use [`gpu_async`](Self::gpu_async).
    pub fn gpu() -> Result<Self, Error> {
        block_on("Device::gpu", "use Device::gpu_async", Self::gpu_async())
    }

    /// As [`gpu`](Self::gpu), without blocking.
    ///
    /// # Errors
    ///
    /// As for [`gpu`](Self::gpu), but never `Unsupported`.
    pub async fn gpu_async() -> Result<Self, Error> {
        let gpu = Arc::new(Gpu::open().await?);
        Ok(Self { backend: Backend::Gpu(gpu) })
    }

    /// The CPU: needs no driver.
    pub fn cpu() -> Self {
        Self { backend: Backend::Cpu }
    }

    /// A device that the caller opened, to share it. Subgroups are used if its features include them, and on a software
    /// adapter so is `MAPPABLE_PRIMARY_BUFFERS`: calls then copy nothing between buffers.
    ///
    /// The device's limits bound what can run. The caller keeps its device-lost callback.
    ///
    /// Calls on it wait by [`wgpu::Device::poll`], which runs the callbacks of all users of the device: so a call may
    /// run the application's own, of `map_async` and `on_submitted_work_done`, in the thread that waits. A panic in
    /// one of them is passed on to the caller of the method that waits.
    ///
    /// # Errors
    ///
    /// [`Error::LimitExceeded`] if the device was opened with less than every kernel needs, as with
    /// `wgpu::Limits::downlevel_webgl2_defaults()` (what grows with a network is checked by
    /// [`Lstm::new`](crate::Lstm::new), what grows with a call by the call), [`Error::QueueMismatch`] if the queue is another
    /// device's, [`Error::DeviceLost`]. A browser tells these two only later: there [`from_wgpu_async`](Self::from_wgpu_async)
    /// returns them, or else [`Lstm::new_async`](crate::Lstm::new_async).
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue) -> Result<Self, Error> {
        let gpu = Arc::new(Gpu::from_wgpu(device, queue)?);
        Ok(Self { backend: Backend::Gpu(gpu) })
    }

    /// As [`from_wgpu`](Self::from_wgpu), without blocking; in a browser it waits for the answer about the queue.
    ///
    /// # Errors
    ///
    /// As for [`from_wgpu`](Self::from_wgpu), all of them at once.
    pub async fn from_wgpu_async(device: wgpu::Device, queue: wgpu::Queue) -> Result<Self, Error> {
        let gpu = Arc::new(Gpu::from_wgpu(device, queue)?);
        gpu.check_queue().await?;
        Ok(Self { backend: Backend::Gpu(gpu) })
    }

    /// The adapter and its API, as in `llvmpipe (LLVM 15.0.6, 256 bits), Vulkan`, or `CPU`.
    ///
    /// A browser may hide the adapter's description. Then it is the vendor and the architecture, as in
    /// `google swiftshader, BrowserWebGpu`, or `unnamed adapter` if these are hidden too.
    pub fn name(&self) -> String {
        match &self.backend {
            Backend::Cpu => "CPU".to_owned(),
            Backend::Gpu(gpu) => format!("{}, {:?}", gpu.info().name, gpu.info().backend),
        }
    }

    /// Whether this is a GPU adapter, software ones included.
    pub fn is_gpu(&self) -> bool {
        matches!(self.backend, Backend::Gpu(_))
    }

    /// The wgpu device and queue that calls run on, to share buffers with them; `None` on the CPU. Both are handles:
    /// clones of them are the same device and queue.
    ///
    /// ```
    /// let device = wgpu_lstm::Device::best();
    /// if let Some((device, _)) = device.wgpu() {
    ///     println!("up to {} bytes a buffer", device.limits().max_buffer_size);
    /// }
    /// ```
    pub fn wgpu(&self) -> Option<(&wgpu::Device, &wgpu::Queue)> {
        match &self.backend {
            Backend::Cpu => None,
            Backend::Gpu(gpu) => Some(gpu.wgpu()),
        }
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.backend
    }

    fn is_software(&self) -> bool {
        matches!(&self.backend, Backend::Gpu(gpu) if gpu.limits().software)
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Device").field(&self.name()).finish()
    }
}

/// Waits for a future in the calling thread. In a browser, where nothing may block, the error names what to call
/// `instead`.
pub(crate) fn block_on<T>(
    what: &'static str,
    instead: &'static str,
    future: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    platform::block_on(future).unwrap_or(Err(Error::Unsupported { what, reason: instead }))
}
