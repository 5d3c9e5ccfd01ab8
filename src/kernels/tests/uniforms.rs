//! Uniforms have the same layout on both sides.

use std::mem::offset_of;

use naga::{Module, TypeInner};

use super::parse;
use crate::kernels::{Block, Entry, Exchange, Join, KERNELS, Moment, Scan, Slot, TimeStep};
use crate::program::Variant;

/// Name and offset of the members of a struct in a module.
fn members(module: &Module, name: &str) -> Vec<(String, usize)> {
    let found = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some(name));
    let (_, ty) = found.unwrap_or_else(|| panic!("no struct {name}"));
    let TypeInner::Struct { members, .. } = &ty.inner else { panic!("{name} is no struct") };
    members.iter().map(|m| (m.name.clone().unwrap(), m.offset as usize)).collect()
}

#[test]
fn uniforms_are_laid_out_alike_on_both_sides() {
    let [input, step, scan, persistent, streaming, private, fused, projection, ..] =
        KERNELS.map(|kernel| parse(kernel.name, &kernel.source(Variant::default())));
    let block = [
        ("direction".to_owned(), offset_of!(Block, direction)),
        ("first_row".to_owned(), offset_of!(Block, first_row)),
        ("rows".to_owned(), offset_of!(Block, rows)),
        ("gates_rows".to_owned(), offset_of!(Block, gates_rows)),
    ];
    assert_eq!(members(&input, "Block"), block);
    let slot = [
        ("running".to_owned(), offset_of!(Slot, running)),
        ("state".to_owned(), offset_of!(Slot, state)),
        ("gates_row".to_owned(), offset_of!(Slot, gates_row)),
        ("output_row".to_owned(), offset_of!(Slot, output_row)),
        ("w_ih".to_owned(), offset_of!(Slot, w_ih)),
        ("w_hh".to_owned(), offset_of!(Slot, w_hh)),
        ("w_hr".to_owned(), offset_of!(Slot, w_hr)),
        ("bias".to_owned(), offset_of!(Slot, bias)),
        ("x_row".to_owned(), offset_of!(Slot, x_row)),
        ("x_length".to_owned(), offset_of!(Slot, x_length)),
        ("x_source".to_owned(), offset_of!(Slot, x_source)),
        ("unused".to_owned(), offset_of!(Slot, unused)),
    ];
    for module in [step, fused, projection] {
        assert_eq!(members(&module, "Slot"), slot);
        assert_eq!(members(&module, "TimeStep"), [("slots".to_owned(), offset_of!(TimeStep, slots))]);
    }
    for scan in [scan, persistent, streaming, private] {
        let moment = [
            ("running".to_owned(), offset_of!(Moment, running)),
            ("gates_row".to_owned(), offset_of!(Moment, gates_row)),
            ("output_row".to_owned(), offset_of!(Moment, output_row)),
            ("unused".to_owned(), offset_of!(Moment, unused)),
        ];
        assert_eq!(members(&scan, "Moment"), moment);
        let of_scan = [
            ("batch".to_owned(), offset_of!(Scan, batch)),
            ("direction".to_owned(), offset_of!(Scan, direction)),
            ("count".to_owned(), offset_of!(Scan, count)),
            ("rows".to_owned(), offset_of!(Scan, rows)),
            ("slabs".to_owned(), offset_of!(Scan, slabs)),
            ("state".to_owned(), offset_of!(Scan, state)),
            ("places".to_owned(), offset_of!(Scan, places)),
            ("unused".to_owned(), offset_of!(Scan, unused)),
            ("steps".to_owned(), offset_of!(Scan, steps)),
        ];
        assert_eq!(members(&scan, "Scan"), of_scan);
    }
}

#[test]
fn uniforms_of_copies_are_laid_out_alike_on_both_sides() {
    let [.., exchange, join] = KERNELS.map(|kernel| parse(kernel.name, &kernel.source(Variant::default())));
    let of_exchange = [
        ("to_places".to_owned(), offset_of!(Exchange, to_places)),
        ("layers".to_owned(), offset_of!(Exchange, layers)),
        ("places".to_owned(), offset_of!(Exchange, places)),
        ("h_stride".to_owned(), offset_of!(Exchange, h_stride)),
        ("c_stride".to_owned(), offset_of!(Exchange, c_stride)),
        ("turn".to_owned(), offset_of!(Exchange, turn)),
        ("layers_in_group".to_owned(), offset_of!(Exchange, layers_in_group)),
    ];
    assert_eq!(members(&exchange, "Exchange"), of_exchange);
    let entry = [
        ("store_to".to_owned(), offset_of!(Entry, store_to)),
        ("turn".to_owned(), offset_of!(Entry, turn)),
        ("layers_in_group".to_owned(), offset_of!(Entry, layers_in_group)),
        ("load_from".to_owned(), offset_of!(Entry, load_from)),
    ];
    assert_eq!(members(&exchange, "Entry"), entry);
    let of_join = [
        ("rows".to_owned(), offset_of!(Join, rows)),
        ("directions".to_owned(), offset_of!(Join, directions)),
        ("width".to_owned(), offset_of!(Join, width)),
        ("padded".to_owned(), offset_of!(Join, padded)),
        ("stride".to_owned(), offset_of!(Join, stride)),
    ];
    assert_eq!(members(&join, "Join"), of_join);
}
