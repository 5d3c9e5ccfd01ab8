//! What is printed of a program and its kernels is what a device would get. Needs no device.

use std::collections::HashSet;

use naga::valid::{Capabilities, ValidationFlags, Validator};
use wgpu_lstm::inspect::{DeviceClass, Inspection, Kernel};
use wgpu_lstm::{Error, LstmConfig, Precision, Schedule};

fn networks() -> Vec<LstmConfig> {
    vec![
        LstmConfig::new(128, 128).with_num_layers(2),
        LstmConfig::new(5, 16).with_num_layers(3).with_bidirectional(true),
        LstmConfig::new(3, 200),
        LstmConfig::new(40, 70).with_proj_size(9),
        LstmConfig::new(1, 1),
    ]
}

#[test]
fn a_program_lists_the_dispatches_that_its_costs_count() {
    let mut programs = 0;
    for config in networks() {
        for class in DeviceClass::ALL {
            let inspection = Inspection::new(&config, Precision::F32, class).unwrap();
            for cost in inspection.costs(5, 2).unwrap() {
                let text = inspection.program(5, 2, Some(cost.schedule)).unwrap();
                let dispatches = text.lines().filter(|line| line.starts_with("  dispatch ")).count();
                assert_eq!(dispatches as u64, cost.dispatches, "{text}");
                for owner in ["network", "state", "caller"] {
                    let has = |line: &str| line.split_whitespace().nth(1) == Some(owner);
                    assert!(text.lines().any(has), "a buffer of {owner}: {text}");
                }
                programs += 1;
            }
        }
    }
    assert_eq!(
        programs,
        DeviceClass::ALL.len() * (4 + 3 + 4 + 3 + 4),
        "diagonal needs one direction, scan no projection"
    );
}

#[test]
fn without_a_schedule_the_cheapest_is_printed() {
    let inspection =
        Inspection::new(&LstmConfig::new(128, 128), Precision::F32, DeviceClass::Hardware).unwrap();
    let cheapest = inspection.costs(1, 1).unwrap()[0].schedule;
    assert_eq!(inspection.program(1, 1, None).unwrap(), inspection.program(1, 1, Some(cheapest)).unwrap());
}

#[test]
fn a_kernel_is_valid_with_its_overrides_and_has_a_name_of_its_own() {
    let mut seen = HashSet::new();
    for config in networks() {
        for precision in [Precision::F32, Precision::F16] {
            for class in DeviceClass::ALL {
                let kernels = Inspection::new(&config, precision, class).unwrap().kernels();
                let names: HashSet<_> = kernels.iter().map(|kernel| kernel.name.clone()).collect();
                assert_eq!(names.len(), kernels.len(), "{names:?}");
                kernels.iter().for_each(specialise);
                seen.extend(kernels.iter().map(|kernel| kernel.name.split('-').next().unwrap().to_owned()));
            }
        }
    }
    assert_eq!(seen.len(), 10, "every kernel: {seen:?}");
}

#[test]
fn a_class_has_every_kernel_once() {
    for class in DeviceClass::ALL {
        let kernels = class.kernels().unwrap();
        let names: HashSet<_> = kernels.iter().map(|kernel| &kernel.name).collect();
        assert_eq!(names.len(), kernels.len(), "{class:?}");
        let entry_points: HashSet<_> = names.iter().map(|name| name.split('-').next().unwrap()).collect();
        // On hardware weights may also persist by halves.
        let hardware = matches!(class, DeviceClass::Hardware | DeviceClass::HardwareOf64Lanes);
        assert_eq!(entry_points.len(), 8 + usize::from(hardware), "{class:?}: {entry_points:?}");
        assert!(
            names.iter().any(|name| name.ends_with("-f16"))
                && names.iter().any(|name| name.contains("-projected"))
        );
        assert_eq!(names.iter().any(|name| name.contains("-subgroups")), class == DeviceClass::Software);
        kernels.iter().for_each(specialise);
    }
}

#[test]
fn a_gpu_with_wider_subgroups_gets_wider_workgroups() {
    let config = LstmConfig::new(128, 128);
    let narrowest = |class| {
        let kernels = Inspection::new(&config, Precision::F32, class).unwrap().kernels();
        let steps = kernels.into_iter().filter(|kernel| kernel.name.starts_with("recurrent_step"));
        let sizes = steps.flat_map(|kernel| kernel.overrides).filter(|(name, _)| *name == "WORKGROUP_SIZE");
        sizes.map(|(_, size)| size).min_by(f64::total_cmp)
    };
    assert_eq!(narrowest(DeviceClass::Hardware), Some(32.0));
    assert_eq!(narrowest(DeviceClass::HardwareOf64Lanes), Some(64.0));
}

/// What a compiler does first: naga sets the overrides, which must be all that there are.
fn specialise(kernel: &Kernel) {
    let module = naga::front::wgsl::parse_str(&kernel.source).unwrap();
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::all());
    validator.subgroup_operations(naga::valid::SubgroupOperationSet::all());
    validator.subgroup_stages(naga::valid::ShaderStages::COMPUTE);
    let info = validator.validate(&module).unwrap();
    let overrides = kernel.overrides.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
    let entry = &module.entry_points[0].name;
    let stage = Some((naga::ShaderStage::Compute, entry.as_str()));
    let declared: HashSet<_> = module.overrides.iter().filter_map(|(_, o)| o.name.as_deref()).collect();
    let given: HashSet<_> = kernel.overrides.iter().map(|&(name, _)| name).collect();
    assert_eq!(declared, given, "{}", kernel.name);
    naga::back::pipeline_constants::process_overrides(&module, &info, stage, &overrides)
        .unwrap_or_else(|error| panic!("{}: {error}", kernel.name));
}

#[test]
fn what_can_not_be_planned_is_refused() {
    let inspect = |config: LstmConfig| Inspection::new(&config, Precision::F32, DeviceClass::Hardware);
    let error = inspect(LstmConfig::new(1, 5000)).unwrap_err();
    assert!(matches!(&error, Error::LimitExceeded { what, .. } if what == "weight_hh_l0"), "{error}");
    let error = inspect(LstmConfig::new(0, 5)).unwrap_err();
    assert!(matches!(error, Error::ZeroSize { what: "input_size" }), "{error}");
    let inspection = inspect(LstmConfig::new(3, 5).with_bidirectional(true)).unwrap();
    let error = inspection.program(3, 1, Some(Schedule::Diagonal)).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    assert!(matches!(inspection.program(0, 1, None).unwrap_err(), Error::NoTimeSteps));
    assert!(matches!(inspection.costs(1, 0).unwrap_err(), Error::ZeroSize { what: "the batch" }));
    assert!(matches!(inspection.costs(usize::MAX, 9).unwrap_err(), Error::SizeOverflow { .. }));
}

/// ARCHITECTURE.md prints the program of a network whole.
#[test]
fn the_documented_program_is_the_one_that_is_planned() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let page = std::fs::read_to_string(page).unwrap();
    let config = LstmConfig::new(8, 64).with_num_layers(2);
    let inspection = Inspection::new(&config, Precision::F32, DeviceClass::Hardware).unwrap();
    let program = inspection.program(2, 5, Some(Schedule::Step)).unwrap();
    assert!(page.contains(&program), "ARCHITECTURE.md should have:\n{program}");
}
