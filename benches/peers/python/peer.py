"""A peer in Python: peer.py ort-webgpu | ort-cpu | torch. The protocol is protocol/src/lib.rs's."""

import json
import os
import pathlib
import sys
import time

import numpy as np

THREADS = 2  # as many as the cores of the machine that the targets were set for


class Ort:
    def __init__(self, webgpu: bool):
        import onnxruntime

        self.ort, self.webgpu = onnxruntime, webgpu
        self.about = f"ONNX Runtime {onnxruntime.__version__}, " + (
            "WebGPU execution provider (Dawn on Vulkan)" if webgpu else f"CPU, {THREADS} threads")

    def load(self, folder: pathlib.Path, sizes: dict) -> str:
        options = self.ort.SessionOptions()
        options.intra_op_num_threads = THREADS
        if not self.webgpu:
            self.session = self.ort.InferenceSession(
                folder / "model.onnx", options, providers=["CPUExecutionProvider"])
            return ""
        # fails if any node, an LSTM above all, would run on the CPU
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        provider = ("WebGpuExecutionProvider", {"dawnBackendType": "Vulkan"})
        self.session = self.ort.InferenceSession(folder / "model.onnx", options, providers=[provider])
        if "WebGpuExecutionProvider" not in self.session.get_providers():
            raise RuntimeError("the WebGPU execution provider did not start")
        return "every node on WebGPU: disable_cpu_ep_fallback is set"

    def call(self, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> list[np.ndarray]:
        return self.session.run(["y", "hn", "cn"], {"x": x, "h0": h, "c0": c})


class Torch:
    def __init__(self):
        import torch

        self.torch = torch
        torch.set_num_threads(THREADS)
        self.about = f"PyTorch {torch.__version__}, CPU, {THREADS} threads"

    def load(self, folder: pathlib.Path, sizes: dict) -> str:
        from safetensors.torch import load_file

        self.lstm = self.torch.nn.LSTM(sizes["input_size"], sizes["hidden_size"], sizes["layers"],
                                       bidirectional=sizes["bidirectional"])
        self.lstm.load_state_dict(load_file(folder / "weights.safetensors"))
        return ""

    def call(self, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> list[np.ndarray]:
        with self.torch.inference_mode():
            given = [self.torch.from_numpy(array) for array in (x, h, c)]
            y, (hn, cn) = self.lstm(given[0], (given[1], given[2]))
        return [array.numpy() for array in (y, hn, cn)]


def run(peer: Ort | Torch, sizes: dict, pieces: np.ndarray, save: str | None) -> float:
    states = sizes["layers"] * (1 + sizes["bidirectional"])
    h = c = np.zeros((states, sizes["batch"], sizes["hidden_size"]), np.float32)
    outputs = []
    start = time.perf_counter()
    for piece in pieces:
        y, h, c = peer.call(piece, h, c)
        outputs.append(y)
    seconds = (time.perf_counter() - start) / sizes["calls"]
    if save:
        np.concatenate([array.ravel() for array in (*outputs, h, c)]).astype("<f4").tofile(save)
    return seconds


def main(name: str) -> None:
    # what libraries print goes to stderr: stdout is the protocol's
    wire = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(message: dict) -> None:
        print(json.dumps(message), file=wire, flush=True)

    try:
        peer = Torch() if name == "torch" else Ort(webgpu=name == "ort-webgpu")
    except ImportError as error:
        return say({"about": {"Err": f"not installed ({error})"}})
    say({"about": {"Ok": peer.about}})
    sizes, pieces = {}, np.empty(0)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "load" in request:
                folder = pathlib.Path(request["load"])
                sizes = json.loads((folder / "workload.json").read_text())
                pieces = np.fromfile(folder / "input.f32", "<f4").reshape(
                    sizes["calls"], sizes["steps"], sizes["batch"], sizes["input_size"])
                say({"ready": peer.load(folder, sizes)})
            else:
                say({"seconds": run(peer, sizes, pieces, request["run"])})
        except Exception as error:  # whatever a library raises belongs in the record
            say({"error": f"{type(error).__name__}: {error}"})


main(sys.argv[1])
