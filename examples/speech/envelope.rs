//! Long series brought down to what a picture of so many columns can show.

/// A point of a picture: where along the time axis, as a fraction of it, and how high.
pub type Point = (f64, f64);

/// The smallest and the largest value of each of `columns` equal stretches: a closed outline.
///
/// Its highs run left to right, its lows back again. No peak is lost, however short.
pub fn outline(values: &[f32], columns: usize) -> Vec<Point> {
    let stretches: Vec<(f64, &[f32])> = stretches(values, columns).collect();
    let highs = stretches.iter().map(|&(x, stretch)| (x, extremes(stretch).1));
    let lows = stretches.iter().map(|&(x, stretch)| (x, extremes(stretch).0));
    highs.chain(lows.rev()).collect()
}

/// More values than this to a column, and a curve through all of them would be a wall of ink.
const MOST_IN_COLUMN: usize = 8;

/// Whether [`curve`] shows means of so many values.
pub fn is_crowded(values: &[f32], columns: usize) -> bool {
    values.len() > MOST_IN_COLUMN * columns
}

/// A curve through the values, each in the middle of its own stretch of `width` (of the whole
/// axis), from one end of the axis to the other; the mean of each column where they crowd.
pub fn curve(values: &[f32], width: f64, columns: usize) -> Vec<Point> {
    let middle = |at: usize| ((at as f64 + 0.5) * width).min(1.0);
    let mut points: Vec<Point> = if is_crowded(values, columns) {
        let mean = |stretch: &[f32]| f64::from(stretch.iter().sum::<f32>()) / stretch.len() as f64;
        let stretches = stretches(values, columns);
        stretches.map(|(x, stretch)| (x, mean(stretch))).collect()
    } else {
        let values = values.iter().enumerate();
        values.map(|(at, &v)| (middle(at), f64::from(v))).collect()
    };
    if let (Some(&(_, first)), Some(&(_, last))) = (points.first(), points.last()) {
        points.insert(0, (0.0, first));
        points.push((1.0, last));
    }
    points
}

/// `values` cut into at most `columns` stretches, each with the middle of its place on the axis.
fn stretches(values: &[f32], columns: usize) -> impl Iterator<Item = (f64, &[f32])> {
    let count = columns.min(values.len());
    (0..count).map(move |n| {
        let cut = |n: usize| n * values.len() / count;
        ((n as f64 + 0.5) / count as f64, &values[cut(n)..cut(n + 1)])
    })
}

fn extremes(values: &[f32]) -> (f64, f64) {
    let low = values.iter().copied().fold(f32::INFINITY, f32::min);
    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    (f64::from(low), f64::from(high))
}

#[cfg(test)]
mod tests {
    use super::{curve, outline};

    #[test]
    fn no_peak_is_lost() {
        let mut values = vec![0.0; 10_007];
        (values[1234], values[9876]) = (0.75, -0.5);
        let points = outline(&values, 100);
        assert_eq!(points.len(), 200);
        assert!(points.contains(&(0.125, 0.75)), "a high at 12.3 %, in column 12");
        assert!(points.contains(&(0.985, -0.5)), "a low at 98.7 %, in column 98");
    }

    #[test]
    fn a_crowd_becomes_its_mean() {
        let values: Vec<f32> = (0..900).map(|n| f32::from(n as u16 % 2)).collect();
        assert_eq!(curve(&values, 1.0 / 900.0, 200).len(), 902);
        let means = curve(&values, 1.0 / 900.0, 100);
        assert_eq!(means.len(), 102);
        assert!(means.iter().all(|&(_, mean)| (mean - 0.5).abs() < 0.06));
    }

    #[test]
    fn a_single_value_reaches_both_ends() {
        assert_eq!(curve(&[0.25], 5.0, 100), [(0.0, 0.25), (1.0, 0.25), (1.0, 0.25)]);
        assert_eq!(outline(&[0.25], 100), [(0.5, 0.25), (0.5, 0.25)]);
        assert_eq!(outline(&[], 100), []);
    }
}
