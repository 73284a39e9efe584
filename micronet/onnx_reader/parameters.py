"""Which initializers training set, and which are constants that an exporter moved there."""

import re
from collections.abc import Callable

from onnx import ModelProto, TensorProto

from micronet.onnx_reader.tensors import to_torch
from micronet.onnx_reader.values import Known

_SIGNATURE = "pkg.torch.export.ExportedProgram.graph_signature"
_FOLDED_FROM = "pkg.onnxscript.optimizer.folded_from"
_TRAINED = re.compile(r": (?:PARAMETER|BUFFER) target='([^']*)'")
_MOVED = re.compile(r"(^|/)Constant(_\d+)?_output_\d+$")


def parameters_of(model: ModelProto) -> dict[str, Known]:
    """The initializers by name. One that no training set is what a Constant node with its value would be.

    `torch.onnx.export(dynamo=True)` puts every constant among the initializers, and notes in the graph's metadata which
    are the module's own and what others were computed from. Optimizers move the constants of the older exporter there
    under the names their nodes had. In any other file an initializer is a parameter.
    """
    trained = _trained(model)
    return {tensor.name: _read(tensor, trained(tensor.name)) for tensor in model.graph.initializer}


def _read(tensor: TensorProto, trained: bool) -> Known:
    values = to_torch(tensor)
    counted = trained or values.numel() > 1
    return Known(values, tensor.name, counted, kind=tensor.data_type, trained=trained)


def _trained(model: ModelProto) -> Callable[[str], bool]:
    """Whether training set the initializer of this name, or one it was computed from."""
    signature = next((entry.value for entry in model.graph.metadata_props if entry.key == _SIGNATURE), None)
    if signature is None:
        return lambda name: _MOVED.search(name) is None
    own = set(_TRAINED.findall(signature))
    sources = {
        value.name: set(re.findall(r"'([^']*)'", entry.value))
        for value in model.graph.value_info
        for entry in value.metadata_props
        if entry.key == _FOLDED_FROM
    }
    return lambda name: name in own or not own.isdisjoint(sources.get(name, ()))
