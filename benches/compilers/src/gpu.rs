//! The GPUs, and how a driver is started that compiles for one without having it.

use std::path::Path;
use std::process::Command;

use wgpu_lstm::inspect::DeviceClass;

/// A GPU that a driver of Mesa compiles for.
#[derive(Clone, Copy, Debug)]
pub struct Gpu {
    pub name: &'static str,
    /// Which devices carry it.
    pub devices: &'static str,
    pub vendor: Vendor,
    /// By which the driver, or its drm-shim, is told the GPU.
    variable: &'static str,
    value: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    /// RADV opens without hardware.
    Amd,
    /// ANV, over its drm-shim.
    Intel,
    /// NVK, over its drm-shim. Its newest release tells most, and needs a C library of its own.
    Nvidia,
}

pub const GPUS: [Gpu; 5] = [
    Gpu {
        name: "navi21",
        devices: "AMD RDNA 2: Radeon RX 6800, 6900",
        vendor: Vendor::Amd,
        variable: "RADV_FORCE_FAMILY",
        value: "navi21",
    },
    Gpu {
        name: "navi31",
        devices: "AMD RDNA 3: Radeon RX 7900",
        vendor: Vendor::Amd,
        variable: "RADV_FORCE_FAMILY",
        value: "navi31",
    },
    Gpu {
        name: "tgl",
        devices: "Intel Xe-LP: Tiger Lake's Iris Xe",
        vendor: Vendor::Intel,
        variable: "INTEL_STUB_GPU_PLATFORM",
        value: "tgl",
    },
    Gpu {
        name: "dg2",
        devices: "Intel Xe-HPG: Arc A770",
        vendor: Vendor::Intel,
        variable: "INTEL_STUB_GPU_PLATFORM",
        value: "dg2",
    },
    Gpu {
        name: "ga102",
        devices: "NVIDIA Ampere: GeForce RTX 3080, 3090",
        vendor: Vendor::Nvidia,
        variable: "NOUVEAU_CHIPSET",
        value: "172",
    },
];

impl Gpu {
    /// How the planner sees it.
    pub fn class(&self) -> DeviceClass {
        match self.vendor {
            Vendor::Amd => DeviceClass::HardwareOf64Lanes,
            Vendor::Intel | Vendor::Nvidia => DeviceClass::Hardware,
        }
    }

    /// A command that runs `program` with this GPU's driver out of `drivers`, the folder that `drivers.sh` filled.
    pub fn command(&self, program: &Path, drivers: &Path) -> Command {
        let libraries = |suite: &str| {
            let folder = |path| drivers.join(suite).join(path).display().to_string();
            [folder("usr/lib/x86_64-linux-gnu"), folder("lib/x86_64-linux-gnu")].join(":")
        };
        let (manifest, mut command) = match self.vendor {
            Vendor::Amd | Vendor::Intel => {
                let mut command = Command::new(program);
                command.env("LD_LIBRARY_PATH", libraries("release"));
                if self.vendor == Vendor::Intel {
                    command.env("LD_PRELOAD", drivers.join("intel.so"));
                }
                (if self.vendor == Vendor::Intel { "anv.json" } else { "radv.json" }, command)
            }
            Vendor::Nvidia => {
                let mut command = Command::new(drivers.join("newest/usr/lib64/ld-linux-x86-64.so.2"));
                command.arg("--library-path").arg(libraries("newest"));
                command.arg("--preload").arg(drivers.join("nouveau.so")).arg(program);
                ("nvk.json", command)
            }
        };
        let manifest = drivers.join(manifest);
        command
            .env("VK_DRIVER_FILES", &manifest)
            .env("VK_ICD_FILENAMES", &manifest) // older loaders
            .env("MESA_SHADER_CACHE_DISABLE", "true")
            .env(self.variable, self.value);
        command
    }
}
