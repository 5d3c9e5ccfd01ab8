//! NVIDIA, as NAK prints it: a load counts up one of six barriers (`wr:2`), and an instruction waits for some of them
//! before it starts (`wt=000100`, barrier 0 rightmost).

use super::Step;

pub fn steps(assembly: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for line in assembly.lines() {
        let (code, control) = line.split_once("//").unwrap_or((line, ""));
        if let Some(head) = code.trim_start().strip_prefix("block") {
            // block.u 3 L7 [2] -> {
            let label = head.split_whitespace().find(|word| word.starts_with('L'));
            steps.extend(label.map(|label| Step::Label(label.to_owned())));
            continue;
        }
        for word in control.split_whitespace() {
            if let Some(barriers) = word.strip_prefix("wt=") {
                let waited = barriers.bytes().rev().enumerate().filter(|&(_, set)| set == b'1');
                steps.extend(waited.map(|(tag, _)| Step::Wait { tag: tag as u8 }));
            }
        }
        steps.extend(step_of(code.trim(), control));
    }
    steps
}

fn step_of(code: &str, control: &str) -> Option<Step> {
    let guarded = code.starts_with('@');
    let code = if guarded { code.split_once(char::is_whitespace)?.1.trim() } else { code };
    // r7 = ld.global.a64.constant.b32 [r7+ur6..8], p0
    let operation = code.split_once(" = ").map_or(code, |(_, operation)| operation.trim());
    let name = operation.split_whitespace().next()?;
    if name == "bra" {
        let label = operation.split_whitespace().find(|word| word.starts_with('L'))?.to_owned();
        let always = !guarded && operation.split_whitespace().nth(1) == Some("pT");
        return Some(if always { Step::Jump(label) } else { Step::Branch(label) });
    }
    if name == "exit" && !guarded {
        return Some(Step::End);
    }
    let tag = control.split_whitespace().find_map(|word| word.strip_prefix("wr:")?.parse().ok())?;
    if !name.starts_with("ld.global") {
        return Some(Step::Other { tag });
    }
    let bits: u32 = name.rsplit_once(".b")?.1.parse().ok()?;
    let address = operation.split_once('[')?.1.split(']').next()?;
    // the base in a uniform register names the buffer
    let resource = address.split('+').find(|part| part.starts_with("ur")).unwrap_or_default();
    Some(Step::Load { tag, resource: resource.to_owned(), bytes: bits / 8 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ampere() {
        let text = "block.u 1 L4 [0] -> {
      ur3     = ldc.b32 c[0x0][+0x0]                           // delay=2 wr:3
      r7      = ld.global.a64.constant.b32 [r7+ur6..8], p0     // delay=2 wt=000011 rd:0 wr:1
      r8      = ld.global.a64.strong.gpu.b128 [r8+ur8..10+0x10], p0 // delay=2 rd:0 wr:2
      r4      = iadd3 r4 r3 rZ                                 // delay=1 wt=001001
                bra !up0 L8                                    // delay=1 wt=000001
} -> [2]
block 3 L7 [2] -> {
@!p0            exit                                           // delay=1
@!p0            bra pT L4                                      // delay=1
                bra pT L6                                      // delay=1
                exit                                           // delay=1
}
";
        let load = |tag, resource: &str, bytes| Step::Load { tag, resource: resource.to_owned(), bytes };
        let expected = [
            Step::Label("L4".to_owned()),
            Step::Other { tag: 3 },
            Step::Wait { tag: 0 },
            Step::Wait { tag: 1 },
            load(1, "ur6..8", 4),
            load(2, "ur8..10", 16),
            Step::Wait { tag: 0 },
            Step::Wait { tag: 3 },
            Step::Wait { tag: 0 },
            Step::Branch("L8".to_owned()),
            Step::Label("L7".to_owned()),
            Step::Branch("L4".to_owned()),
            Step::Jump("L6".to_owned()),
            Step::End,
        ];
        assert_eq!(steps(text), expected);
    }
}
