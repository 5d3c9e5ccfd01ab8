//! The ticks of an axis, and their labels.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};

use crate::clock::clock;

/// Steps between two ticks of time that people count in, in seconds.
const TIME_STEPS: [f64; 22] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0,
    300.0, 600.0, 1200.0, 1800.0, 3600.0,
];
/// More ticks than this along the time axis would crowd its labels.
const MOST_TICKS: f64 = 12.0;

/// An axis with the ticks that it is given; plotters' own fall on round decimals, never on minutes.
pub struct Ticked {
    pub range: Range<f64>,
    pub ticks: Vec<f64>,
}

impl Ranged for Ticked {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, pixels: (i32, i32)) -> i32 {
        let fraction = (value - self.range.start) / (self.range.end - self.range.start);
        pixels.0 + (fraction * f64::from(pixels.1 - pixels.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        match hint.max_num_points() {
            0 => Vec::new(),
            _ => self.ticks.clone(),
        }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// Ticks of a time axis, and how to write them.
pub struct TimeAxis {
    step: f64,
    seconds: f64,
}

impl TimeAxis {
    pub fn new(seconds: f64) -> Self {
        let fits = |step: &&f64| seconds / **step <= MOST_TICKS;
        let hours = (seconds / 3600.0 / MOST_TICKS).ceil() * 3600.0;
        let step = TIME_STEPS.iter().find(fits).copied().unwrap_or(hours);
        Self { step, seconds }
    }

    pub fn ticks(&self) -> Vec<f64> {
        let last = (self.seconds / self.step).floor() as usize;
        (0..=last).map(|n| n as f64 * self.step).collect()
    }

    pub fn label(&self, at: f64) -> String {
        match self.unit() {
            "s" => format!("{at:.*}", decimals(self.step)),
            _ => clock(at, 0),
        }
    }

    pub fn unit(&self) -> &'static str {
        match self.seconds {
            s if s < 20.0 => "s",
            s if s < 3600.0 => "m:ss",
            _ => "h:mm:ss",
        }
    }
}

/// The largest 1, 2 or 5 times a power of ten that is not above `value`.
pub fn round_below(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    let factor = [5.0, 2.0].into_iter().find(|f| f * power <= value).unwrap_or(1.0);
    factor * power
}

/// Digits after the point that `step` needs.
pub fn decimals(step: f64) -> usize {
    (-step.log10().floor()).max(0.0) as usize
}

#[cfg(test)]
mod tests {
    use super::{TimeAxis, decimals, round_below};

    fn labels(seconds: f64) -> Vec<String> {
        let axis = TimeAxis::new(seconds);
        axis.ticks().iter().map(|&at| axis.label(at)).collect()
    }

    #[test]
    fn time_has_few_round_ticks() {
        assert_eq!(labels(0.032)[..3], ["0.000", "0.005", "0.010"]);
        assert_eq!(labels(2.5)[..3], ["0.0", "0.5", "1.0"]);
        assert_eq!(labels(169.1), ["0:00", "0:20", "0:40", "1:00", "1:20", "1:40", "2:00", "2:20", "2:40"]);
        assert_eq!(labels(4000.0)[5..], ["50:00", "1:00:00"]);
        for seconds in [0.0001, 0.1, 7.0, 59.0, 61.0, 3599.0, 3601.0, 86_400.0, 1e6] {
            assert!(TimeAxis::new(seconds).ticks().len() <= 13, "{seconds}");
        }
    }

    #[test]
    fn amplitudes_are_rounded_down() {
        assert_eq!([1.0, 0.99, 0.3, 0.001].map(round_below), [1.0, 0.5, 0.2, 0.001]);
        assert_eq!([1.0, 0.5, 0.02].map(decimals), [0, 1, 2]);
    }
}
