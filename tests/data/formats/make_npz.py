#!/usr/bin/env python3
"""Write the small NumPy archives that tests/formats/npz.rs reads.

    python make_npz.py npz                   # needs numpy, safetensors; pytorch/truth.safetensors beside this file

All hold the network `lstm.` of pytorch/truth.safetensors, whose numbers F16, F32 and F64 represent exactly.
"""
import io
import sys
import zipfile
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from safetensors.numpy import load_file

OUT = Path(sys.argv[1])
truth = load_file(Path(__file__).parent / "pytorch" / "truth.safetensors")
state = {name: array for name, array in truth.items() if name.startswith("lstm.")}

np.savez(OUT / "stored.npz", **state)

# Every element type, order of bytes and order of axes, compressed; beside the network what this crate does not read.
types = ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8"]
mixed = {}
for index, (name, array) in enumerate(sorted(state.items())):
    order = "F" if index % 4 < 2 else "C"
    mixed[name] = np.asarray(array.astype(types[index % len(types)]), order=order)
others = {
    "gates": np.array(["i", "f", "g", "o"]),
    "step": np.array(3),
    "mask": np.ones((2, 3, 4), dtype=bool),
    "options": np.array([{"dropout": 0.5}], dtype=object),
    "rows": np.zeros(2, dtype=[("a, 'b' [", "<f4"), ("c", ">i2", (3,))]),
    "objects.weight_ih_l0": np.array([[None]] * 4, dtype=object),
    "objects.weight_hh_l0": np.zeros((4, 1)),
    "integers.weight_ih_l0": np.zeros((4, 1), dtype=np.int64),
    "integers.weight_hh_l0": np.zeros((4, 1)),
}
np.savez_compressed(OUT / "mixed.npz", **mixed, **others)

# The three versions of the header, and one with the spaces of old versions; a member that is no array.
with zipfile.ZipFile(OUT / "versions.npz", "w") as archive:
    for index, (name, array) in enumerate(sorted(state.items())):
        member = io.BytesIO()
        npy.write_array(member, array, version=[(1, 0), (2, 0), (3, 0)][index % 3])
        archive.writestr(name + ".npy", member.getvalue())
    archive.writestr("README", "no array")
