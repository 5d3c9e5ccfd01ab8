//! Where a network runs.

use std::fmt;
use std::sync::Arc;

use crate::error::Error;
use crate::gpu::Gpu;

/// The GPU or the CPU. Cheap to clone; clones are the same device.
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
    pub fn best() -> Self {
        match Self::gpu() {
            Ok(device) if !device.is_software() => device,
            _ => Self::cpu(),
        }
    }

    /// Any GPU adapter, software ones too. `WGPU_BACKEND`, `WGPU_ADAPTER_NAME` and `WGPU_POWER_PREF`
    /// choose among several; without them it is the fastest.
    ///
    /// # Errors
    ///
    /// [`Error::NoAdapter`], [`Error::DeviceRequest`]; [`Error::LimitExceeded`] for an adapter that
    /// has no compute shaders worth the name; [`Error::Unsupported`] in a browser, where nothing may
    /// block: use [`gpu_async`](Self::gpu_async).
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

    /// A device that the caller opened, to share it. Subgroups are used if its features include them.
    ///
    /// The device's limits bound what can run. Its device-lost callback stays the caller's.
    ///
    /// # Errors
    ///
    /// [`Error::LimitExceeded`] if the device was opened with less than the kernels need, as with
    /// `wgpu::Limits::downlevel_webgl2_defaults()`, [`Error::QueueMismatch`] if the queue is another
    /// device's, [`Error::DeviceLost`].
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue) -> Result<Self, Error> {
        let gpu = Arc::new(Gpu::from_wgpu(device, queue)?);
        Ok(Self { backend: Backend::Gpu(gpu) })
    }

    /// The adapter and its API, as in `llvmpipe (LLVM 15.0.6, 256 bits), Vulkan`, or `CPU`.
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

/// Waits for a future in the calling thread, where the platform lets it.
pub(crate) fn block_on<T>(
    what: &'static str,
    instead: &'static str,
    future: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    if cfg!(target_family = "wasm") {
        return Err(Error::Unsupported { what, reason: instead });
    }
    pollster::block_on(future)
}
