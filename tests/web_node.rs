//! The crate in Node, which has no WebGPU: `scripts/test --web` runs these tests there. Elsewhere there are none.
#![cfg(target_family = "wasm")]

#[path = "web/cases.rs"]
#[allow(dead_code, reason = "other test programs use the rest")]
mod cases;
#[path = "common/compare.rs"]
#[allow(dead_code, reason = "other test programs use the rest")]
mod compare;
#[path = "common/golden.rs"]
#[allow(dead_code, reason = "other test programs use the rest")]
mod golden;

use wasm_bindgen_test::wasm_bindgen_test;
use wgpu_lstm::{Device, Error};

#[wasm_bindgen_test]
async fn every_case_on_the_cpu() {
    cases::check(&Device::cpu(), &[]).await;
}

#[wasm_bindgen_test]
async fn without_webgpu_there_is_the_cpu() {
    let gpu = Device::gpu_async().await;
    let Err(Error::NoAdapter { reason }) = &gpu else { panic!("{gpu:?}") };
    assert!(reason.contains("is it Node"), "{reason}");
    assert!(!Device::best_async().await.is_gpu());
}
