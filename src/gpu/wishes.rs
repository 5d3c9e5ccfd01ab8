//! The adapter that the `WGPU_*` variables select.

use std::env;

use crate::error::Error;

/// The values of the variables. Unset and empty ones mean what they mean to wgpu: an empty
/// `WGPU_BACKEND` names no backend, an empty `WGPU_ADAPTER_NAME` is part of every name, and an empty
/// `WGPU_POWER_PREF` is none. A value that wgpu would ignore is refused.
pub(super) struct Wishes {
    /// `WGPU_BACKEND`, which wgpu reads itself.
    backends: Option<String>,
    /// `WGPU_ADAPTER_NAME`: a part of the adapter's name.
    pub name: Option<String>,
    /// `WGPU_POWER_PREF`; high performance if unset.
    pub power_preference: wgpu::PowerPreference,
}

impl Wishes {
    pub fn from_env() -> Result<Self, Error> {
        let backends = variable("WGPU_BACKEND")?;
        if let Some(list) = &backends
            && wgpu::Backends::from_comma_list(list).is_empty()
        {
            let known = "vulkan, metal, dx12, gl, webgpu and noop";
            let reason = format!("WGPU_BACKEND is {list:?}, which names no backend; wgpu's are {known}");
            return Err(Error::NoAdapter { reason });
        }
        let power_preference = match variable("WGPU_POWER_PREF")?.filter(|value| !value.is_empty()) {
            None => wgpu::PowerPreference::HighPerformance,
            Some(value) => wgpu::PowerPreference::from_env().ok_or_else(|| Error::NoAdapter {
                reason: format!("WGPU_POWER_PREF is {value:?}, but must be low, high or none"),
            })?,
        };
        let name = variable("WGPU_ADAPTER_NAME")?.filter(|name| !name.is_empty());
        Ok(Self { backends, name, power_preference })
    }

    /// The variable that may have excluded adapters, as a suffix for an error message.
    pub fn said(&self) -> String {
        let backends = self.backends.as_ref();
        backends.map(|list| format!(" (WGPU_BACKEND is {list:?})")).unwrap_or_default()
    }
}

fn variable(name: &str) -> Result<Option<String>, Error> {
    match env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(value)) => {
            Err(Error::NoAdapter { reason: format!("{name} is {value:?}, which is no Unicode") })
        }
    }
}
