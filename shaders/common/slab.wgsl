// A slab is a block of private_scan's product, up to eight vec4f, broadcast from workgroup memory.
//
//   total + Σ_m held[place][m]·h_tile[at + m]      m < count, a constant once overrides are set
//
// Twin  common/slab_subgroup.wgsl
// Needs  common/sum.wgsl          Host  src/kernels/private_scan.rs
fn start_slabs() {}

fn add_slab(place: u32, at: u32, count: u32, total: vec4f) -> vec4f {
    var sum = chain(held[place][0], h_tile[at], vec4f());
    if (count > 1u) { sum = chain(held[place][1], h_tile[at + 1u], sum); }
    if (count > 2u) { sum = chain(held[place][2], h_tile[at + 2u], sum); }
    if (count > 3u) { sum = chain(held[place][3], h_tile[at + 3u], sum); }
    if (count > 4u) { sum = chain(held[place][4], h_tile[at + 4u], sum); }
    if (count > 5u) { sum = chain(held[place][5], h_tile[at + 5u], sum); }
    if (count > 6u) { sum = chain(held[place][6], h_tile[at + 6u], sum); }
    if (count > 7u) { sum = chain(held[place][7], h_tile[at + 7u], sum); }
    return total + sum;
}
