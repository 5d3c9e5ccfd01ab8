// What is known of a job, in words: figures, the list of segments, and the file that *Save as JSON* saves.
import { CHUNK, RATE, clock } from './picture.js';

const element = (id) => document.getElementById(id);
const count = (n, noun) => `${n} ${noun}${n === 1 ? '' : 's'}`;

function spoken({ segments }) {
  let samples = 0;
  for (let k = 0; k < segments.length; k += 2) samples += segments[k + 1] - segments[k];
  return samples / RATE;
}

// One line about a result.
export function summary(result) {
  return `${count(result.segments.length / 2, 'segment')} of speech, ${clock(spoken(result), 1)} of ${clock(result.length / RATE, 1)}`;
}

// Shows a job: { result, busy, first, latencies }, times in milliseconds.
export function showFigures(job) {
  const { result } = job;
  const heard = result.length / RATE;
  if (!heard) return;
  const factor = job.busy / 1000 / heard;
  const times = 1 / factor;
  element('speed').textContent = `${times < 10 ? times.toFixed(1) : Math.round(times)} × real time`;
  element('factor').textContent = `real-time factor ${factor.toPrecision(2)}`;
  if (job.latencies.length) {
    const sorted = [...job.latencies].sort((a, b) => a - b);
    element('latency').textContent = `${sorted[Math.floor(sorted.length / 2)]} ms`;
    element('about-latency').textContent = 'from the end of a chunk to its probability, median';
  } else {
    element('latency').textContent = `${Math.round(job.first)} ms`;
    element('about-latency').textContent = 'from the file to the first probabilities';
  }
  element('speech').textContent = `${clock(spoken(result), 1)} of ${clock(heard, 1)}`;
  element('share').textContent = `${Math.round((100 * spoken(result)) / heard)} % · ${count(result.segments.length / 2, 'segment')}`;
  if (result.seconds) element('progress').value = heard / result.seconds;
  element('picture').setAttribute('aria-label', `Waveform and probability of speech over time: ${summary(result)}`);
  showSegments(result.segments);
}

function showSegments(segments) {
  const list = element('segments');
  while (list.children.length > segments.length / 2) list.lastChild.remove();
  for (let k = 0; k < segments.length; k += 2) {
    const [from, to] = [segments[k] / RATE, segments[k + 1] / RATE];
    const texts = [`${clock(from, 2)} – ${clock(to, 2)}`, `${(to - from).toFixed(2)} s`];
    let item = list.children[k / 2];
    if (!item) {
      item = document.createElement('li');
      item.append(document.createElement('span'), document.createElement('span'));
      list.append(item);
    }
    texts.forEach((text, n) => { if (item.children[n].textContent !== text) item.children[n].textContent = text; });
  }
}

export function save({ name, device, source, result }) {
  const pairs = Array.from({ length: result.segments.length / 2 }, (_, n) =>
    ({ start: result.segments[2 * n], end: result.segments[2 * n + 1] }));
  const text = JSON.stringify({ name, source, device, rate: RATE, chunk: CHUNK, segments: pairs,
    probabilities: result.probabilities.map((p) => Number(p.toFixed(6))) });
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  link.download = `${name.replace(/\.[^.]*$/, '')}-speech.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
