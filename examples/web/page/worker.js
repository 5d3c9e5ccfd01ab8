// Computes in a worker, so that the page stays responsive: loads WebAssembly and the network, and sends parts of the result
// to the page as soon as they are computed.
let wasm;
let model;
let job = 0; // the one that runs; an older one stops at its next block

const detectors = new Map(); // by place: 'webgpu' or 'cpu'

onmessage = ({ data }) => {
  if (data.kind === 'load') return load(data.simd).catch((error) => failed(0, error));
  job = data.job;
  if (data.kind === 'start') start(data).catch((error) => failed(data.job, error));
};

function failed(id, error) {
  // After a trap the memory of the WebAssembly instance can't be relied on.
  const fatal = id === 0 || error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
  postMessage({ kind: 'failed', job: id, message: error.message || String(error), fatal });
}

async function load(simd) {
  wasm = await import(simd ? './simd/speech_page.js' : './plain/speech_page.js');
  const network = fetch('silero_vad_16k.safetensors').then(async (answer) => {
    if (!answer.ok) throw new Error(`the network cannot be loaded: ${answer.status} ${answer.statusText}`);
    return new Uint8Array(await answer.arrayBuffer());
  });
  [model] = await Promise.all([network, wasm.default()]);
  let adapter = null;
  let reason = '';
  if (!navigator.gpu) reason = 'This browser has no WebGPU for this page.';
  else if (!await navigator.gpu.requestAdapter()) reason = 'This browser has WebGPU, but no adapter for it here.';
  else {
    try {
      adapter = await wasm.adapterName();
    } catch (error) {
      reason = `WebGPU cannot be used here: ${error.message}.`;
    }
  }
  const best = adapter === null ? wasm.Where.Cpu : wasm.Where.Best;
  const detector = await wasm.Detector.load(model, best);
  const place = detector.isGpu ? 'webgpu' : 'cpu';
  detectors.set(place, detector);
  postMessage({ kind: 'ready', place, adapter, reason, simd });
}

async function detectorOn(place) {
  if (!detectors.has(place)) {
    const where = place === 'webgpu' ? wasm.Where.WebGpu : wasm.Where.Cpu;
    detectors.set(place, await wasm.Detector.load(model, where));
  }
  return detectors.get(place);
}

async function start({ job: id, place, bytes, samples, rate, source, port }) {
  try {
    const detector = await detectorOn(place);
    if (id !== job) return;
    let hearing;
    if (port) hearing = await detector.listen(rate);
    else if (samples) hearing = await detector.openSamples(samples, rate, source);
    else hearing = await detector.openWav(bytes);
    postMessage({ kind: 'opened', job: id, device: detector.device, source: hearing.source, seconds: hearing.seconds });
    try {
      await (port ? listen(id, hearing, rate, port) : compute(id, hearing));
    } finally {
      hearing.free();
    }
  } catch (error) {
    if (place === 'webgpu') detectors.delete(place); // a device that was lost stays lost
    throw error;
  }
}

function send(id, part, more) {
  const { probabilities, peaks, segments, length } = part;
  part.free();
  const buffers = [probabilities.buffer, peaks.buffer, segments.buffer];
  postMessage({ kind: 'part', job: id, probabilities, peaks, segments, length, ...more }, buffers);
}

// A file, block by block.
async function compute(id, hearing) {
  const begun = performance.now();
  while (id === job) {
    const part = await hearing.advance();
    const busy = performance.now() - begun;
    if (!part) return postMessage({ kind: 'done', job: id, busy });
    send(id, part, { busy });
    await breath();
  }
}

// A microphone, until the page asks for something else.
async function listen(id, hearing, rate, port) {
  const pieces = [];
  let wake = () => {};
  port.onmessage = ({ data }) => { pieces.push(data); wake(); };
  const arrivals = []; // of samples: how many had arrived, and when
  let [taken, chunks, busy] = [0, 0, 0];
  while (id === job) {
    if (pieces.length === 0) await Promise.race([new Promise((resolve) => { wake = resolve; }), sleep(200)]);
    const begun = performance.now();
    for (const { samples, at } of pieces.splice(0)) {
      taken += samples.length;
      arrivals.push({ taken, at });
      hearing.push(samples);
    }
    for (let part = await hearing.advance(); part; part = await hearing.advance()) {
      busy += performance.now() - begun;
      const complete = [];
      for (let k = 0; k < part.probabilities.length; k += 1) {
        chunks += 1;
        while (arrivals.length > 1 && arrivals[0].taken < chunks * 512 * rate / 16000) arrivals.shift();
        complete.push(arrivals[0].at);
      }
      send(id, part, { busy, complete });
    }
  }
  port.close();
}

const sleep = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

// Lets messages arrive between two blocks, without the delay of setTimeout.
const channel = new MessageChannel();
const breaths = [];
channel.port1.onmessage = () => breaths.shift()();
function breath() {
  return new Promise((resolve) => {
    breaths.push(resolve);
    channel.port2.postMessage(0);
  });
}
