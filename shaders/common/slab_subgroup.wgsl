// add_slab through subgroup broadcasts: lane m holds the operand's vec4f number m. For adapters that emulate
// workgroup memory and pay for every load, as software ones do; needs subgroups of eight lanes or more.
//
// Twin  common/slab.wgsl
// Needs  common/sum.wgsl, Features::SUBGROUP          Host  src/kernels/private_scan.rs
var<private> lane: u32;   // the invocation's own, of eight

fn start_slabs() {
    lane = subgroupExclusiveAdd(1u) % 8u;   // every invocation is active here
}

fn add_slab(place: u32, at: u32, count: u32, total: vec4f) -> vec4f {
    let mine = h_tile[at + min(lane, count - 1u)];
    var sum = chain(held[place][0], subgroupBroadcast(mine, 0u), vec4f());
    if (count > 1u) { sum = chain(held[place][1], subgroupBroadcast(mine, 1u), sum); }
    if (count > 2u) { sum = chain(held[place][2], subgroupBroadcast(mine, 2u), sum); }
    if (count > 3u) { sum = chain(held[place][3], subgroupBroadcast(mine, 3u), sum); }
    if (count > 4u) { sum = chain(held[place][4], subgroupBroadcast(mine, 4u), sum); }
    if (count > 5u) { sum = chain(held[place][5], subgroupBroadcast(mine, 5u), sum); }
    if (count > 6u) { sum = chain(held[place][6], subgroupBroadcast(mine, 6u), sum); }
    if (count > 7u) { sum = chain(held[place][7], subgroupBroadcast(mine, 7u), sum); }
    return total + sum;
}
