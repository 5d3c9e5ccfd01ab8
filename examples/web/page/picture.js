// Draws waveform, segments and probabilities on a canvas, as examples/speech/picture.rs does.
export const RATE = 16000;
export const CHUNK = 512;
const PEAK = 64; // samples of a pair of peaks
const THRESHOLD = 0.5;
const LISTENING = 20; // seconds that are shown of a microphone
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600];

// Seconds as m:ss, or h:mm:ss from one hour on, rounded once before they are split.
export function clock(seconds, decimals = 0) {
  const scale = 10 ** decimals;
  const ticks = Math.round(seconds * scale);
  const whole = Math.floor(ticks / scale);
  const two = (n) => String(n).padStart(2, '0');
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const fraction = decimals ? `.${String(ticks % scale).padStart(decimals, '0')}` : '';
  return (h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`) + fraction;
}

// `result`: { seconds, length, peaks, probabilities, segments }; seconds is 0 of a microphone.
export function draw(canvas, result) {
  const { width, height } = canvas.getBoundingClientRect();
  const scale = window.devicePixelRatio || 1;
  const [across, down] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== across) canvas.width = across;
  if (canvas.height !== down) canvas.height = down;
  const pen = canvas.getContext('2d');
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  if (width < 80) return;
  pen.font = '12px system-ui, sans-serif';
  pen.textBaseline = 'middle';

  const style = getComputedStyle(canvas);
  const color = (name) => style.getPropertyValue(`--${name}`);
  const heard = result.length / RATE;
  const end = result.seconds || Math.max(LISTENING, heard);
  const start = result.seconds ? 0 : end - LISTENING;
  const [left, right, top, bottom] = [48, width - 14, 14, height - 28];
  const middle = top + (bottom - top) * 0.45;
  const x = (seconds) => left + ((seconds - start) / (end - start)) * (right - left);
  const upper = { top, bottom: middle - 8 };
  const lower = { top: middle + 8, bottom };
  const at = { pen, color, x, start, end, left, right };

  segments(at, result, top, bottom);
  times(at, top, bottom);
  waveform(at, result, upper);
  probabilities(at, result, lower);
}

function segments({ pen, color, x, start, left }, result, top, bottom) {
  pen.fillStyle = color('speech');
  for (let k = 0; k < result.segments.length; k += 2) {
    const [from, to] = [result.segments[k] / RATE, result.segments[k + 1] / RATE];
    if (to < start) continue;
    const edge = Math.max(left, x(from));
    pen.fillRect(edge, top, Math.max(1, x(to) - edge), bottom - top);
  }
}

function times({ pen, color, x, start, end, left, right }, top, bottom) {
  const most = Math.max(2, (right - left) / 72);
  const step = STEPS.find((s) => (end - start) / s <= most) || 3600 * Math.ceil((end - start) / 3600 / most);
  pen.textAlign = 'center';
  pen.lineWidth = 1;
  for (let n = Math.ceil(start / step); n * step <= end; n += 1) {
    const seconds = n * step;
    pen.strokeStyle = color('grid');
    line(pen, [[x(seconds), top], [x(seconds), bottom]]);
    pen.fillStyle = color('faint');
    pen.fillText(clock(seconds, step < 1 ? 1 : 0), Math.min(x(seconds), right - 6), bottom + 14);
  }
}

function waveform({ pen, color, x, start, end, left, right }, result, { top, bottom }) {
  const columns = Math.floor(right - left);
  const perSecond = RATE / PEAK;
  const pairs = result.peaks.length / 2;
  const low = new Float32Array(columns).fill(Infinity);
  const high = new Float32Array(columns).fill(-Infinity);
  let most = 1e-3;
  for (let n = Math.max(0, Math.floor(start * perSecond)); n < pairs; n += 1) {
    const column = Math.floor(((n / perSecond - start) / (end - start)) * columns);
    if (column < 0 || column >= columns) continue;
    low[column] = Math.min(low[column], result.peaks[2 * n]);
    high[column] = Math.max(high[column], result.peaks[2 * n + 1]);
    most = Math.max(most, -result.peaks[2 * n], result.peaks[2 * n + 1]);
  }
  const y = (value) => (top + bottom) / 2 - (value / most) * ((bottom - top) / 2);
  pen.fillStyle = color('wave');
  let [lowest, highest] = [0, 0]; // a column that no pair falls into repeats the one before
  const last = Math.min(columns, Math.ceil(x(result.length / RATE) - left));
  for (let column = 0; column < last; column += 1) {
    if (high[column] >= low[column]) [lowest, highest] = [low[column], high[column]];
    pen.fillRect(left + column, y(highest), 1, Math.max(1, y(lowest) - y(highest)));
  }
}

function probabilities({ pen, color, x, start, left, right }, result, { top, bottom }) {
  const y = (value) => bottom - value * (bottom - top);
  pen.textAlign = 'right';
  for (const value of [0, 0.5, 1]) {
    pen.strokeStyle = color('grid');
    line(pen, [[left, y(value)], [right, y(value)]]);
    pen.fillStyle = color('faint');
    pen.fillText(`${100 * value} %`, left - 5, y(value));
  }
  pen.strokeStyle = color('limit');
  pen.setLineDash([4, 4]);
  line(pen, [[left, y(THRESHOLD)], [right, y(THRESHOLD)]]);
  pen.setLineDash([]);

  // Where several fall on a column, their mean.
  const points = [];
  const first = Math.max(0, Math.floor((start * RATE) / CHUNK));
  for (let n = first, column = -1, sum = 0, count = 0; n <= result.probabilities.length; n += 1) {
    const place = x(((n + 0.5) * CHUNK) / RATE);
    if (count && (n === result.probabilities.length || Math.floor(place) !== column)) {
      points.push([points.length || start > 0 ? column + 0.5 : left, y(sum / count)]);
      [sum, count] = [0, 0];
    }
    column = Math.floor(place);
    sum += result.probabilities[n];
    count += 1;
  }
  pen.strokeStyle = color('curve');
  pen.lineWidth = 1.5;
  pen.lineJoin = 'round';
  line(pen, points);
}

function line(pen, points) {
  pen.beginPath();
  for (const [x, y] of points) pen.lineTo(x, y);
  pen.stroke();
}
