"""ONNX models: ONNX Runtime computes their own LSTM nodes, with the weights as their graphs compute them."""

import pathlib

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper

from .pytorch import torch_lstm
from .sample import network


class Model:
    """An ONNX file, of which ONNX Runtime computes parts."""

    def __init__(self, folder: pathlib.Path, name: str):
        self.name = name
        self.model = onnx.load(folder / name)

    def scopes_of(self, node_name: str) -> tuple:
        """The node of this name, and the graphs around it from the outermost on."""
        def search(graph, scopes):
            scopes = [*scopes, graph]
            for node in graph.node:
                if node.name == node_name:
                    yield node, scopes
                for attribute in node.attribute:
                    if attribute.type == onnx.AttributeProto.GRAPH:
                        yield from search(attribute.g, scopes)

        (found,) = search(self.model.graph, [])
        return found

    def run(self, scopes: list, cuts: dict, outputs: list, extra: tuple = ()) -> list:
        """The values of `outputs` where those of `cuts` are given.

        The nodes and initialisers in between are the file's own, found by name in the graphs around; `extra` nodes
        come after them.
        """
        nodes, initializers, seen = [], [], set(cuts) | {""}

        def need(name: str, scopes: list) -> None:
            if name in seen:
                return
            seen.add(name)
            for depth in range(len(scopes), 0, -1):
                graph = scopes[depth - 1]
                for tensor in graph.initializer:
                    if tensor.name == name:
                        initializers.append(tensor)
                        return
                for node in graph.node:
                    if name in node.output:
                        seen.update(node.output)
                        for needed in node.input:
                            need(needed, scopes[:depth])
                        nodes.append(node)
                        return
            raise KeyError(f"{self.name}: nothing computes {name}")

        made = {name for node in extra for name in node.output}
        for name in [*outputs, *(name for node in extra for name in node.input)]:
            if name not in made:
                need(name, scopes)
        # An output may not be an initialiser: each is copied.
        copies = [helper.make_node("Identity", [name], [f"copy of {name}"]) for name in outputs]
        opsets = self.model.opset_import
        if extra:
            opsets = [helper.make_opsetid("", 13)]  # the first with DequantizeLinear along an axis
        graph = helper.make_graph(
            [*nodes, *extra, *copies], "part",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape) for name, value in cuts.items()],
            [onnx.ValueInfoProto(name=f"copy of {name}") for name in outputs], initializers,
        )
        model = helper.make_model(graph, opset_imports=opsets, ir_version=self.model.ir_version)
        return self.session(model).run(None, cuts)

    @staticmethod
    def session(model):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])


def operator(x, w, r, b, h0, c0) -> tuple:
    """ONNX's LSTM in float64, from the operator's definition: gates i, o, f, c; B is Wb and Rb. Y is (T, D, B, H)."""
    x, w, r, b, h0, c0 = (array.astype(np.float64) for array in (x, w, r, b, h0, c0))
    y = np.empty((len(x), len(w), x.shape[1], r.shape[2]))
    h, c = h0.copy(), c0.copy()

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    for d in range(len(w)):
        for t in range(len(x)) if d == 0 else reversed(range(len(x))):
            wb, rb = np.split(b[d], 2)
            i, o, f, g = np.split(x[t] @ w[d].T + h[d] @ r[d].T + wb + rb, 4, axis=1)
            c[d] = sigmoid(f) * c[d] + sigmoid(i) * np.tanh(g)
            h[d] = sigmoid(o) * np.tanh(c[d])
            y[t, d] = h[d]
    return y, h, c


def joined(y: np.ndarray) -> np.ndarray:
    """(T, D, B, H) to (T, B, D·H)."""
    return np.ascontiguousarray(y.transpose(0, 2, 1, 3)).reshape(y.shape[0], y.shape[2], -1)


def onnx_nodes(model: Model, names: list):
    """The sizes of these LSTM nodes, one above the other, and what computes them."""
    found = [model.scopes_of(name) for name in names]
    parts = [model.run(scopes, {}, list(node.input[1:4])) for node, scopes in found]
    directions, _, input_size = parts[0][0].shape
    hidden = parts[0][1].shape[2]

    def compute(x, h0, c0):
        cuts = {found[0][0].input[0]: x}
        truth, x64 = [], x
        for layer, ((node, _), weights) in enumerate(zip(found, parts)):
            rows = slice(layer * directions, (layer + 1) * directions)
            cuts[node.input[5]], cuts[node.input[6]] = h0[rows], c0[rows]
            truth.append(operator(x64, *weights, h0[rows], c0[rows]))
            x64 = joined(truth[-1][0])
        outputs = [name for node, _ in found for name in node.output]
        values = model.run(found[-1][1], cuts, outputs)
        ys, hs, cs = values[0::3], values[1::3], values[2::3]
        return ([x64] + [np.concatenate([part[n] for part in truth]) for n in (1, 2)],
                [joined(ys[-1]), np.concatenate(hs), np.concatenate(cs)])

    return (input_size, hidden, len(names), directions), compute, parts


def quantized_node(model: Model, name: str):
    """As onnx_nodes for a DynamicQuantizeLSTM: the LSTM with its weights dequantised, which ONNX Runtime does.

    The node itself quantises x and h too, each time step anew, so its results are others. How far they are from
    these is returned last.
    """
    node, scopes = model.scopes_of(name)
    x, w, r, b, _, h, c, _, *scales = node.input
    extra = []
    for short, weights, scale, zero in (("w", w, *scales[:2]), ("r", r, *scales[2:])):
        extra.append(helper.make_node("DequantizeLinear", [weights, scale, zero], [f"{short} rows"], axis=0))
        extra.append(helper.make_node("Transpose", [f"{short} rows"], [short], perm=[0, 2, 1]))
    directions, hidden = 2, 512
    extra.append(helper.make_node("LSTM", [x, "w", "r", b, "", h, c], ["y", "h_n", "c_n"], hidden_size=hidden,
                                  direction="bidirectional"))
    w64, r64, b64 = model.run(scopes, {}, ["w", "r", b], tuple(extra[:4]))
    distance = {}

    def compute(x32, h0, c0):
        cuts = {x: x32, h: h0, c: c0}
        y, h_n, c_n = model.run(scopes, cuts, ["y", "h_n", "c_n"], tuple(extra))
        truth = operator(x32, w64, r64, b64, h0, c0)
        own = model.run(scopes, cuts, list(node.output))
        for key, theirs, ours in zip(("output", "h_n", "c_n"), own, truth):
            distance[key] = float(f"{np.abs(theirs - ours).max():.3e}")
        return [joined(truth[0]), *truth[1:]], [joined(y), h_n, c_n]

    return (w64.shape[2], hidden, 1, directions), compute, distance


PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def reordered(parameter: np.ndarray) -> np.ndarray:
    """PyTorch's gates i, f, g, o to ONNX's i, o, f, c."""
    i, f, g, o = np.split(parameter, 4)
    return np.concatenate([i, o, f, g])


def unrolled(model: Model, prefix: str, x: str):
    """A PyTorch cell that the exporter wrote out step by step: ONNX Runtime computes the file's own nodes."""
    values = model.run([model.model.graph], {}, [prefix + name for name in PARAMETERS])
    sizes, compute64 = torch_lstm({prefix + n: torch.from_numpy(v) for n, v in zip(PARAMETERS, values)}, prefix)
    layer = prefix.split(".")[0]

    def compute(x32, h0, c0):
        outputs = [f"/{layer}/{node}_output_0" for node in ("Concat_1", "cell_19/Mul_2", "cell_19/Add_1")]
        y, h, c = model.run([model.model.graph], {x: x32}, outputs)
        return compute64(x32, h0, c0)[0], [y, h[None], c[None]]

    return sizes, compute


def silero(folder: pathlib.Path) -> list:
    """One network in five exports, bit for bit, and the networks for 8 kHz. Then the older version's two networks."""
    then, other = ("If_0_{}_branch__Inline_0__/decoder/{{}}/LSTM".format(branch) for branch in ("then", "else"))
    own, op15, sequence, openvino, ifless = (
        Model(folder, f"silero-vad/silero_vad{name}.onnx")
        for name in ("", "_16k_op15", "_16k_sequence", "_openvino_16k", "_op18_ifless"))
    at = [(own, then.format("rnn")), (own, then.format("rnn_1")), (op15, "/model/decoder/rnn/LSTM"),
          (op15, "/model/decoder/rnn_1/LSTM"), (sequence, "/recurrent/LSTM"),
          (openvino, "F2::" + then.format("rnn"))]
    all_parts = [onnx_nodes(model, [name]) for model, name in at]
    for *_, parts in all_parts:
        assert all(np.array_equal(a, b) for a, b in zip(parts[0], all_parts[0][2][0]))
    cells = {}
    for prefix in ("model.decoder.rnn.", "model_8k.decoder.rnn."):
        values = ifless.run([ifless.model.graph], {}, [prefix + name for name in PARAMETERS])
        cells[prefix] = {prefix + name: torch.from_numpy(value) for name, value in zip(PARAMETERS, values)}
    ours = [reordered(cells["model.decoder.rnn."][f"model.decoder.rnn.{name}"].numpy()) for name in PARAMETERS]
    w, r, b = (part[0] for part in all_parts[0][2][0])
    assert all(np.array_equal(*pair) for pair in zip(ours, (w, r, *np.split(b, 2))))

    made = [network([[model.name, name] for model, name in at] + [[ifless.name, "model.decoder.rnn."]],
                    *all_parts[0][:2])]
    eight = [onnx_nodes(own, [other.format(rnn)]) for rnn in ("rnn", "rnn_1")]
    assert all(np.array_equal(a, b) for a, b in zip(eight[0][2][0], eight[1][2][0]))
    made.append(network([[own.name, other.format(rnn)] for rnn in ("rnn", "rnn_1")], *eight[0][:2]))
    # Near the one before, but trained further: its weights differ by up to 0.1.
    prefix = "model_8k.decoder.rnn."
    made.append(network([[ifless.name, prefix]], *torch_lstm(cells[prefix], prefix)))

    legacy = Model(folder, "vad-web/silero_vad_legacy.onnx")
    for stacks in ((("LSTM_881", "LSTM_951"), ("LSTM_719", "LSTM_789")),
                   (("LSTM_407", "LSTM_477"), ("LSTM_245", "LSTM_315"))):
        both = [onnx_nodes(legacy, list(stack)) for stack in stacks]
        for first, second in zip(both[0][2], both[1][2]):
            assert all(np.array_equal(a, b) for a, b in zip(first, second))
        made.append(network([[legacy.name, "+".join(stack)] for stack in stacks], *both[0][:2]))
    return made


def networks(folder: pathlib.Path) -> tuple:
    common, old = (Model(folder, f"ddddocr/{name}.onnx") for name in ("common", "common_old"))
    captcha = Model(folder, "captcha-whisperer/captcha_crnn.onnx")
    sizes, compute, distance = quantized_node(old, "LSTM_202_quant")
    quantized = network([[old.name, "LSTM_202_quant"]], sizes, compute)
    quantized["dynamic_node_distance"] = distance
    return f"ONNX Runtime {onnxruntime.__version__}", [
        *silero(folder),
        network([[common.name, "LSTM_79"]], *onnx_nodes(common, ["LSTM_79"])[:2]),
        quantized,
        *(network([[captcha.name, prefix]], *unrolled(captcha, prefix, x), steps=20, initial_state=False)
          for prefix, x in (("lstm_fwd.cell.", "/Reshape_output_0"), ("lstm_bwd.cell.", "/Slice_output_0"))),
    ]
