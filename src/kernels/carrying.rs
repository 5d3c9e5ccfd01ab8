//! Which kernel carries sequences through time, and how many a workgroup: the tiles of the four scans.

use super::persistent_scan::{PERSISTENT_SCAN, STREAMING_SCAN};
use super::tile::{Rule, SUM_BLOCK, Tile, TileShape, Tiles, Tiling};
use super::{PersistentScan, PrivateScan, RecurrentScan};
use crate::program::{DeviceLimits, PipelineSpec, VEC4, Variant, padded};

/// Blocks of the weights that a unit's invocation of `private_scan` keeps at most.
pub(super) const MOST_SLABS: usize = 8;

/// Blocks of a hidden unit's weights that `persistent_scan` keeps on hardware. An invocation has 64 registers of
/// weights, and compilers for AMD, Intel and NVIDIA need about 60 more (`benches/record/compilers.md`): with two blocks
/// and H = 64 a workgroup has 256 invocations, which every device takes, and no compiler spills.
const MOST_PERSISTENT_BLOCKS: usize = 2;

/// The most invocations of a workgroup of `recurrent_scan`, on hardware, and of `streaming_scan`: each needs up to 128
/// registers, and a unit of a GPU has 65,536.
const MOST_INVOCATIONS: u32 = 512;

/// Workgroups that a unit of a GPU is given before a workgroup takes a second sequence. They are more than it holds at once:
/// of 512 invocations its registers have place for one workgroup.
const IN_FLIGHT: u32 = 32;

/// The tiles of a scan.
#[derive(Clone, Debug)]
pub(crate) struct Carrying {
    kernel: Kernel,
    pub tiles: Tiles,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kernel {
    /// Weights come from memory in every step.
    Recurrent,
    /// They persist in registers.
    Persistent,
    /// Half of them persist in registers, and half are loaded in every step.
    Streaming,
    /// They persist in private memory.
    Private,
}

impl Carrying {
    /// Where a workgroup can have an invocation for every one of `hidden` units, and workgroup memory for a tile's h. The
    /// weights persist where they fit registers; private memory stands for these on a software adapter, whose compiler
    /// sets the bound: some 1.5 s for the largest.
    pub fn of(tiling: &Tiling, shape: TileShape, limits: &DeviceLimits) -> Option<Self> {
        let at_once = if limits.software { limits.units } else { IN_FLIGHT * limits.units };
        let rule = Rule::Spread { at_once, max_workgroups: limits.max_workgroups };
        let of_one =
            |kernel, variant, tile| Some(Self { kernel, tiles: Tiles { variant, list: vec![tile], rule } });
        let (hidden, blocks) = (shape.columns, shape.blocks());
        let width = u32::try_from(hidden.checked_next_multiple_of(32)?).ok()?;
        let most = if limits.software {
            limits.max_invocations
        } else {
            limits.max_invocations.min(MOST_INVOCATIONS)
        };
        if width > most {
            return None;
        }
        let portable = Variant { subgroups: false, ..tiling.variant };
        if limits.software && blocks <= MOST_SLABS {
            let wide = limits.subgroups.is_some_and(|sizes| sizes.min as usize >= SUM_BLOCK);
            let rows = limits.max_workgroup_bytes / (2 * 4 * padded(hidden) as u32);
            let tile = Tile { rows: rows.clamp(1, Tile::TALLEST as u32), width, split: 1 };
            return of_one(Kernel::Private, Variant { subgroups: wide, ..portable }, tile);
        }
        let parts = 2 * blocks as u32;
        let persists = blocks <= MOST_PERSISTENT_BLOCKS && parts * hidden as u32 <= limits.max_invocations;
        if !limits.software && persists {
            // A sequence for each part: its cells belong to the invocations of the part.
            let tile = Tile { rows: parts, width: hidden as u32, split: parts };
            return of_one(Kernel::Persistent, portable, tile);
        }
        let parts = blocks as u32;
        if !limits.software && parts * hidden as u32 <= most {
            let bytes_of_row = 4 * (padded(hidden) as u32 + VEC4 as u32 * parts * hidden as u32);
            let rows = (limits.max_workgroup_bytes / bytes_of_row).min(parts);
            let tile = Tile { rows, width: hidden as u32, split: parts };
            if rows > 0 {
                return of_one(Kernel::Streaming, portable, tile);
            }
        }
        let list = Self::tiles_in_memory(tiling, shape, width, limits);
        let rule = Rule::Lowest { enough: 0 };
        let tiles = Tiles { variant: tiling.variant, list, rule };
        (!tiles.list.is_empty()).then_some(Self { kernel: Kernel::Recurrent, tiles })
    }

    /// Tiles as wide as the hidden units, whose h fits workgroup memory, with what the parts share of it.
    fn tiles_in_memory(tiling: &Tiling, shape: TileShape, width: u32, limits: &DeviceLimits) -> Vec<Tile> {
        let most = if tiling.splits { limits.max_invocations.min(MOST_INVOCATIONS) / width } else { 1 };
        let fits = |tile: &Tile| {
            let h_tile = tile.rows as usize * padded(shape.columns);
            4 * (h_tile + VEC4 * tile.shared() as usize) <= limits.max_workgroup_bytes as usize
        };
        let tile = |&rows: &u32| {
            let split =
                Tile::split(rows, shape, most as usize, width).filter(|_| rows <= Tile::TALLEST_SPLIT);
            let split = split.map(|tile| Tile { width, ..tile }); // every hidden unit has a column
            split.filter(fits).unwrap_or(Tile { rows, width, split: 1 })
        };
        // With more rows Intel's compiler spills; software adapters keep all of a tile in memory at every barrier.
        let tallest = Tile::TALLEST_SPLIT;
        Tile::ROWS.iter().filter(|&&rows| rows <= tallest).map(tile).filter(fits).collect()
    }

    /// One for each tile.
    pub fn pipelines(&self, shape: TileShape, directions: usize) -> Vec<PipelineSpec> {
        match self.kernel {
            Kernel::Recurrent => RecurrentScan::pipelines(shape, &self.tiles, directions),
            Kernel::Persistent => {
                vec![PersistentScan::pipeline(&PERSISTENT_SCAN, shape, &self.tiles, directions)]
            }
            Kernel::Streaming => {
                vec![PersistentScan::pipeline(&STREAMING_SCAN, shape, &self.tiles, directions)]
            }
            Kernel::Private => vec![PrivateScan::pipeline(shape, &self.tiles, directions)],
        }
    }

    /// Whether a workgroup keeps weights, and takes its sequences one after the other.
    pub fn persists(&self) -> bool {
        self.kernel != Kernel::Recurrent
    }

    /// Whether it reads half of the weights in every step of every sequence all the same.
    pub fn streams(&self) -> bool {
        self.kernel == Kernel::Streaming
    }
}
