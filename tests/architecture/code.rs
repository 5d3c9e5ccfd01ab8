//! Reads which modules of a crate use which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// The modules of one folder, and those of it that each uses.
pub type Arrows = BTreeMap<String, BTreeSet<String>>;

/// A module or an item, as its path from the crate's root.
type Place = Vec<String>;

/// What the modules of a crate use, tests left out.
#[derive(Default)]
pub struct Code {
    /// The paths from the crate's root that each module names.
    uses: BTreeMap<Place, BTreeSet<Place>>,
    /// What each name that a module imports stands for.
    imports: BTreeMap<Place, Place>,
}

impl Code {
    /// Follows the modules that a crate's lib.rs declares.
    pub fn read(lib: &Path) -> Self {
        let mut code = Self::default();
        let folder = lib.parent().unwrap().to_owned();
        Source { code: &mut code, module: Vec::new(), folder }.read(lib);
        code
    }

    /// The arrows between the modules in `parent`, each of them with all modules inside it.
    ///
    /// A name that `parent` imports belongs to the module it comes from. Items of `parent` itself are left out.
    pub fn arrows(&self, parent: &[String]) -> Arrows {
        let child = |place: &[String]| place.strip_prefix(parent).and_then(|rest| rest.first().cloned());
        let mut arrows: Arrows =
            self.uses.keys().filter_map(|module| Some((child(module)?, BTreeSet::new()))).collect();
        let names: BTreeSet<String> = arrows.keys().cloned().collect();
        for (module, used) in &self.uses {
            let Some(from) = child(module) else { continue };
            let to = used.iter().filter_map(|place| {
                let name = child(place)?;
                let import = || child(self.imports.get(&place[..=parent.len()])?);
                if names.contains(&name) { Some(name) } else { import() }
            });
            arrows.get_mut(&from).unwrap().extend(to.filter(|to| names.contains(to) && *to != from));
        }
        arrows
    }

    /// The arrows that circles are made of, folder by folder.
    pub fn circles(&self) -> Vec<String> {
        let folders = self.uses.keys().filter_map(|module| Some(&module[..module.len().checked_sub(1)?]));
        let folders: BTreeSet<&[String]> = folders.collect();
        folders.into_iter().flat_map(|folder| in_circles(self.arrows(folder), &folder.join("::"))).collect()
    }
}

/// What remains when, again and again, the modules are removed that use no other or that no other uses.
fn in_circles(mut arrows: Arrows, folder: &str) -> Vec<String> {
    loop {
        let used: BTreeSet<String> = arrows.values().flatten().cloned().collect();
        let before = arrows.len();
        arrows.retain(|module, to| !to.is_empty() && used.contains(module));
        let left: BTreeSet<String> = arrows.keys().cloned().collect();
        arrows.values_mut().for_each(|to| to.retain(|to| left.contains(to)));
        if arrows.len() == before {
            break;
        }
    }
    let line = |(from, to): (&String, &BTreeSet<String>)| {
        let to: Vec<_> = to.iter().map(String::as_str).collect();
        format!("in {folder:?}: {from} → {}", to.join(", "))
    };
    arrows.iter().map(line).collect()
}

/// A source file, and the modules it declares.
struct Source<'a> {
    code: &'a mut Code,
    /// From the crate's root; empty in lib.rs.
    module: Place,
    /// Where the files of the module's modules lie.
    folder: PathBuf,
}

impl Source<'_> {
    fn read(&mut self, file: &Path) {
        let text =
            std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        self.visit_file(&file);
    }

    /// The path from the crate's root of one that starts at this module; none for other crates' paths.
    fn place(&self, path: &[String]) -> Option<Place> {
        match path.first().map(String::as_str) {
            Some("crate") => Some(path[1..].to_vec()),
            Some("super") => {
                let ups = path.iter().take_while(|name| *name == "super").count();
                let base = &self.module[..self.module.len().saturating_sub(ups)];
                Some([base, &path[ups..]].concat())
            }
            _ => None,
        }
    }

    /// Notes a path that this module names.
    fn uses(&mut self, path: &[String]) {
        if let Some(place) = self.place(path) {
            self.code.uses.entry(self.module.clone()).or_default().insert(place);
        }
    }

    /// Notes a path that this module imports as `name`.
    fn imports(&mut self, path: &[String], name: &syn::Ident) {
        self.uses(path);
        let path = path.strip_suffix(&["self".to_owned()]).unwrap_or(path);
        let local = path.strip_prefix(&["self".to_owned()]).unwrap_or(path);
        let place = self.place(path).unwrap_or_else(|| [&self.module, local].concat());
        self.code.imports.insert([self.module.as_slice(), &[name.to_string()]].concat(), place);
    }

    fn uses_tree(&mut self, tree: &syn::UseTree, before: &[String]) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.uses_tree(&path.tree, &with(&path.ident)),
            syn::UseTree::Name(name) => self.imports(&with(&name.ident), &name.ident),
            syn::UseTree::Rename(name) => self.imports(&with(&name.ident), &name.rename),
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
        self.code.uses.entry(module.clone()).or_default();
        let file = self.folder.join(format!("{name}.rs"));
        let mut inner = Source { code: &mut *self.code, module, folder: folder.clone() };
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

    /// The arguments of a macro need not be Rust: the paths among their words are searched for.
    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        let tokens = item.tokens.to_string();
        let is_name = |word: &&str| !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_');
        for start in ["crate :: ", "super :: "] {
            for (at, _) in tokens.match_indices(start).filter(|(at, _)| !tokens[..*at].ends_with(":: ")) {
                let words = tokens[at..].split(" :: ").flat_map(|part| part.split_inclusive(' '));
                let path: Vec<String> =
                    words.map(str::trim_end).take_while(is_name).map(str::to_owned).collect();
                self.uses(&path);
            }
        }
    }
}
