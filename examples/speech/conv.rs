//! One convolution over many frames, as a single matrix product.

use anyhow::{Context, Result, ensure};
use ndarray::{Array1, Array2, Array3, Array4, ArrayView3, s};
use safetensors::{Dtype, SafeTensors};

/// A `torch.nn.Conv1d` of the network: what its name, shape and strides must be.
pub struct ConvSpec {
    pub name: &'static str,
    pub inputs: usize,
    pub outputs: usize,
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
    pub bias: bool,
}

/// A convolution ready to run: the kernel as a matrix (K·inputs, outputs).
#[derive(Debug)]
pub struct Conv {
    matrix: Array2<f32>,
    bias: Array1<f32>,
    kernel: usize,
    stride: usize,
    padding: usize,
}

impl Conv {
    pub fn load(tensors: &SafeTensors, spec: &ConvSpec) -> Result<Self> {
        let (inputs, outputs, kernel) = (spec.inputs, spec.outputs, spec.kernel);
        let weight = read(tensors, &format!("{}.weight", spec.name), &[outputs, inputs, kernel])?;
        let weight = Array3::from_shape_vec((outputs, inputs, kernel), weight)?;
        let bias = match spec.bias {
            true => read(tensors, &format!("{}.bias", spec.name), &[outputs])?.into(),
            false => Array1::zeros(outputs),
        };
        Ok(Self {
            matrix: weight
                .permuted_axes([2, 1, 0])
                .as_standard_layout()
                .into_owned()
                .into_shape_with_order((kernel * inputs, outputs))?,
            bias,
            kernel,
            stride: spec.stride,
            padding: spec.padding,
        })
    }

    /// frames (F, length, inputs) → (F, length', outputs), length' = (length + 2·padding − K) / stride + 1.
    ///
    /// Every window of every frame becomes one row of a matrix, and one product does the rest.
    pub fn forward(&self, frames: ArrayView3<f32>) -> Result<Array3<f32>> {
        let (count, length, inputs) = frames.dim();
        ensure!(
            self.kernel * inputs == self.matrix.nrows() && length + 2 * self.padding >= self.kernel,
            "frames of {length} x {inputs} do not fit a convolution of {} x {}",
            self.kernel,
            self.matrix.nrows() / self.kernel
        );
        let positions = (length + 2 * self.padding - self.kernel) / self.stride + 1;
        let mut windows = Array4::zeros((count, positions, self.kernel, inputs));
        for position in 0..positions {
            // the window in the padded frame; the padding itself stays zero
            let start = position * self.stride;
            let (from, to) = (start.max(self.padding), (start + self.kernel).min(length + self.padding));
            windows.slice_mut(s![.., position, from - start..to - start, ..]).assign(&frames.slice(s![
                ..,
                from - self.padding..to - self.padding,
                ..
            ]));
        }
        let rows = windows.into_shape_with_order((count * positions, self.kernel * inputs))?;
        let products = rows.dot(&self.matrix) + &self.bias;
        Ok(products.into_shape_with_order((count, positions, self.bias.len()))?)
    }
}

/// One f32 tensor, in PyTorch's order.
fn read(tensors: &SafeTensors, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
    let tensor = expect_tensor(tensors, name, shape)?;
    let (numbers, _) = tensor.as_chunks();
    Ok(numbers.iter().map(|n| f32::from_le_bytes(*n)).collect())
}

/// The bytes of an f32 tensor of this name and shape, or an error that says what came instead.
pub fn expect_tensor<'a>(tensors: &SafeTensors<'a>, name: &str, shape: &[usize]) -> Result<&'a [u8]> {
    let tensor = tensors
        .tensor(name)
        .with_context(|| format!("it has no tensor {name}: not the 16 kHz Silero VAD network"))?;
    ensure!(
        tensor.dtype() == Dtype::F32 && tensor.shape() == shape,
        "its tensor {name} is {:?} {:?}, and F32 {shape:?} was expected: not the 16 kHz Silero VAD network",
        tensor.dtype(),
        tensor.shape()
    );
    Ok(tensor.data())
}

#[cfg(test)]
mod tests {
    use super::{Conv, ConvSpec};
    use ndarray::{Array3, array};
    use safetensors::SafeTensors;
    use safetensors::tensor::{Dtype, TensorView, serialize};

    const SPEC: ConvSpec =
        ConvSpec { name: "conv", inputs: 2, outputs: 3, kernel: 3, stride: 2, padding: 1, bias: true };

    fn model(weight: &[f32], bias: &[f32]) -> Vec<u8> {
        let [weight, bias] =
            [weight, bias].map(|v| v.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>());
        let tensor =
            |shape: &[usize], data| TensorView::new(Dtype::F32, shape.to_vec(), data).expect("a tensor");
        serialize([("conv.weight", tensor(&[3, 2, 3], &weight)), ("conv.bias", tensor(&[3], &bias))], None)
            .expect("a model")
    }

    /// Against the definition, written as loops: Σ over inputs and taps, zeros past both ends.
    #[test]
    fn agrees_with_the_definition() {
        let weight: Vec<f32> = (0u8..18).map(|n| f32::from(n * 7 % 11) - 5.0).collect();
        let bytes = model(&weight, &[1.0, -2.0, 0.5]);
        let conv = Conv::load(&SafeTensors::deserialize(&bytes).expect("a model"), &SPEC).expect("a conv");
        let frames =
            Array3::from_shape_fn((2, 5, 2), |(f, l, c)| (f * 31 + l * 5 + c * 3) as f32 % 7.0 - 3.0);
        let result = conv.forward(frames.view()).expect("frames that fit");
        let truth = Array3::from_shape_fn((2, 3, 3), |(f, l, o)| {
            let mut sum = [1.0, -2.0, 0.5][o];
            for c in 0..2 {
                for k in 0..3 {
                    let at = (2 * l + k).wrapping_sub(1);
                    sum += frames.get((f, at, c)).copied().unwrap_or(0.0) * weight[o * 6 + c * 3 + k];
                }
            }
            sum
        });
        assert_eq!(result, truth);
    }

    #[test]
    fn refuses_frames_and_models_that_do_not_fit() {
        let bytes = model(&[0.0; 18], &[0.0; 3]);
        let tensors = SafeTensors::deserialize(&bytes).expect("a model");
        let conv = Conv::load(&tensors, &SPEC).expect("a conv");
        assert!(conv.forward(array![[[1.0, 2.0, 3.0]]].view()).is_err());
        let wrong = Conv::load(&tensors, &ConvSpec { outputs: 4, ..SPEC }).expect_err("a wrong shape");
        assert!(wrong.to_string().contains("conv.weight is F32 [3, 2, 3]"), "{wrong}");
        let missing = Conv::load(&tensors, &ConvSpec { name: "conv9", ..SPEC }).expect_err("a wrong name");
        assert!(missing.to_string().contains("no tensor conv9.weight"), "{missing}");
    }
}
