//! Tiles: heights, workgroups and their choice for a device's limits.

use super::limits;
use crate::kernels::tile::{Rule, Tile};
use crate::kernels::{Carrying, TileShape, Tiling};
use crate::program::{DeviceLimits, Element, SubgroupSizes};

fn of_hidden(hidden: usize) -> TileShape {
    TileShape { reduction: hidden.div_ceil(4), columns: hidden }
}

fn lanes(size: u32) -> Option<SubgroupSizes> {
    Some(SubgroupSizes { min: size, max: size })
}

#[test]
fn tiles_fit_the_device() {
    let tiling = |limits| Tiling::of(&limits, Element::F32);
    let rows = |limits| -> Vec<u32> {
        tiling(limits).tiles(of_hidden(256)).list.iter().map(|tile| tile.rows).collect()
    };
    assert_eq!(rows(limits(true, lanes(4))), [1, 4], "lane r holds row r");
    assert_eq!(rows(limits(true, lanes(8))), [1, 4, 8, 16]);
    assert_eq!(rows(limits(true, None)), [1, 4]);
    assert_eq!(rows(limits(false, None)), [1, 4, 8], "registers");
    assert!(tiling(limits(true, lanes(8))).variant.subgroups);
    assert!(!tiling(limits(true, None)).variant.subgroups);
    let sizes = Some(SubgroupSizes { min: 32, max: 128 });
    let hardware = tiling(limits(false, sizes));
    assert!(!hardware.variant.subgroups);
    assert_eq!(hardware.tiles(of_hidden(256)).list.last().unwrap().width, 64);
    assert!(tiling(limits(true, lanes(8))).tiles(of_hidden(256)).list.iter().all(|tile| tile.split == 1));
}

/// A unit's blocks are dealt to as many invocations, in rounds of equal size.
#[test]
fn few_rows_are_split_on_hardware() {
    let limits = limits(false, lanes(32));
    let tiling = Tiling::of(&limits, Element::F32);
    let of = |shape: TileShape, rows| {
        let tiles = tiling.tiles(shape);
        tiles.list[tiles.choose(shape.columns, rows, 1).0]
    };
    let split = |hidden, rows| of(of_hidden(hidden), rows).split;
    assert_eq!(
        [32, 33, 64, 128, 256, 320, 512, 1024, 1056].map(|h| split(h, 1)),
        [1, 2, 2, 4, 8, 10, 16, 16, 9]
    );
    assert_eq!([32, 64, 256].map(|h| split(h, 3)), [1, 4, 8], "a row belongs to one invocation of a column");
    assert!(256 * split(256, 1) >= 2048, "invocations of a step with H = 256");

    // 8 rows in one invocation, where so many invocations keep the GPU busy.
    let rows = |hidden, rows| of(of_hidden(hidden), rows).rows;
    assert_eq!([1, 2, 4, 5, 64, 248, 249, 1000].map(|n| rows(256, n)), [1, 4, 4, 4, 4, 4, 8, 8]);
    assert_eq!([1, 2, 5, 1000].map(|n| rows(16, n)), [1, 4, 4, 4], "one block is not split");

    // The hidden projection has few columns: no more than one lane of four has nothing to do.
    for hidden in [128, 256, 512, 1024] {
        for n in [1, 4, 100_000] {
            let tile = of(TileShape { reduction: hidden / 4, columns: 16 }, n);
            let lanes = tile.workgroup_size().next_multiple_of(32);
            assert!(4 * tile.workgroup_size() >= 3 * lanes && 16 % tile.width == 0, "H {hidden}: {tile:?}");
            assert!(tile.split as usize <= hidden.div_ceil(32));
        }
    }
}

#[test]
fn a_workgroup_carries_what_it_has_room_for() {
    let carrying = |hidden, limits: DeviceLimits| {
        Carrying::of(&Tiling::of(&limits, Element::F32), of_hidden(hidden), &limits)
    };
    let of = |hidden, limits| {
        carrying(hidden, limits).map(|c| (c.persists(), c.tiles.list.last().copied().unwrap()))
    };
    let tile = |rows, width, split| Tile { rows, width, split };
    let hardware = limits(false, lanes(32));
    assert_eq!(of(16, hardware), Some((true, tile(2, 16, 2))));
    assert_eq!(of(64, hardware), Some((true, tile(4, 64, 4))), "256 invocations of 64 weights");
    assert_eq!(of(65, hardware), Some((true, tile(3, 65, 3))));
    assert_eq!(of(86, hardware), Some((false, tile(4, 96, 1))), "258 invocations");
    assert_eq!(of(256, hardware), Some((false, tile(4, 256, 1))));
    assert_eq!(of(257, hardware), None);
    let roomy = DeviceLimits { max_invocations: 1024, max_workgroup_bytes: 32 << 10, ..hardware };
    assert_eq!(of(128, roomy), Some((true, tile(3, 128, 4))), "512 invocations, and sums of three sequences");
    let splits =
        |hidden| carrying(hidden, roomy).unwrap().tiles.list.iter().map(|t| t.split).collect::<Vec<_>>();
    assert_eq!(
        [160, 256].map(splits),
        [[3, 1], [2, 1]],
        "512 invocations at most; the sums of 4 rows of 512 alone are 32 KiB"
    );

    let software = DeviceLimits { max_invocations: 1024, ..limits(true, lanes(8)) };
    assert_eq!(of(256, software), Some((true, tile(8, 256, 1))));
    assert_eq!(of(257, software), Some((false, tile(4, 288, 1))));
    assert!(carrying(256, software).unwrap().tiles.variant.subgroups);
    assert!(carrying(257, software).unwrap().tiles.variant.subgroups);
    let narrow = DeviceLimits { subgroups: lanes(4), ..software };
    assert!(!carrying(8, narrow).unwrap().tiles.variant.subgroups, "a lane for each vec4f of a block");
    assert!(carrying(257, narrow).unwrap().tiles.variant.subgroups, "a lane for each of four rows");
    let portable = DeviceLimits { subgroups: None, ..software };
    assert!(!carrying(257, portable).unwrap().tiles.variant.subgroups);

    // Both units of the software adapter are kept busy, by the directions or by workgroups.
    let rows = |hidden, limits, n, d| carrying(hidden, limits).unwrap().tiles.choose(hidden, n, d).1;
    assert_eq!(
        [1, 1024, 1025, 2048].map(|n| rows(64, hardware, n, 1)),
        [1, 1, 2, 2],
        "32 on each of 32 units"
    );
    assert_eq!([1, 2, 3, 8, 16, 17, 40].map(|n| rows(256, software, n, 1)), [1, 1, 2, 4, 8, 5, 7]);
    assert_eq!([1, 2, 3, 8, 16, 17, 40].map(|n| rows(256, software, n, 2)), [1, 2, 3, 8, 8, 6, 8]);
    assert!(matches!(carrying(64, hardware).unwrap().tiles.rule, Rule::Spread { .. }));
}

/// A turn that is not full is one.
#[test]
fn turns_are_counted() {
    let turns =
        |rows, split, lengths: [usize; 5]| lengths.map(|vec4s| Tile { rows, width: 64, split }.turns(vec4s));
    assert_eq!(turns(1, 1, [1, 4, 5, 8, 64]), [1, 1, 2, 2, 16]);
    assert_eq!(turns(1, 8, [1, 5, 64, 65, 128]), [1, 2, 2, 4, 4]);
    assert_eq!(turns(8, 1, [1, 4, 5, 8, 64]), [1, 4, 5, 8, 64]);
}

#[test]
fn operations_are_counted() {
    assert_eq!(TileShape { reduction: 3, columns: 33 }.operations(17), 2 * 12 * 132 * 17);
}
