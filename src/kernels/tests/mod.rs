//! Shaders against their host side, with no adapter: naga parses and validates every file, and what it
//! sees must be what the host binds.

mod bindings;
mod constants;
mod tiles;
mod uniforms;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use naga::Module;
use naga::valid::{Capabilities, SubgroupOperationSet, ValidationFlags, Validator};

use super::KERNELS;
use crate::program::{DeviceLimits, Element, SubgroupSizes, Variant};

/// Every way to put a kernel together.
fn variants() -> impl Iterator<Item = Variant> {
    let elements = [Element::F32, Element::F16];
    [false, true]
        .into_iter()
        .flat_map(move |subgroups| elements.map(|element| Variant { subgroups, element }))
}

fn parse(what: &str, source: &str) -> Module {
    naga::front::wgsl::parse_str(source)
        .unwrap_or_else(|error| panic!("{what}: {}", error.emit_to_string(source)))
}

fn validate(what: &str, module: &Module, subgroups: bool) -> Result<(), String> {
    // unpack2x16float is core WGSL; naga has a name for it since WebGL lacks it.
    let subgroup = if subgroups { Capabilities::SUBGROUP } else { Capabilities::empty() };
    let capabilities = Capabilities::SHADER_FLOAT16_IN_FLOAT32 | subgroup;
    let mut validator = Validator::new(ValidationFlags::all(), capabilities);
    if subgroups {
        validator.subgroup_operations(SubgroupOperationSet::all());
        validator.subgroup_stages(naga::valid::ShaderStages::COMPUTE);
    }
    let valid = validator.validate(module);
    valid.map(drop).map_err(|error| format!("{what}: {error:?}"))
}

fn wgsl_files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(folder).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("readable").path());
    let mut files: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|e| e == "wgsl")).collect();
    files.sort();
    files
}

#[test]
fn every_shader_is_valid_without_an_adapter() {
    let mut failures = Vec::new();
    for kernel in KERNELS {
        for variant in variants() {
            let what = format!("{} ({variant:?})", kernel.name);
            let module = parse(&what, &kernel.source(variant));
            failures.extend(validate(&what, &module, variant.subgroups).err());
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn every_file_is_part_of_a_kernel() {
    let kernels = wgsl_files("shaders");
    assert_eq!(kernels.len(), KERNELS.len(), "one file a kernel: {kernels:?}");
    let stems: BTreeSet<_> =
        kernels.iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    let names: BTreeSet<_> = KERNELS.iter().map(|kernel| kernel.name.to_owned()).collect();
    assert_eq!(stems, names, "file stem = kernel");

    let common = wgsl_files("shaders/common");
    assert_eq!(common.len(), 14, "{common:?}");
    for path in kernels.iter().chain(&common) {
        let text = fs::read_to_string(path).unwrap();
        let used = |variant| KERNELS.iter().any(|kernel| kernel.source(variant).contains(&text));
        assert!(variants().any(used), "{} is in no kernel", path.display());
    }
}

pub(crate) fn limits(software: bool, subgroups: Option<SubgroupSizes>) -> DeviceLimits {
    DeviceLimits { subgroups, software, units: if software { 2 } else { 32 }, ..DeviceLimits::GUARANTEED }
}
