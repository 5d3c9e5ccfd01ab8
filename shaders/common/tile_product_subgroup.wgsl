// tile_product through subgroup broadcasts: lane r holds row r of the tile. For adapters that emulate
// workgroup memory and pay for every load, as software ones do; needs subgroups of ROWS lanes or more.
//
// Needs  common/tile.wgsl, Features::SUBGROUP          Host  src/kernels/mod.rs
fn tile_product(start: Tile, place: Place, local: u32) -> Tile {
    var tile = start;
    let lane = subgroupExclusiveAdd(1u);   // every invocation is active here: the lane's own number
    for (var m = 0u; m < REDUCTION; m += 1u) {
        let mine = operand_at(place, lane % ROWS, m);
        let w = weights_at(place, m);
        if (ROWS == 1u) {
            tile.low[0] = chain(w, mine, tile.low[0]);
        } else {
            tile.low[0] = chain(w, subgroupBroadcast(mine, 0u), tile.low[0]);
            tile.low[1] = chain(w, subgroupBroadcast(mine, 1u), tile.low[1]);
            tile.low[2] = chain(w, subgroupBroadcast(mine, 2u), tile.low[2]);
            tile.low[3] = chain(w, subgroupBroadcast(mine, 3u), tile.low[3]);
        }
        if (ROWS > 4u) {
            tile.high[0] = chain(w, subgroupBroadcast(mine, 4u), tile.high[0]);
            tile.high[1] = chain(w, subgroupBroadcast(mine, 5u), tile.high[1]);
            tile.high[2] = chain(w, subgroupBroadcast(mine, 6u), tile.high[2]);
            tile.high[3] = chain(w, subgroupBroadcast(mine, 7u), tile.high[3]);
        }
    }
    return tile;
}
