//! The network on a device.

use std::rc::Rc;

use anyhow::{Context, Result};
use ndarray::Array2;
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;
use wgpu_lstm::{Device, Lstm, LstmStream, LstmWeights};

use crate::hearing::{BLOCK, Hearing, Origin};
use crate::network::{Decoder, Encoder, FEATURES, LSTM_PREFIX, load};
use crate::recording::Sound;
use crate::told;

/// Where the LSTM runs.
#[wasm_bindgen]
#[derive(Clone, Copy)]
pub enum Where {
    /// A hardware GPU where there is one, else the CPU.
    Best,
    /// Any WebGPU adapter, software ones too.
    WebGpu,
    Cpu,
}

/// The name of the WebGPU adapter that [`Where::WebGpu`] takes.
#[wasm_bindgen(js_name = adapterName)]
pub async fn adapter_name() -> Result<String, JsError> {
    Ok(Device::gpu_async().await?.name())
}

/// The speech network, ready to hear.
#[wasm_bindgen]
pub struct Detector {
    device: Device,
    lstm: Lstm,
    parts: Rc<Parts>,
}

/// What runs on the CPU on any device.
pub struct Parts {
    pub encoder: Encoder,
    pub decoder: Decoder,
}

#[wasm_bindgen]
impl Detector {
    /// The network of a model file. On a GPU it compiles the kernels of all that [`Hearing`] computes.
    pub async fn load(model: Vec<u8>, place: Where) -> Result<Detector, JsError> {
        let device = match place {
            Where::Best => Device::best_async().await,
            Where::WebGpu => Device::gpu_async().await?,
            Where::Cpu => Device::cpu(),
        };
        Self::on(device, &model).await.map_err(told)
    }

    async fn on(device: Device, model: &[u8]) -> Result<Self> {
        let (encoder, decoder) = load(model).context("cannot use the network")?;
        let weights = LstmWeights::from_safetensors(model, LSTM_PREFIX)?;
        let lstm = Lstm::new_async(&device, &weights).await?;
        if device.is_gpu() {
            let mut stream = LstmStream::new_async(&lstm).await?;
            for steps in [1, 2, BLOCK] {
                stream.push_async(Array2::zeros((steps, FEATURES)).view()).await?;
            }
        }
        Ok(Self { device, lstm, parts: Rc::new(Parts { encoder, decoder }) })
    }

    /// The adapter's name, or `CPU`.
    #[wasm_bindgen(getter)]
    pub fn device(&self) -> String {
        self.device.name()
    }

    #[wasm_bindgen(getter, js_name = isGpu)]
    pub fn is_gpu(&self) -> bool {
        self.device.is_gpu()
    }

    /// Begins with a WAV file.
    #[wasm_bindgen(js_name = openWav)]
    pub async fn open_wav(&self, file: Vec<u8>) -> Result<Hearing, JsError> {
        let sound = Sound::read(file.as_slice()).map_err(told)?;
        drop(file);
        self.open(sound.rate, Origin::File { sound, at: 0 }).await.map_err(told)
    }

    /// Begins with a file that the browser has decoded and mixed.
    #[wasm_bindgen(js_name = openSamples)]
    pub async fn open_samples(
        &self,
        samples: Vec<f32>,
        rate: usize,
        source: String,
    ) -> Result<Hearing, JsError> {
        let sound = Sound { samples, rate, source };
        self.open(rate, Origin::File { sound, at: 0 }).await.map_err(told)
    }

    /// Begins with a microphone of this rate, in Hz.
    pub async fn listen(&self, rate: usize) -> Result<Hearing, JsError> {
        self.open(rate, Origin::Microphone).await.map_err(told)
    }

    async fn open(&self, rate: usize, origin: Origin) -> Result<Hearing> {
        let stream = LstmStream::new_async(&self.lstm).await?;
        Hearing::new(self.parts.clone(), stream, rate, origin)
    }
}
