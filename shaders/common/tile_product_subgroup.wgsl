// tile_product through subgroup broadcasts: lane r holds row r of the tile, and row 8 + r of a tall one.
// For adapters that emulate workgroup memory and pay for every load, as software ones do; needs
// subgroups of min(ROWS, 8) lanes or more.
//
// Needs  common/tile.wgsl, Features::SUBGROUP          Host  src/kernels/tile.rs
fn tile_product(start: Tile, place: Place, product: Product, local: u32) -> Tile {
    var total = start;
    let lane = subgroupExclusiveAdd(1u);   // every invocation is active here: the lane's own number
    let row = operand_row(place, product, lane % min(ROWS, 8u));
    let row_8 = operand_row(place, product, 8u + lane % 8u);
    var i = weights_column(place, product);
    for (var first = 0u; first < product.length; first += SUM_BLOCK) {
        let end = min(first + SUM_BLOCK, product.length);
        var sum: Tile;
        for (var m = first; m < end; m += 1u) {
            let w = weights_at(i);
            i += 4u * COLUMNS;
            let mine = operand_at(product, row + m);
            if (ROWS == 1u) {
                sum.rows_0[0] = chain(w, mine, sum.rows_0[0]);
            } else {
                sum.rows_0 = chain_rows(w, rows_of_lanes_0(mine), sum.rows_0);
            }
            if (ROWS > 4u) {
                sum.rows_4 = chain_rows(w, rows_of_lanes_4(mine), sum.rows_4);
            }
            if (ROWS > 8u) {
                let more = operand_at(product, row_8 + m);
                sum.rows_8 = chain_rows(w, rows_of_lanes_0(more), sum.rows_8);
                sum.rows_12 = chain_rows(w, rows_of_lanes_4(more), sum.rows_12);
            }
        }
        total.rows_0 += sum.rows_0;
        if (ROWS > 4u) {
            total.rows_4 += sum.rows_4;
        }
        if (ROWS > 8u) {
            total.rows_8 += sum.rows_8;
            total.rows_12 += sum.rows_12;
        }
    }
    return total;
}

fn rows_of_lanes_0(x: vec4f) -> mat4x4f {
    return mat4x4f(subgroupBroadcast(x, 0u), subgroupBroadcast(x, 1u), subgroupBroadcast(x, 2u), subgroupBroadcast(x, 3u));
}

fn rows_of_lanes_4(x: vec4f) -> mat4x4f {
    return mat4x4f(subgroupBroadcast(x, 4u), subgroupBroadcast(x, 5u), subgroupBroadcast(x, 6u), subgroupBroadcast(x, 7u));
}

fn finish_tile(place: Place, tile: Tile, local: u32) {
    if (ROWS == 1u) {
        finish_row(place, 0u, tile.rows_0[0]);
    } else {
        finish_four(place, 0u, tile.rows_0);
    }
    if (ROWS > 4u) {
        finish_four(place, 4u, tile.rows_4);
    }
    if (ROWS > 8u) {
        finish_four(place, 8u, tile.rows_8);
        finish_four(place, 12u, tile.rows_12);
    }
}

fn finish_four(place: Place, r: u32, y: mat4x4f) {
    finish_rows(place, r, mat2x4f(y[0], y[1]));
    finish_rows(place, r + 2u, mat2x4f(y[2], y[3]));
}
