"""A peer in Python: peer.py ort-webgpu | torch-cuda | ort-cpu | openvino | torch. The protocol is protocol/src/lib.rs's.

A peer has settings, such as the number of threads; for each workload the fastest of them is the one that is timed.
"""

import json
import os
import pathlib
import sys
import time

import numpy as np

THREADS = [1, 2]  # two are the cores of the machine that the targets were set for
TRIALS = 5  # of each setting, after one call that warms up


def counted(threads: int) -> str:
    return f"{threads} thread{'s' * (threads > 1)}"


class OrtCpu:
    settings = THREADS

    def __init__(self):
        import onnxruntime

        self.ort = onnxruntime
        self.about = f"ONNX Runtime {onnxruntime.__version__}, CPU"

    def load(self, folder: pathlib.Path, sizes: dict, threads: int) -> str:
        options = self.ort.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = self.ort.InferenceSession(
            folder / "model.onnx", options, providers=["CPUExecutionProvider"])
        return counted(threads)

    def call(self, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> list[np.ndarray]:
        return self.session.run(["y", "hn", "cn"], {"x": x, "h0": h, "c0": c})


class OrtWebgpu(OrtCpu):
    settings = [None]

    def __init__(self):
        import importlib.metadata

        # without it, ONNX Runtime lists no device for a software adapter
        os.environ.setdefault("ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER", "1")
        import onnxruntime
        import onnxruntime_ep_webgpu as plugin

        self.ort = onnxruntime
        onnxruntime.register_execution_provider_library("webgpu", plugin.get_library_path())
        name = plugin.get_ep_name()
        self.devices = [device for device in onnxruntime.get_ep_devices() if device.ep_name == name][:1]
        if not self.devices:
            raise RuntimeError("the WebGPU execution provider found no device")
        version = importlib.metadata.version("onnxruntime-ep-webgpu")
        self.about = (f"ONNX Runtime {onnxruntime.__version__}, WebGPU execution provider {version} "
                      "(Dawn on Vulkan)")

    def load(self, folder: pathlib.Path, sizes: dict, setting: None) -> str:
        options = self.ort.SessionOptions()
        # fails if any node, an LSTM above all, would run on the CPU
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        options.add_provider_for_devices(self.devices, {"dawnBackendType": "Vulkan"})
        self.session = self.ort.InferenceSession(folder / "model.onnx", options)
        return "every node on WebGPU: disable_cpu_ep_fallback is set"


class OpenVino:
    settings = THREADS

    def __init__(self):
        import openvino

        self.core = openvino.Core()
        self.about = f"OpenVINO {openvino.__version__.split('-')[0]}, CPU, float32, latency hint"

    def load(self, folder: pathlib.Path, sizes: dict, threads: int) -> str:
        network = self.core.compile_model(self.core.read_model(folder / "model.onnx"), "CPU", {
            # the default is bfloat16 on processors that have it
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
        })
        self.request = network.create_infer_request()
        # no copies of arrays, unless the next call would overwrite them
        self.share_outputs = sizes["calls"] == 1
        return counted(threads)

    def call(self, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> list[np.ndarray]:
        given = {"x": x, "h0": h, "c0": c}
        results = self.request.infer(given, share_inputs=True, share_outputs=self.share_outputs)
        return [results[name] for name in ("y", "hn", "cn")]


class Torch:
    settings = [(kernels, threads) for kernels in ("oneDNN", "native kernels") for threads in THREADS]
    device = "cpu"

    def __init__(self):
        import torch

        self.torch = torch
        self.about = f"PyTorch {torch.__version__}, CPU, float32, inference_mode"

    def load(self, folder: pathlib.Path, sizes: dict, setting: tuple[str, int]) -> str:
        kernels, threads = setting
        self.torch.set_num_threads(threads)
        self.torch.backends.mkldnn.set_flags(kernels == "oneDNN")
        self.load_network(folder, sizes)
        return f"{kernels}, {counted(threads)}"

    def load_network(self, folder: pathlib.Path, sizes: dict) -> None:
        from safetensors.torch import load_file

        lstm = self.torch.nn.LSTM(sizes["input_size"], sizes["hidden_size"], sizes["layers"],
                                  bidirectional=sizes["bidirectional"]).eval().requires_grad_(False)
        lstm.load_state_dict(load_file(folder / "weights.safetensors"))
        self.lstm = lstm.to(self.device)

    def call(self, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> list[np.ndarray]:
        with self.torch.inference_mode():
            given = [self.torch.from_numpy(array).to(self.device) for array in (x, h, c)]
            y, (hn, cn) = self.lstm(given[0], (given[1], given[2]))
            return [array.cpu().numpy() for array in (y, hn, cn)]


class TorchCuda(Torch):
    settings = [None]
    device = "cuda"

    def __init__(self):
        super().__init__()
        if not self.torch.cuda.is_available():
            raise RuntimeError("this PyTorch finds no CUDA device")
        # the default multiplies in tf32, which has 10 bits
        self.torch.backends.cudnn.allow_tf32 = False
        self.about = (f"PyTorch {self.torch.__version__} on {self.torch.cuda.get_device_name()}, "
                      f"cuDNN {self.torch.backends.cudnn.version()}, float32 without tf32, inference_mode")

    def load(self, folder: pathlib.Path, sizes: dict, setting: None) -> str:
        self.load_network(folder, sizes)
        self.lstm.flatten_parameters()
        return "cuDNN"


PEERS = {"ort-webgpu": OrtWebgpu, "torch-cuda": TorchCuda, "ort-cpu": OrtCpu, "openvino": OpenVino, "torch": Torch}
Peer = OrtCpu | OpenVino | Torch


def load(peer: Peer, folder: pathlib.Path, sizes: dict, pieces: np.ndarray) -> str:
    """Loads the workload with the peer's fastest setting, and says which."""
    if len(peer.settings) == 1:
        return peer.load(folder, sizes, peer.settings[0])
    seconds = []
    for setting in peer.settings:
        peer.load(folder, sizes, setting)
        run(peer, sizes, pieces, None)
        seconds.append(min(run(peer, sizes, pieces, None) for _ in range(TRIALS)))
    fastest = peer.settings[int(np.argmin(seconds))]
    return f"{peer.load(folder, sizes, fastest)}, the fastest of {len(seconds)} settings"


def run(peer: Peer, sizes: dict, pieces: np.ndarray, save: str | None) -> float:
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


def serve(name: str, answer) -> None:
    """Opens a peer, then returns `answer(peer, request)` for each line of stdin."""
    # what libraries print goes to stderr: stdout is the protocol's
    wire = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(message: dict) -> None:
        print(json.dumps(message), file=wire, flush=True)

    try:
        peer = PEERS[name]()
    except ImportError as error:
        return say({"about": {"Err": f"not installed ({error})"}})
    except Exception as error:  # whatever a library raises belongs in the record
        return say({"about": {"Err": f"{type(error).__name__}: {error}"}})
    say({"about": {"Ok": peer.about}})
    for line in sys.stdin:
        try:
            say(answer(peer, json.loads(line)))
        except Exception as error:  # whatever a library raises belongs in the record
            say({"error": f"{type(error).__name__}: {error}"})


def main(name: str) -> None:
    sizes, pieces = {}, np.empty(0)

    def answer(peer, request: dict) -> dict:
        nonlocal sizes, pieces
        if "load" not in request:
            return {"seconds": run(peer, sizes, pieces, request["run"])}
        folder = pathlib.Path(request["load"])
        sizes = json.loads((folder / "workload.json").read_text())
        pieces = np.fromfile(folder / "input.f32", "<f4").reshape(
            sizes["calls"], sizes["steps"], sizes["batch"], sizes["input_size"])
        return {"ready": load(peer, folder, sizes, pieces)}

    serve(name, answer)


if __name__ == "__main__":
    main(sys.argv[1])
