//! `shaders/common/tile.wgsl`: the register tile that every kernel computes, and its shape.

use crate::layout::Matrix;
use crate::program::{DeviceLimits, Element, KernelSpec, PipelineSpec, VEC4, Variant, padded};

/// vec4f of the reduction axis that are staged in workgroup memory at a time: with the largest tile,
/// 32 · 16 rows · 16 bytes = 8 KiB, half of what every WebGPU device has.
const CHUNK: usize = 32;

/// vec4f of the reduction axis in a slab of persistent weights, and the most slabs.
pub(super) const SLAB: usize = 8;
pub(super) const MAX_SLABS: usize = 8;

/// Hidden units whose weights persist on hardware: 4 · 16 registers, which every GPU has. Some have four times as
/// many; the bound stays low until such a GPU is measured, because weights beyond the registers spill to memory.
const HELD_ON_HARDWARE: usize = 16;

/// Workgroups that a unit of a GPU keeps in flight, about.
const IN_FLIGHT: u32 = 32;

/// How the tiles of a product are mapped to the workgroups of one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tiling {
    /// Invocations of a workgroup.
    pub workgroup_size: u32,
    /// Which twins of the kernels' texts.
    pub variant: Variant,
    /// The most rows of a tile.
    max_rows: u32,
    /// Whether weights persist in registers, and a workgroup takes its rows one after the other.
    persistent: bool,
    /// Workgroups that run at once.
    at_once: u32,
    /// Workgroups that a dispatch takes in one dimension.
    max_workgroups: u32,
}

impl Tiling {
    /// Heights of a tile that the shaders know.
    pub(super) const ROWS: [u32; 4] = [1, 4, 8, Self::TALLEST as u32];

    /// Rows of the tallest tile, and sequences that a workgroup carries at most.
    pub(super) const TALLEST: usize = 16;

    /// On hardware, workgroup memory broadcasts for free, and a workgroup is about one subgroup, of 32
    /// lanes at least. A software adapter pays about 15 cycles a lane for every load and nearly nothing for
    /// a subgroup broadcast, so there lane r holds row r (and row 8 + r), where subgroups are that wide.
    /// Without them its compiler splits a kernel at every barrier, and takes minutes for a tall tile.
    pub fn of(limits: &DeviceLimits, element: Element) -> Self {
        let [_, low, medium, tall] = Self::ROWS;
        let widest = limits.subgroups.map_or(0, |sizes| sizes.max);
        let narrowest = limits.subgroups.map_or(0, |sizes| sizes.min);
        let subgroups = limits.software && narrowest >= low;
        Self {
            workgroup_size: if limits.software { 32 } else { widest.clamp(32, 64) },
            variant: Variant { subgroups, element },
            max_rows: if limits.software && (!subgroups || narrowest < medium) { low } else { tall },
            persistent: false,
            at_once: if limits.software { limits.units } else { IN_FLIGHT * limits.units },
            max_workgroups: limits.max_workgroups,
        }
    }

    /// For workgroups that carry a tile of `hidden` units through time, with an invocation for every unit and
    /// workgroup memory for the tile's h and its stage; `None` where the device has too little of either.
    /// The weights persist where they fit registers; memory stands for these on a software adapter, whose compiler
    /// sets the bound: some 1.5 s for the largest. Where they don't, operands are shared through workgroup memory,
    /// which holds h anyway.
    pub fn carrying(&self, hidden: usize, limits: &DeviceLimits) -> Option<Self> {
        let width = hidden.checked_next_multiple_of(32)?;
        let workgroup_size = u32::try_from(width).ok().filter(|&size| size <= limits.max_invocations)?;
        let held = if limits.software { VEC4 * SLAB * MAX_SLABS } else { HELD_ON_HARDWARE };
        if padded(hidden) <= held {
            let wide = limits.subgroups.is_some_and(|sizes| sizes.min as usize >= SLAB);
            let variant = Variant { subgroups: limits.software && wide, ..self.variant };
            let rows = limits.max_workgroup_bytes / (2 * 4 * padded(hidden) as u32);
            let max_rows = rows.clamp(1, Self::TALLEST as u32);
            return Some(Self { workgroup_size, variant, max_rows, persistent: true, ..*self });
        }
        let row = 4 * padded(hidden) + VEC4 * 4 * CHUNK.min(padded(hidden) / VEC4);
        let fits = |rows: &u32| *rows as usize * row <= limits.max_workgroup_bytes as usize;
        // Software adapters split a kernel at every barrier, and compile a tall tile with barriers for seconds.
        let tallest = if limits.software { 4 } else { u32::MAX };
        let max_rows = Self::ROWS.into_iter().filter(|&rows| rows <= tallest).rfind(fits)?;
        let variant = Variant { subgroups: false, ..self.variant };
        Some(Self { workgroup_size, variant, max_rows, ..*self })
    }

    /// The heights that this device uses.
    pub fn heights(&self) -> impl Iterator<Item = u32> + use<> {
        let max = self.max_rows;
        Self::ROWS.into_iter().filter(move |&rows| rows <= max)
    }

    /// Where weights persist, the most rows of a workgroup.
    pub fn persistent_rows(&self) -> Option<usize> {
        self.persistent.then_some(self.tallest())
    }

    /// Rows that a workgroup takes of `rows`, in a tile of height `height` (an index): where weights persist,
    /// as few as leave no more workgroups, of all directions, than run at once, and no more than a dispatch takes.
    pub fn rows_of_workgroup(&self, height: usize, rows: usize, directions: usize) -> usize {
        if !self.persistent {
            return self.heights().nth(height).unwrap_or(1) as usize;
        }
        let even = (self.at_once as usize).div_ceil(directions).max(1);
        let workgroups =
            rows.div_ceil(self.tallest()).next_multiple_of(even).min(self.max_workgroups as usize);
        rows.div_ceil(workgroups.max(1)).max(1)
    }

    /// The tallest.
    pub fn tallest(&self) -> usize {
        self.max_rows as usize
    }

    /// Index in `heights` of the tile for a product of `rows` rows: the lowest that holds them, else
    /// the tallest.
    pub fn height_for(&self, rows: usize) -> usize {
        if self.persistent {
            return 0; // one pipeline; the uniform has the rows
        }
        let last = self.heights().count() - 1;
        self.heights().position(|height| height as usize >= rows).unwrap_or(last)
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

    /// The kernel's pipelines, one for each height of a tile.
    pub fn pipelines(
        &self,
        kernel: &'static KernelSpec,
        tiling: &Tiling,
        more: &[(&'static str, f64)],
    ) -> Vec<PipelineSpec> {
        let one = |rows: u32| {
            let mut constants = vec![
                ("WORKGROUP_SIZE", f64::from(tiling.workgroup_size)),
                ("ROWS", f64::from(rows)),
                ("REDUCTION", self.reduction as f64),
                ("COLUMNS", self.columns as f64),
            ];
            if !tiling.variant.subgroups {
                let chunk = self.reduction.min(CHUNK) as f64;
                constants.push(("CHUNK", chunk));
                constants.push(("STAGED", chunk * f64::from(rows)));
            }
            constants.extend_from_slice(more);
            PipelineSpec { kernel, variant: tiling.variant, constants }
        };
        tiling.heights().map(one).collect()
    }

    /// Workgroups for `rows` rows in tiles of height `height` (an index), in each of `directions`.
    pub fn grid(&self, tiling: &Tiling, height: usize, rows: usize, directions: usize) -> [u32; 3] {
        let tall = tiling.rows_of_workgroup(height, rows, directions);
        [
            self.columns.div_ceil(tiling.workgroup_size as usize) as u32,
            rows.div_ceil(tall) as u32,
            directions as u32,
        ]
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
