#!/usr/bin/env python3
"""Write the small PyTorch checkpoints that tests/formats/pytorch.rs reads.

    python make_pytorch.py pytorch           # needs torch 2, numpy, safetensors

`truth.safetensors` has the network that most of them hold, under `lstm.`, with an `input` (T, B, I) and what PyTorch
computes from it: `output`, `h_n`, `c_n`. Its numbers are multiples of 1/64 between -1 and 1: all of F16, BF16, F32 and
F64 represent them exactly, so that every container must return the same bits.
"""
import io
import pickle
import struct
import sys
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

OUT = Path(sys.argv[1])
torch.manual_seed(12)


def exact(module):
    """The module with every parameter a distinct multiple of 1/64."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randint(-63, 64, parameter.shape) / 64)
    return module


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = exact(nn.LSTM(3, 2, num_layers=2, bidirectional=True))
        self.linear = nn.Linear(4, 1)
        self.register_buffer("steps", torch.tensor([7]))
        self.loose = torch.zeros(2)  # no parameter and no buffer: not in the state dict


net = Net()
lstm = net.lstm
state = net.state_dict()

x = torch.randint(-63, 64, (4, 2, 3)) / 64
with torch.no_grad():
    output, (h_n, c_n) = lstm(x)
truth = {f"lstm.{name}": tensor for name, tensor in lstm.state_dict().items()}
save_file({**truth, "input": x, "output": output.contiguous(), "h_n": h_n, "c_n": c_n}, OUT / "truth.safetensors")


def legacy(obj, name):
    torch.save(obj, OUT / name, _use_new_zipfile_serialization=False)


# The plain case, and the module itself.
torch.save(state, OUT / "state_dict.pt")
torch.save(net, OUT / "module.pt")


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight_ih_l0 = nn.Parameter(torch.zeros(4, 1))


legacy(Tiny(), "module_legacy.pt")

# An old stream, with Adam's state, whose tensors have the shapes of the weights.
moments = lambda tensor: {"step": torch.tensor(1.0), "exp_avg": tensor * 0 + 5, "exp_avg_sq": tensor * 0 + 6}
adam = {"state": {k: moments(v) for k, v in enumerate(lstm.state_dict().values())}, "param_groups": [{"lr": 1e-3}]}
legacy({"epoch": 3, "optimizer_state": adam, "model_state": state}, "legacy.pt")


def one_storage(dtype):
    """The parameters as views into one storage, the matrices transposed in it, behind a first unused number."""
    parts = [(name, tensor.to(dtype)) for name, tensor in lstm.state_dict().items()]
    storage = torch.cat([torch.tensor([99], dtype=dtype)] + [tensor.t().reshape(-1) for _, tensor in parts])
    views, start = OrderedDict(), 1
    for name, tensor in parts:
        count = tensor.numel()
        views[name] = storage[start : start + count].view(tensor.t().shape).t()
        assert torch.equal(views[name], tensor)
        start += count
    return views


def prefixed(prefix, tensors):
    return OrderedDict((prefix + name, tensor) for name, tensor in tensors.items())


compiled = "module._orig_mod.rnn."
torch.save({"state_dict": prefixed(compiled, one_storage(torch.float64))}, OUT / "strided_f64.pt")
torch.save(prefixed("lstm.", one_storage(torch.float16)), OUT / "strided_f16.pt")
torch.save(prefixed("lstm.", one_storage(torch.bfloat16)), OUT / "strided_bf16.pt")
legacy(prefixed("lstm.", one_storage(torch.float32)), "strided_legacy.pt")

# A list of modules' tensors, learnt initial states and an integer buffer beside the parameters.
torch.save({"layers": [one_storage(torch.float32)], "h0": torch.zeros(4, 2), "c0": torch.zeros(4, 2)}, OUT / "list.pt")
beside = {"h0": torch.zeros(4, 2), "c0": torch.zeros(4, 2), "batches": torch.tensor(3)}
torch.save(prefixed("lstm.", {**one_storage(torch.float32), **beside}), OUT / "learnt_state.pt")

# What can't be loaded, each under a prefix of its own.
small = exact(nn.LSTM(2, 2))
others = {}
others.update(prefixed("gru.", exact(nn.GRU(2, 2)).state_dict()))
norm = nn.utils.weight_norm(exact(nn.LSTM(2, 2)), "weight_hh_l0")
others.update(prefixed("weight_norm.", {k: v.detach() for k, v in norm.state_dict().items()}))
parametrized = nn.utils.parametrizations.weight_norm(exact(nn.LSTM(2, 2)), "weight_hh_l0")
others.update(prefixed("parametrized.", {k: v.detach() for k, v in parametrized.state_dict().items()}))
dropped = {("weight_hh_l0_raw" if k == "weight_hh_l0" else k): v for k, v in small.state_dict().items()}
others.update(prefixed("weight_drop.", dropped))
others.update(prefixed("integers.", {k: v.to(torch.int32) for k, v in small.state_dict().items()}))
others.update(prefixed("good.", small.state_dict()))
legacy(others, "others.pt")

# Files that are refused as a whole.
torch.save({"epoch": 3, "loss": 0.5, "names": ["a", "b"]}, OUT / "no_tensors.pt")
torch.save([small.state_dict()], OUT / "root_list.pt")
dense = small.state_dict()
torch.save({**dense, "embedding": torch.eye(2).to_sparse()}, OUT / "sparse.pt")
torch.save({**dense, "q": torch.quantize_per_tensor(torch.eye(2), 0.1, 0, torch.qint8)}, OUT / "quantized.pt")
torch.save({**dense, "e": torch.eye(2).to(torch.complex64)}, OUT / "complex.pt")
torch.save({**dense, "e": torch.eye(2).to(torch.float8_e4m3fn)}, OUT / "float8.pt")
torch.jit.script(nn.Linear(1, 1)).save(OUT / "torchscript.pt")
(OUT / "pickled_tensors.pkl").write_bytes(pickle.dumps(OrderedDict(list(dense.items())[:1]), protocol=4))
arrays = {name: tensor.numpy() for name, tensor in list(dense.items())[:2]}
(OUT / "pickled_numpy.pkl").write_bytes(pickle.dumps(arrays, protocol=2))
torch.save({"meta": arrays, "epoch": 1}, OUT / "numpy_in_zip.pt")


class Config:
    def __init__(self):
        self.mean = torch.zeros(2)


torch.save({"state": dense, "config": Config()}, OUT / "object.pt")
torch.save({"a.weight_ih_l0": torch.zeros(8, 2), "a": {"weight_ih_l0": torch.ones(8, 2)}}, OUT / "twice.pt")


def tar(name, tensors):
    """A file as PyTorch wrote it before 0.1.10: `torch.load` still reads it."""
    storages, views = io.BytesIO(), io.BytesIO()
    pickle.dump(len(tensors), storages, protocol=2)
    pickle.dump(len(tensors), views, protocol=2)
    for key, tensor in enumerate(tensors.values()):
        pickle.dump((key, "cpu", torch.FloatStorage), storages, protocol=2)
        storages.write(struct.pack("<q", tensor.numel()))
        storages.write(tensor.contiguous().numpy().tobytes())
        pickle.dump((key, key, torch.FloatTensor), views, protocol=2)
        views.write(struct.pack("<ii", tensor.dim(), 0))
        views.write(struct.pack(f"<{tensor.dim()}q", *tensor.shape))
        views.write(struct.pack(f"<{tensor.dim()}q", *tensor.stride()))
        views.write(struct.pack("<q", 0))
    pickle.dump([], storages, protocol=2)

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            return obj.key if isinstance(obj, Key) else None

    class Key:
        def __init__(self, key):
            self.key = key

    root = io.BytesIO()
    Pickler(root, protocol=2).dump(OrderedDict((n, Key(str(k))) for k, n in enumerate(tensors)))
    info = pickle.dumps({"protocol_version": 1000, "little_endian": True, "type_sizes": {"long": 8}}, protocol=2)
    with tarfile.open(OUT / name, "w", format=tarfile.USTAR_FORMAT) as archive:
        for member, content in [
            ("sys_info", info),
            ("pickle", root.getvalue()),
            ("tensors", views.getvalue()),
            ("storages", storages.getvalue()),
        ]:
            header = tarfile.TarInfo(member)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    with open(OUT / name, "rb") as file:
        read = torch.load(file, weights_only=False)
    assert all(torch.equal(read[n], t) for n, t in tensors.items())


tar("old.tar", prefixed("lstm.", lstm.state_dict()))


def rezip(source, name, compression=zipfile.ZIP_STORED, change=lambda member, content: content):
    """The members of a checkpoint in another archive."""
    with zipfile.ZipFile(OUT / source) as old, zipfile.ZipFile(OUT / name, "w", compression) as new:
        for member in old.namelist():
            new.writestr(member, change(member, old.read(member)))


rezip("root_list.pt", "compressed.pt", zipfile.ZIP_DEFLATED)
rezip("no_tensors.pt", "big_endian.pt", change=lambda m, c: b"big" if m.endswith("byteorder") else c)
