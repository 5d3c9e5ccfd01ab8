//! The golden cases, PyTorch's results: see tests/golden/README.md.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use wgpu_lstm::ndarray::{Array3, ArrayD, Axis, IxDyn};
use wgpu_lstm::{LstmConfig, LstmWeights};

/// The number of files in tests/golden: a missing file fails the tests.
pub const CASES: usize = 22;

/// The prefix of the parameters' names.
pub const PREFIX: &str = "lstm.";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// (T, B, I), or (B, T, I) when batch first.
    Batched,
    /// (T, I).
    Unbatched,
    /// Batched, with lengths.
    Packed,
}

/// One file.
pub struct Golden {
    pub name: String,
    /// The constructor's arguments, from the metadata.
    pub config: LstmConfig,
    pub batch_first: bool,
    pub layout: Layout,
    /// Where the layout is packed.
    pub lengths: Option<Vec<usize>>,
    bytes: Vec<u8>,
}

/// Every case, in the order of their names.
pub fn all() -> Vec<Golden> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .expect("tests/golden")
        .map(|entry| entry.expect("an entry of tests/golden").path())
        .filter(|path| path.extension().is_some_and(|it| it == "safetensors"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert_eq!(names.len(), CASES, "golden cases found: {names:?}");
    names.iter().map(|name| load(name)).collect()
}

/// The case of that name.
pub fn load(name: &str) -> Golden {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.safetensors"));
    parse(name, std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
}

/// The case of that name, from the bytes of its file.
pub fn parse(name: &str, bytes: Vec<u8>) -> Golden {
    let (_, header) = SafeTensors::read_metadata(&bytes).expect("a golden file");
    let metadata = header.metadata().as_ref().expect("metadata");
    let number = |key: &str| metadata[key].parse::<usize>().expect(key);
    let flag = |key: &str| metadata[key].parse::<bool>().expect(key);
    let mut golden = Golden {
        name: name.to_owned(),
        config: LstmConfig::new(number("input_size"), number("hidden_size"))
            .with_num_layers(number("num_layers"))
            .with_bias(flag("bias"))
            .with_bidirectional(flag("bidirectional"))
            .with_proj_size(number("proj_size")),
        batch_first: flag("batch_first"),
        layout: match metadata["layout"].as_str() {
            "batched" => Layout::Batched,
            "unbatched" => Layout::Unbatched,
            "packed" => Layout::Packed,
            other => panic!("{name}: layout {other}"),
        },
        lengths: None,
        bytes,
    };
    golden.lengths = (golden.layout == Layout::Packed).then(|| {
        let lengths = golden.elements("lengths", Dtype::I64, i64::from_le_bytes);
        lengths.iter().map(|&n| usize::try_from(n).unwrap()).collect()
    });
    golden
}

impl Golden {
    /// The whole file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn has(&self, tensor: &str) -> bool {
        self.file().tensor(tensor).is_ok()
    }

    /// A float32 tensor: `input`, `h0`, `output_f32`, …, in the layout it has in the file.
    pub fn f32(&self, tensor: &str) -> ArrayD<f32> {
        self.elements(tensor, Dtype::F32, f32::from_le_bytes)
    }

    /// A float64 tensor, the truth: `output`, `h_n` or `c_n`, in the layout it has in the file.
    pub fn f64(&self, tensor: &str) -> ArrayD<f64> {
        self.elements(tensor, Dtype::F64, f64::from_le_bytes)
    }

    pub fn weights(&self) -> LstmWeights {
        LstmWeights::from_safetensors(&self.bytes, PREFIX).unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }

    /// The parameters, under their full names.
    pub fn state_dict(&self) -> BTreeMap<String, ArrayD<f32>> {
        let file = self.file();
        file.names()
            .into_iter()
            .filter(|name| name.starts_with(PREFIX))
            .map(|name| (name.to_owned(), self.f32(name)))
            .collect()
    }

    /// The input as (T, B, I), whatever the file's layout is.
    pub fn input_time_major(&self) -> Array3<f32> {
        let input = self.f32("input");
        let input = match self.layout {
            Layout::Unbatched => input.insert_axis(Axis(1)),
            _ => input,
        };
        let mut input = input.into_dimensionality().expect("three axes");
        if self.batch_first {
            input.swap_axes(0, 1);
        }
        input
    }

    /// h0 and c0 as (L·D, B, ·), where the case has them.
    pub fn state_batched(&self) -> Option<(Array3<f32>, Array3<f32>)> {
        let batched = |tensor: &str| {
            let state = self.f32(tensor);
            let state = match self.layout {
                Layout::Unbatched => state.insert_axis(Axis(1)),
                _ => state,
            };
            state.into_dimensionality().expect("three axes")
        };
        self.has("h0").then(|| (batched("h0"), batched("c0")))
    }

    /// An output (T, B, D·O) in the file's layout.
    pub fn output_as_in_file<T>(&self, mut output: Array3<T>) -> ArrayD<T> {
        if self.batch_first {
            output.swap_axes(0, 1);
        }
        self.state_as_in_file(output)
    }

    /// A state (L·D, B, ·) in the file's layout.
    pub fn state_as_in_file<T>(&self, state: Array3<T>) -> ArrayD<T> {
        match self.layout {
            Layout::Unbatched => state.index_axis_move(Axis(1), 0).into_dyn(),
            _ => state.into_dyn(),
        }
    }

    fn file(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).expect("a golden file")
    }

    fn elements<const N: usize, T>(
        &self,
        tensor: &str,
        dtype: Dtype,
        read: impl Fn([u8; N]) -> T,
    ) -> ArrayD<T> {
        let file = self.file();
        let view = file.tensor(tensor).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        assert_eq!(view.dtype(), dtype, "{}: {tensor}", self.name);
        let (chunks, rest) = view.data().as_chunks::<N>();
        assert!(rest.is_empty());
        let elements = chunks.iter().map(|&chunk| read(chunk)).collect();
        ArrayD::from_shape_vec(IxDyn(view.shape()), elements).expect("shape and data")
    }
}
