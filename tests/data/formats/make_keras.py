"""Makes keras.zip: small files that Keras 3 writes, files that h5py writes as older versions of Keras would, and the
outputs that Keras computes (truth.json).

    python -m venv venv && venv/bin/pip install keras==3.15.1 torch h5py==3.16.0
    venv/bin/python make_keras.py
"""

import io
import json
import os
import zipfile

os.environ["KERAS_BACKEND"] = "torch"

import h5py
import keras
import numpy as np
import torch
from keras import layers

T, I, H = 4, 2, 3
HERE = os.path.dirname(os.path.abspath(__file__))
random = np.random.default_rng(7)
files, truth = {}, {}


def numbers(*shape):
    return random.uniform(-1, 1, shape).astype("float32")


def randomize(model):
    """All weights from one distribution: initial ones have biases of 0 and 1."""
    for weight in model.weights:
        if "float" in weight.dtype and "rnn_state" not in weight.path:
            weight.assign(numbers(*weight.shape))


def outputs(model):
    """The output of every LSTM of a model for an input of its own, by the layer's path in the model."""
    found = {}
    for layer in model.layers:
        if isinstance(layer, keras.Sequential):
            found |= {f"{layer.name}/{name}": values for name, values in outputs(layer).items()}
        elif hasattr(layer, "return_sequences"):
            cell = getattr(layer, "forward_layer", layer).cell
            if isinstance(cell, layers.LSTMCell):
                x = numbers(1, T, cell.kernel.shape[0])
                found[layer.name] = {"input": x[0].tolist(), "output": np.asarray(layer(x).detach(), "float32")[0].tolist()}
    return found


def save(name, model, suffixes):
    for suffix in suffixes:
        path = os.path.join("/tmp", name + suffix)
        (model.save_weights if suffix == ".weights.h5" else model.save)(path)
        files[name + suffix] = open(path, "rb").read()
        os.remove(path)


def lstm(name, **settings):
    return layers.LSTM(H, return_sequences=True, name=name, **settings)


# Layers one after the other, and an optimizer with tensors of the same names and shapes.
model = keras.Sequential([
    layers.Input((T, I)),
    lstm("first"),
    layers.Dropout(0.1),
    lstm("second"),
    layers.Bidirectional(lstm("both"), name="both"),
    layers.Dense(2),
    lstm("last"),
])
model.compile("adam", "mse")
model.fit(numbers(1, T, I), numbers(1, T, H), verbose=0)
randomize(model)
truth["model"] = outputs(model)
save("model", model, [".h5", ".keras", ".weights.h5"])


@keras.saving.register_keras_serializable("Mine")
class MyLSTM(layers.LSTM):
    pass


# Layers beside each other: what is read, and what is refused.
x = layers.Input((T, I))
inner = keras.Sequential([layers.Input((T, I)), lstm("deep"), layers.Dense(I), lstm("deeper")], name="nested")
beside = [
    inner,
    lstm("plain", dropout=0.1, recurrent_dropout=0.1, unroll=True),
    lstm("no_bias", use_bias=False),
    layers.RNN(layers.LSTMCell(H), return_sequences=True, name="of_cell"),
    layers.Bidirectional(lstm("b1"), backward_layer=lstm("b2", go_backwards=True), name="pair"),
    lstm("backwards", go_backwards=True),
    lstm("relu", activation="relu"),
    lstm("hard", recurrent_activation="hard_sigmoid"),
    layers.Bidirectional(lstm("b3"), merge_mode="sum", name="sum"),
    layers.Bidirectional(lstm("b4", activation="elu"), name="elu"),
    layers.RNN([layers.LSTMCell(H), layers.LSTMCell(H)], return_sequences=True, name="stacked"),
    MyLSTM(H, return_sequences=True, name="mine"),
    layers.GRU(H, return_sequences=True, name="gru"),
    layers.SimpleRNN(H, return_sequences=True, name="simple"),
]
model = keras.Model(x, [layer(x) for layer in beside])
randomize(model)
read = {"nested/deep", "nested/deeper", "plain", "no_bias", "of_cell", "pair"}
truth["beside"] = {name: values for name, values in outputs(model).items() if name in read}
save("beside", model, [".h5", ".keras", ".weights.h5"])

model = keras.Sequential([layers.Input(batch_shape=(3, T, I)), layers.LSTM(12, stateful=True, name="keeps")])
save("stateful", model, [".h5", ".weights.h5"])

model = keras.Sequential([layers.Input((T, I)), layers.GRU(H), layers.Dense(1)])
save("gru", model, [".keras", ".weights.h5"])


# Without a configuration of its layers.
class Tagger(keras.Model):
    def __init__(self):
        super().__init__()
        self.encoder = lstm("encoder_lstm")
        self.ends = [lstm("end"), lstm("end")]

    def call(self, x):
        return self.ends[1](self.ends[0](self.encoder(x)))


model = Tagger()
model(numbers(1, T, I))
save("tagger", model, [".weights.h5", ".keras"])

# Element types.
for policy in ["float16", "bfloat16", "float64"]:
    keras.config.set_dtype_policy(policy)
    keras.config.set_floatx(policy if policy != "bfloat16" else "float32")
    model = keras.Sequential([layers.Input((T, I)), lstm("half", recurrent_initializer="glorot_uniform")])
    for weight in model.weights:
        weight.assign(random.integers(-8, 8, weight.shape) / 8)
    save(policy, model, [".weights.h5"])
    truth[policy] = [np.asarray(weight.value.detach().float(), "float64").tolist() for weight in model.weights]


def crafted(name, make):
    file = io.BytesIO()
    with h5py.File(file, "w") as root:
        make(root)
    files[name] = file.getvalue()


def layer(root, name, tensors, **options):
    """A group as Keras 2 writes it."""
    names = list(root.attrs.get("layer_names", [])) + [name.encode()]
    root.attrs["layer_names"] = np.array(names)
    group = root.create_group(name)
    group.attrs["weight_names"] = np.array([tensor.encode() for tensor in tensors])
    for tensor, values in tensors.items():
        group.create_dataset(tensor, data=values, **options)


def cell(prefix, end=":0", bias=4 * H, width=4 * H, input_size=I):
    tensors = {"kernel": numbers(input_size, width), "recurrent_kernel": numbers(H, width)}
    if bias:
        tensors["bias"] = numbers(bias)
    return {prefix + name + end: values for name, values in tensors.items()}


def cudnn(prefix):
    """A CuDNNLSTM with the weights of a torch.nn.LSTM: the bytes of cuDNN's matrices, in arrays of Keras's shapes."""
    lstm = torch.nn.LSTM(I, H)
    for weight in lstm.parameters():
        weight.data = torch.tensor(numbers(*weight.shape))
    x = torch.tensor(numbers(T, I))
    truth["older"] = {"cudnn": {"input": x.tolist(), "output": lstm(x)[0].tolist()}}
    kernel, recurrent, *biases = (weight.detach().numpy() for weight in lstm.parameters())
    return {
        prefix + "kernel:0": np.concatenate([gate.reshape(I, H) for gate in np.split(kernel, 4)], axis=1),
        prefix + "recurrent_kernel:0": np.concatenate(np.split(recurrent, 4), axis=1),
        prefix + "bias:0": np.concatenate(biases),
    }


def older(root):
    layer(root, "embedding", {"embedding/embeddings:0": numbers(5, I)})
    layer(root, "empty", {})
    layer(root, "lstm_1", cell("lstm_1/"))
    layer(root, "lstm_2", cell("lstm/lstm_cell_7/"))
    layer(root, "bi", cell("bi/forward_lstm_3/lstm_cell_9/") | cell("bi/backward_lstm_3/lstm_cell_10/"))
    layer(root, "short", cell("forward_lstm/lstm_cell_1/") | cell("backward_lstm/lstm_cell_2/"))
    layer(root, "cudnn", cudnn("cudnn/"))
    layer(root, "encoder", cell("a/lstm_cell/") | cell("b/lstm_cell/"))
    layer(root, "gru", cell("gru/", width=3 * H, bias=3 * H))


def storage(root):
    """The first five are the same numbers."""
    tensors = {name: np.round(values * 8) / 8 for name, values in cell("x/").items()}
    layer(root, "plain", tensors)
    layer(root, "gzip", tensors, chunks=True, compression="gzip", shuffle=True, fletcher32=True)
    layer(root, "big", {name: values.astype(">f4") for name, values in tensors.items()})
    layer(root, "f64", {name: values.astype(">f8") for name, values in tensors.items()})
    layer(root, "f16", {name: values.astype(">f2") for name, values in tensors.items()})
    layer(root, "lzf", {name: np.zeros((64, 4 * H)) if "x/kernel" in name else values for name, values in tensors.items()}, chunks=True, compression="lzf")
    layer(root, "integers", {name: (values * 8).astype("int8") for name, values in tensors.items()})
    layer(root, "bytes", {name: values.astype("float16").view("V2") for name, values in tensors.items()})
    layer(root, "huge", {"huge/bias:0": numbers(4 * H)})
    names = ["huge/kernel:0", "huge/recurrent_kernel:0", "huge/bias:0"]
    root["huge"].attrs["weight_names"] = np.array([name.encode() for name in names])
    root["huge"].create_dataset(names[0], (10_000_000, 4 * H), "f4", chunks=(1000, 4 * H))
    root["huge"].create_dataset(names[1], data=numbers(H, 4 * H))
    layer(root, "elsewhere", {"elsewhere/bias:0": numbers(4 * H), "elsewhere/recurrent_kernel:0": numbers(H, 4 * H)})
    names = [name.replace("huge", "elsewhere") for name in names]
    root["elsewhere"].attrs["weight_names"] = np.array([name.encode() for name in names])
    root["elsewhere"].create_dataset(names[0], (I, 4 * H), "f4", external=[("/etc/passwd", 0, 96)])


def refused(root):
    layer(root, "norm", cell("norm/") | {"norm/kernel_norm/gamma:0": numbers(4 * H)})
    layer(root, "peephole", cell("peephole/") | {"peephole/input_gate_peephole_weights:0": numbers(H)})
    layer(root, "stack", cell("stack/lstm_cell/") | cell("stack/lstm_cell_1/", input_size=H))
    gates = [f"old_{matrix}_{gate}" for gate in "icfo" for matrix in "WUb"]
    layer(root, "half", cell("half/forward_lstm/lstm_cell/"))
    layer(root, "old", {name: numbers(H, H) if name[4] != "b" else numbers(H) for name in gates})


def split(root):
    layer(root, "long", cell("long/"))
    names = root["long"].attrs.pop("weight_names")
    root["long"].attrs["weight_names0"], root["long"].attrs["weight_names1"] = names[:2], names[2:]


def cycles(root):
    layer(root, "lstm", cell("lstm/"))
    root["self"] = h5py.SoftLink("/self")
    root["model_weights"] = h5py.SoftLink("/model_weights")
    root["lstm"]["up"] = root


def cyclic_places(root):
    root.create_group("layers/lstm/cell/vars")
    for index, values in enumerate(cell("").values()):
        root["layers/lstm/cell/vars"][str(index)] = values
    root["layers/again"], root["layers/lstm/up"] = root, root["layers"]
    root["layers/soft"] = h5py.SoftLink("/layers/soft/soft")


def beside_cell(root):
    """States of a stateful layer, (3, 12) and (3, 12) as an LSTM's matrices without bias, and an optimizer's tensors."""
    for place, tensors in {
        "layers/lstm/cell": cell("").values(),
        "layers/lstm": [numbers(H, 4 * H), numbers(H, 4 * H)],
        "optimizer": cell("").values(),
    }.items():
        group = root.create_group(place + "/vars")
        for index, values in enumerate(tensors):
            group[str(index)] = values


def long_name(root):
    layer(root, "n" * 1025, cell("lstm/"))


def long_path(root):
    root.create_group(f"layers/{'n' * 600}/{'n' * 600}/vars")


def no_keras(root):
    root["data"] = numbers(3)
    root.create_group("images")


for make in [older, storage, refused, split, cycles, cyclic_places, beside_cell, long_name, long_path, no_keras]:
    crafted(make.__name__ + ".h5", make)

files["truth.json"] = json.dumps(truth).encode()
with zipfile.ZipFile(os.path.join(HERE, "keras.zip"), "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    for name, data in files.items():
        archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED, 9)
        print(name, len(data))
