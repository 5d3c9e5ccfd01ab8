//! The host binds what the shaders declare, by the names that they declare.

use std::fs;

use naga::{AddressSpace, Module, StorageAccess};

use super::{parse, variants, wgsl_files};
use crate::kernels::{
    ExchangeStatesBuffers, FusedStepBuffers, HiddenProjectionBuffers, InputProjectionBuffers,
    JoinDirectionsBuffers, KERNELS, RecurrentStepBuffers, ScanBuffers,
};
use crate::program::{Access, BufferRef, KernelSpec, Named};

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

/// The names of the buffers, which are numbered in the order of the bindings.
fn names(buffers: &impl Named) -> Vec<&'static str> {
    let mut named = Vec::new();
    buffers.named(&mut |name, buffer| named.push((name, buffer)));
    let numbers: Vec<_> = named.iter().map(|&(_, buffer)| buffer).collect();
    let expected: Vec<_> = (1..=named.len()).map(BufferRef::Program).collect();
    assert_eq!(numbers, expected, "each field has its own name");
    named.into_iter().map(|(name, _)| name).collect()
}

/// The struct's fields are given in the order of the shader's bindings: a field that is bound under another's name has
/// the other's number.
#[test]
fn buffers_are_bound_by_the_shaders_names() {
    let b = BufferRef::Program;
    let by_kernel = |kernel: &KernelSpec| match kernel.name {
        "input_projection" => {
            names(&InputProjectionBuffers { weights: b(1), x: b(2), bias: b(3), gates_x: b(4) })
        }
        "recurrent_step" => names(&RecurrentStepBuffers {
            weights: b(1),
            h: b(2),
            gates_x: b(3),
            c: b(4),
            h_next: b(5),
            output: b(6),
        }),
        "recurrent_scan" | "persistent_scan" | "streaming_scan" | "private_scan" => {
            names(&ScanBuffers { weights: b(1), h: b(2), gates_x: b(3), c: b(4), output: b(5) })
        }
        "fused_step" => names(&FusedStepBuffers {
            weights: b(1),
            h: b(2),
            bias: b(3),
            c: b(4),
            h_next: b(5),
            output: b(6),
            x: b(7),
        }),
        "hidden_projection" => {
            names(&HiddenProjectionBuffers { weights: b(1), unprojected: b(2), h_next: b(3), output: b(4) })
        }
        "exchange_states" => names(&ExchangeStatesBuffers {
            entries: b(1),
            h_first: b(2),
            h_second: b(3),
            c: b(4),
            stored_h: b(5),
            stored_c: b(6),
        }),
        "join_directions" => names(&JoinDirectionsBuffers { separate: b(1), joined: b(2) }),
        other => panic!("what does {other} bind?"),
    };
    for kernel in KERNELS {
        let declared: Vec<_> = kernel.bindings[1..].iter().map(|binding| binding.name).collect();
        assert_eq!(by_kernel(kernel), declared, "{}", kernel.name);
    }
}

/// A reader of a kernel's file sees everything that it binds.
#[test]
fn a_kernels_file_has_all_of_its_bindings_in_order_each_with_its_shape() {
    let mut failures = Vec::new();
    for path in wgsl_files("shaders") {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let kernel = KERNELS.iter().find(|kernel| kernel.name == name).unwrap();
        let lines: Vec<_> = text.lines().filter(|line| line.contains("@group")).collect();
        assert_eq!(lines.len(), kernel.bindings.len(), "{name}");
        for (number, (line, binding)) in lines.into_iter().zip(kernel.bindings).enumerate() {
            let begins = line.starts_with(&format!("@group(0) @binding({number}) var<"));
            let named = line.contains(&format!("> {}:", binding.name));
            // [axes], or a sentence for the buffers of all layers' weights; a uniform's struct has its fields.
            let shape = line.split_once("// ").is_some_and(|(_, shape)| !shape.trim().is_empty());
            let uniform = matches!(binding.access, Access::Uniform(_));
            if !begins || !named || !(shape || uniform) {
                failures.push(format!("{name}: {line}"));
            }
        }
    }
    for path in wgsl_files("shaders/common") {
        if fs::read_to_string(&path).unwrap().contains("@group") {
            failures.push(format!("{} declares a binding", path.display()));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}
