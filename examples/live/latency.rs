//! The middle, the slow hundredth and the worst of many durations.

use std::time::Duration;

/// Of durations sorted by length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    pub count: usize,
    pub median: Duration,
    /// At least 99 % of the durations are no longer than this: the worst of fewer than 100.
    pub p99: Duration,
    pub worst: Duration,
}

impl Latency {
    /// None of no durations.
    pub fn of(mut durations: Vec<Duration>) -> Option<Self> {
        durations.sort();
        let &worst = durations.last()?;
        let count = durations.len();
        // The nearest rank: the ⌈q·n⌉th.
        let rank = |percent: usize| durations[(count * percent).div_ceil(100) - 1];
        Some(Self { count, median: rank(50), p99: rank(99), worst })
    }
}

/// A duration in milliseconds.
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    // Everything is in the test: where a benchmark includes this file there is none.
    #[test]
    fn ranks_are_the_nearest() {
        use super::{Latency, ms};
        let of = |milliseconds: &[u64]| {
            let durations = milliseconds.iter().copied().map(std::time::Duration::from_millis).collect();
            Latency::of(durations).map(|of| ([of.median, of.p99, of.worst].map(ms), of.count))
        };
        let up_to = |most| (1..=most).rev().collect::<Vec<u64>>();
        assert_eq!(of(&up_to(200)), Some(([100.0, 198.0, 200.0], 200)));
        assert_eq!(of(&up_to(101)), Some(([51.0, 100.0, 101.0], 101)));
        assert_eq!(of(&up_to(3)), Some(([2.0, 3.0, 3.0], 3)));
        assert_eq!(of(&[7]), Some(([7.0; 3], 1)));
        assert_eq!(of(&[]), None);
    }
}
