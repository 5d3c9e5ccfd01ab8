// A register tile: ROWS rows of a product, one vec4f of outputs of each.
//
//   y[row, n] = start[row, n] + Σ_m weights[m, n]·operand[row, m]      n in vec4f, summed as common/sum.wgsl says
//
// The same operands give the same bits, whatever the tile, the workgroup or the twin below. A kernel calls sum_tile(..) and
// finish_tile(..), and defines
//
//   const PRODUCTS                                                           how many products a sum has: one or two
//   fn product_of(place: Place, k: u32) -> Product                           product number k
//   fn operand_at(product: Product, i: u32) -> vec4f                         the operand's vec4f number i
//   fn start_row(place: Place, me: Invocation, r: u32) -> vec4f              where the sum of row r starts
//   fn finish_row(place: Place, me: Invocation, r: u32, y: vec4f)            takes the sum of row r
//   fn finish_rows(place: Place, me: Invocation, r: u32, y: mat2x4f)         takes those of rows r and r + 1
//
// sum_tile(..) and finish_tile(..) have two twins, which differ in what the invocations of a workgroup share:
//
//   common/tile_product.wgsl            a column's blocks, through workgroup memory: core WGSL
//   common/tile_product_subgroup.wgsl   the operand, through subgroup operations: Features::SUBGROUP
//
// Needs  common/sum.wgsl          Host  src/kernels/tile.rs
override WORKGROUP_SIZE: u32;   // invocations of a workgroup: WIDTH for each of its parts
override WIDTH: u32;            // columns n of a workgroup
override ROWS: u32;             // rows of a tile: 1, 4, 8 or 16
override OWN_ROWS: u32;         // that an invocation starts and finishes: ROWS, or 1 where several have the same column

// Sums of an invocation's own rows, a mat4x4f for four: column r of rows_0 is row r, column r of rows_4 row 4 + r. Rows
// past ROWS are not computed; the compiler removes them.
struct Tile {
    rows_0: mat4x4f,
    rows_4: mat4x4f,
    rows_8: mat4x4f,
    rows_12: mat4x4f,
}

// The place of a tile: the same for a whole workgroup, as barriers demand.
struct Place {
    slot: u32,   // layer or direction of the dispatch
    row: u32,    // of the tile's first row
    rows: u32,   // how many there are; the product of those past them must not be stored
}

// An invocation in its workgroup.
struct Invocation {
    local: u32,    // its index
    column: u32,   // n; past N the product is computed all the same, and must not be stored
    part: u32,     // of the invocations with this column; with OWN_ROWS = 1 its row of the tile is its own
}

// What is multiplied: the same for a whole workgroup.
struct Product {
    weights: u32,   // where the matrix begins, [4·M, N]: the reduction axis outermost
    operand: u32,   // where row 0 begins, in vec4f; a row is as long as the reduction axis
    length: u32,    // M, the reduction axis in vec4f
    source: u32,    // which operand, in fused_step
}

// Columns are those of workgroup number `group`. A workgroup of one part says so by constants: compilers do not know that
// `local` is below its size, and what depends on the part is then the same for the whole workgroup.
fn invocation_of(group: u32, local: u32) -> Invocation {
    if (WIDTH == WORKGROUP_SIZE) {
        return Invocation(local, group * WIDTH + local, 0u);
    }
    return Invocation(local, group * WIDTH + local % WIDTH, local / WIDTH);
}

// Where row r of the tile begins in the operand. Rows past the last one repeat the last.
fn operand_row(place: Place, product: Product, r: u32) -> u32 {
    return product.operand + min(place.row + r, place.rows - 1u) * product.length;
}

// Where the invocation's column begins in the weights. Four rows of the reduction axis later it is 4·N further.
fn weights_column(me: Invocation, product: Product) -> u32 {
    return product.weights + min(me.column, COLUMNS - 1u);
}

// Four links of four rows' chains: column r of x is the operand's row r.
fn chain_rows(w: mat4x4f, x: mat4x4f, sum: mat4x4f) -> mat4x4f {
    return mat4x4f(chain(w, x[0], sum[0]), chain(w, x[1], sum[1]), chain(w, x[2], sum[2]), chain(w, x[3], sum[3]));
}

fn start_rows(place: Place, me: Invocation, r: u32) -> mat4x4f {
    return mat4x4f(
        start_row(place, me, r),
        start_row(place, me, r + 1u),
        start_row(place, me, r + 2u),
        start_row(place, me, r + 3u),
    );
}
