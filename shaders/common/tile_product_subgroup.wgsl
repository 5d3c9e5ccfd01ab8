// sum_tile and finish_tile through subgroup operations: lane r loads row r of the tile, and row 8 + r of a tall one, for
// all lanes. The lanes load neighbouring vec4f of a tile's only row. For adapters that emulate workgroup memory and pay for
// every load, as software ones do; needs subgroups of min(ROWS, 8) lanes or more.
//
// Needs  common/tile.wgsl, Features::SUBGROUP          Host  src/kernels/tile.rs
fn sum_tile(place: Place, me: Invocation) -> Tile {
    var start_0: mat4x4f;
    var start_4: mat4x4f;
    var start_8: mat4x4f;
    var start_12: mat4x4f;
    if (ROWS == 1u) {
        start_0[0] = start_row(place, me, 0u);
    } else {
        start_0 = start_rows(place, me, 0u);
    }
    if (ROWS > 4u) {
        start_4 = start_rows(place, me, 4u);
    }
    if (ROWS > 8u) {
        start_8 = start_rows(place, me, 8u);
        start_12 = start_rows(place, me, 12u);
    }
    let total = add_product(Tile(start_0, start_4, start_8, start_12), place, me, product_of(place, 0u));
    if (PRODUCTS == 1u) {
        return total;
    }
    return add_product(total, place, me, product_of(place, 1u));
}

fn add_product(start: Tile, place: Place, me: Invocation, product: Product) -> Tile {
    var total_0 = start.rows_0;
    var total_4 = start.rows_4;
    var total_8 = start.rows_8;
    var total_12 = start.rows_12;
    let lane = subgroupExclusiveAdd(1u);   // every invocation is active here: the lane's own number
    if (ROWS == 1u) {
        total_0[0] = add_row(total_0[0], place, me, product, lane);
        return Tile(total_0, total_4, total_8, total_12);
    }
    let row = operand_row(place, product, lane % min(ROWS, 8u));
    let row_8 = operand_row(place, product, 8u + lane % 8u);
    let length = block_of(product.length);
    for (var first = 0u; first < product.length; first += length) {
        let sums = block_sums(me, product, vec2u(row, row_8), first, length);
        total_0 += sums.rows_0;
        total_4 += sums.rows_4;
        total_8 += sums.rows_8;
        total_12 += sums.rows_12;
    }
    return Tile(total_0, total_4, total_8, total_12);
}

// Adds the product of one row. A load of the operand takes one vec4f a lane, up to a whole block; a shuffle with the same
// lane's number in all lanes costs a software adapter a hundredth of a load.
fn add_row(start: vec4f, place: Place, me: Invocation, product: Product, lane: u32) -> vec4f {
    var total = start;
    let lanes = min(subgroupAdd(1u), SUM_BLOCK);
    let row = operand_row(place, product, 0u);
    let length = block_of(product.length);
    var i = weights_column(me, product);
    for (var first = 0u; first < product.length; first += length) {
        let end = min(first + length, product.length);
        var sum: vec4f;
        for (var m = first; m < end; m += lanes) {
            let mine = operand_at(product, row + min(m + lane % lanes, end - 1u));
            for (var k = 0u; k < min(lanes, end - m); k += 1u) {
                sum = chain(weights_at(i), subgroupShuffle(mine, k), sum);
                i += 4u * COLUMNS;
            }
        }
        total += sum;
    }
    return total;
}

// The sums of the block that begins at vec4f `first`, of four rows or more. `rows` are where the lane's rows begin in the
// operand. All loads come before all sums: a software adapter's load is some 250 instructions, and sums that live across
// it do not stay in registers.
fn block_sums(me: Invocation, product: Product, rows: vec2u, first: u32, length: u32) -> Tile {
    var sum_0: mat4x4f;
    var sum_4: mat4x4f;
    var sum_8: mat4x4f;
    var sum_12: mat4x4f;
    var i = weights_column(me, product) + 4u * first * COLUMNS;
    for (var m = first; m < min(first + length, product.length); m += 1u) {
        let w = weights_at(i);
        i += 4u * COLUMNS;
        let low = operand_at(product, rows.x + m);
        var high: vec4f;
        if (ROWS > 8u) {
            high = operand_at(product, rows.y + m);
        }
        sum_0 = chain_rows(w, rows_of_lanes_0(low), sum_0);
        if (ROWS > 4u) {
            sum_4 = chain_rows(w, rows_of_lanes_4(low), sum_4);
        }
        if (ROWS > 8u) {
            sum_8 = chain_rows(w, rows_of_lanes_0(high), sum_8);
            sum_12 = chain_rows(w, rows_of_lanes_4(high), sum_12);
        }
    }
    return Tile(sum_0, sum_4, sum_8, sum_12);
}

fn rows_of_lanes_0(x: vec4f) -> mat4x4f {
    return mat4x4f(subgroupBroadcast(x, 0u), subgroupBroadcast(x, 1u), subgroupBroadcast(x, 2u), subgroupBroadcast(x, 3u));
}

fn rows_of_lanes_4(x: vec4f) -> mat4x4f {
    return mat4x4f(subgroupBroadcast(x, 4u), subgroupBroadcast(x, 5u), subgroupBroadcast(x, 6u), subgroupBroadcast(x, 7u));
}

fn finish_tile(place: Place, me: Invocation, tile: Tile) {
    if (ROWS == 1u) {
        finish_row(place, me, 0u, tile.rows_0[0]);
    } else {
        finish_four(place, me, 0u, tile.rows_0);
    }
    if (ROWS > 4u) {
        finish_four(place, me, 4u, tile.rows_4);
    }
    if (ROWS > 8u) {
        finish_four(place, me, 8u, tile.rows_8);
        finish_four(place, me, 12u, tile.rows_12);
    }
}

fn finish_four(place: Place, me: Invocation, r: u32, y: mat4x4f) {
    finish_rows(place, me, r, mat2x4f(y[0], y[1]));
    finish_rows(place, me, r + 2u, mat2x4f(y[2], y[3]));
}
