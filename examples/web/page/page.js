// The page: takes a file or a microphone, has it computed by worker.js, and shows the result while it grows.
import { RATE, clock, draw } from './picture.js';
import { save, showFigures, summary } from './result.js';

const MOST_BYTES = 512 * 2 ** 20; // of a file: it is decoded as a whole
const element = (id) => document.getElementById(id);
const [file, listen, example, devices, error, status] =
  ['file', 'listen', 'example', 'devices', 'error', 'status'].map(element);
const radios = [...document.getElementsByName('device')];

// A module that uses a SIMD instruction: (func (result v128) (i8x16.splat (i32.const 0))).
const SIMD = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253,
  15, 11]);

let worker;
let ready;
let jobs = 0;
let job = null; // what is computed, or was computed last
let microphone = null;

const place = () => radios.find((radio) => radio.checked).value;
const say = (text) => { status.textContent = text; };

function complain(text) {
  error.textContent = text;
  error.hidden = !text;
}

function startWorker() {
  worker = new Worker('worker.js', { type: 'module' });
  ready = new Promise((resolve) => {
    worker.onmessage = ({ data }) => (data.kind === 'ready' ? resolve(data) : received(data));
  });
  worker.onerror = (event) => {
    event.preventDefault();
    received({ kind: 'failed', job: 0, message: event.message || 'the worker could not be started', fatal: false });
  };
  worker.postMessage({ kind: 'load', simd: WebAssembly.validate(SIMD) });
  ready.then(enable);
}

// What the worker found: the radio of the better device is chosen, unless somebody has chosen already.
function enable({ place: best, adapter, reason, simd }) {
  document.documentElement.dataset.build = simd ? 'simd128' : 'plain';
  const [webgpu, cpu] = radios;
  webgpu.disabled = adapter === null;
  if (webgpu.disabled) cpu.checked = true;
  else if (!job) radios.find((radio) => radio.value === best).checked = true;
  const name = adapter && adapter.replace(/, BrowserWebGpu$/, '');
  if (adapter === null) element('about-webgpu').textContent = `${reason} The CPU computes everything, in WebAssembly.`;
  else if (best === 'cpu') element('about-webgpu').textContent = `WebGPU has only a software adapter here (${name}): the CPU is faster.`;
  else element('about-webgpu').textContent = `WebGPU adapter: ${name}`;
  for (const control of [file, listen, example, devices]) control.disabled = false;
  if (!job) say('Ready: open a file, or press Listen.');
}

// ---- sources ---------------------------------------------------------------

function begin(name, kind, again) {
  complain('');
  jobs += 1;
  job = {
    id: jobs, name, kind, again, place: place(), asked: performance.now(), done: false, device: '', latencies: [],
    result: { seconds: 0, length: 0, peaks: [], probabilities: [], segments: [] },
  };
  element('save').disabled = true;
  return job;
}

function stopWorker(id) {
  worker.postMessage({ kind: 'stop', job: id });
}

async function openFile(blob, name) {
  await stopListening();
  const mine = begin(name, 'file', () => openFile(blob, name));
  stopWorker(mine.id);
  say(`Reading ${name} …`);
  try {
    if (blob.size > MOST_BYTES) {
      throw new Error(`it has ${Math.ceil(blob.size / 2 ** 20)} MiB, and up to ${MOST_BYTES / 2 ** 20} MiB can be opened`);
    }
    const bytes = await blob.arrayBuffer();
    const source = isWav(bytes) ? { bytes: new Uint8Array(bytes) } : await decode(bytes);
    await ready;
    if (job !== mine) return;
    const buffer = (source.bytes || source.samples).buffer;
    worker.postMessage({ kind: 'start', job: mine.id, place: mine.place, ...source }, [buffer]);
    prepare(mine);
  } catch (problem) {
    if (job === mine) failed(mine, problem.message);
  }
}

function isWav(bytes) {
  const text = (at) => (bytes.byteLength < 12 ? '' : String.fromCharCode(...new Uint8Array(bytes, at, 4)));
  return text(0) === 'RIFF' && text(8) === 'WAVE';
}

// What is no WAV file is the browser's to decode, at the network's rate.
async function decode(bytes) {
  let audio;
  try {
    audio = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes);
  } catch {
    throw new Error('it is no audio that this browser can read');
  }
  const channels = Array.from({ length: audio.numberOfChannels }, (_, n) => audio.getChannelData(n));
  const samples = channels.length === 1 ? channels[0].slice() : channels[0].map((_, n) =>
    channels.reduce((sum, channel) => sum + channel[n], 0) / channels.length);
  if (samples.length === 0) throw new Error('it holds no samples');
  return { samples, rate: audio.sampleRate, source: 'decoded by the browser' };
}

async function openExample() {
  try {
    const answer = await fetch('aepyx.wav');
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    await openFile(await answer.blob(), 'aepyx.wav');
  } catch (problem) {
    complain(`The example cannot be loaded: ${problem.message}.`);
  }
}

async function startListening() {
  const mine = begin('Microphone', 'microphone', startListening);
  stopWorker(mine.id);
  listen.textContent = 'Stop';
  listen.setAttribute('aria-pressed', 'true');
  say('Asking for the microphone …');
  try {
    if (!navigator.mediaDevices) throw new Error('browsers give it to pages from https or localhost only');
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const stream = await navigator.mediaDevices.getUserMedia({ audio });
    const context = new AudioContext();
    microphone = { stream, context };
    if (job !== mine || mine.done) return await stopListening();
    await context.audioWorklet.addModule('microphone.js');
    const node = new AudioWorkletNode(context, 'microphone');
    const { port1, port2 } = new MessageChannel();
    node.port.postMessage(port1, [port1]);
    // Once the network is ready: it would lag behind what came before. The node's output is silent, but must be connected.
    mine.opened = () => context.createMediaStreamSource(stream).connect(node).connect(context.destination);
    await ready;
    if (job !== mine || mine.done) return;
    worker.postMessage({ kind: 'start', job: mine.id, place: mine.place, rate: context.sampleRate, port: port2 }, [port2]);
    prepare(mine);
  } catch (problem) {
    const reasons = { NotAllowedError: 'it is not allowed for this page', NotFoundError: 'there is none' };
    if (job === mine) failed(mine, reasons[problem.name] || problem.message);
  }
}

async function stopListening() {
  listen.textContent = 'Listen';
  listen.setAttribute('aria-pressed', 'false');
  if (!microphone) return;
  const { stream, context } = microphone;
  microphone = null;
  stream.getTracks().forEach((track) => track.stop());
  await context.close();
}

// ---- results ---------------------------------------------------------------

function prepare(mine) {
  if (mine.place === 'webgpu') say('Compiling the kernels for WebGPU …');
}

function received(data) {
  if (data.kind === 'failed') return failed(job && job.id === data.job ? job : null, data.message, data.fatal, data.job);
  if (!job || data.job !== job.id) return;
  if (data.kind === 'opened') opened(data);
  else if (data.kind === 'part') added(data);
  else if (data.kind === 'done') done();
}

function failed(mine, message, fatal, id) {
  const what = mine ? `${mine.name} cannot be used` : 'The page cannot compute';
  if (mine || id === 0) {
    complain(`${what}: ${message}.`);
    say('');
    if (mine) mine.done = true;
    stopListening();
  }
  if (fatal && id > 0) { // begin anew, with a fresh memory
    worker.terminate();
    startWorker();
    if (job && job.id !== id && !job.done) job.again();
  }
}

function opened({ device, source, seconds }) {
  Object.assign(job, { device: device.replace(/, BrowserWebGpu$/, ''), source });
  job.result.seconds = seconds;
  element('result').hidden = false;
  element('name').textContent = job.name;
  element('source').textContent = [seconds ? clock(seconds, 1) : '', source].filter(Boolean).join(' · ');
  element('device').textContent = job.device;
  for (const id of ['speed', 'latency', 'speech']) element(id).textContent = '–';
  for (const id of ['factor', 'about-latency', 'share']) element(id).textContent = '';
  element('segments').replaceChildren();
  element('progress').value = 0;
  element('progress').classList.toggle('finished', job.kind !== 'file');
  job.opened?.();
  say(job.kind === 'file' ? `Computing on ${job.device} …` : `Listening, on ${job.device}. Say something.`);
  repaint();
}

function added(part) {
  const { result } = job;
  if (result.length === 0) job.first = performance.now() - job.asked;
  for (const name of ['probabilities', 'peaks']) for (const value of part[name]) result[name].push(value);
  Object.assign(result, { segments: part.segments, length: part.length });
  job.busy = part.busy;
  if (part.complete) {
    const now = Date.now();
    job.latencies.push(...part.complete.map((at) => now - at));
    job.latencies.splice(0, Math.max(0, job.latencies.length - 100));
  }
  repaint();
}

function done() {
  job.done = true;
  element('progress').classList.add('finished');
  element('save').disabled = false;
  showFigures(job);
  say(`Done: ${summary(job.result)}.`);
}

let painting = false;
function repaint() {
  if (painting) return;
  painting = true;
  requestAnimationFrame(() => {
    painting = false;
    if (!job) return;
    draw(element('picture'), job.result);
    showFigures(job);
  });
}

// ---- controls --------------------------------------------------------------

file.addEventListener('change', () => {
  const [chosen] = file.files;
  if (chosen) openFile(chosen, chosen.name);
  file.value = ''; // so that the same file can be chosen again
});
example.addEventListener('click', openExample);
listen.addEventListener('click', async () => {
  if (!microphone && listen.getAttribute('aria-pressed') !== 'true') return startListening();
  await stopListening();
  jobs += 1;
  stopWorker(jobs);
  job.done = true;
  element('save').disabled = job.result.length === 0;
  say(job.result.length ? `Stopped: ${summary(job.result)}.` : 'Stopped.');
});
element('save').addEventListener('click', () => save(job));
for (const radio of radios) {
  radio.addEventListener('change', async () => {
    if (!job) return;
    if (job.kind === 'microphone' && job.done) return; // nobody listens any more
    await stopListening();
    job.again();
  });
}

for (const kind of ['dragenter', 'dragover', 'dragleave', 'drop']) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    document.body.classList.toggle('dropping', kind === 'dragenter' || kind === 'dragover');
    const dropped = kind === 'drop' && event.dataTransfer.files[0];
    if (dropped) openFile(dropped, dropped.name);
  });
}
new ResizeObserver(repaint).observe(element('picture'));
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', repaint);
startWorker();
