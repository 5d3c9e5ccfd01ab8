// exchange_states: the states of a pool's streams, between their slots and the places of a batch, in every layer.
//
//   to the slots    stored[l,slot,·] = state[l,place,·]
//   to the places   state[l,place,·] = stored[l,slot,·], or zeros for a stream that begins
//
// Source  a copy: it has no equation          Host  src/kernels/exchange_states.rs
// Grid    x: workgroups that share the rows of all layers, one row at a time
override WORKGROUP_SIZE: u32;

const NO_SLOT = 0xffffffffu;   // nothing to copy
const ZEROS = 0xfffffffeu;     // the stream begins

struct Exchange {
    to_places: u32,         // 1: to the places, 0: to the slots
    layers: u32,            // L
    places: u32,            // of the batch; there are as many slots
    h_stride: u32,          // f32 from one row of h to the next: O padded to vec4f
    c_stride: u32,          // of c: H
    turn: u32,              // of h at the places that are loaded, in the lowest layer of a group: 0 or 1
    layers_in_group: u32,   // each layer of a group is one turn behind the layer below
}

// What happens to one place.
struct Entry {
    store_to: u32,          // the slot, or NO_SLOT
    turn: u32,              // of h at this place, and its group, as in Exchange
    layers_in_group: u32,
    load_from: u32,         // the slot, ZEROS or NO_SLOT
}

@group(0) @binding(0) var<uniform> exchange: Exchange;
@group(0) @binding(1) var<storage, read> entries: array<Entry>;              // [places]
@group(0) @binding(2) var<storage, read_write> h_first: array<f32>;          // [L, places, h_stride]
@group(0) @binding(3) var<storage, read_write> h_second: array<f32>;         // the same, at the second turn
@group(0) @binding(4) var<storage, read_write> c: array<f32>;                // [L, places, c_stride]
@group(0) @binding(5) var<storage, read_write> stored_h: array<f32>;         // [L, slots, h_stride]
@group(0) @binding(6) var<storage, read_write> stored_c: array<f32>;         // [L, slots, c_stride]

@compute @workgroup_size(WORKGROUP_SIZE)
fn exchange_states(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    for (var row = group.x; row < exchange.layers * exchange.places; row += groups.x) {
        let entry = entries[row % exchange.places];
        let layer = row / exchange.places;
        if (exchange.to_places == 0u && entry.store_to != NO_SLOT) {
            let second = (entry.turn + layer % entry.layers_in_group) % 2u == 1u;
            store(row, layer * exchange.places + entry.store_to, second, local);
        }
        if (exchange.to_places == 1u && entry.load_from != NO_SLOT) {
            let second = (exchange.turn + layer % exchange.layers_in_group) % 2u == 1u;
            load(row, layer * exchange.places, entry.load_from, second, local);
        }
    }
}

fn store(row: u32, to: u32, second: bool, local: u32) {
    for (var i = local; i < exchange.h_stride; i += WORKGROUP_SIZE) {
        let at = row * exchange.h_stride + i;
        stored_h[to * exchange.h_stride + i] = select(h_first[at], h_second[at], second);
    }
    for (var i = local; i < exchange.c_stride; i += WORKGROUP_SIZE) {
        stored_c[to * exchange.c_stride + i] = c[row * exchange.c_stride + i];
    }
}

// A slot of a stream that begins is not read: it may hold another stream's NaN.
fn load(row: u32, first_slot: u32, slot: u32, second: bool, local: u32) {
    let begins = slot == ZEROS;
    let source = first_slot + select(slot, 0u, begins);
    for (var i = local; i < exchange.h_stride; i += WORKGROUP_SIZE) {
        let h = select(stored_h[source * exchange.h_stride + i], 0.0, begins);
        if (second) {
            h_second[row * exchange.h_stride + i] = h;
        } else {
            h_first[row * exchange.h_stride + i] = h;
        }
    }
    for (var i = local; i < exchange.c_stride; i += WORKGROUP_SIZE) {
        c[row * exchange.c_stride + i] = select(stored_c[source * exchange.c_stride + i], 0.0, begins);
    }
}
