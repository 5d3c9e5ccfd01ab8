//! Probabilities as JSON: a list of numbers, one a chunk.

use std::path::Path;

use anyhow::{Context, Result, ensure};

/// How far a probability may be from the truth: f32 rounding, summed over thousands of steps that
/// each feed the next, stays near 1e-6; a wrong gate, slice or state is off by 1e-2 and more.
pub const TOLERANCE: f64 = 1e-4;

pub fn write(path: &Path, probabilities: &[f32]) -> Result<()> {
    let json = serde_json::to_string(probabilities)?;
    std::fs::write(path, json + "\n").with_context(|| format!("cannot write {}", path.display()))
}

/// The worst difference to the probabilities in a file; an error where one is above [`TOLERANCE`].
pub fn compare(path: &Path, probabilities: &[f32]) -> Result<f64> {
    let name = path.display();
    let json = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    let truth: Vec<f64> =
        serde_json::from_str(&json).with_context(|| format!("{name} is not a list of probabilities"))?;
    check(probabilities, &truth).with_context(|| format!("the probabilities are not those of {name}"))
}

fn check(probabilities: &[f32], truth: &[f64]) -> Result<f64> {
    ensure!(probabilities.len() == truth.len(), "there are {} and not {}", probabilities.len(), truth.len());
    let differences = probabilities.iter().zip(truth).map(|(&p, &t)| (f64::from(p) - t).abs());
    let (chunk, worst) = differences
        .enumerate()
        .max_by(|(_, a), (_, b)| a.total_cmp(b)) // total order: NaN is the largest
        .context("there is nothing to compare")?;
    ensure!(
        worst <= TOLERANCE,
        "chunk {chunk} is {} and not {}: off by {worst:.1e}, and {TOLERANCE:.0e} is allowed",
        probabilities[chunk],
        truth[chunk]
    );
    Ok(worst)
}

#[cfg(test)]
mod tests {
    use super::{TOLERANCE, check};

    #[test]
    fn the_worst_difference_decides() {
        let worst = check(&[0.5, 0.25], &[0.5, 0.25005]).expect("close ones");
        assert!((worst - 5e-5).abs() < 1e-8 && worst < TOLERANCE);
        let error = check(&[0.5, 0.25], &[0.5, 0.2502]).expect_err("a far one");
        assert!(error.to_string().contains("chunk 1"), "{error}");
    }

    #[test]
    fn counts_and_nan_never_pass() {
        assert!(check(&[0.5], &[0.5, 0.5]).is_err());
        assert!(check(&[], &[]).is_err());
        assert!(check(&[f32::NAN, 0.5], &[0.5, 0.5]).is_err());
        assert!(check(&[0.5], &[f64::NAN]).is_err());
    }
}
