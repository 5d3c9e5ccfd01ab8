//! From probabilities to stretches of speech.

use crate::network::CHUNK;
use crate::recording::RATE;

/// A stretch of speech, in samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub start: usize,
    pub end: usize,
}

/// Below the threshold by this much, speech ends: a little hysteresis.
const HYSTERESIS: f32 = 0.15;
/// What the lower threshold never goes below.
const LOWEST: f32 = 0.01;
/// Shorter speech than 250 ms is dropped.
const MIN_SPEECH: usize = RATE / 1000 * 250;
/// Silence ends speech once it has lasted 100 ms.
const MIN_SILENCE: usize = RATE / 1000 * 100;
/// Segments grow by 30 ms on either side.
const PAD: usize = RATE / 1000 * 30;

/// Where speech ends once it has begun at `threshold`.
pub fn lower_threshold(threshold: f32) -> f32 {
    (threshold - HYSTERESIS).max(LOWEST)
}

/// The segments of speech, as Silero's own `get_speech_timestamps` finds them by default.
///
/// Speech begins with the first chunk at `threshold` or above. It ends where the probability fell
/// below `threshold` − 0.15, if it did not come back to `threshold` within 100 ms. What lasted no
/// longer than 250 ms is dropped. Each segment grows by 30 ms on both sides; where two would
/// meet, they share the silence between them.
///
/// `length` is the recording's, in samples: no segment goes past it.
///
/// # Source
///
/// `get_speech_timestamps` of the Python package silero-vad 6.2.3, with its defaults (threshold
/// 0.5, and no longest speech).
pub fn find(probabilities: &[f32], threshold: f32, length: usize) -> Vec<Segment> {
    let mut segments = raw(probabilities, threshold, length);
    pad(&mut segments, length);
    segments
}

/// Segments on chunk borders, before they are padded.
fn raw(probabilities: &[f32], threshold: f32, length: usize) -> Vec<Segment> {
    let mut voice = Voice::new(threshold);
    let ended = |&probability: &f32| match voice.hear(probability) {
        Some(Change::Ends(segment)) => Some(segment),
        _ => None,
    };
    let mut segments: Vec<Segment> = probabilities.iter().filter_map(ended).collect();
    segments.extend(voice.end(length));
    segments.retain(|s| s.end - s.start > MIN_SPEECH);
    segments
}

/// Whether somebody speaks, as the probabilities of one sequence come in.
pub struct Voice {
    threshold: f32,
    /// Chunks so far.
    chunks: usize,
    /// Where the speech that goes on began.
    speech: Option<usize>,
    /// Where the silence within it began.
    silence: Option<usize>,
}

/// What a chunk changes.
pub enum Change {
    /// Speech begins with this chunk.
    Begins,
    /// Speech has ended, some chunks ago: [`find`] would drop it if it was short.
    Ends(Segment),
}

impl Voice {
    pub fn new(threshold: f32) -> Self {
        Self { threshold, chunks: 0, speech: None, silence: None }
    }

    /// Takes the probability of the next chunk.
    pub fn hear(&mut self, probability: f32) -> Option<Change> {
        let now = self.chunks * CHUNK;
        self.chunks += 1;
        if probability >= self.threshold {
            self.silence = None;
            let begins = self.speech.is_none();
            self.speech.get_or_insert(now);
            return begins.then_some(Change::Begins);
        }
        let start = self.speech?;
        if probability >= lower_threshold(self.threshold) {
            return None;
        }
        let end = *self.silence.get_or_insert(now);
        if now - end < MIN_SILENCE {
            return None;
        }
        (self.speech, self.silence) = (None, None);
        Some(Change::Ends(Segment { start, end }))
    }

    /// The speech that goes on at the end of a sequence of so many samples.
    pub fn end(&mut self, length: usize) -> Option<Segment> {
        self.silence = None;
        self.speech.take().map(|start| Segment { start, end: length })
    }
}

fn pad(segments: &mut [Segment], length: usize) {
    if let Some(first) = segments.first_mut() {
        first.start = first.start.saturating_sub(PAD);
    }
    for right in 1..segments.len() {
        let silence = segments[right].start - segments[right - 1].end;
        let share = PAD.min(silence / 2);
        segments[right - 1].end += share;
        segments[right].start -= share;
    }
    if let Some(last) = segments.last_mut() {
        last.end = (last.end + PAD).min(length);
    }
}

#[cfg(test)]
mod tests {
    use super::{Segment, find};
    use crate::network::CHUNK;

    /// Runs of chunks: (how many, which probability).
    fn found(runs: &[(usize, f32)]) -> Vec<(usize, usize)> {
        let probabilities: Vec<f32> = runs.iter().flat_map(|&(n, p)| std::iter::repeat_n(p, n)).collect();
        find(&probabilities, 0.5, probabilities.len() * CHUNK).iter().map(|s| (s.start, s.end)).collect()
    }

    #[test]
    fn silence_has_none() {
        assert_eq!(find(&[], 0.5, 0), []);
        assert_eq!(found(&[(100, 0.49)]), []);
    }

    #[test]
    fn speech_is_padded_by_30_ms_within_the_recording() {
        assert_eq!(found(&[(10, 0.1), (20, 0.9), (10, 0.1)]), [(10 * 512 - 480, 30 * 512 + 480)]);
        assert_eq!(found(&[(20, 0.9)]), [(0, 20 * 512)]);
    }

    #[test]
    fn speech_of_250_ms_or_less_is_dropped() {
        assert_eq!(found(&[(10, 0.1), (7, 0.9), (10, 0.1)]), []); // 224 ms
        assert_eq!(found(&[(10, 0.1), (8, 0.9), (10, 0.1)]).len(), 1); // 256 ms
    }

    #[test]
    fn a_short_silence_or_a_shallow_one_does_not_end_speech() {
        assert_eq!(found(&[(20, 0.9), (4, 0.1), (20, 0.9)]).len(), 1); // back after 128 ms, known silent for 96
        assert_eq!(found(&[(20, 0.9), (5, 0.1), (20, 0.9)]).len(), 2);
        assert_eq!(found(&[(20, 0.9), (50, 0.4), (20, 0.9)]).len(), 1); // not below 0.35
    }

    #[test]
    fn the_silence_counts_from_where_it_began() {
        // 0.4 is neither: it does not end the silence, which began at chunk 20
        let runs = [(20, 0.9), (1, 0.1), (2, 0.4), (3, 0.1), (20, 0.9)];
        assert_eq!(found(&runs)[0], (0, 20 * 512 + 480));
    }

    #[test]
    fn a_recording_shorter_than_a_chunk() {
        assert_eq!(find(&[0.9], 0.5, 100), [] as [Segment; 0]);
    }

    /// What silero-vad 6.2.3's own function gives for its own recording.
    #[test]
    fn agrees_with_the_original_on_a_recording() {
        let json = include_str!("../../tests/data/speech/aepyx_probabilities.json");
        let probabilities: Vec<f32> = serde_json::from_str(json).expect("a list of numbers");
        let segments = find(&probabilities, 0.5, 2_706_432);
        let (first, last) = (segments[0], segments[segments.len() - 1]);
        assert_eq!(segments.len(), 36);
        assert_eq!((first.start, first.end), (39_456, 135_136));
        assert_eq!((last.start, last.end), (2_654_752, 2_691_552));
        // every one of the others, in one number
        let weighted = segments.iter().enumerate();
        let sum: usize = weighted.map(|(n, s)| (n + 1) * (s.start + 3 * s.end)).sum();
        assert_eq!(sum, 5_035_261_824);
    }
}
