//! Numbers that host and shader share: `override` constants, which the host gives, and those that both write down.

use std::collections::BTreeSet;

use naga::{ArraySize, Expression, Literal, Module, TypeInner};

use super::{limits, parse, wgsl_files};
use crate::kernels::carrying::MOST_SLABS;
use crate::kernels::tile::{SUM_BLOCK, Tile};
use crate::kernels::{
    Carrying, Entry, ExchangeStates, FusedStep, HiddenProjection, InputProjection, JoinDirections, KERNELS,
    RecurrentStep, SCAN_STEPS, SLOTS, Slot, TileShape, Tiling,
};
use crate::program::{DeviceLimits, Element, PipelineSpec, SubgroupSizes, VEC4, Variant};
use crate::sum;

/// Kernels that only copy.
const COPIES: [&str; 2] = ["exchange_states", "join_directions"];

/// Those of every kernel, whole and split, for networks whose weights persist and for one whose do not.
fn all_pipelines(limits: &DeviceLimits, element: Element) -> Vec<PipelineSpec> {
    let tiling = Tiling::of(limits, element);
    let of = |reduction, columns| {
        let shape = TileShape { reduction, columns };
        (shape, tiling.tiles(shape))
    };
    let mut all = vec![ExchangeStates::pipeline(), JoinDirections::pipeline()];
    for (reduction, columns) in [(2, 6), (20, 40)] {
        let (shape, tiles) = of(reduction, columns);
        all.extend(InputProjection::pipelines(shape, &tiles));
        all.extend(RecurrentStep::pipelines(shape, &tiles, 2, false));
        all.extend(RecurrentStep::pipelines(shape, &tiles, 2, true));
        all.extend(HiddenProjection::pipelines(shape, &tiles, 2));
        all.extend(FusedStep::pipelines(shape, &tiles, 2, false));
    }
    for hidden in [6_usize, 64, 128, 256, 320] {
        let shape = TileShape { reduction: hidden.div_ceil(4), columns: hidden };
        let carrying = Carrying::of(&tiling, shape, limits);
        all.extend(carrying.into_iter().flat_map(|carrying| carrying.pipelines(shape, 2)));
    }
    all
}

#[test]
fn the_host_gives_every_override_and_no_other() {
    let wide = Some(SubgroupSizes { min: 8, max: 8 });
    let mut seen = BTreeSet::new();
    for (limits, element) in [(limits(false, None), Element::F16), (limits(true, wide), Element::F32)] {
        for spec in all_pipelines(&DeviceLimits { max_invocations: 1024, ..limits }, element) {
            seen.insert(spec.kernel.name);
            let module = parse(spec.kernel.name, &spec.kernel.source(spec.variant));
            let declared: BTreeSet<_> =
                module.overrides.iter().map(|(_, o)| o.name.clone().unwrap()).collect();
            assert!(module.overrides.iter().all(|(_, o)| o.init.is_none()), "no defaults");
            let given: BTreeSet<_> = spec.constants.iter().map(|(name, _)| (*name).to_owned()).collect();
            assert_eq!(given.len(), spec.constants.len(), "each once");
            assert_eq!(given, declared, "{}", spec.kernel.name);
        }
    }
    assert_eq!(seen.len(), KERNELS.len(), "{seen:?}");
}

/// The value of a module's `const`, where it has it.
fn constant(module: &Module, name: &str) -> Option<u32> {
    let (_, constant) = module.constants.iter().find(|(_, c)| c.name.as_deref() == Some(name))?;
    match module.global_expressions[constant.init] {
        Expression::Literal(Literal::U32(value)) => Some(value),
        ref other => panic!("{name} is {other:?}"),
    }
}

/// The length of the array that a member of a struct is, or an alias.
fn array_len(module: &Module, ty: naga::Handle<naga::Type>) -> usize {
    match module.types[ty].inner {
        TypeInner::Array { size: ArraySize::Constant(len), .. } => len.get() as usize,
        ref other => panic!("no array of a fixed length: {other:?}"),
    }
}

fn member_len(module: &Module, name: &str, member: &str) -> usize {
    let (_, ty) = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some(name)).unwrap();
    let TypeInner::Struct { members, .. } = &ty.inner else { panic!("{name} is no struct") };
    let member = members.iter().find(|m| m.name.as_deref() == Some(member)).unwrap();
    array_len(module, member.ty)
}

fn variable_len(module: &Module, name: &str) -> usize {
    let (_, variable) =
        module.global_variables.iter().find(|(_, v)| v.name.as_deref() == Some(name)).unwrap();
    array_len(module, variable.ty)
}

#[test]
fn both_sides_write_down_the_same_numbers() {
    let modules = KERNELS.map(|kernel| (kernel.name, parse(kernel.name, &kernel.source(Variant::default()))));
    let mut seen = BTreeSet::new();
    for (kernel, module) in &modules {
        for (name, value) in [
            ("NO_OUTPUT", Slot::NO_OUTPUT),
            ("FROM_SEQUENCE", Slot::FROM_SEQUENCE),
            ("FROM_STATE", Slot::FROM_STATE),
            ("NO_SLOT", Entry::NO_SLOT),
            ("ZEROS", Entry::ZEROS),
        ] {
            if let Some(of_shader) = constant(module, name) {
                assert_eq!(of_shader, value, "{name} of {kernel}");
                seen.insert(name);
            }
        }
        for (_, ty) in module.types.iter() {
            match ty.name.as_deref() {
                Some("TimeStep") => assert_eq!(member_len(module, "TimeStep", "slots"), SLOTS),
                Some("Scan") => assert_eq!(member_len(module, "Scan", "steps"), SCAN_STEPS),
                Some("Tile") => assert_eq!(tile_rows(module), Tile::TALLEST, "{kernel}"),
                _ => continue,
            }
            seen.insert(kernel);
        }
        if COPIES.contains(kernel) {
            seen.insert(kernel);
            continue; // they sum nothing
        }
        for (name, numbers) in [("SUM_BLOCK", sum::BLOCK), ("LONG", sum::LONG), ("LONGER", sum::LONGER)] {
            assert_eq!(constant(module, name), Some((numbers / VEC4) as u32), "{name} of {kernel}");
        }
    }
    assert_eq!(seen.len(), 5 + KERNELS.len(), "each was compared: {seen:?}");
    let (_, private) = modules.iter().find(|(name, _)| *name == "private_scan").unwrap();
    assert_eq!(variable_len(private, "c_tile"), Tile::TALLEST);
    assert_eq!(variable_len(private, "held"), MOST_SLABS);
    let (_, held) = private.global_variables.iter().find(|(_, v)| v.name.as_deref() == Some("held")).unwrap();
    let TypeInner::Array { base, .. } = private.types[held.ty].inner else { unreachable!() };
    assert_eq!(array_len(private, base), SUM_BLOCK);
}

/// A shader asks for a tile's height where rows end that the next lower height has.
#[test]
fn the_shaders_know_every_height_of_a_tile() {
    let mut asked = BTreeSet::new();
    for path in wgsl_files("shaders/common") {
        let text = std::fs::read_to_string(path).unwrap();
        for question in ["ROWS == ", "ROWS > "] {
            let numbers = text.split(question).skip(1).map(|rest| rest.split('u').next().unwrap());
            asked.extend(numbers.map(|number| number.parse::<u32>().unwrap()));
        }
    }
    let [lower @ .., tallest] = Tile::ROWS;
    assert_eq!(asked.into_iter().collect::<Vec<_>>(), lower);
    assert_eq!(tallest as usize, Tile::TALLEST);
}

/// Rows that a shader's Tile holds: four a matrix, named after the first of them.
fn tile_rows(module: &Module) -> usize {
    let (_, tile) = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some("Tile")).unwrap();
    let TypeInner::Struct { members, .. } = &tile.inner else { panic!("Tile is no struct") };
    let names: Vec<_> = members.iter().map(|member| member.name.clone().unwrap()).collect();
    let expected: Vec<_> = (0..members.len()).map(|k| format!("rows_{}", 4 * k)).collect();
    assert_eq!(names, expected);
    4 * members.len()
}
