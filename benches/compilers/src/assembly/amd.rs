//! AMD: loads return in order, and `s_waitcnt vmcnt(N)` waits for all but the newest N.

use super::Step;

pub fn steps(assembly: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for line in assembly.lines() {
        let code = line.split(';').next().unwrap_or_default().trim();
        if let Some(label) = code.strip_suffix(':') {
            steps.push(Step::Label(label.to_owned()));
            continue;
        }
        let (name, operands) = code.split_once(char::is_whitespace).unwrap_or((code, ""));
        steps.extend(step_of(name, operands));
    }
    steps
}

fn step_of(name: &str, operands: &str) -> Option<Step> {
    if let Some((memory, width)) = name.split_once("_load_") {
        return match memory {
            "buffer" | "global" => {
                // buffer_load_dwordx4 v[8:11], v5, s[20:23], 0 offen
                let resource = operands.split(", ").nth(2).unwrap_or_default();
                Some(Step::Load { tag: 0, resource: resource.to_owned(), bytes: bytes(width) })
            }
            "scratch" | "flat" | "image" => Some(Step::Other { tag: 0 }),
            _ => None, // s_load and s_buffer_load have another counter
        };
    }
    match name {
        "s_waitcnt" => {
            let (_, count) = operands.split_once("vmcnt(")?;
            Some(Step::WaitForAllBut(count.split(')').next()?.parse().ok()?))
        }
        // GFX12
        "s_wait_loadcnt" | "s_wait_loadcnt_dscnt" => {
            let count = operands.trim_start_matches("0x");
            let count = usize::from_str_radix(count, 16).ok()?;
            Some(Step::WaitForAllBut(if name == "s_wait_loadcnt" { count } else { count >> 8 }))
        }
        "s_branch" => Some(Step::Jump(operands.to_owned())),
        "s_endpgm" => Some(Step::End),
        _ if name.starts_with("s_cbranch") => Some(Step::Branch(operands.to_owned())),
        _ => None,
    }
}

/// Bytes a lane: `dwordx4` in RDNA 2, `b128` in RDNA 3.
fn bytes(width: &str) -> u32 {
    match width {
        "dwordx4" | "b128" => 16,
        "dwordx3" | "b96" => 12,
        "dwordx2" | "b64" => 8,
        "dword" | "b32" => 4,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::super::flow::{InFlight, in_flight};
    use super::*;

    #[test]
    fn rdna_2() {
        let text = "BB2:
	s_load_dwordx4 s[20:23], s[2:3], null                       ; f4080501 fa000000
	buffer_load_dwordx4 v[8:11], v3, s[16:19], 0 offen          ; e0381000 80040803
	s_clause 0x1                                                ; bfa10001
	buffer_load_dwordx2 v[20:21], v6, s[20:23], 0 offen         ; e0381000 80051406
	buffer_load_dword v24, v7, s[20:23], 0 offen                ; e0381000 80051807
	s_waitcnt vmcnt(1) lgkmcnt(0)                               ; bf8c0071
	ds_read_b128 v[56:59], v52 offset:16                        ; dbfc0000 38000034
	s_cbranch_scc0 BB2                                          ; bf840019
	s_endpgm                                                    ; bf810000
";
        let load = |resource: &str, bytes| Step::Load { tag: 0, resource: resource.to_owned(), bytes };
        let expected = [
            Step::Label("BB2".to_owned()),
            load("s[16:19]", 16),
            load("s[20:23]", 8),
            load("s[20:23]", 4),
            Step::WaitForAllBut(1),
            Step::Branch("BB2".to_owned()),
            Step::End,
        ];
        assert_eq!(steps(text), expected);
        // one dword stays from the turn before
        assert_eq!(in_flight(&expected), InFlight { loads: 1, bytes: 16, all_bytes: None });
    }

    #[test]
    fn rdna_3_and_4() {
        let text = "	buffer_load_b128 v[4:7], v1, s[0:3], 0 offen
	scratch_load_b32 v1, off, off offset:4
	s_waitcnt lgkmcnt(0)
	s_waitcnt_vscnt null, 0x0
	s_wait_loadcnt 0xa
	s_wait_loadcnt_dscnt 0x201
	s_branch BB7";
        let expected = [
            Step::Load { tag: 0, resource: "s[0:3]".to_owned(), bytes: 16 },
            Step::Other { tag: 0 },
            Step::WaitForAllBut(10),
            Step::WaitForAllBut(2),
            Step::Jump("BB7".to_owned()),
        ];
        assert_eq!(steps(text), expected);
    }
}
