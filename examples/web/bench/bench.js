// The page's work in one thread: a WAV file's bytes to the probability of every chunk, 128 chunks at a time, and one chunk
// at a time as a microphone gives them. By the page's own WebAssembly, and by onnxruntime-web on the same network.
const CHUNK = 512;
const CONTEXT = 64;
const BLOCK = 128;

const bytes = async (path) => new Uint8Array(await (await fetch(path)).arrayBuffer());

async function ours(build, place) {
  const wasm = await import(`/${build}/speech_page.js`);
  await wasm.default();
  const detector = await wasm.Detector.load(await bytes('/silero_vad_16k.safetensors'), wasm.Where[place]);
  return {
    name: detector.device,
    async whole(file) {
      const hearing = await detector.openWav(file);
      const probabilities = [];
      for (let part = await hearing.advance(); part; part = await hearing.advance()) {
        probabilities.push(...part.probabilities);
        part.free();
      }
      hearing.free();
      return probabilities;
    },
    async chunks(samples, count, timed) {
      const hearing = await detector.listen(16000);
      const probabilities = [];
      for (let k = 0; k < count; k += 1) {
        const begun = performance.now();
        hearing.push(samples.subarray(k * CHUNK, (k + 1) * CHUNK));
        const part = await hearing.advance();
        probabilities.push(...part.probabilities);
        timed(performance.now() - begun);
        part.free();
      }
      hearing.free();
      return probabilities;
    },
  };
}

// 16-bit mono, as the recording is: its header has 44 bytes.
function decode(file) {
  const data = new DataView(file.buffer, file.byteOffset + 44);
  return Float32Array.from({ length: data.byteLength >> 1 }, (_, n) => data.getInt16(2 * n, true) / 32768);
}

async function theirs(provider, threads) {
  const ort = await import(provider === 'webgpu' ? '/ort/ort.webgpu.min.mjs' : '/ort/ort.wasm.min.mjs');
  ort.env.wasm.wasmPaths = '/ort/';
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = 'error';
  const network = await bytes('/ort/silero_vad_16k_sequence.onnx');
  const session = await ort.InferenceSession.create(network, { executionProviders: [provider] });
  const zeros = () => new ort.Tensor('float32', new Float32Array(128), [1, 1, 128]);

  async function run(samples, first, count, state) {
    const frames = new Float32Array(count * (CONTEXT + CHUNK));
    for (let k = 0; k < count; k += 1) {
      const start = (first + k) * CHUNK - CONTEXT;
      const from = Math.max(0, start);
      frames.set(samples.subarray(from, start + CONTEXT + CHUNK), k * (CONTEXT + CHUNK) + from - start);
    }
    const input = new ort.Tensor('float32', frames, [count, CONTEXT + CHUNK]);
    const { speech_probs: probabilities, hn, cn } = await session.run({ input, h: state.h, c: state.c });
    Object.assign(state, { h: hn, c: cn });
    return probabilities.data;
  }

  return {
    name: `onnxruntime-web ${ort.env.versions.web}, ${provider}`,
    async whole(file) {
      const samples = decode(file);
      const all = Math.ceil(samples.length / CHUNK);
      const state = { h: zeros(), c: zeros() };
      const probabilities = [];
      for (let k = 0; k < all; k += BLOCK) probabilities.push(...await run(samples, k, Math.min(BLOCK, all - k), state));
      return probabilities;
    },
    async chunks(samples, count, timed) {
      const state = { h: zeros(), c: zeros() };
      const probabilities = [];
      for (let k = 0; k < count; k += 1) {
        const begun = performance.now();
        probabilities.push(...await run(samples, k, 1, state));
        timed(performance.now() - begun);
      }
      return probabilities;
    },
  };
}

function worst(probabilities, truth, count) {
  if (probabilities.length !== count) throw new Error(`${probabilities.length} probabilities, and not ${count}`);
  return Math.max(...probabilities.map((p, n) => (Number.isNaN(p) ? Infinity : Math.abs(p - truth[n]))));
}

// One program, measured `rounds` times after one that is not: the fastest of the rounds. Without a truth the first result is
// it. `seconds`: of the recording, from its beginning; `count`: chunks one at a time.
export async function measure(what, rounds, known, seconds, count) {
  let truth = known;
  const begun = performance.now();
  const program = what[0] === 'ours' ? await ours(what[1], what[2]) : await theirs(what[1], what[2]);
  const loaded = performance.now() - begun;
  const recording = await bytes('/aepyx.wav');
  const file = seconds ? recording.slice(0, 44 + 32000 * seconds) : recording;
  const samples = decode(file);
  const chunks = Math.ceil(samples.length / CHUNK);
  const [wholes, each, errors] = [[], [], []];
  for (let round = 0; round <= rounds; round += 1) {
    const started = performance.now();
    const probabilities = await program.whole(file);
    if (round) wholes.push(performance.now() - started);
    truth ??= probabilities;
    errors.push(worst(probabilities, truth, chunks));
    const times = [];
    errors.push(worst(await program.chunks(samples, count, (time) => times.push(time)), truth, count));
    if (round) each.push(times.reduce((sum, time) => sum + time) / count); // a browser's clock is too coarse for one
  }
  const factor = Math.min(...wholes) / 1000 / (samples.length / 16000);
  return { name: program.name, loaded, factor, wholes, chunk: Math.min(...each), error: Math.max(...errors), truth };
}
