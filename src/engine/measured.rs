//! Measured choices: the fastest schedule for calls of a shape, and of similar shapes.

use std::collections::VecDeque;
use std::sync::Mutex;

use crate::batch::Packing;
use crate::lock::lock;
use crate::tuning::{MOST_MEASURED, Schedule};

/// Measured choices, the oldest first, [`MOST_MEASURED`] at most.
#[derive(Debug, Default)]
pub(super) struct Measured {
    choices: Mutex<VecDeque<(Shape, Schedule)>>,
}

/// The sizes that a choice depends on, besides the network and the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub steps: usize,
    pub batch: usize,
    /// The sum of the lengths.
    pub rows: usize,
}

impl Shape {
    pub fn of(packing: &Packing) -> Self {
        Self { steps: packing.steps(), batch: packing.batch(), rows: packing.first_row(packing.steps()) }
    }

    /// The distance of two shapes if they are similar: if every size differs by less than a factor of two. So a shape
    /// of one step, or of one sequence, is similar to none of more.
    ///
    /// It is the product of the three factors, 1 for equal shapes.
    fn distance(&self, other: &Self) -> Option<f64> {
        [(self.steps, other.steps), (self.batch, other.batch), (self.rows, other.rows)].iter().try_fold(
            1.0,
            |product, &(a, b)| {
                let (low, high) = (a.min(b), a.max(b));
                (high - low < low).then(|| product * (high as f64 / low as f64))
            },
        )
    }
}

impl Measured {
    /// The choice for the nearest similar shape, of those that `admits` accepts.
    pub fn get(&self, shape: Shape, admits: impl Fn(Schedule) -> bool) -> Option<Schedule> {
        let choices = lock(&self.choices);
        let alike = choices.iter().filter_map(|&(known, schedule)| Some((shape.distance(&known)?, schedule)));
        let admitted = alike.filter(|&(_, schedule)| admits(schedule));
        admitted.min_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, schedule)| schedule)
    }

    /// Adds or replaces the choice for a shape, and drops the oldest one if there are too many.
    pub fn set(&self, shape: Shape, schedule: Schedule) {
        let mut choices = lock(&self.choices);
        choices.retain(|(known, _)| *known != shape);
        if choices.len() >= MOST_MEASURED {
            choices.pop_front();
        }
        choices.push_back((shape, schedule));
    }

    /// The choices, the oldest first.
    pub fn choices(&self) -> Vec<(Shape, Schedule)> {
        lock(&self.choices).iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_MEASURED, Measured, Shape};
    use crate::tuning::Schedule;

    fn shape(steps: usize, batch: usize, rows: usize) -> Shape {
        Shape { steps, batch, rows }
    }

    #[test]
    fn shapes_are_alike_within_a_factor_of_two() {
        let known = shape(20, 8, 120);
        for (other, alike) in [
            (known, true),
            (shape(21, 8, 113), true),
            (shape(39, 15, 239), true),
            (shape(11, 5, 61), true),
            (shape(40, 8, 120), false),
            (shape(10, 8, 120), false),
            (shape(20, 16, 120), false),
            (shape(20, 8, 240), false),
        ] {
            assert_eq!(known.distance(&other).is_some(), alike, "{other:?}");
            assert_eq!(known.distance(&other), other.distance(&known), "{other:?}");
        }
        let one = shape(1, 1, 1);
        for other in [shape(2, 1, 2), shape(1, 2, 2), shape(usize::MAX, usize::MAX, usize::MAX)] {
            assert_eq!(one.distance(&other), None, "{other:?}");
        }
    }

    #[test]
    fn the_nearest_choice_that_can_compute_the_call_counts() {
        let measured = Measured::default();
        measured.set(shape(100, 4, 400), Schedule::Step);
        measured.set(shape(150, 4, 600), Schedule::Diagonal);
        let all = |_| true;
        assert_eq!(measured.get(shape(110, 4, 440), all), Some(Schedule::Step));
        assert_eq!(measured.get(shape(140, 4, 560), all), Some(Schedule::Diagonal));
        assert_eq!(measured.get(shape(140, 4, 560), |s| s != Schedule::Diagonal), Some(Schedule::Step));
        assert_eq!(measured.get(shape(290, 4, 1160), |s| s != Schedule::Diagonal), None);
        measured.set(shape(100, 4, 400), Schedule::Single);
        assert_eq!(measured.get(shape(100, 4, 400), all), Some(Schedule::Single), "the last one stands");
        assert_eq!(measured.choices().len(), 2);
    }

    #[test]
    fn the_oldest_choices_go_first() {
        let measured = Measured::default();
        for steps in 1..=MOST_MEASURED + 10 {
            measured.set(shape(1 << 40, steps, steps), Schedule::Step);
        }
        let batches: Vec<_> = measured.choices().iter().map(|(shape, _)| shape.batch).collect();
        assert_eq!(batches, (11..=MOST_MEASURED + 10).collect::<Vec<_>>());
    }
}
