//! What a device is asked for, against the kernels.

use super::adapter::NEEDS;
use crate::kernels::tests::limits;
use crate::kernels::{HiddenProjection, InputProjection, KERNELS, RecurrentStep, TileShape, Tiling};
use crate::program::{Access, Element, SubgroupSizes};

#[test]
fn a_device_is_asked_for_what_the_kernels_need_and_no_more() {
    let most = |count: fn(&Access) -> bool| {
        let of = |bindings: &[crate::program::Binding]| bindings.iter().filter(|b| count(&b.access)).count();
        KERNELS.iter().map(|kernel| of(kernel.bindings)).max().unwrap()
    };
    assert_eq!(most(|_| true), NEEDS.bindings as usize);
    assert_eq!(most(|access| !matches!(access, Access::Uniform(_))), NEEDS.storage_buffers as usize);
    assert_eq!(most(|access| matches!(access, Access::Uniform(_))), 1, "with a dynamic offset");
    let uniform = KERNELS.iter().flat_map(|kernel| kernel.bindings).map(|binding| match binding.access {
        Access::Uniform(bytes) => u64::from(bytes),
        _ => 0,
    });
    assert_eq!(uniform.max(), Some(NEEDS.uniform));
}

/// Of the scans this holds by construction: `Carrying::of` is given the device's limits.
#[test]
fn a_device_is_asked_for_the_largest_workgroup_and_its_memory() {
    let shape = |reduction, columns| TileShape { reduction, columns };
    let mut most = [0, 0];
    for software in [false, true] {
        for width in [None, Some(8), Some(32), Some(64), Some(128)] {
            let sizes = width.map(|size| SubgroupSizes { min: size, max: size });
            let tiling = Tiling::of(&limits(software, sizes), Element::F32);
            let input = |shape| InputProjection::pipelines(shape, &tiling.tiles(shape));
            let step = |shape| RecurrentStep::pipelines(shape, &tiling.tiles(shape), 2, false);
            let projection = |shape| HiddenProjection::pipelines(shape, &tiling.tiles(shape), 2);
            for pipeline in [
                input(shape(256, 64)),
                input(shape(3000, 64)),
                step(shape(256, 1024)),
                projection(shape(256, 128)),
                projection(shape(72, 2)),
            ]
            .concat()
            {
                for (name, value) in pipeline.constants {
                    match name {
                        "WORKGROUP_SIZE" => most[0] = most[0].max(value as u32),
                        "SHARED" => most[1] = most[1].max(16 * value as u32), // vec4f
                        _ => {}
                    }
                }
            }
        }
    }
    assert_eq!(most, [NEEDS.invocations, NEEDS.workgroup_memory]);
}
