// sum_tile and finish_tile in core WGSL. Where rows are few, an invocation has too little to load at a time: then SPLIT
// invocations have the same column, each computes every SPLIT-th block for all rows of the tile, and the sums of SPLIT
// blocks go through workgroup memory to the invocations that own the rows.
//
// All invocations of a part read the same element of the operand at once.
//
// Needs  common/tile.wgsl          Host  src/kernels/tile.rs
override SPLIT: u32;    // parts of a workgroup; 1 or, where OWN_ROWS is 1, at least ROWS, which then is at most 4
override SHARED: u32;   // ROWS·WORKGROUP_SIZE, or 1 where SPLIT is 1

var<workgroup> shared_sums: array<vec4f, SHARED>;   // [ROWS, SPLIT, WIDTH]

fn sum_tile(place: Place, me: Invocation) -> Tile {
    var total_0: mat4x4f;
    var total_4: mat4x4f;
    if (OWN_ROWS == 1u) {
        total_0[0] = start_row(place, me, me.part);
    } else {
        total_0 = start_rows(place, me, 0u);
    }
    if (OWN_ROWS > 4u) {
        total_4 = start_rows(place, me, 4u);
    }
    if (PRODUCTS == 1u) {
        return add_product(total_0, total_4, place, me, product_of(place, 0u));
    }
    for (var k = 0u; k < PRODUCTS; k += 1u) {   // a loop, so that the code of a product is there once
        let total = add_product(total_0, total_4, place, me, product_of(place, k));
        total_0 = total.rows_0;
        total_4 = total.rows_4;
    }
    return Tile(total_0, total_4, mat4x4f(), mat4x4f());
}

fn add_product(start_0: mat4x4f, start_4: mat4x4f, place: Place, me: Invocation, product: Product) -> Tile {
    var total_0 = start_0;
    var total_4 = start_4;
    let length = block_of(product.length);
    let blocks = (product.length + length - 1u) / length;
    let end = select(blocks, not_constant(blocks, place), blocks > SPLIT);
    for (var block = 0u; block < end; block += SPLIT) {
        // Where an invocation has one block, all of its loads are in one piece of code; else in a loop.
        let one = PRODUCTS == 1u && blocks <= SPLIT;
        let sums = block_sums(place, me, product, length * (block + me.part), select(4u, 8u, one), length);
        if (SPLIT == 1u) {
            total_0 += sums.rows_0;
            total_4 += sums.rows_4;
        } else {
            total_0[0] = add_shared(total_0[0], me, sums.rows_0, min(SPLIT, blocks - block));
        }
    }
    return Tile(total_0, total_4, mat4x4f(), mat4x4f());
}

// n, as there is at least one row. Compilers do not know that, and unroll no loop up to it: its code would not fit an
// instruction cache.
fn not_constant(n: u32, place: Place) -> u32 {
    return min(n, n + place.rows - 1u);
}

// Adds the sums of `count` blocks, one of each part, to the invocation's own row.
fn add_shared(start: vec4f, me: Invocation, sums: mat4x4f, count: u32) -> vec4f {
    workgroupBarrier();   // the sums before have been added
    shared_sums[me.local] = sums[0];
    if (ROWS > 1u) {
        shared_sums[WORKGROUP_SIZE + me.local] = sums[1];
        shared_sums[2u * WORKGROUP_SIZE + me.local] = sums[2];
        shared_sums[3u * WORKGROUP_SIZE + me.local] = sums[3];
    }
    workgroupBarrier();
    var total = start;
    let own = min(me.part, ROWS - 1u) * WORKGROUP_SIZE + me.local % WIDTH;
    for (var part = 0u; part < count; part += 1u) {
        total += shared_sums[own + part * WIDTH];
    }
    return total;
}

fn finish_tile(place: Place, me: Invocation, tile: Tile) {
    if (OWN_ROWS == 1u) {
        if (me.part < ROWS) {
            finish_row(place, me, me.part, tile.rows_0[0]);
        }
        return;
    }
    // A loop that is not unrolled, so that the code which finishes two rows is there once.
    for (var r = 0u; r < min(ROWS, place.rows - place.row); r += 2u) {
        var y = mat2x4f(tile.rows_0[0], tile.rows_0[1]);
        if (r == 2u) { y = mat2x4f(tile.rows_0[2], tile.rows_0[3]); }
        if (r == 4u) { y = mat2x4f(tile.rows_4[0], tile.rows_4[1]); }
        if (r == 6u) { y = mat2x4f(tile.rows_4[2], tile.rows_4[3]); }
        finish_rows(place, me, r, y);
    }
}

// The sums of the block that begins at vec4f `first`, of all rows; `links` vec4f at a time of one row. Past the last block
// they mean nothing.
fn block_sums(place: Place, me: Invocation, product: Product, first: u32, links: u32, length: u32) -> Tile {
    var sums_0: mat4x4f;
    var sums_4: mat4x4f;
    if (ROWS == 1u) {
        for (var m = 0u; m < select(length, not_constant(length, place), links == 4u); m += links) {
            sums_0[0] = four_links(place, me, product, first + m, sums_0[0]);
            if (links == 8u) {
                sums_0[0] = four_links(place, me, product, first + m + 4u, sums_0[0]);
            }
        }
    } else {
        let last = min(first + length, product.length);
        let end = select(last, not_constant(last, place), SPLIT == 1u);
        for (var m = first; m < end; m += 1u) {
            let w = weights_at(weights_column(me, product) + 4u * m * COLUMNS);
            sums_0 = chain_rows(w, operand_rows(place, product, 0u, m), sums_0);
            if (ROWS > 4u) {
                sums_4 = chain_rows(w, operand_rows(place, product, 4u, m), sums_4);
            }
        }
    }
    return Tile(sums_0, sums_4, mat4x4f(), mat4x4f());
}

fn operand_rows(place: Place, product: Product, r: u32, m: u32) -> mat4x4f {
    return mat4x4f(
        operand_at(product, operand_row(place, product, r) + m),
        operand_at(product, operand_row(place, product, r + 1u) + m),
        operand_at(product, operand_row(place, product, r + 2u) + m),
        operand_at(product, operand_row(place, product, r + 3u) + m),
    );
}

// The links of up to four vec4f from `first` on, of one row: unrolled, so that sixteen loads of weights are in flight at
// once. Past the last row of the matrix it reads the last one, and adds nothing.
fn four_links(place: Place, me: Invocation, product: Product, first: u32, start: vec4f) -> vec4f {
    let m = min(vec4u(first, first + 1u, first + 2u, first + 3u), vec4u(product.length - 1u));
    let row = operand_row(place, product, 0u);
    let x_0 = operand_at(product, row + m.x);
    let x_1 = operand_at(product, row + m.y);
    let x_2 = operand_at(product, row + m.z);
    let x_3 = operand_at(product, row + m.w);
    let column = weights_column(me, product) + 4u * COLUMNS * m;
    let w_0 = weights_at(column.x);
    let w_1 = weights_at(column.y);
    let w_2 = weights_at(column.z);
    let w_3 = weights_at(column.w);
    var sum = select(start, chain(w_0, x_0, start), first < product.length);
    sum = select(sum, chain(w_1, x_1, sum), first + 1u < product.length);
    sum = select(sum, chain(w_2, x_2, sum), first + 2u < product.length);
    return select(sum, chain(w_3, x_3, sum), first + 3u < product.length);
}
