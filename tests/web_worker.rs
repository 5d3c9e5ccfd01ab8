//! The crate in a browser's worker: `scripts/test --web` runs these tests in Chromium. Elsewhere there are none.
#![cfg(target_family = "wasm")]

#[path = "web/cases.rs"]
mod cases;
#[path = "common/compare.rs"]
#[allow(dead_code, reason = "other test programs use the rest")]
mod compare;
#[path = "common/golden.rs"]
#[allow(dead_code, reason = "other test programs use the rest")]
mod golden;
#[path = "web/results.rs"]
mod results;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);
