// tile_product through workgroup memory: the invocations load the tile's rows together, a chunk of
// the reduction axis at a time, then all of them read the same element at once (a broadcast).
//
// Needs  common/tile.wgsl          Host  src/kernels/mod.rs
override CHUNK: u32;    // vec4f of the reduction axis staged at a time
override STAGED: u32;   // CHUNK·ROWS

var<workgroup> staged: array<vec4f, STAGED>;   // [CHUNK, ROWS]

fn tile_product(start: Tile, place: Place, local: u32) -> Tile {
    var tile = start;
    for (var chunk = 0u; chunk < REDUCTION; chunk += CHUNK) {
        let length = min(CHUNK, REDUCTION - chunk);
        workgroupBarrier();   // the chunk before has been used up
        for (var i = local; i < length * ROWS; i += WORKGROUP_SIZE) {
            staged[i] = operand_at(place, i % ROWS, chunk + i / ROWS);
        }
        workgroupBarrier();
        for (var m = 0u; m < length; m += 1u) {
            let w = weights_at(place, chunk + m);
            let x = m * ROWS;
            tile.low[0] = chain(w, staged[x], tile.low[0]);
            if (ROWS > 1u) {
                tile.low[1] = chain(w, staged[x + 1u], tile.low[1]);
                tile.low[2] = chain(w, staged[x + 2u], tile.low[2]);
                tile.low[3] = chain(w, staged[x + 3u], tile.low[3]);
            }
            if (ROWS > 4u) {
                tile.high[0] = chain(w, staged[x + 4u], tile.high[0]);
                tile.high[1] = chain(w, staged[x + 5u], tile.high[1]);
                tile.high[2] = chain(w, staged[x + 6u], tile.high[2]);
                tile.high[3] = chain(w, staged[x + 7u], tile.high[3]);
            }
        }
    }
    return tile;
}
