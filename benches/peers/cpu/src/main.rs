//! Rust libraries that compute on the CPU: `peer-cpu candle`, `rten` or `tract`.

mod candle;
mod rten;
mod tract;

use anyhow::{Result, bail};

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("candle") => protocol::serve("candle-nn 0.11, CPU", &mut candle::Candle::default()),
        Some("rten") => protocol::serve("rten 0.27, CPU", &mut rten::Rten::default()),
        Some("tract") => protocol::serve("tract-onnx 0.23, CPU", &mut tract::Tract::default()),
        _ => bail!("peer-cpu candle | rten | tract"),
    }
}
