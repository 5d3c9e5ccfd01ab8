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

/// Of the scans this holds by construction: `Tiling::carrying` is given the device's limits.
#[test]
fn a_device_is_asked_for_the_largest_workgroup_and_its_memory() {
    let shape = |reduction, columns| TileShape { reduction, columns };
    let mut most = [0, 0];
    for software in [false, true] {
        for width in [None, Some(8), Some(32), Some(64), Some(128)] {
            let sizes = width.map(|size| SubgroupSizes { min: size, max: size });
            let tiling = Tiling::of(&limits(software, sizes), Element::F32);
            for pipeline in [
                InputProjection::pipelines(shape(256, 64), &tiling),
                RecurrentStep::pipelines(shape(256, 1024), &tiling, 2, false),
                HiddenProjection::pipelines(shape(256, 128), &tiling, 2),
            ]
            .concat()
            {
                for (name, value) in pipeline.constants {
                    match name {
                        "WORKGROUP_SIZE" => most[0] = most[0].max(value as u32),
                        "STAGED" => most[1] = most[1].max(16 * value as u32), // vec4f
                        _ => {}
                    }
                }
            }
        }
    }
    assert_eq!(most, [NEEDS.invocations, NEEDS.workgroup_memory]);
}
