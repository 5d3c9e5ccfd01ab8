//! The arrows of ARCHITECTURE.md are those of the code, and the modules of no folder use each other in a circle. What
//! differs in a browser is in one module.

#[path = "architecture/code.rs"]
mod code;
#[path = "architecture/platform.rs"]
mod platform;

use std::collections::BTreeSet;
use std::path::Path;

use code::{Arrows, Code};

/// The arrows of a text like ARCHITECTURE.md, line by line in its order: what stands in the block after "Arrows
/// point down". Remarks in brackets are left out.
fn of_text(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let (_, after) = text.split_once("Arrows point down").expect("the paragraph about arrows");
    let block =
        after.split("```").nth(1).and_then(|block| block.strip_prefix("text\n")).expect("a block of text");
    let words = |list: &str| {
        let names = list.split(',').map(|name| name.split('(').next().unwrap().trim().to_owned());
        names.filter(|name| !name.is_empty()).collect()
    };
    let arrows = |line: &str| {
        let (from, to) = line.split_once('→').unwrap_or((line, ""));
        (from.trim().to_owned(), words(to))
    };
    block.lines().filter(|line| !line.trim().is_empty()).map(arrows).collect()
}

/// Where arrows do not point down, or lead to what has no line.
fn up(lines: &[(String, BTreeSet<String>)]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (k, (from, to)) in lines.iter().enumerate() {
        let below = &lines[k + 1..];
        let up = to.iter().filter(|to| !below.iter().any(|(name, _)| name == *to));
        wrong.extend(up.map(|to| format!("{from} → {to} does not point down")));
    }
    wrong
}

#[test]
fn the_arrows_of_the_page_are_those_of_the_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lines = of_text(&std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap());
    let code = Code::read(&root.join("src/lib.rs")).arrows(&[]);
    assert!(code.len() > 10 && code["kernels"].contains("program"), "{code:?}");
    let mut wrong = up(&lines);
    let page: Arrows = lines.into_iter().collect();
    for module in code.keys().chain(page.keys()).collect::<BTreeSet<_>>() {
        let (in_code, on_page) = (code.get(module), page.get(module));
        if in_code.is_none() || on_page.is_none() {
            wrong.push(format!("{module}: a module {}, a line {}", in_code.is_some(), on_page.is_some()));
        }
        let empty = BTreeSet::new();
        let (in_code, on_page) = (in_code.unwrap_or(&empty), on_page.unwrap_or(&empty));
        wrong.extend(in_code.difference(on_page).map(|to| format!("{module} → {to} is in the code alone")));
        wrong.extend(on_page.difference(in_code).map(|to| format!("{module} → {to} is on the page alone")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_folders_modules_use_each_other_in_a_circle() {
    let code = Code::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs"));
    let weights = code.arrows(&["weights".to_owned()]);
    assert!(weights["find"].contains("candidate"), "{weights:?}");
    assert_eq!(code.circles(), [""; 0]);
}

/// The order of the files in the module docs of src/weights/mod.rs.
#[test]
fn files_of_weights_use_only_those_on_lines_below() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let text = std::fs::read_to_string(root.join("weights/mod.rs")).unwrap();
    let block = text.split("```text\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let names = |line: &str| {
        let names = line.trim_start_matches("//! ").split("  ").next().unwrap();
        names.split(", ").map(|name| name.trim_end_matches('/').to_owned()).collect::<Vec<_>>()
    };
    let lines: Vec<Vec<String>> = block.lines().map(names).collect();
    let line_of = |name: &String| {
        lines.iter().position(|line| line.contains(name)).unwrap_or_else(|| panic!("{name} has no line"))
    };
    for (from, to) in Code::read(&root.join("lib.rs")).arrows(&["weights".to_owned()]) {
        let wrong: Vec<_> = to.iter().filter(|to| line_of(to) <= line_of(&from)).collect();
        assert!(wrong.is_empty(), "{from} uses {wrong:?}");
    }
}

#[test]
fn arrows_of_the_page_that_point_up_are_found() {
    let lines = of_text("Arrows point down.\n```text\na → b (some), c\nb → a\nc → d\n```\n");
    assert_eq!(lines[0], ("a".to_owned(), ["b", "c"].map(str::to_owned).into()));
    assert_eq!(up(&lines), ["b → a does not point down", "c → d does not point down"]);
}

/// The code of a small crate, whose files are written into a folder of this name.
fn crate_of(name: &str, files: &[(&str, &str)]) -> Code {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("architecture").join(name);
    let _ = std::fs::remove_dir_all(&folder); // there may be none yet
    std::fs::create_dir_all(folder.join("a")).unwrap();
    files.iter().for_each(|(file, text)| std::fs::write(folder.join(file), text).unwrap());
    Code::read(&folder.join("lib.rs"))
}

fn arrows(lines: &[(&str, &[&str])]) -> Arrows {
    let names = |to: &[&str]| to.iter().map(|&to| to.to_owned()).collect();
    lines.iter().map(|&(from, to)| (from.to_owned(), names(to))).collect()
}

#[test]
fn paths_of_every_kind_are_arrows() {
    let code = crate_of(
        "arrows",
        &[
            (
                "lib.rs",
                "mod a; mod b { use super::c; } mod c {} mod d {} mod e {} mod f {} mod g {}
                 #[cfg(test)] mod t; #[cfg(test)] mod t1 {} pub use a::x;",
            ),
            (
                "a/mod.rs",
                "mod inner; use crate::{b::{self, x as y}, c::z}; #[cfg(test)] use crate::t1; impl A {
                 #[cfg(test)] fn f() { crate::t2::f() } fn g() -> crate::d::D { assert!(crate::e::f()); } }",
            ),
            (
                "a/inner.rs",
                "use super::super::f::x; use super::b; fn f() { let g = crate::g::new(); self::h() }",
            ),
        ],
    );
    let none: &[&str] = &[];
    let others = ["c", "d", "e", "f", "g"].map(|name| (name, none));
    let expected = [&[("a", &["b", "c", "d", "e", "f", "g"][..]), ("b", &["c"])][..], &others].concat();
    assert_eq!(code.arrows(&[]), arrows(&expected));
    assert!(code.circles().is_empty());
}

#[test]
fn circles_are_found() {
    // w → x → y → z → x: through an import of mod.rs, a path in a macro, and a path from the crate's root.
    let code = crate_of(
        "circles",
        &[
            ("lib.rs", "mod a;"),
            ("a/mod.rs", "mod v {} mod w; mod x; mod y; mod z; use self::y::Made; pub use x::X; struct Own;"),
            ("a/w.rs", "use super::{Own, x::X};"),
            ("a/x.rs", "use super::Made; use super::v;"),
            ("a/y.rs", "fn f() { assert!(1 + super::z::f() == 2, crate::a) } #[cfg(test)] use super::w;"),
            ("a/z.rs", "use crate::a::X;"),
        ],
    );
    let none: &[&str] = &[];
    let expected = arrows(&[("v", none), ("w", &["x"]), ("x", &["v", "y"]), ("y", &["z"]), ("z", &["x"])]);
    assert_eq!(code.arrows(&["a".to_owned()]), expected);
    let circle = ["x → y", "y → z", "z → x"].map(|arrow| format!("in \"a\": {arrow}"));
    assert_eq!(code.circles(), circle);
}
