//! `shaders/common/tile.wgsl`: the register tile that most kernels compute, and its shapes.

use crate::layout::Matrix;
use crate::program::{DeviceLimits, Element, KernelSpec, PipelineSpec, VEC4, Variant};
use crate::sum;

/// vec4f of the reduction axis in a block of a sum, for an axis that is not long.
pub(super) const SUM_BLOCK: usize = sum::BLOCK / VEC4;

/// vec4f in a block of an axis of so many.
fn block_of(reduction: usize) -> usize {
    sum::block_of(VEC4 * reduction) / VEC4
}

/// Invocations that have the same column at most: 16 rows of 8 neighbouring columns are 2 KiB of one block's weights.
const MOST_SPLIT: usize = 16;

/// Invocations of a workgroup that splits several rows, about: small, so that the few that there are run on many units.
const SPLIT_WORKGROUP: u32 = 64;

/// Columns of a workgroup that splits several rows at least: 8 neighbouring columns are 128 bytes, a line of a GPU's cache.
const NARROWEST: u32 = 8;

/// The same for one row, whose workgroups are a subgroup each: 2 columns are 32 bytes, what a GPU loads at least.
const NARROWEST_OF_ONE: u32 = 2;

/// Invocations that a unit of a GPU needs to hide the latency of its loads, four or eight of them in flight in each.
const HIDING: u64 = 256;

/// A tile as one pipeline computes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tile {
    /// Rows: 1, 4, 8 or 16; of a scan that takes them one after the other, the most.
    pub rows: u32,
    /// Columns of a workgroup.
    pub width: u32,
    /// Invocations that have the same column.
    pub split: u32,
}

impl Tile {
    /// Heights that the shaders know.
    pub(super) const ROWS: [u32; 4] = [1, 4, 8, Self::TALLEST as u32];

    /// Rows of the tallest tile, and sequences that a workgroup carries at most.
    pub(super) const TALLEST: usize = 16;

    /// Rows of the tallest tile in core WGSL: two accumulators for each of its rows are 64 registers. Intel's GPUs have
    /// 128, and spill with 16 rows.
    const TALLEST_PORTABLE: u32 = 8;

    /// Rows of the tallest tile that splits.
    pub(super) const TALLEST_SPLIT: u32 = 4;

    pub fn workgroup_size(&self) -> u32 {
        self.width * self.split
    }

    /// Loads of weights that an invocation waits for one after the other, in a product over so many vec4f: those of a turn
    /// are in flight together. A turn is four vec4f of one row, sixteen loads, or one of several rows, four.
    pub fn turns(&self, reduction: usize) -> u64 {
        let (block, of_turn) = (block_of(reduction), if self.rows == 1 { 4 } else { 1 });
        let rounds = reduction.div_ceil(block).div_ceil(self.split as usize);
        (rounds * block.min(reduction).div_ceil(of_turn)) as u64
    }

    /// Where few rows leave a GPU idle: as many invocations a column as the product has blocks, in rounds of equal size.
    /// A row needs an invocation of its own.
    ///
    /// One row has workgroups of about one subgroup: of one, which need not wait at barriers, where the number of blocks is a
    /// power of two. On an H100 a time step then takes 4.5 µs instead of 6.3 (H = 256), of which 2.8 are the dispatch. With
    /// several rows nothing was gained.
    pub(super) fn split(rows: u32, shape: TileShape, most: usize, subgroup: u32) -> Option<Self> {
        let blocks = shape.blocks();
        let split = blocks.div_ceil(blocks.div_ceil(most.max(1))).max(rows as usize) as u32;
        let (size, narrowest) =
            if rows == 1 { (subgroup, NARROWEST_OF_ONE) } else { (SPLIT_WORKGROUP, NARROWEST) };
        let width = (size / split).max(narrowest).next_power_of_two();
        let width = width.min(shape.columns.next_power_of_two() as u32);
        (blocks > 1 && split as usize <= most).then_some(Self { rows, width, split })
    }

    /// vec4f of workgroup memory that invocations of the same columns share.
    pub(super) fn shared(&self) -> u32 {
        if self.split == 1 { 0 } else { self.rows * self.workgroup_size() }
    }

    /// The constants of the tile, for the twin of its variant.
    fn constants(&self, subgroups: bool) -> Vec<(&'static str, f64)> {
        let Self { rows, width, split } = *self;
        let mut constants = vec![
            ("WORKGROUP_SIZE", self.workgroup_size()),
            ("WIDTH", width),
            ("ROWS", rows),
            ("OWN_ROWS", if split == 1 { rows } else { 1 }),
        ];
        if !subgroups {
            constants.extend([("SPLIT", split), ("SHARED", self.shared().max(1))]);
        }
        constants.into_iter().map(|(name, number)| (name, f64::from(number))).collect()
    }
}

/// The tiles of a kernel at one layer's sizes, and the rule that chooses among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tiles {
    pub variant: Variant,
    /// By rising height: each has a pipeline.
    pub list: Vec<Tile>,
    pub rule: Rule,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// The lowest tile that holds the rows, else the tallest. A tile that does not split is used where it has so many
    /// invocations in a slot: else the tallest that does.
    Lowest { enough: u64 },
    /// A workgroup takes its rows one after the other, as few as leave no more workgroups, of all directions, than run at
    /// once, and no more than a dispatch takes.
    Spread { at_once: u32, max_workgroups: u32 },
}

impl Tiles {
    /// The most rows of a workgroup.
    pub fn tallest(&self) -> usize {
        self.list.last().map_or(1, |tile| tile.rows as usize)
    }

    /// Which tile is used for `rows` rows in each of `slots`, and how many of them a workgroup takes.
    pub fn choose(&self, columns: usize, rows: usize, slots: usize) -> (usize, usize) {
        let last = self.list.len() - 1;
        match self.rule {
            Rule::Lowest { enough } => {
                let lowest = self.list.iter().position(|tile| tile.rows as usize >= rows).unwrap_or(last);
                let tile = self.list[lowest];
                let invocations = (rows.div_ceil(tile.rows as usize) * columns) as u64;
                let splitting = self.list.iter().rposition(|tile| tile.split > 1);
                let chosen = match splitting {
                    Some(splitting) if tile.split == 1 && invocations < enough => splitting,
                    _ => lowest,
                };
                (chosen, self.list[chosen].rows as usize)
            }
            Rule::Spread { at_once, max_workgroups } => {
                let even = (at_once as usize).div_ceil(slots).max(1);
                let workgroups =
                    rows.div_ceil(self.tallest()).next_multiple_of(even).min(max_workgroups as usize);
                (last, rows.div_ceil(workgroups.max(1)).max(1))
            }
        }
    }
}

/// How tiles are mapped to the workgroups of one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tiling {
    /// Invocations of a workgroup that does not split.
    workgroup_size: u32,
    /// Which twins of the kernels' texts.
    pub variant: Variant,
    /// The most rows of a tile.
    max_rows: u32,
    /// Whether invocations share a column where rows are few.
    pub(super) splits: bool,
    /// Invocations that keep the device busy.
    enough: u64,
}

impl Tiling {
    /// On hardware a workgroup that does not split is about one subgroup, of 32 lanes at least. A software adapter is busy
    /// with one row. It pays about 15 cycles a lane for every load and nearly nothing for a subgroup broadcast, so
    /// there lane r holds row r (and row 8 + r), where subgroups are that wide.
    pub fn of(limits: &DeviceLimits, element: Element) -> Self {
        let [_, low, medium, tall] = Tile::ROWS;
        let widest = limits.subgroups.map_or(0, |sizes| sizes.max);
        let narrowest = limits.subgroups.map_or(0, |sizes| sizes.min);
        let subgroups = limits.software && narrowest >= low;
        let max_rows = match (limits.software, subgroups && narrowest >= medium) {
            (true, true) => tall,
            (true, false) => low,
            (false, _) => Tile::TALLEST_PORTABLE,
        };
        Self {
            workgroup_size: if limits.software { 32 } else { widest.clamp(32, 64) },
            variant: Variant { subgroups, element },
            max_rows,
            splits: !limits.software,
            enough: if limits.software { 0 } else { HIDING * u64::from(limits.units) },
        }
    }

    /// Rows that a workgroup of every kernel takes, where there are many.
    pub fn rows_of_many(&self) -> u32 {
        if self.splits { Tile::TALLEST_SPLIT } else { self.max_rows }
    }

    /// The tiles of a product whose rows and columns both are dealt to workgroups.
    pub fn tiles(&self, shape: TileShape) -> Tiles {
        let whole = |rows| Tile { rows, width: self.workgroup_size, split: 1 };
        let tile = |&rows: &u32| {
            let split = self.splits && rows <= Tile::TALLEST_SPLIT;
            split
                .then(|| Tile::split(rows, shape, MOST_SPLIT, self.workgroup_size))
                .flatten()
                .unwrap_or_else(|| whole(rows))
        };
        // Compilers unroll the loop over one block, and eight rows of it are 40 KB of code for caches of 32 KB.
        let tallest = if self.splits && shape.blocks() == 1 { Tile::TALLEST_SPLIT } else { self.max_rows };
        let mut list: Vec<Tile> = Tile::ROWS.iter().filter(|&&rows| rows <= tallest).map(tile).collect();
        // Columns that leave half of a subgroup idle.
        if list.iter().any(|tile| tile.split > 1) && shape.columns < 32 {
            list.retain(|tile| tile.split > 1);
        }
        Tiles { variant: self.variant, list, rule: Rule::Lowest { enough: self.enough } }
    }
}

/// The product y[rows, N] = x[rows, M]·weights[M, N] that a kernel computes, in vec4f.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TileShape {
    /// M: the reduction axis, in vec4f.
    pub reduction: usize,
    /// N: outputs of a row, in vec4f.
    pub columns: usize,
}

impl TileShape {
    /// The product with a matrix.
    pub fn of(matrix: &Matrix) -> Self {
        Self { reduction: matrix.rows / VEC4, columns: matrix.columns }
    }

    /// Blocks of the reduction axis.
    pub fn blocks(&self) -> usize {
        self.reduction.div_ceil(block_of(self.reduction))
    }

    /// The kernel's pipelines, one for each tile.
    pub fn pipelines(
        &self,
        kernel: &'static KernelSpec,
        tiles: &Tiles,
        more: &[(&'static str, f64)],
    ) -> Vec<PipelineSpec> {
        let one = |tile: &Tile| {
            let mut constants = tile.constants(tiles.variant.subgroups);
            constants.extend([("REDUCTION", self.reduction as f64), ("COLUMNS", self.columns as f64)]);
            constants.extend_from_slice(more);
            PipelineSpec { kernel, variant: tiles.variant, constants }
        };
        tiles.list.iter().map(one).collect()
    }

    /// Elements of the matrix, four numbers each.
    pub fn elements(&self) -> u64 {
        (VEC4 * self.reduction) as u64 * self.columns as u64
    }

    /// Floating-point operations of the product for `rows` rows: a multiply-add counts as two.
    pub fn operations(&self, rows: usize) -> u64 {
        2 * (VEC4 * self.reduction) as u64 * (VEC4 * self.columns) as u64 * rows as u64
    }
}
