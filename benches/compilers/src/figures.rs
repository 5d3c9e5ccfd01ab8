//! A driver's statistics under common names.

use serde::Serialize;

use crate::assembly::{self, InFlight};
use crate::gpu::Vendor;
use crate::vulkan::Executable;

/// What the tables show of a pipeline. `None`: the driver does not tell.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Invocations of a subgroup.
    pub lanes: Option<u32>,
    /// Registers of a lane: AMD's VGPRs as they are allocated, NVIDIA's GPRs, Intel's of 32 bytes that live at once.
    pub registers: Option<u32>,
    /// Registers, or on Intel and NVIDIA instructions, that go to memory.
    pub spills: Option<u32>,
    /// Bytes of memory behind the registers: AMD's of a wave, the others' of a lane or thread.
    pub scratch: Option<u32>,
    /// Bytes of workgroup memory.
    pub workgroup: Option<u32>,
    /// Bytes.
    pub code: Option<u32>,
    pub instructions: Option<u32>,
    /// Subgroups that a SIMD unit (AMD) or a multiprocessor (NVIDIA) holds at once.
    pub waves: Option<u32>,
    /// The compiler's own estimate of a subgroup's run, for comparisons on the same GPU.
    pub cycles: Option<u32>,
    pub in_flight: Option<InFlight>,
}

impl Figures {
    pub fn new(vendor: Vendor, executable: &Executable) -> Self {
        let any = |names: &[&str]| {
            let value = |name: &&str| executable.statistics.iter().find(|(other, _)| other == name);
            names.iter().find_map(value).map(|(_, value)| *value as u32)
        };
        let assembly = assembly::of(vendor, executable);
        let intel = assembly.filter(|_| vendor == Vendor::Intel);
        Self {
            lanes: Some(executable.subgroup_size).filter(|&lanes| lanes > 0),
            registers: any(&["VGPRs", "Max live registers", "Number of GPRs"]),
            spills: any(&["Spilled VGPRs", "Spill Count", "Spills to memory"]),
            scratch: any(&["Scratch size", "Scratch Memory Size", "SLM size"]),
            workgroup: any(&["LDS size", "Workgroup Memory Size"]),
            code: any(&["Code size"]).or_else(|| intel.map(assembly::code_bytes)),
            instructions: any(&["Instructions", "Instruction Count", "Instruction count"]),
            waves: any(&["Subgroups per SIMD", "Max warps/SM"]),
            cycles: any(&["Latency", "Cycle Count", "Static cycle count"]),
            in_flight: assembly.map(|text| assembly::in_flight(vendor, text)),
        }
    }

    /// Whether anything that should be in registers is in memory.
    pub fn spills(&self) -> bool {
        self.spills.unwrap_or(0) > 0 || self.scratch.unwrap_or(0) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executable(statistics: &[(&str, f64)], title: &str, assembly: &str) -> Executable {
        Executable {
            name: "compute".to_owned(),
            subgroup_size: 32,
            statistics: statistics.iter().map(|&(name, value)| (name.to_owned(), value)).collect(),
            texts: vec![("NIR".to_owned(), "send { };".to_owned()), (title.to_owned(), assembly.to_owned())],
        }
    }

    const SMALL: Figures = Figures {
        lanes: Some(32),
        registers: Some(64),
        spills: Some(2),
        scratch: Some(128),
        workgroup: Some(512),
        code: Some(5740),
        instructions: Some(1109),
        waves: Some(16),
        cycles: Some(7845),
        in_flight: Some(InFlight { loads: 1, bytes: 16, all_bytes: Some(16) }),
    };

    #[test]
    fn names_of_radv() {
        let statistics = [
            ("SGPRs", 128.0),
            ("VGPRs", 64.0),
            ("Spilled SGPRs", 9.0),
            ("Spilled VGPRs", 2.0),
            ("Code size", 5740.0),
            ("LDS size", 512.0),
            ("Scratch size", 128.0),
            ("Subgroups per SIMD", 16.0),
            ("Instructions", 1109.0),
            ("Latency", 7845.0),
            ("Inverse Throughput", 981.0),
        ];
        let assembly = "\tbuffer_load_dwordx4 v[8:11], v3, s[16:19], 0 offen ; e0381000 80040803\n";
        let executable = executable(&statistics, "Assembly", assembly);
        assert_eq!(Figures::new(Vendor::Amd, &executable), SMALL);
    }

    #[test]
    fn names_of_anv() {
        let statistics = [
            ("Instruction Count", 1109.0),
            ("SEND Count", 40.0),
            ("Loop Count", 2.0),
            ("Cycle Count", 7845.0),
            ("Spill Count", 2.0),
            ("Fill Count", 3.0),
            ("Scratch Memory Size", 128.0),
            ("Max dispatch width", 16.0),
            ("Max live registers", 64.0),
            ("Workgroup Memory Size", 512.0),
        ];
        let assembly = "mov(8) g74<1>UD g0.7<0,1,0>UD { align1 WE_all 1Q };\n";
        let executable = executable(&statistics, "GEN Assembly", assembly);
        let in_flight = Some(InFlight { loads: 0, bytes: 0, all_bytes: Some(0) });
        let expected = Figures { code: Some(16), waves: None, in_flight, ..SMALL };
        assert_eq!(Figures::new(Vendor::Intel, &executable), expected);
    }

    #[test]
    fn names_of_nvk() {
        let statistics = [
            ("Instruction count", 1109.0),
            ("Static cycle count", 7845.0),
            ("Max warps/SM", 16.0),
            ("Spills to memory", 2.0),
            ("Fills from memory", 1.0),
            ("Number of GPRs", 64.0),
            ("SLM size", 128.0),
            ("Code size", 5740.0),
        ];
        let assembly = "r7 = ld.global.a64.constant.b128 [r7+ur6..8], p0 // delay=2 rd:0 wr:1\n";
        let executable = executable(&statistics, "NAK assembly", assembly);
        let expected = Figures { workgroup: None, ..SMALL };
        assert_eq!(Figures::new(Vendor::Nvidia, &executable), expected);
    }

    #[test]
    fn what_a_driver_does_not_tell_is_empty() {
        let nothing = Executable { subgroup_size: 0, statistics: vec![], texts: vec![], name: String::new() };
        assert_eq!(Figures::new(Vendor::Amd, &nothing), Figures::default());
    }
}
