"""The inputs of the networks, and what the file has of their outputs."""

import numpy as np

STEPS, BATCH = 12, 2
SAMPLES = 48  # elements of each tensor in the file
ROUNDING = 1e-4  # of the largest: float32 in the network with weights up to 7.7 errs by 2.4e-5, a mistake by 0.1


def hashes(count: int, seed: int) -> np.ndarray:
    """The hash of 0, 1, .. in 32 bits, the numbers of a seed before those of the next."""
    n = np.arange(count, dtype=np.uint32) + np.uint32(seed << 24)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        n = (n ^ (n >> np.uint32(shift))) * np.uint32(factor)
    return n ^ (n >> np.uint32(16))


def hashed(shape: tuple, seed: int) -> np.ndarray:
    """Numbers in [-1, 1) in the order of the last axis first, each exact in float32. Seeds: 1 input, 2 h0, 3 c0."""
    values = (hashes(int(np.prod(shape)), seed) >> np.uint32(8)).astype(np.float64) / 2**23 - 1
    return values.reshape(shape).astype(np.float32)


def sample(truth: np.ndarray, float32: np.ndarray) -> dict:
    assert truth.dtype == np.float64 and float32.dtype == np.float32 and truth.shape == float32.shape
    error = np.abs(float32 - truth).max()
    largest = np.abs(truth).max()
    assert error < ROUNDING * max(largest, 1), f"float32 is off by {error}, the largest is {largest}"
    positions = hashes(SAMPLES, 4) % np.uint32(truth.size)
    return {
        "shape": truth.shape,
        "positions": positions.tolist(),
        "values": [round(value, 11) for value in truth.ravel()[positions].tolist()],
        "float32_error": float(f"{error:.3e}"),
    }


def network(sources: list, sizes: tuple, compute, steps: int = STEPS, initial_state: bool = True) -> dict:
    """`compute(x, h0, c0)` returns output (T, B, D·H), h_n and c_n (L·D, B, H) in float64 and in float32.

    `sources` are the files and prefixes under which this network is found; sizes are (I, H, L, D).
    """
    input_size, hidden, layers, directions = sizes
    x = hashed((steps, BATCH, input_size), 1)
    state = (layers * directions, BATCH, hidden)
    start = [hashed(state, seed) if initial_state else np.zeros(state, np.float32) for seed in (2, 3)]
    truth, float32 = compute(x, *start)
    assert truth[0].shape == (steps, BATCH, directions * hidden) and truth[1].shape == truth[2].shape == state
    names = ("output", "h_n", "c_n")
    return {
        "sources": sources, "input_size": input_size, "hidden_size": hidden, "num_layers": layers,
        "bidirectional": directions == 2, "steps": steps, "batch": BATCH, "initial_state": initial_state,
        **{name: sample(*pair) for name, *pair in zip(names, truth, float32)},
    }
