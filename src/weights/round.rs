//! Rounds the matrices to another precision.

use half::f16;

use super::memory::check_memory_for;
use super::names::Name;
use super::parameters::LstmWeights;
use super::precision::Precision;
use crate::error::Error;

impl LstmWeights {
    /// The element type of the matrices on a GPU.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The same network with its matrices rounded to `precision`; biases stay as they are.
    ///
    /// A matrix in [`Precision::F16`] keeps 11 significant bits: a number changes by at most 2⁻¹¹ of itself,
    /// one below 6·10⁻⁵ by at most 3·10⁻⁸. Every device computes with the rounded numbers, in f32, so their
    /// results differ from each other by no more than for f32 weights. Numbers that were
    /// rounded to F16 stay rounded when they are converted to F32.
    ///
    /// # Errors
    ///
    /// [`Error::PrecisionRange`] for a finite number beyond the range of `precision`: ±65,504 in F16.
    ///
    /// # Examples
    ///
    /// ```
    /// use wgpu_lstm::{LstmConfig, LstmWeights, Precision};
    ///
    /// let weights = LstmWeights::uniform(&LstmConfig::new(3, 4), 1)?;
    /// let half = weights.to_precision(Precision::F16)?;
    /// assert_eq!(half.precision(), Precision::F16);
    /// # Ok::<(), wgpu_lstm::Error>(())
    /// ```
    pub fn to_precision(&self, precision: Precision) -> Result<Self, Error> {
        check_memory_for(&self.config)?;
        let mut rounded = Self { precision, ..self.clone() };
        if precision == Precision::F32 {
            return Ok(rounded);
        }
        let directions = self.config.num_directions();
        for (index, weights) in rounded.layers.iter_mut().enumerate() {
            let (layer, direction) = (index / directions, index % directions);
            for (param, matrix) in weights.matrices_mut() {
                for weight in matrix {
                    let half = f16::from_f32(*weight);
                    if half.is_infinite() && weight.is_finite() {
                        return Err(Error::PrecisionRange {
                            name: Name { layer, direction, param }.spell(self.spelling),
                            value: f64::from(*weight),
                            largest: f16::MAX.to_f64(),
                        });
                    }
                    *weight = half.to_f32();
                }
            }
        }
        Ok(rounded)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::LstmConfig;
    use crate::error::Error;
    use crate::weights::{LstmWeights, Precision};

    #[test]
    fn rounds_matrices_and_not_biases() {
        let weights = LstmWeights::uniform(&LstmConfig::new(5, 7).with_proj_size(3), 1).unwrap();
        let half = weights.to_precision(Precision::F16).unwrap();
        let (before, after) = (weights.layer(0, 0), half.layer(0, 0));
        assert_eq!(before.bias, after.bias);
        assert_ne!(before.w_hr, after.w_hr);
        for (&a, &b) in before.w_ih.iter().zip(&after.w_ih) {
            assert!((a - b).abs() <= a.abs() / 2048.0 + 3e-8 && a != 0.0);
        }
        assert_eq!(half.to_precision(Precision::F16).unwrap(), half, "once is enough");
    }

    #[test]
    fn what_f16_can_not_hold_is_refused_by_name() {
        let config = LstmConfig::new(2, 2).with_num_layers(2).with_bidirectional(true);
        let mut weights = LstmWeights::constant(&config, 0.5).unwrap();
        weights.layers[3].w_hh[[1, 1]] = 1e5;
        let error = weights.to_precision(Precision::F16).unwrap_err();
        assert!(
            matches!(&error, Error::PrecisionRange { name, value: 1e5, .. } if name == "weight_hh_l1_reverse"),
            "{error}"
        );
    }
}
