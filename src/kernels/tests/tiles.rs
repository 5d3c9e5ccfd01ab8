//! Tiles: heights, workgroups and grids for a device's limits.

use super::limits;
use crate::kernels::{TileShape, Tiling};
use crate::program::{DeviceLimits, Element, SubgroupSizes};

#[test]
fn tiles_fit_the_device() {
    let narrow = Some(SubgroupSizes { min: 4, max: 4 });
    let wide = Some(SubgroupSizes { min: 8, max: 8 });
    let heights = |limits| Tiling::of(&limits, Element::F32).heights().collect::<Vec<_>>();
    assert_eq!(heights(limits(true, narrow)), [1, 4], "lane r holds row r");
    assert_eq!(heights(limits(true, wide)), [1, 4, 8, 16]);
    assert_eq!(heights(limits(true, None)), [1, 4], "barriers in tall tiles compile for minutes");
    assert_eq!(heights(limits(false, None)), [1, 4, 8, 16]);
    assert!(Tiling::of(&limits(true, wide), Element::F32).variant.subgroups);
    assert!(!Tiling::of(&limits(true, None), Element::F32).variant.subgroups);
    let hardware = Tiling::of(&limits(false, Some(SubgroupSizes { min: 32, max: 128 })), Element::F32);
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
    let software = |hidden| Tiling::of(&roomy, Element::F32).carrying(hidden, &roomy).unwrap();
    assert!(software(256).persistent_rows() == Some(8) && software(256).variant.subgroups);
    assert!(software(257).persistent_rows().is_none() && !software(257).variant.subgroups);
    assert!(!Tiling::of(&roomy, Element::F32).carrying(8, &limits(true, narrow)).unwrap().variant.subgroups);

    // Both units of the software adapter are kept busy, by the directions or by workgroups.
    let on_hardware = |rows| carrying(16).unwrap().rows_of_workgroup(0, rows, 1);
    assert_eq!([1, 1024, 1025, 100_000].map(on_hardware), [1, 1, 2, 14], "32 in flight on each of 32 units");
    let rows = |rows, directions| software(256).rows_of_workgroup(0, rows, directions);
    assert_eq!([1, 2, 3, 8, 16, 17, 40].map(|n| rows(n, 1)), [1, 1, 2, 4, 8, 5, 7]);
    assert_eq!([1, 2, 3, 8, 16, 17, 40].map(|n| rows(n, 2)), [1, 2, 3, 8, 8, 6, 8]);

    let tiling = Tiling::of(&limits(false, None), Element::F32);
    let height = |rows| tiling.heights().nth(tiling.height_for(rows)).unwrap();
    assert_eq!([1, 2, 4, 5, 8, 9, 16, 17, 1000].map(height), [1, 4, 4, 8, 8, 16, 16, 16, 16]);
    let shape = TileShape { reduction: 3, columns: 33 };
    assert_eq!(shape.grid(&tiling, tiling.height_for(17), 17, 2), [2, 2, 2]);
    assert_eq!(shape.operations(17), 2 * 12 * 132 * 17);
}
