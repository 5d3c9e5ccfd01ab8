//! What the page of examples/web computes, in WebAssembly: probabilities and segments of speech, as `examples/speech.rs`
//! finds them, block by block while a recording or a microphone is heard.

use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

#[path = "../../speech/conv.rs"]
mod conv;
mod detector;
mod hearing;
#[path = "../../speech/network.rs"]
#[allow(dead_code, reason = "here nothing encodes a whole recording")]
mod network;
#[path = "../../speech/recording.rs"]
#[allow(dead_code, reason = "here nothing opens a path")]
mod recording;
#[path = "../../speech/resample.rs"]
#[allow(dead_code, reason = "here nothing resamples at once")]
mod resample;
#[path = "../../speech/segments.rs"]
#[allow(dead_code, reason = "here segments are found again with each block")]
mod segments;

/// An error for JavaScript, with all that led to it.
fn told(error: anyhow::Error) -> JsError {
    JsError::new(&format!("{error:#}"))
}

/// Shows a panic's message in the console: WebAssembly itself only says `unreachable`.
#[wasm_bindgen(start)]
fn start() {
    std::panic::set_hook(Box::new(|panic| console_error(&panic.to_string())));
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn console_error(message: &str);
}
