//! Networks by name, loaded once a process, on one device that all partitions share.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use datafusion::error::{DataFusionError, Result};
use parking_lot::Mutex;
use wgpu_lstm::{Device, Error, Lstm, LstmWeights};

use crate::identity::{Identity, arithmetic, hash_weights};
use crate::pause::Pause;
use crate::spec::{DeviceChoice, ModelSpec};

/// Bytes of input and output, padded, that one call of the network takes, unless set otherwise.
const DEFAULT_CHUNK_BYTES: usize = 64 << 20;

/// Opens the device, once at the start and again if it is lost.
type Open = Box<dyn Fn() -> Result<Device, Error> + Send + Sync>;

/// The device, and how many were opened before it.
struct Opened {
    device: Device,
    generation: u64,
}

/// The networks of a process.
pub struct Models {
    models: BTreeMap<String, Model>,
    open: Open,
    opened: Mutex<Opened>,
    /// That of the device.
    arithmetic: String,
    /// What those who compute must have instead.
    required: Option<String>,
    /// Held during a call on the CPU, which takes every core that the process may use: partitions take turns.
    turn: Mutex<()>,
    chunk_bytes: usize,
    rows: AtomicU64,
    calls: AtomicU64,
    made: AtomicU64,
    pause: Option<Pause>,
}

/// A network of the registry.
pub struct Model {
    name: String,
    weights: LstmWeights,
    hash: String,
    /// Made by the first call, and again on the next device if its device is lost.
    lstm: Mutex<Option<(u64, Lstm)>>,
}

impl Models {
    /// Opens the device and reads the files.
    ///
    /// # Errors
    ///
    /// If there is no such device, a file can't be read as a network, or two have the same name.
    pub fn load(specs: &[ModelSpec], device: DeviceChoice) -> anyhow::Result<Self> {
        let models = specs.iter().map(|spec| {
            let weights = LstmWeights::from_file(&spec.path, &spec.prefix)
                .with_context(|| format!("model '{}' of {}", spec.name, spec.path.display()))?;
            Ok((spec.name.clone(), weights))
        });
        Self::new(models.collect::<anyhow::Result<Vec<_>>>()?, move || device.open())
    }

    /// Networks by name, on the device that `open` returns. It is called again if that device is lost.
    ///
    /// # Errors
    ///
    /// If `open` fails, the device can't compute, or two names are equal.
    pub fn new(
        weights: impl IntoIterator<Item = (String, LstmWeights)>,
        open: impl Fn() -> Result<Device, Error> + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let mut models = BTreeMap::new();
        for (name, weights) in weights {
            let hash = hash_weights(&weights);
            let model = Model { name: name.clone(), weights, hash, lstm: Mutex::new(None) };
            anyhow::ensure!(models.insert(name.clone(), model).is_none(), "model '{name}' is given twice");
        }
        let device = open()?;
        Ok(Self {
            models,
            arithmetic: arithmetic(&device)?,
            required: None,
            open: Box::new(open),
            opened: Mutex::new(Opened { device, generation: 0 }),
            turn: Mutex::new(()),
            chunk_bytes: DEFAULT_CHUNK_BYTES,
            rows: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            made: AtomicU64::new(0),
            pause: None,
        })
    }

    /// Requires this arithmetic of those who compute, and not that of this process's device: a client without the
    /// executors' GPU states what they print when they start.
    #[must_use]
    pub fn with_arithmetic(mut self, arithmetic: String) -> Self {
        self.required = Some(arithmetic);
        self
    }

    /// Bounds the padded input and output of one call of the network, in bytes.
    #[must_use]
    pub fn with_chunk_bytes(mut self, bytes: usize) -> Self {
        self.chunk_bytes = bytes;
        self
    }

    /// Stops at a place, for tests.
    #[must_use]
    pub fn with_pause(mut self, pause: Option<Pause>) -> Self {
        self.pause = pause;
        self
    }

    /// The network of a name.
    ///
    /// # Errors
    ///
    /// `Plan`, with the names that there are.
    pub fn get(&self, name: &str) -> Result<&Model> {
        self.models.get(name).ok_or_else(|| {
            let names: Vec<_> = self.models.keys().map(|name| format!("'{name}'")).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            DataFusionError::Plan(format!(
                "there is no model '{name}': this process has {names}; give it --model {name}=FILE"
            ))
        })
    }

    /// Every network, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Model> {
        self.models.values()
    }

    /// What a call of the network carries.
    pub fn identity(&self, model: &Model) -> Identity {
        let arithmetic = self.required.as_ref().unwrap_or(&self.arithmetic);
        Identity { weights: model.hash.clone(), arithmetic: arithmetic.clone() }
    }

    /// The arithmetic of this process's device, whatever is required of others.
    pub(crate) fn arithmetic(&self) -> &str {
        &self.arithmetic
    }

    /// Sequences that were computed so far.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Calls of networks so far, each for a chunk of a record batch.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Networks that were made so far: one for each model that was called, unless the device was lost.
    pub fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    pub(crate) fn chunk_bytes(&self) -> usize {
        self.chunk_bytes
    }

    /// Adds the sequences of a call, and waits where a test asks for it.
    pub(crate) fn count(&self, rows: usize) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let computed = self.rows.fetch_add(rows as u64, Ordering::Relaxed) + rows as u64;
        if let Some(pause) = &self.pause {
            pause.wait(computed);
        }
    }

    /// Calls the network, in turn with other partitions on the CPU. If the device is lost, it is opened again, once.
    ///
    /// # Errors
    ///
    /// Those of `call`; [`Error::DeviceLost`] if the second device is lost, too, or computes other bits than the first.
    pub(crate) fn call<R>(
        &self,
        model: &Model,
        call: impl Fn(&Lstm) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let (generation, lstm, is_gpu) = self.lstm(model)?;
        let run = |lstm: &Lstm, is_gpu: bool| {
            let _turn = (!is_gpu).then(|| self.turn.lock());
            call(lstm)
        };
        match run(&lstm, is_gpu) {
            Err(Error::DeviceLost { reason }) => {
                log::warn!("the device is lost ({reason}): opening it again");
                self.open_again(generation)?;
                let (_, lstm, is_gpu) = self.lstm(model)?;
                run(&lstm, is_gpu)
            }
            result => result,
        }
    }

    /// The network on the present device, its generation, and whether that is a GPU.
    fn lstm(&self, model: &Model) -> Result<(u64, Lstm, bool), Error> {
        let (device, generation) = {
            let opened = self.opened.lock();
            (opened.device.clone(), opened.generation)
        };
        let mut made = model.lstm.lock();
        let lstm = match &*made {
            Some((at, lstm)) if *at == generation => lstm.clone(),
            _ => {
                let lstm = Lstm::new(&device, &model.weights)?.with_batch_first(true);
                self.made.fetch_add(1, Ordering::Relaxed);
                log::info!("model '{}' is on {}", model.name, device.name());
                *made = Some((generation, lstm.clone()));
                lstm
            }
        };
        Ok((generation, lstm, device.is_gpu()))
    }

    /// Opens the device again, unless another partition did so since.
    fn open_again(&self, lost: u64) -> Result<(), Error> {
        let mut opened = self.opened.lock();
        if opened.generation != lost {
            return Ok(());
        }
        let device = (self.open)()?;
        let arithmetic =
            arithmetic(&device).map_err(|error| Error::DeviceLost { reason: format!("{error:#}") })?;
        if arithmetic != self.arithmetic {
            let reason =
                format!("the device that replaces it computes {arithmetic}, and not {}", self.arithmetic);
            return Err(Error::DeviceLost { reason });
        }
        *opened = Opened { device, generation: lost + 1 };
        Ok(())
    }
}

impl Model {
    /// Its name in queries.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// I, the width of the vectors that it takes.
    pub fn input_size(&self) -> usize {
        self.weights.config().input_size()
    }

    /// D, its directions.
    pub(crate) fn directions(&self) -> usize {
        self.weights.config().num_directions()
    }

    /// D·O, the width of the vectors that it returns.
    pub fn output_width(&self) -> usize {
        self.weights.config().num_directions() * self.weights.config().output_size()
    }
}

impl fmt::Debug for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.models.keys().collect();
        f.debug_struct("Models")
            .field("names", &names)
            .field("arithmetic", &self.arithmetic)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("name", &self.name).field("hash", &self.hash).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use wgpu_lstm::LstmConfig;

    use super::*;

    fn models(open: impl Fn() -> Result<Device, Error> + Send + Sync + 'static) -> Models {
        let weights = LstmWeights::uniform(&LstmConfig::new(3, 5), 1).unwrap();
        Models::new([("m".to_owned(), weights)], open).unwrap()
    }

    fn lost() -> Error {
        Error::DeviceLost { reason: "pulled out".into() }
    }

    /// Partitions take turns on the CPU, each with all of its cores.
    #[test]
    fn calls_on_the_cpu_do_not_overlap() {
        let models = models(|| Ok(Device::cpu()));
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let call = |_: &Lstm| {
                            most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                            std::thread::yield_now();
                            inside.fetch_sub(1, Ordering::SeqCst);
                            Ok(())
                        };
                        models.call(models.get("m").unwrap(), call).unwrap();
                    }
                });
            }
        });
        assert_eq!(most.load(Ordering::SeqCst), 1);
        assert_eq!(models.made(), 1);
    }

    #[test]
    fn a_lost_device_is_opened_again_once() {
        let opened = std::sync::Arc::new(AtomicUsize::new(0));
        let count = std::sync::Arc::clone(&opened);
        let models = models(move || {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(Device::cpu())
        });
        let model = models.get("m").unwrap();
        let calls = AtomicUsize::new(0);
        let first_fails =
            |_: &Lstm| if calls.fetch_add(1, Ordering::SeqCst) == 0 { Err(lost()) } else { Ok(7) };
        assert_eq!(models.call(model, first_fails).unwrap(), 7);
        assert_eq!((opened.load(Ordering::SeqCst), models.made()), (2, 2));
        let error = models.call(model, |_| Err::<(), _>(lost())).unwrap_err().to_string();
        assert_eq!(error, "the device is lost: pulled out");
        assert_eq!(opened.load(Ordering::SeqCst), 3);
    }

    /// Partitions that lose the device at the same time open one new device.
    #[test]
    fn a_device_that_was_opened_again_is_not_opened_by_the_next() {
        let opened = std::sync::Arc::new(AtomicUsize::new(0));
        let count = std::sync::Arc::clone(&opened);
        let models = models(move || {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(Device::cpu())
        });
        let (generation, ..) = models.lstm(models.get("m").unwrap()).unwrap();
        models.open_again(generation).unwrap();
        models.open_again(generation).unwrap();
        assert_eq!(opened.load(Ordering::SeqCst), 2);
        assert_eq!(models.lstm(models.get("m").unwrap()).unwrap().0, generation + 1);
    }

    #[test]
    fn a_device_that_computes_otherwise_does_not_replace_a_lost_one() {
        let mut models = models(|| Ok(Device::cpu()));
        models.arithmetic = "gpu of before".into();
        let error = models.call(models.get("m").unwrap(), |_| Err::<(), _>(lost())).unwrap_err().to_string();
        assert!(
            error.contains("the device that replaces it computes cpu ") && error.contains("gpu of before"),
            "{error}"
        );
    }
}
