//! The crate in a browser's window: `scripts/test --web` runs these tests in Chromium. Elsewhere there are none.
#![cfg(target_family = "wasm")]

#[path = "web/browser.rs"]
mod browser;
#[path = "web/cases.rs"]
mod cases;
#[path = "common/compare.rs"]
#[allow(dead_code, reason = "other test programs use the rest")]
mod compare;
#[path = "web/device.rs"]
mod device;
#[path = "web/failures.rs"]
mod failures;
#[path = "common/golden.rs"]
#[allow(dead_code, reason = "other test programs use the rest")]
mod golden;
#[path = "web/memory.rs"]
mod memory;
#[path = "web/results.rs"]
mod results;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);
