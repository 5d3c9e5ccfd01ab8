// tile_product through workgroup memory: the invocations load the tile's rows together, a chunk of
// the reduction axis at a time, then all of them read the same element at once (a broadcast).
//
// Needs  common/tile.wgsl          Host  src/kernels/tile.rs
override CHUNK: u32;    // vec4f of the reduction axis staged at a time
override STAGED: u32;   // CHUNK·ROWS

var<workgroup> staged: array<vec4f, STAGED>;   // [CHUNK, ROWS]

fn tile_product(start: Tile, place: Place, product: Product, local: u32) -> Tile {
    var tile = start;
    var i = weights_column(place, product);
    for (var chunk = 0u; chunk < product.length; chunk += CHUNK) {
        let length = min(CHUNK, product.length - chunk);
        workgroupBarrier();   // the chunk before has been used up
        for (var x = local; x < length * ROWS; x += WORKGROUP_SIZE) {
            staged[x] = operand_at(product, operand_row(place, product, x % ROWS) + chunk + x / ROWS);
        }
        workgroupBarrier();
        for (var m = 0u; m < length; m += 1u) {
            let w = weights_at(i);
            i += 4u * COLUMNS;
            let x = m * ROWS;
            if (ROWS == 1u) {
                tile.rows_0[0] = chain(w, staged[x], tile.rows_0[0]);
            } else {
                tile.rows_0 = chain_rows(w, staged_rows(x), tile.rows_0);
            }
            if (ROWS > 4u) {
                tile.rows_4 = chain_rows(w, staged_rows(x + 4u), tile.rows_4);
            }
            if (ROWS > 8u) {
                tile.rows_8 = chain_rows(w, staged_rows(x + 8u), tile.rows_8);
                tile.rows_12 = chain_rows(w, staged_rows(x + 12u), tile.rows_12);
            }
        }
    }
    return tile;
}

fn staged_rows(x: u32) -> mat4x4f {
    return mat4x4f(staged[x], staged[x + 1u], staged[x + 2u], staged[x + 3u]);
}
