"""Many streams as one batch: streams.py ort-cpu | ort-webgpu. Started by benches/streams.rs.

Says what it is; then for each line {"folder", "seconds"} computes the folder's input tick after tick, carrying the
states, writes the outputs to output.f32, and times ticks with the first tick's chunks. Replies are lines of JSON.
"""

import json
import pathlib
import sys
import time

import numpy as np

import peer

FEWEST, MOST = 5, 2000  # ticks, as in benches/streams.rs


def tick(one: peer.Peer, chunks: list[np.ndarray], h: np.ndarray, c: np.ndarray) -> tuple:
    """One time step or more of every stream, (T, I) each; also the seconds of the call alone, and of all."""
    start = time.perf_counter()
    x = np.stack(chunks, axis=1)
    stacked = time.perf_counter()
    y, h, c = one.call(x, h, c)
    called = time.perf_counter()
    outputs = [y[:, b] for b in range(len(chunks))]
    return outputs, h, c, called - stacked, time.perf_counter() - start


def measure(one: peer.Peer, folder: pathlib.Path, seconds: float) -> dict:
    sizes = json.loads((folder / "workload.json").read_text())
    pieces = np.fromfile(folder / "input.f32", "<f4").reshape(
        sizes["calls"], sizes["steps"], sizes["batch"], sizes["input_size"])
    setting = peer.load(one, folder, sizes, pieces)
    h = c = np.zeros((sizes["layers"], sizes["batch"], sizes["hidden_size"]), np.float32)
    # of each tick, of each stream
    chunks = [[np.ascontiguousarray(piece[:, b]) for b in range(sizes["batch"])] for piece in pieces]
    all_outputs = []
    for each in chunks:
        outputs, h, c, _, _ = tick(one, each, h, c)
        all_outputs.append(np.stack(outputs, axis=1))
    np.stack(all_outputs).astype("<f4").tofile(folder / "output.f32")
    run, whole = [], []
    begin = time.perf_counter()
    while len(run) < FEWEST or (len(run) < MOST and time.perf_counter() - begin < seconds):
        _, h, c, alone, all_of_it = tick(one, chunks[0], h, c)
        run.append(alone)
        whole.append(all_of_it)
    one.session = None  # its threads may spin for more work while another is timed
    return {"times": {"setting": setting, "run": run, "whole": whole}}


def main(name: str) -> None:
    peer.serve(name, lambda one, request: measure(one, pathlib.Path(request["folder"]), request["seconds"]))


main(sys.argv[1])
