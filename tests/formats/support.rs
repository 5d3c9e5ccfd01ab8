//! Shared by the tests of several formats.

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use wgpu_lstm::ndarray::{Array3, ArrayView3};
use wgpu_lstm::{LstmWeights, reference};

/// The file of this name in `tests/data/formats/`.
pub fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/formats").join(name)
}

/// An empty folder for the files of a test.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("formats").join(name);
    let _ = std::fs::remove_dir_all(&folder); // there may be none yet
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The network `lstm.` of a file `truth.safetensors`, and what PyTorch computes with it.
pub struct Truth {
    pub weights: LstmWeights,
    pub tensors: Vec<u8>,
}

impl Truth {
    pub fn read(name: &str) -> Self {
        let tensors = std::fs::read(data(name)).unwrap();
        Self { weights: LstmWeights::from_safetensors(&tensors, "lstm.").unwrap(), tensors }
    }

    pub fn array(&self, name: &str) -> Array3<f32> {
        let file = SafeTensors::deserialize(&self.tensors).unwrap();
        let view = file.tensor(name).unwrap();
        let numbers = view.data().as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        let shape: [usize; 3] = view.shape().try_into().unwrap();
        Array3::from_shape_vec(shape, numbers).unwrap()
    }

    /// Panics unless the weights are the truth's, bit for bit, and compute what PyTorch computed.
    #[track_caller]
    pub fn assert_same(&self, what: &str, weights: &LstmWeights) {
        assert_eq!(weights.config(), self.weights.config(), "{what}");
        let bytes = |weights: &LstmWeights| weights.to_safetensors("").unwrap();
        assert!(bytes(weights) == bytes(&self.weights), "{what}: other weights");
        let computed =
            reference::forward(weights, ArrayView3::from(&self.array("input")), None, None).unwrap();
        for (name, array) in [("output", computed.0), ("h_n", computed.1), ("c_n", computed.2)] {
            let truth = self.array(name);
            assert_eq!(array.shape(), truth.shape(), "{what}: {name}");
            let off = array.iter().zip(&truth).map(|(a, b)| (a - b).abs()).max_by(f32::total_cmp).unwrap();
            assert!(off <= 1e-6, "{what}: {name} is off by {off}");
        }
    }
}
