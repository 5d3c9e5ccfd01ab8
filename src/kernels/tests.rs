//! Shaders against their host side, with no adapter: naga parses and validates every file, and what it
//! sees must be what the host binds.

use std::collections::BTreeSet;
use std::fs;
use std::mem::offset_of;
use std::path::{Path, PathBuf};

use naga::valid::{Capabilities, SubgroupOperationSet, ValidationFlags, Validator};
use naga::{AddressSpace, Module, StorageAccess, TypeInner};

use super::{Block, HiddenProjection, InputProjection, KERNELS, RecurrentStep, Step, TileShape, Tiling};
use crate::spec::{Access, DeviceLimits, KernelSpec, PipelineSpec, SubgroupSizes};

fn parse(what: &str, source: &str) -> Module {
    naga::front::wgsl::parse_str(source)
        .unwrap_or_else(|error| panic!("{what}: {}", error.emit_to_string(source)))
}

fn validate(what: &str, module: &Module, subgroups: bool) -> Result<(), String> {
    let capabilities = if subgroups { Capabilities::SUBGROUP } else { Capabilities::empty() };
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
        for (twin, source, subgroups) in
            [("portable", kernel.portable, false), ("subgroup", kernel.subgroup, true)]
        {
            let what = format!("{} ({twin})", kernel.name);
            failures.extend(validate(&what, &parse(&what, source), subgroups).err());
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn every_file_is_part_of_a_kernel() {
    let kernels = wgsl_files("shaders");
    assert_eq!(kernels.len(), 3, "one file a kernel: {kernels:?}");
    let stems: BTreeSet<_> =
        kernels.iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    let names: BTreeSet<_> = KERNELS.iter().map(|kernel| kernel.name.to_owned()).collect();
    assert_eq!(stems, names, "file stem = kernel");

    let common = wgsl_files("shaders/common");
    assert_eq!(common.len(), 5, "{common:?}");
    for path in kernels.iter().chain(&common) {
        let text = fs::read_to_string(path).unwrap();
        let used = |kernel: &&KernelSpec| kernel.portable.contains(&text) || kernel.subgroup.contains(&text);
        assert!(KERNELS.iter().any(used), "{} is in no kernel", path.display());
    }
}

/// Binding number, name and access of every resource in a module.
fn bindings(module: &Module) -> Vec<(u32, String, Access)> {
    let mut found: Vec<_> = module
        .global_variables
        .iter()
        .filter_map(|(_, variable)| {
            let place = variable.binding.as_ref()?;
            assert_eq!(place.group, 0);
            let access = match variable.space {
                AddressSpace::Uniform => {
                    Access::Uniform(module.types[variable.ty].inner.size(module.to_ctx()))
                }
                AddressSpace::Storage { access } if access == StorageAccess::LOAD => Access::Read,
                AddressSpace::Storage { .. } => Access::ReadWrite,
                other => panic!("a binding in {other:?}"),
            };
            Some((place.binding, variable.name.clone().unwrap(), access))
        })
        .collect();
    found.sort_by_key(|&(number, ..)| number);
    found
}

#[test]
fn the_host_binds_what_the_shaders_declare() {
    for kernel in KERNELS {
        for source in [kernel.portable, kernel.subgroup] {
            let module = parse(kernel.name, source);
            let host: Vec<_> = (0..)
                .zip(kernel.bindings)
                .map(|(number, binding)| (number, binding.name.to_owned(), binding.access))
                .collect();
            assert_eq!(bindings(&module), host, "{}", kernel.name);
            let entries: Vec<_> = module.entry_points.iter().map(|entry| &entry.name).collect();
            assert_eq!(entries, [kernel.name], "file stem = entry point");
        }
    }
}

/// Name and offset of the members of a struct in a module.
fn members(module: &Module, name: &str) -> Vec<(String, usize)> {
    let found = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some(name));
    let (_, ty) = found.unwrap_or_else(|| panic!("no struct {name}"));
    let TypeInner::Struct { members, .. } = &ty.inner else { panic!("{name} is no struct") };
    members.iter().map(|m| (m.name.clone().unwrap(), m.offset as usize)).collect()
}

#[test]
fn uniforms_are_laid_out_alike_on_both_sides() {
    let [input, step, projection] = KERNELS.map(|kernel| parse(kernel.name, kernel.portable));
    let block = [
        ("direction".to_owned(), offset_of!(Block, direction)),
        ("first_row".to_owned(), offset_of!(Block, first_row)),
        ("rows".to_owned(), offset_of!(Block, rows)),
        ("gates_rows".to_owned(), offset_of!(Block, gates_rows)),
    ];
    assert_eq!(members(&input, "Block"), block);
    let time_step = [
        ("batch".to_owned(), offset_of!(Step, batch)),
        ("direction".to_owned(), offset_of!(Step, direction)),
        ("running".to_owned(), offset_of!(Step, running)),
        ("gates_row".to_owned(), offset_of!(Step, gates_row)),
        ("output_row".to_owned(), offset_of!(Step, output_row)),
    ];
    assert_eq!(members(&step, "Step"), time_step);
    assert_eq!(members(&projection, "Step"), time_step);
}

pub(crate) fn limits(software: bool, subgroups: Option<SubgroupSizes>) -> DeviceLimits {
    DeviceLimits {
        max_binding: 128 << 20,
        max_buffer: 256 << 20,
        max_workgroups: 65_535,
        uniform_alignment: 256,
        subgroups,
        software,
    }
}

fn all_pipelines(tiling: &Tiling) -> Vec<PipelineSpec> {
    let input = InputProjection::pipelines(InputProjection::shape(5, 6), tiling);
    let step = RecurrentStep::pipelines(RecurrentStep::shape(6, 6), tiling, 2, false);
    let projected = RecurrentStep::pipelines(RecurrentStep::shape(3, 6), tiling, 2, true);
    let hidden = HiddenProjection::pipelines(HiddenProjection::shape(6, 3), tiling, 2);
    [input, step, projected, hidden].concat()
}

#[test]
fn the_host_gives_every_override_and_no_other() {
    let wide = Some(SubgroupSizes { min: 8, max: 8 });
    for tiling in [Tiling::of(&limits(false, None)), Tiling::of(&limits(true, wide))] {
        for spec in all_pipelines(&tiling) {
            let source = if spec.subgroups { spec.kernel.subgroup } else { spec.kernel.portable };
            let module = parse(spec.kernel.name, source);
            let declared: BTreeSet<_> =
                module.overrides.iter().map(|(_, o)| o.name.clone().unwrap()).collect();
            assert!(module.overrides.iter().all(|(_, o)| o.init.is_none()), "no defaults");
            let given: BTreeSet<_> = spec.constants.iter().map(|(name, _)| (*name).to_owned()).collect();
            assert_eq!(given.len(), spec.constants.len(), "each once");
            assert_eq!(given, declared, "{}", spec.kernel.name);
        }
    }
}

#[test]
fn tiles_fit_the_device() {
    let narrow = Some(SubgroupSizes { min: 4, max: 4 });
    let wide = Some(SubgroupSizes { min: 8, max: 8 });
    let heights = |limits| Tiling::of(&limits).heights().collect::<Vec<_>>();
    assert_eq!(heights(limits(true, narrow)), [1, 4], "lane r holds row r");
    assert_eq!(heights(limits(true, wide)), [1, 4, 8, 16]);
    assert_eq!(heights(limits(true, None)), [1, 4, 8, 16]);
    assert!(Tiling::of(&limits(true, wide)).subgroups);
    assert!(!Tiling::of(&limits(true, None)).subgroups);
    let hardware = Tiling::of(&limits(false, Some(SubgroupSizes { min: 32, max: 128 })));
    assert!(!hardware.subgroups && hardware.workgroup_size == 64);

    let tiling = Tiling::of(&limits(false, None));
    let height = |rows| tiling.heights().nth(tiling.height_for(rows)).unwrap();
    assert_eq!([1, 2, 4, 5, 8, 9, 16, 17, 1000].map(height), [1, 4, 4, 8, 8, 16, 16, 16, 16]);
    let shape = TileShape { reduction: 3, columns: 33 };
    assert_eq!(shape.grid(&tiling, tiling.height_for(17), 17, 2), [2, 2, 2]);
    assert_eq!(shape.operations(17), 2 * 12 * 132 * 17);
}
