"""From Graph to ModelProto: every node through the table, then the checker of ONNX itself."""

from collections.abc import Sequence
from pathlib import Path

from onnx import ModelProto, TensorProto, ValueInfoProto, checker, helper, shape_inference

from micronet.analysis.widths import is_size
from micronet.errors import NotWritable
from micronet.graph.ir import Graph, Node
from micronet.onnx_reader.declared import KEY
from micronet.onnx_reader.loading import MAX_BYTES
from micronet.onnx_writer.call import Call
from micronet.onnx_writer.draft import Draft, Value
from micronet.onnx_writer.table import WRITERS
from micronet.version import version

OPSET = 21
"""Version of ONNX's operations that files are written for: the first whose quantizers make 16-bit integers."""
IR = 10
"""Version of the file format that goes with it."""


def write_graph(graph: Graph, path: Path) -> None:
    """Write `graph` to the file at `path`. Raises NotWritable, as `to_model` does."""
    path.write_bytes(encode(graph))


def encode(graph: Graph) -> bytes:
    """The bytes of the file; the same graph gives the same bytes."""
    data: bytes = to_model(graph).SerializeToString(deterministic=True)
    return data


def to_model(graph: Graph) -> ModelProto:
    """`graph` as an ONNX model with a free batch, checked, that reading gives back: values, counts, widths, names.

    Raises NotWritable for what standard ONNX cannot say, or cannot say at the same cost.
    """
    graph = graph.live()
    size = sum(weight.numel() * weight.element_size() for weight in graph.weights.values())
    if size > MAX_BYTES:
        raise NotWritable(f"the weights take {size:,} bytes; files of at most {MAX_BYTES:,} are read again.")
    draft = Draft(graph)
    for node in graph.nodes:
        if not is_size(node):
            draft.begin()
            draft.end(node.name, node.path, _write(node, draft))
    model = _assembled(draft)
    _check(model)
    return model


def _check(model: ModelProto) -> None:
    """Raise NotWritable for what ONNX's own checker refuses."""
    try:
        checker.check_model(model, full_check=True)
    except (checker.ValidationError, shape_inference.InferenceError) as error:
        reason = " ".join(str(error).split())
        raise NotWritable(
            f"standard ONNX refuses it: {reason}. Where types differ, convert operands to one: .float(), .long()."
        ) from error


def _write(node: Node, draft: Draft) -> Value:
    writer = WRITERS.get(node.target)
    if writer is None:
        raise NotWritable(
            f"{node.path}: {node.target} has no row in the table of what is written as ONNX. "
            "Express it with operations that have one (micronet/onnx_writer lists them)."
        )
    return writer(Call(node, draft))


def _assembled(draft: Draft) -> ModelProto:
    graph = draft.graph
    logits = draft.value(graph.output)
    if logits not in {name for node in draft.nodes for name in node.output}:
        raise NotWritable("the network gives back what it is given.")
    made = helper.make_graph(
        draft.nodes,
        "micronet",
        [_tensor(graph.input, (None, *graph.input_shape))],
        [_tensor(logits, draft.sizes(graph.output))],
        draft.initializers,
    )
    model = helper.make_model(
        made,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR,
        producer_name="micronet",
        producer_version=version(),
    )
    helper.set_model_props(model, {f"{KEY}{name}": str(bits) for name, bits in draft.declared.items()})
    return model


def _tensor(name: str, sizes: Sequence[int | None]) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N" if size is None else size for size in sizes])
