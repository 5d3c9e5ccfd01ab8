"""Files that the tests open, made of the real recording."""

import array
import wave

RATE = 44_100


def second(recording, path):
    """Twelve seconds of the recording at 44.1 kHz, the right channel half as loud: second.json has what
    `cargo run --release --example speech -- second.wav --model … --probabilities second.json` finds."""
    with wave.open(str(recording)) as source:
        rate = source.getframerate()
        source.setpos(2 * rate)
        samples = array.array("h", source.readframes(12 * rate + 1))
    frames = array.array("h")
    for n in range(12 * RATE):
        at, rest = divmod(n * rate, RATE)
        left = (samples[at] * (RATE - rest) + samples[at + 1] * rest) // RATE
        frames.extend((left, left // 2))
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, RATE, 0, "NONE", ""))
        file.writeframes(frames.tobytes())
