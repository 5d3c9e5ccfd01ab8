//! A network between two shaders of an application: samples are uploaded, a few scores are read back, and everything
//! between stays on the GPU.
//!
//! ```sh
//! cargo run --example resident
//! ```
//!
//! Vibration sensors on a few machines: a shader computes the envelopes of their signals, the network reads these, and
//! another shader scores each machine. [`Chain`] is the part to copy into an application: it records all three into one
//! encoder and submits once. The network's state stays on the GPU too: each chunk continues the one before.
//!
//! The scores are compared with those of the CPU. The weights are random, so the scores mean nothing.

use anyhow::Result;
use wgpu_lstm::{Device, Lstm, LstmConfig, LstmWeights};

use chain::Chain;
use plain::Plain;
use stages::{CLASSES, INPUTS, Sizes};

#[path = "resident/chain.rs"]
mod chain;
#[path = "resident/plain.rs"]
mod plain;
#[path = "resident/signal.rs"]
mod signal;
#[path = "resident/stages.rs"]
mod stages;

const CHUNKS: usize = 3;
const HIDDEN: usize = 70;
const SIZES: Sizes = Sizes { steps: 20, batch: 3 };

fn main() -> Result<()> {
    let device = Device::gpu()?;
    let weights = LstmWeights::uniform(&LstmConfig::new(INPUTS, HIDDEN), 1)?;
    let head = signal::head(HIDDEN);
    let lstm = Lstm::new(&device, &weights)?;
    let mut chain = Chain::new(&device, &lstm, head.view(), SIZES)?;
    let mut plain = Plain::new(&weights, head.view(), SIZES)?;

    let Sizes { steps, batch } = SIZES;
    println!("{}: T {steps}, B {batch}, I {INPUTS}, H {HIDDEN}", device.name());
    println!("a chunk: {} samples in, {} scores out", SIZES.samples(), batch * CLASSES);
    for chunk in 0..CHUNKS {
        let samples = signal::samples(SIZES, chunk);
        let scores = chain.next(&samples)?;
        let truth = plain.next(&samples)?;
        let difference = plain.check(&scores, &truth)?;
        for (machine, scores) in scores.chunks_exact(CLASSES).enumerate() {
            println!("chunk {chunk}, machine {machine}: {scores:7.4?}");
        }
        println!(
            "chunk {chunk}: at most {difference:.1e} from the CPU, {:.1e} is allowed",
            plain.tolerance()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_score_and_nan_are_seen() {
        let weights = LstmWeights::uniform(&LstmConfig::new(INPUTS, HIDDEN), 1).unwrap();
        let mut plain = Plain::new(&weights, signal::head(HIDDEN).view(), SIZES).unwrap();
        let truth = plain.next(&signal::samples(SIZES, 0)).unwrap();
        let mut scores: Vec<f32> = truth.iter().map(|&score| score as f32).collect();
        assert!(plain.check(&scores, &truth).unwrap() < 1e-8);
        scores[7] += 2.0 * plain.tolerance() as f32;
        assert!(plain.check(&scores, &truth).is_err());
        scores[7] = f32::NAN;
        assert!(plain.check(&scores, &truth).is_err());
        assert!(plain.check(&scores[1..], &truth).is_err());
    }

    /// A chain that starts from zeros where it should carry on is found by the comparison.
    #[test]
    #[cfg_attr(feature = "skip-gpu-tests", ignore = "opted out with the feature skip-gpu-tests")]
    fn a_state_that_is_lost_between_chunks_is_seen() {
        let device = Device::gpu().unwrap();
        let weights = LstmWeights::uniform(&LstmConfig::new(INPUTS, HIDDEN), 1).unwrap();
        let head = signal::head(HIDDEN);
        let lstm = Lstm::new(&device, &weights).unwrap();
        let mut plain = Plain::new(&weights, head.view(), SIZES).unwrap();
        let [first, second] = [0, 1].map(|chunk| signal::samples(SIZES, chunk));
        plain.next(&first).unwrap();
        let truth = plain.next(&second).unwrap();
        let chain = || Chain::new(&device, &lstm, head.view(), SIZES).unwrap();
        assert!(plain.check(&chain().next(&second).unwrap(), &truth).is_err(), "from zeros");
        let mut carrying = chain();
        carrying.next(&first).unwrap();
        plain.check(&carrying.next(&second).unwrap(), &truth).unwrap();
    }
}
