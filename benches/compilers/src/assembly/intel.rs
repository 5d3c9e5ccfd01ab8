//! Intel from Xe on: a `send` takes a token `$n`, and whoever reads what it loaded waits for `$n.dst`.

use super::Step;

/// Bytes of a register.
const REGISTER: u32 = 32;

/// Bytes of code, which the driver does not tell: an instruction is 16 bytes long, or 8 if it is compacted.
pub fn code_bytes(assembly: &str) -> u32 {
    let instructions = lines(assembly).into_iter().filter(|line| label(line).is_none());
    instructions.map(|line| if line.contains(" compacted ") { 8 } else { 16 }).sum()
}

/// Every instruction and every label as one line. A `send` goes on in the next line of the text.
fn lines(assembly: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut begun = String::new();
    for line in assembly.lines() {
        begun += line;
        if line.trim_end().ends_with("};") || label(line).is_some() {
            lines.push(std::mem::take(&mut begun));
        } else if !begun.contains("send") {
            begun.clear(); // a heading, or an empty line
        }
    }
    lines
}

fn label(line: &str) -> Option<&str> {
    line.trim().strip_suffix(':').filter(|name| name.starts_with("LABEL"))
}

pub fn steps(assembly: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for line in lines(assembly) {
        match label(&line) {
            Some(label) => steps.push(Step::Label(label.to_owned())),
            None => steps_of(&line, &mut steps),
        }
    }
    steps
}

fn steps_of(instruction: &str, steps: &mut Vec<Step>) {
    let (code, control) = instruction.rsplit_once('{').unwrap_or((instruction, ""));
    let code = code.trim();
    // "(+f0.0.any16h) send(16) …"
    let code = if code.starts_with('(') {
        code.split_once(") ").map_or(code, |(_, rest)| rest.trim())
    } else {
        code
    };
    let name = code.split(['(', '.', ' ']).next().unwrap_or_default();
    let words: Vec<&str> = control.split_whitespace().collect();
    for word in &words {
        if let Some(tag) = word.strip_prefix('$').and_then(|word| word.strip_suffix(".dst")) {
            steps.extend(tag.parse().map(|tag| Step::Wait { tag }));
        }
    }
    match name {
        "sync" if code.starts_with("sync allwr") => steps.push(Step::WaitForAllBut(0)),
        "if" | "else" | "endif" | "while" | "break" | "cont" | "halt" | "goto" | "join" => {
            steps.extend(labels(code).map(Step::Branch));
        }
        _ => {}
    }
    let token = words.iter().find_map(|word| word.strip_prefix('$')?.parse::<u8>().ok());
    if let Some(tag) = token {
        steps.push(Step::Wait { tag }); // a token is free before it is taken again
        steps.push(match load_of(code, &words) {
            Some((resource, bytes)) => Step::Load { tag, resource, bytes },
            None => Step::Other { tag },
        });
    }
    if words.contains(&"EOT") {
        steps.push(Step::End);
    }
}

/// JIP and UIP of a branch. Channels go to either; that of a `while` is its loop's begin.
fn labels(code: &str) -> impl Iterator<Item = String> {
    code.split_whitespace().filter(|word| word.starts_with("LABEL")).map(str::to_owned)
}

/// The buffer of a load, and bytes a lane. A load with all channels enabled (`WE_all`) is one for the whole subgroup.
fn load_of(code: &str, control: &[&str]) -> Option<(String, u32)> {
    if !code.starts_with("send") || control.contains(&"WE_all") {
        return None;
    }
    let after = |text: &str| -> Option<u32> {
        let digits = code.split_once(text)?.1.trim_start();
        digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    let (resource, registers) = if code.contains("untyped surface read") {
        (after("Surface =")?, after("rlen")?) // Xe-LP
    } else if code.contains("ugm MsgDesc: ( load") {
        (after("BTI")?, after("dst_len =")?) // Xe-HPG
    } else {
        return None;
    };
    const WORKGROUP_MEMORY: u32 = 254;
    let lanes = after("(")?;
    (resource != WORKGROUP_MEMORY).then(|| (resource.to_string(), registers * REGISTER / lanes.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const XE_LP: &str = "Push constant ranges:
    RANGE0 (32B): Vulkan push constants and API params

add(8)          g101<1>D        g74<0,1,0>D     g1.2<0,1,0>D    { align1 WE_all 1Q @4 compacted };
(+f0.0) if(16)  JIP:  LABEL1          UIP:  LABEL2              { align1 1H };
send(16)        g18UD           g123UD          nullUD          0x04805004                0x00000000
                            dp data 1 MsgDesc: (untyped surface read, Surface = 4, SIMD16, Mask = 0x0)  mlen 2 ex_mlen 0 rlen 8 { align1 1H $3 };
(+f0.0.any16h) send(8) g14UD    g20UD           nullUD          0x02406001                0x00000000
                            dp data 1 MsgDesc: (untyped surface read, Surface = 1, SIMD8, Mask = 0x0)  mlen 1 ex_mlen 0 rlen 4 { align1 WE_all 1Q @3 $1 };

LABEL1:
sync nop(1)                     null<0,1,0>UB                   { align1 WE_all 1N $3.dst };
while(16)       JIP:  LABEL1                                    { align1 1H };
sync allwr(1)                   null<0,1,0>UB                   { align1 WE_all 1N };

LABEL2:
send(8)         g8UD            g19UD           nullUD          0x02406001                0x00000000
                            dp data 1 MsgDesc: (untyped surface read, Surface = 254, SIMD8, Mask = 0x0)  mlen 1 ex_mlen 0 rlen 4 { align1 1Q @2 $0 };
send(16)        nullUD          g126UD          nullUD          0x02000000                0x00000000
                            gateway MsgDesc: (open)  mlen 1 ex_mlen 0 rlen 0 { align1 WE_all 1H A@1 EOT };
";

    #[test]
    fn xe_lp() {
        let label = |name: &str| Step::Label(name.to_owned());
        let branch = |name: &str| Step::Branch(name.to_owned());
        let expected = [
            branch("LABEL1"),
            branch("LABEL2"),
            Step::Wait { tag: 3 },
            Step::Load { tag: 3, resource: "4".to_owned(), bytes: 16 },
            Step::Wait { tag: 1 },
            Step::Other { tag: 1 },
            label("LABEL1"),
            Step::Wait { tag: 3 },
            branch("LABEL1"),
            Step::WaitForAllBut(0),
            label("LABEL2"),
            Step::Wait { tag: 0 },
            Step::Other { tag: 0 },
            Step::End,
        ];
        assert_eq!(steps(XE_LP), expected);
    }

    #[test]
    fn bytes_of_code() {
        assert_eq!(code_bytes(XE_LP), 8 + 8 * 16);
    }

    #[test]
    fn xe_hpg() {
        let text = "send(8)         g9UD            g119UD          nullUD          0x64803500                0x04000000
                            ugm MsgDesc: ( load, a32, d32, V2, L1STATE_L3MOCS dst_len = 2, src0_len = 2, src1_len = 0 bti )  BTI 2  base_offset 0  { align1 1H $4 };
send(16)        nullUD          g21UD           g70UD           0x04003504                0x00000200
                            slm MsgDesc: ( store, a32, d32, V4, L1STATE_L3MOCS dst_len = 0, src0_len = 2, src1_len = 8 flat )  base_offset 0  { align1 1H $7 };
mad(8)          g1<1>F          g2<8,8,1>F      g3<8,8,1>F      { align1 1Q @3 $4.dst compacted };
";
        let expected = [
            Step::Wait { tag: 4 },
            Step::Load { tag: 4, resource: "2".to_owned(), bytes: 8 },
            Step::Wait { tag: 7 },
            Step::Other { tag: 7 },
            Step::Wait { tag: 4 },
        ];
        assert_eq!(steps(text), expected);
    }
}
