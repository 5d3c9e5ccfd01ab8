"""Makes the ONNX models of tests/formats/onnx with PyTorch's two exporters and ONNX Runtime's quantizer, and the truth
of each by PyTorch: the parameters, an input and its output.

    pip install torch==2.15.0 onnx==1.23.2 onnxruntime==1.32.0 onnxscript safetensors
    python make_onnx.py        writes onnx/*.onnx, onnx/external.bin and onnx/truth.safetensors
"""

import pathlib
import warnings

import numpy as np
import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.torch import save_file

warnings.filterwarnings("ignore")
folder = pathlib.Path(__file__).parent / "onnx"
truth = {}


def network(name, **options):
    torch.manual_seed(len(truth) + 1)
    lstm = torch.nn.LSTM(3, 4, **options).eval()
    with torch.no_grad():
        for parameter in lstm.parameters():
            parameter.copy_(torch.randn_like(parameter))  # gates and biases that differ
        x = torch.randn(5, 2, 3)
        y, _ = lstm(x)
    truth.update({f"{name}.{key}": value.clone() for key, value in lstm.state_dict().items()})
    truth.update({f"{name}.input": x, f"{name}.output": y.contiguous()})
    return lstm, x


def export(name, dynamo, folding=True, **options):
    lstm, x = network(name, **options)
    path = folder / f"{name}.onnx"
    more = {} if dynamo else {"do_constant_folding": folding}
    torch.onnx.export(lstm, (x,), path, dynamo=dynamo, external_data=False, **more)
    model = onnx.load(path)
    for node in model.graph.node:  # where in PyTorch's source it comes from
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    del model.graph.metadata_props[:], model.graph.value_info[:], model.metadata_props[:]
    onnx.save(model, path)


export("legacy_two_layers", dynamo=False, num_layers=2)
export("legacy_bidirectional", dynamo=False, num_layers=2, bidirectional=True)
export("legacy_no_bias", dynamo=False, bias=False)
export("legacy_not_folded", dynamo=False, folding=False, bidirectional=True)
export("dynamo_two_layers_batch_first", dynamo=True, num_layers=2, batch_first=True)
export("dynamo_bidirectional", dynamo=True, num_layers=2, bidirectional=True)
export("dynamo_projection", dynamo=True, proj_size=2)

# The quantized model's weights are its own truth: integers, scales and zero points, as NumPy reads them.
for name, per_channel in [("quantized", False), ("quantized_per_channel", True)]:
    quantize_dynamic(
        folder / "legacy_bidirectional.onnx",
        folder / f"{name}.onnx",
        op_types_to_quantize=["LSTM"],
        weight_type=QuantType.QInt8,
        per_channel=per_channel,
    )
    model = onnx.load(folder / f"{name}.onnx")
    tensors = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type == "DynamicQuantizeLSTM"]
    assert len(nodes) == 2
    for layer, node in enumerate(nodes):
        for what, index, scale in [("w", 1, 8), ("r", 2, 10)]:
            q, s, z = (tensors[node.input[k]] for k in (index, scale, scale + 1))
            if s.ndim == 1:
                s, z = s[:, None], z[:, None]
            q = q.astype(np.float32) - z[:, None, :].astype(np.float32)
            truth[f"{name}.{what}{layer}"] = torch.from_numpy(np.ascontiguousarray(q * s[:, None, :]))

model = onnx.load(folder / "legacy_two_layers.onnx")
(folder / "external.bin").unlink(missing_ok=True)
onnx.save_model(
    model,
    folder / "external.onnx",
    save_as_external_data=True,
    location="external.bin",
    size_threshold=0,
)
save_file(truth, folder / "truth.safetensors")
