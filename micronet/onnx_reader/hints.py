"""What to do about an operation that is not read: by its name, or by the domain it is of."""

from collections.abc import Mapping

from micronet.errors import OnnxForeignDomain, OnnxUnsupportedOperation
from micronet.shown import show, show_word

TRAINED = "export after model.eval()"
"""What to do about a node that is there for training."""

_QDQ = "write its quantization as QDQ: quantize_static(quant_format=QuantFormat.QDQ)"

_OPERATIONS: Mapping[str, str] = {
    "QLinearConv": _QDQ,
    "QLinearMatMul": _QDQ,
    "ConvInteger": f"it quantizes each image by itself; {_QDQ}",
    "MatMulInteger": f"it quantizes each image by itself; {_QDQ}",
    "DynamicQuantizeLinear": f"it quantizes each image by itself; {_QDQ}",
    "RandomUniformLike": TRAINED,
    "RandomNormalLike": TRAINED,
    "RandomUniform": TRAINED,
    "RandomNormal": TRAINED,
    "Bernoulli": TRAINED,
}

_DOMAINS: Mapping[str, str] = {
    "com.microsoft": "save the file without onnxruntime's optimizations, at most with ORT_ENABLE_BASIC",
    "com.microsoft.nchwc": "save the file without onnxruntime's optimizations, at most with ORT_ENABLE_BASIC",
}


def unread_operation(what: str, op: str) -> OnnxUnsupportedOperation:
    """The error of the node `what`, whose operation has no importer."""
    hint = _OPERATIONS.get(op)
    return OnnxUnsupportedOperation(f"{what}: the operation {show_word(op)} is not read{f'; {hint}' if hint else ''}.")


def foreign_operation(what: str, op: str, domain: str) -> OnnxForeignDomain:
    """The error of the node `what`, whose operation is none of ONNX's own."""
    hint = _DOMAINS.get(domain)
    if domain == "com.microsoft" and op.startswith("QLinear"):
        hint = _QDQ
    elif domain == "com.microsoft" and op in ("QuantizeLinear", "DequantizeLinear"):
        hint = "export at opset 21 or later, where ONNX's own take 4 and 16 bits, too"
    return OnnxForeignDomain(
        f"{what} is of the domain {show(domain)}; only ONNX's own operations are read{f': {hint}' if hint else ''}."
    )
