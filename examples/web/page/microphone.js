// Sends what the microphone hears to the worker, mixed to one channel, some 10 ms at a time. Runs in the audio thread.
const PIECE = 512;

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.samples = new Float32Array(PIECE);
    this.filled = 0;
    this.port.onmessage = ({ data }) => { this.worker = data; };
  }

  process([channels]) {
    const count = channels.length;
    if (!this.worker || count === 0) return true;
    for (let n = 0; n < channels[0].length; n += 1) {
      let sum = 0;
      for (const channel of channels) sum += channel[n];
      this.samples[this.filled] = sum / count;
      this.filled += 1;
      if (this.filled === PIECE) {
        // The time when the last of them was there: the latency is counted from here.
        this.worker.postMessage({ samples: this.samples, at: Date.now() });
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor('microphone', Microphone);
