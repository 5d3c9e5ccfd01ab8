// tile_product in core WGSL. Where rows are few, an invocation has too little to load at a time: then SPLIT invocations
// have the same column, each computes every SPLIT-th block for all rows of the tile, and the sums of SPLIT blocks go
// through workgroup memory to the invocations that own the rows.
//
// All invocations of a part read the same element of the operand at once.
//
// Needs  common/tile.wgsl          Host  src/kernels/tile.rs
override SPLIT: u32;    // parts of a workgroup; 1 or, where OWN_ROWS is 1, at least ROWS, which then is at most 4
override SHARED: u32;   // ROWS·WORKGROUP_SIZE, or 1 where SPLIT is 1

var<workgroup> shared_sums: array<vec4f, SHARED>;   // [ROWS, SPLIT, WIDTH]

fn tile_product(start: Tile, place: Place, product: Product, local: u32) -> Tile {
    var total_0 = start.rows_0;
    var total_4 = start.rows_4;
    let blocks = (product.length + SUM_BLOCK - 1u) / SUM_BLOCK;
    for (var block = 0u; block < blocks; block += SPLIT) {
        let sums = block_sums(place, product, SUM_BLOCK * (block + place.part));
        if (SPLIT == 1u) {
            total_0 += sums.rows_0;
            total_4 += sums.rows_4;
        } else {
            total_0[0] = add_shared(total_0[0], place, sums.rows_0, min(SPLIT, blocks - block), local);
        }
    }
    return Tile(total_0, total_4, start.rows_8, start.rows_12);
}

// Adds the sums of `count` blocks, one of each part, to the invocation's own row.
fn add_shared(start: vec4f, place: Place, sums: mat4x4f, count: u32, local: u32) -> vec4f {
    workgroupBarrier();   // the sums before have been added
    shared_sums[local] = sums[0];
    if (ROWS > 1u) {
        shared_sums[WORKGROUP_SIZE + local] = sums[1];
        shared_sums[2u * WORKGROUP_SIZE + local] = sums[2];
        shared_sums[3u * WORKGROUP_SIZE + local] = sums[3];
    }
    workgroupBarrier();
    var total = start;
    let own = min(place.part, ROWS - 1u) * WORKGROUP_SIZE + local % WIDTH;
    for (var part = 0u; part < count; part += 1u) {
        total += shared_sums[own + part * WIDTH];
    }
    return total;
}

// The sums of the block that begins at vec4f `first`, of all rows. Past the last block they mean nothing.
fn block_sums(place: Place, product: Product, first: u32) -> Tile {
    var sums_0: mat4x4f;
    var sums_4: mat4x4f;
    if (ROWS == 1u) {
        sums_0[0] = block_sum(place, product, first);
    } else {
        let end = min(first + SUM_BLOCK, product.length);
        for (var m = first; m < end; m += 1u) {
            let w = weights_at(weights_column(place, product) + 4u * m * COLUMNS);
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

// The same of one row: unrolled, so that all loads of the block are in flight at once.
fn block_sum(place: Place, product: Product, first: u32) -> vec4f {
    let w_0 = block_weights(place, product, first);
    let w_1 = block_weights(place, product, first + 1u);
    let w_2 = block_weights(place, product, first + 2u);
    let w_3 = block_weights(place, product, first + 3u);
    let w_4 = block_weights(place, product, first + 4u);
    let w_5 = block_weights(place, product, first + 5u);
    let w_6 = block_weights(place, product, first + 6u);
    let w_7 = block_weights(place, product, first + 7u);
    var sum = block_chain(w_0, place, product, first, vec4f());
    sum = block_chain(w_1, place, product, first + 1u, sum);
    sum = block_chain(w_2, place, product, first + 2u, sum);
    sum = block_chain(w_3, place, product, first + 3u, sum);
    sum = block_chain(w_4, place, product, first + 4u, sum);
    sum = block_chain(w_5, place, product, first + 5u, sum);
    sum = block_chain(w_6, place, product, first + 6u, sum);
    return block_chain(w_7, place, product, first + 7u, sum);
}

// Past the last row of the matrix it reads the last one, which block_chain does not use.
fn block_weights(place: Place, product: Product, m: u32) -> mat4x4f {
    return weights_at(weights_column(place, product) + 4u * min(m, product.length - 1u) * COLUMNS);
}

fn block_chain(w: mat4x4f, place: Place, product: Product, m: u32, sum: vec4f) -> vec4f {
    let x = operand_at(product, operand_row(place, product, 0u) + min(m, product.length - 1u));
    return select(sum, chain(w, x, sum), m < product.length);
}
