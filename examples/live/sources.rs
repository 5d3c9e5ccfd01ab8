//! Microphones, played from recordings: each is a thread that delivers chunks as they are complete.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::network::CHUNK;
use crate::recording::RATE;

/// Chunks that may wait for the network, of one source on average: then sources wait, too.
pub const WAITING: usize = 2;

/// 32 ms of sound, as a source delivers it.
pub struct Chunk {
    pub source: usize,
    pub samples: Box<[f32; CHUNK]>,
    /// When its last sample was there.
    pub complete: Instant,
    /// Whether its source ends with it.
    pub last: bool,
}

/// How the sources play.
#[derive(Clone, Copy)]
pub struct Play {
    pub sources: usize,
    /// Seconds of sound in a second; 0 does not wait.
    pub speed: f64,
    /// Seconds of sound from the beginning of one source to that of the next.
    pub stagger: f64,
}

impl Play {
    /// Starts all sources; source k plays recording k, and after the last recording the first again. The chunks end when
    /// every source has.
    pub fn start(self, recordings: &[Arc<[f32]>]) -> Result<Receiver<Chunk>> {
        let (sender, chunks) = sync_channel(WAITING * self.sources);
        let start = Instant::now();
        for (source, samples) in recordings.iter().cycle().take(self.sources).enumerate() {
            let (samples, sender) = (Arc::clone(samples), sender.clone());
            let play = move || self.play(source, &samples, start, &sender);
            thread::Builder::new().spawn(play).context("cannot start a thread for each source")?;
        }
        Ok(chunks)
    }

    fn play(self, source: usize, samples: &[f32], start: Instant, sender: &SyncSender<Chunk>) {
        let pieces = samples.chunks(CHUNK);
        let count = pieces.len();
        for (number, piece) in pieces.enumerate() {
            let sound = source as f64 * self.stagger + ((number + 1) * CHUNK) as f64 / RATE as f64;
            let complete = self.wait_for(start, sound);
            let mut samples = Box::new([0.0; CHUNK]); // silence after the recording
            samples[..piece.len()].copy_from_slice(piece);
            let chunk = Chunk { source, samples, complete, last: number + 1 == count };
            if sender.send(chunk).is_err() {
                return; // nobody listens any more
            }
        }
    }

    /// Returns when so many seconds of sound have passed since the start.
    fn wait_for(self, start: Instant, sound: f64) -> Instant {
        if self.speed == 0.0 {
            return Instant::now();
        }
        let then = start + Duration::from_secs_f64(sound / self.speed);
        thread::sleep(then.saturating_duration_since(Instant::now()));
        then
    }
}
