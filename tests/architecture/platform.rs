//! What differs in a browser is in `src/platform.rs` alone.

use std::path::{Path, PathBuf};

use syn::visit::Visit;

/// What a source file compiles for WebAssembly alone, or for all but it: the text of each `cfg`, `cfg_attr` and `cfg!`.
fn of_wasm(file: &syn::File) -> Vec<String> {
    struct Conditions(Vec<String>);
    impl Conditions {
        fn note(&mut self, text: String) {
            if text.contains("wasm") {
                self.0.push(text);
            }
        }
    }
    impl<'ast> Visit<'ast> for Conditions {
        fn visit_meta(&mut self, meta: &'ast syn::Meta) {
            match meta {
                syn::Meta::List(list) if ["cfg", "cfg_attr"].iter().any(|name| list.path.is_ident(name)) => {
                    self.note(list.tokens.to_string());
                }
                _ => {}
            }
        }

        /// `cfg!`, and another macro that has one among its tokens.
        fn visit_macro(&mut self, item: &'ast syn::Macro) {
            let tokens = item.tokens.to_string();
            if item.path.is_ident("cfg") || tokens.contains("cfg !") {
                self.note(tokens);
            }
        }
    }
    let mut conditions = Conditions(Vec::new());
    conditions.visit_file(file);
    conditions.0
}

/// The Rust files in a folder and the folders in it.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] });
    files.filter(|file| file.extension().is_some_and(|extension| extension == "rs")).collect()
}

#[test]
fn what_differs_in_a_browser_is_in_platform_rs() {
    let files = rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let parsed = |file: &PathBuf| syn::parse_file(&std::fs::read_to_string(file).unwrap()).unwrap();
    let (platform, others): (Vec<_>, Vec<_>) =
        files.iter().partition(|file| file.ends_with("src/platform.rs"));
    assert!(others.len() > 50 && !of_wasm(&parsed(platform[0])).is_empty(), "{files:?}");
    let wrong: Vec<_> =
        others.iter().flat_map(|file| of_wasm(&parsed(file)).into_iter().map(move |c| (file, c))).collect();
    assert!(wrong.is_empty(), "not in src/platform.rs: {wrong:#?}");

    let conditions = r#"
        #![cfg_attr(target_family = "wasm", allow(unused))]
        #[cfg(not(target_arch = "wasm32"))] fn f() {}
        fn g() { #[cfg(unix)] f(); if cfg!(target_family = "wasm") { assert!(!cfg!(target_os = "wasm")); } }
        #[doc = "wasm"] fn h() { panic!("wasm"); }
    "#;
    assert_eq!(of_wasm(&syn::parse_file(conditions).unwrap()).len(), 4);
}
