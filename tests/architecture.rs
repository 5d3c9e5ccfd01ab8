//! The arrows of ARCHITECTURE.md are those of the code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// Top-level modules, and those that each uses.
type Arrows = BTreeMap<String, BTreeSet<String>>;

/// The arrows of a text like ARCHITECTURE.md, line by line in its order: the block after "Arrows
/// point down". Remarks in brackets are ignored.
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

/// Arrows that do not point down, or that point to a module without a line.
fn up(lines: &[(String, BTreeSet<String>)]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (k, (from, to)) in lines.iter().enumerate() {
        let below = &lines[k + 1..];
        let up = to.iter().filter(|to| !below.iter().any(|(name, _)| name == *to));
        wrong.extend(up.map(|to| format!("{from} → {to} does not point down")));
    }
    wrong
}

/// Reads a source file and the modules that it declares, but no tests.
struct Source<'a> {
    arrows: &'a mut Arrows,
    /// From the crate's root; empty in lib.rs.
    module: Vec<String>,
    /// The folder of the module's own modules.
    folder: PathBuf,
}

impl Source<'_> {
    fn read(&mut self, file: &Path) {
        let text =
            std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        self.visit_file(&file);
    }

    /// Notes a path from this module on.
    fn uses(&mut self, path: &[String]) {
        let Some(from) = self.module.first() else { return }; // lib.rs names all of them
        let absolute: Vec<String> = match path.first().map(String::as_str) {
            Some("crate") => path[1..].to_vec(),
            Some("super") => {
                let ups = path.iter().take_while(|name| *name == "super").count();
                let base = &self.module[..self.module.len().saturating_sub(ups)];
                base.iter().chain(&path[ups..]).cloned().collect()
            }
            _ => return,
        };
        if let Some(to) = absolute.first().filter(|to| *to != from) {
            self.arrows.entry(from.clone()).or_default().insert(to.clone());
        }
    }

    fn uses_tree(&mut self, tree: &syn::UseTree, before: &[String]) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.uses_tree(&path.tree, &with(&path.ident)),
            syn::UseTree::Name(name) => self.uses(&with(&name.ident)),
            syn::UseTree::Rename(name) => self.uses(&with(&name.ident)),
            syn::UseTree::Glob(_) => self.uses(before),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.uses_tree(tree, before)),
        }
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    let test = |attribute: &syn::Attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
    };
    attributes.iter().any(test)
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        _ => &[],
    }
}

impl<'ast> Visit<'ast> for Source<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let name = item.ident.to_string();
        let folder = self.folder.join(&name);
        let module = [self.module.as_slice(), std::slice::from_ref(&name)].concat();
        self.arrows.entry(module[0].clone()).or_default();
        let file = self.folder.join(format!("{name}.rs"));
        let mut inner = Source { arrows: &mut *self.arrows, module, folder: folder.clone() };
        match &item.content {
            Some((_, items)) => items.iter().for_each(|item| inner.visit_item(item)),
            None if file.exists() => inner.read(&file),
            None => inner.read(&folder.join("mod.rs")),
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.uses_tree(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.uses(&names);
        visit::visit_path(self, path);
    }

    /// A macro's tokens need not be Rust syntax: search them for paths that begin with `crate`.
    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        let tokens = item.tokens.to_string();
        for (at, _) in tokens.match_indices("crate :: ") {
            let name = tokens[at + "crate :: ".len()..].split(|c: char| !c.is_alphanumeric() && c != '_');
            self.uses(&["crate".to_owned(), name.into_iter().next().unwrap().to_owned()]);
        }
    }
}

/// The arrows of the crate whose lib.rs this is.
fn of_code(lib: &Path) -> Arrows {
    let mut arrows = Arrows::new();
    let folder = lib.parent().unwrap().to_owned();
    Source { arrows: &mut arrows, module: Vec::new(), folder }.read(lib);
    arrows
}

#[test]
fn the_arrows_of_the_page_are_those_of_the_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lines = of_text(&std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap());
    let code = of_code(&root.join("src/lib.rs"));
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
fn wrong_arrows_are_seen() {
    let lines = of_text("Arrows point down.\n```text\na → b (some), c\nb → a\nc → d\n```\n");
    assert_eq!(lines[0], ("a".to_owned(), ["b", "c"].map(str::to_owned).into()));
    assert_eq!(up(&lines), ["b → a does not point down", "c → d does not point down"]);

    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("architecture");
    let _ = std::fs::remove_dir_all(&folder); // there may be none yet
    std::fs::create_dir_all(folder.join("a")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write(
        "lib.rs",
        "mod a; mod b { use super::c; } #[cfg(test)] mod t; #[cfg(test)] mod common; pub use a::x;",
    );
    write(
        "a/mod.rs",
        "mod inner; use crate::{b::{self, x as y}, c::z}; #[cfg(test)] use crate::t1;
         impl A { #[cfg(test)] fn f() { crate::t2::f() } fn g() -> crate::d::D { assert!(crate::e::f()); } }",
    );
    write(
        "a/inner.rs",
        "use super::super::f::x; use super::b; fn f() { let g = crate::g::new(); self::h() }",
    );
    let expected = [("a", vec!["b", "c", "d", "e", "f", "g"]), ("b", vec!["c"])];
    let expected = expected.map(|(from, to)| (from.to_owned(), to.into_iter().map(str::to_owned).collect()));
    assert_eq!(of_code(&folder.join("lib.rs")), expected.into());
}
