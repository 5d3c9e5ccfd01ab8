//! Shaders against their host side, with no adapter: naga parses and validates every file, and what it
//! sees must be what the host binds.

use std::collections::BTreeSet;
use std::fs;
use std::mem::offset_of;
use std::path::{Path, PathBuf};

use naga::valid::{Capabilities, SubgroupOperationSet, ValidationFlags, Validator};
use naga::{AddressSpace, Module, StorageAccess, TypeInner};

use super::{
    Block, FusedStep, HiddenProjection, InputProjection, KERNELS, Moment, RecurrentScan, RecurrentStep, Scan,
    Slot, Step, TileShape, Tiling,
};
use crate::program::{Access, DeviceLimits, PipelineSpec, SubgroupSizes, Variant};

/// Every way to put a kernel together.
fn variants() -> impl Iterator<Item = Variant> {
    let both = [false, true];
    both.into_iter().flat_map(move |subgroups| both.map(|half_weights| Variant { subgroups, half_weights }))
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
    assert_eq!(kernels.len(), 6, "one file a kernel: {kernels:?}");
    let stems: BTreeSet<_> =
        kernels.iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    let names: BTreeSet<_> = KERNELS.iter().map(|kernel| kernel.name.to_owned()).collect();
    assert_eq!(stems, names, "file stem = kernel");

    let common = wgsl_files("shaders/common");
    assert_eq!(common.len(), 13, "{common:?}");
    for path in kernels.iter().chain(&common) {
        let text = fs::read_to_string(path).unwrap();
        let used = |variant| KERNELS.iter().any(|kernel| kernel.source(variant).contains(&text));
        assert!(variants().any(used), "{} is in no kernel", path.display());
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
        for variant in variants() {
            let module = parse(kernel.name, &kernel.source(variant));
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
    let [input, step, scan, persistent, fused, projection] =
        KERNELS.map(|kernel| parse(kernel.name, &kernel.source(Variant::default())));
    let block = [
        ("direction".to_owned(), offset_of!(Block, direction)),
        ("first_row".to_owned(), offset_of!(Block, first_row)),
        ("rows".to_owned(), offset_of!(Block, rows)),
        ("gates_rows".to_owned(), offset_of!(Block, gates_rows)),
    ];
    assert_eq!(members(&input, "Block"), block);
    let slot = [
        ("running".to_owned(), offset_of!(Slot, running)),
        ("state".to_owned(), offset_of!(Slot, state)),
        ("gates_row".to_owned(), offset_of!(Slot, gates_row)),
        ("output_row".to_owned(), offset_of!(Slot, output_row)),
        ("w_ih".to_owned(), offset_of!(Slot, w_ih)),
        ("w_hh".to_owned(), offset_of!(Slot, w_hh)),
        ("w_hr".to_owned(), offset_of!(Slot, w_hr)),
        ("bias".to_owned(), offset_of!(Slot, bias)),
        ("x_row".to_owned(), offset_of!(Slot, x_row)),
        ("x_length".to_owned(), offset_of!(Slot, x_length)),
        ("x_source".to_owned(), offset_of!(Slot, x_source)),
        ("unused".to_owned(), offset_of!(Slot, unused)),
    ];
    for module in [step, fused, projection] {
        assert_eq!(members(&module, "Slot"), slot);
        assert_eq!(members(&module, "Step"), [("slots".to_owned(), offset_of!(Step, slots))]);
    }
    for scan in [scan, persistent] {
        let moment = [
            ("running".to_owned(), offset_of!(Moment, running)),
            ("gates_row".to_owned(), offset_of!(Moment, gates_row)),
            ("output_row".to_owned(), offset_of!(Moment, output_row)),
            ("unused".to_owned(), offset_of!(Moment, unused)),
        ];
        assert_eq!(members(&scan, "Moment"), moment);
        let of_scan = [
            ("batch".to_owned(), offset_of!(Scan, batch)),
            ("direction".to_owned(), offset_of!(Scan, direction)),
            ("count".to_owned(), offset_of!(Scan, count)),
            ("rows".to_owned(), offset_of!(Scan, rows)),
            ("slabs".to_owned(), offset_of!(Scan, slabs)),
            ("unused_0".to_owned(), offset_of!(Scan, unused)),
            ("unused_1".to_owned(), offset_of!(Scan, unused) + 4),
            ("unused_2".to_owned(), offset_of!(Scan, unused) + 8),
            ("steps".to_owned(), offset_of!(Scan, steps)),
        ];
        assert_eq!(members(&scan, "Scan"), of_scan);
    }
}

pub(crate) fn limits(software: bool, subgroups: Option<SubgroupSizes>) -> DeviceLimits {
    DeviceLimits {
        max_binding: 128 << 20,
        max_buffer: 256 << 20,
        max_workgroups: 65_535,
        uniform_alignment: 256,
        storage_alignment: 256,
        max_invocations: 256,
        max_workgroup_bytes: 16 << 10,
        subgroups,
        software,
        units: if software { 2 } else { 32 },
    }
}

fn all_pipelines(tiling: &Tiling) -> Vec<PipelineSpec> {
    let input = InputProjection::pipelines(InputProjection::shape(5, 6), tiling);
    let step = RecurrentStep::pipelines(RecurrentStep::shape(6, 6), tiling, 2, false);
    let projected = RecurrentStep::pipelines(RecurrentStep::shape(3, 6), tiling, 2, true);
    let hidden = HiddenProjection::pipelines(HiddenProjection::shape(6, 3), tiling, 2);
    let fused = FusedStep::pipelines(RecurrentStep::shape(6, 6), tiling, 2, false);
    let carrying = tiling.carrying(6, &limits(false, None)).unwrap();
    let persistent = RecurrentScan::pipelines(RecurrentStep::shape(6, 6), &carrying, 2);
    let carrying = tiling.carrying(40, &limits(false, None)).unwrap();
    let scan = RecurrentScan::pipelines(RecurrentStep::shape(40, 40), &carrying, 2);
    [input, step, projected, hidden, fused, scan, persistent].concat()
}

#[test]
fn the_host_gives_every_override_and_no_other() {
    let wide = Some(SubgroupSizes { min: 8, max: 8 });
    for tiling in [Tiling::of(&limits(false, None), true), Tiling::of(&limits(true, wide), false)] {
        for spec in all_pipelines(&tiling) {
            let module = parse(spec.kernel.name, &spec.kernel.source(spec.variant));
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
    let heights = |limits| Tiling::of(&limits, false).heights().collect::<Vec<_>>();
    assert_eq!(heights(limits(true, narrow)), [1, 4], "lane r holds row r");
    assert_eq!(heights(limits(true, wide)), [1, 4, 8, 16]);
    assert_eq!(heights(limits(true, None)), [1, 4], "barriers in tall tiles compile for minutes");
    assert_eq!(heights(limits(false, None)), [1, 4, 8, 16]);
    assert!(Tiling::of(&limits(true, wide), false).variant.subgroups);
    assert!(!Tiling::of(&limits(true, None), false).variant.subgroups);
    let hardware = Tiling::of(&limits(false, Some(SubgroupSizes { min: 32, max: 128 })), false);
    assert!(!hardware.variant.subgroups && hardware.workgroup_size == 64);

    // 16 KiB: a row of 256 units takes 1,024 bytes and 512 of the stage.
    let carrying = |hidden| hardware.carrying(hidden, &limits(false, None));
    let of =
        |hidden| carrying(hidden).map(|t| (t.workgroup_size, t.tallest(), t.persistent_rows().is_some()));
    assert_eq!(
        [1, 16, 17, 128, 129, 256, 257].map(of),
        [
            Some((32, 16, true)),
            Some((32, 16, true)), // 64 registers of weights
            Some((32, 16, false)),
            Some((128, 16, false)),
            Some((160, 8, false)),
            Some((256, 8, false)),
            None
        ]
    );
    let roomy = DeviceLimits { max_invocations: 1024, ..limits(true, wide) };
    let software = |hidden| Tiling::of(&roomy, false).carrying(hidden, &roomy).unwrap();
    assert!(software(256).persistent_rows() == Some(8) && software(256).variant.subgroups);
    assert!(software(257).persistent_rows().is_none() && !software(257).variant.subgroups);
    assert!(!Tiling::of(&roomy, false).carrying(8, &limits(true, narrow)).unwrap().variant.subgroups);

    // Both units of the software adapter are kept busy, by the directions or by workgroups.
    let on_hardware = |rows| carrying(16).unwrap().rows_of_workgroup(0, rows, 1);
    assert_eq!([1, 1024, 1025, 100_000].map(on_hardware), [1, 1, 2, 14], "32 in flight on each of 32 units");
    let rows = |rows, directions| software(256).rows_of_workgroup(0, rows, directions);
    assert_eq!([1, 2, 3, 8, 16, 17, 40].map(|n| rows(n, 1)), [1, 1, 2, 4, 8, 5, 7]);
    assert_eq!([1, 2, 3, 8, 16, 17, 40].map(|n| rows(n, 2)), [1, 2, 3, 8, 8, 6, 8]);

    let tiling = Tiling::of(&limits(false, None), false);
    let height = |rows| tiling.heights().nth(tiling.height_for(rows)).unwrap();
    assert_eq!([1, 2, 4, 5, 8, 9, 16, 17, 1000].map(height), [1, 4, 4, 8, 8, 16, 16, 16, 16]);
    let shape = TileShape { reduction: 3, columns: 33 };
    assert_eq!(shape.grid(&tiling, tiling.height_for(17), 17, 2), [2, 2, 2]);
    assert_eq!(shape.operations(17), 2 * 12 * 132 * 17);
}
