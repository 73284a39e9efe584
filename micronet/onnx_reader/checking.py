"""What a parsed model must be before anything of it is read: one table of checks, cheapest first."""

from collections import Counter
from collections.abc import Callable, Iterator

from onnx import AttributeProto, ModelProto, NodeProto, TensorProto

from micronet.errors import (
    CorruptFile,
    FileTooLarge,
    OnnxUnsupportedFeature,
    OnnxUnsupportedVersion,
)
from micronet.onnx_reader.hints import foreign_operation, unread_operation
from micronet.onnx_reader.table import IMPORTERS
from micronet.onnx_reader.tensors import check_finite, check_tensor
from micronet.shown import show, show_word

MIN_OPSET, MAX_OPSET = 7, 28
"""Versions of ONNX's own operations that the importers follow. Version 7 brought the broadcasting of today."""

MIN_IR, MAX_IR = 3, 14
"""Versions of the file format; version 3 brought opset imports."""

MAX_NODES = 100_000
"""Largest number of nodes, initializers, inputs and outputs together."""

MAX_NAME = 1_024
"""Most characters of a name: of a node, its operation, its attributes, a value or a tensor."""

_OWN_DOMAINS = ("", "ai.onnx")

_GRAPH_ATTRIBUTES = (AttributeProto.GRAPH, AttributeProto.GRAPHS)


def check_model(model: ModelProto) -> None:
    """Raise the first error of `CHECKS`; nothing is executed, and no memory spent on what is declared."""
    for check in CHECKS:
        check(model)


def opset_of(model: ModelProto) -> int:
    """Version of ONNX's own operations. CorruptFile if none or several are named."""
    versions = {entry.version for entry in model.opset_import if entry.domain in _OWN_DOMAINS}
    if len(versions) != 1:
        raise CorruptFile(f"The file names {len(versions)} versions of the ONNX operations; exactly one is right.")
    return int(versions.pop())


def describe(node: NodeProto, index: int) -> str:
    """How errors name a node."""
    return f"{show_word(node.op_type)} node {show(node.name or index)}"


def _check_graph(model: ModelProto) -> None:
    if not model.HasField("graph") or not (model.graph.node or model.graph.output):
        raise CorruptFile("The file holds no graph.")
    graph = model.graph
    parts = len(graph.node) + len(graph.initializer) + len(graph.input) + len(graph.output)
    if parts > MAX_NODES:
        raise FileTooLarge(f"The graph has {parts:,} nodes and values; at most {MAX_NODES:,} are read.")


def _check_lengths(model: ModelProto) -> None:
    longest = max(_names(model), key=len, default="")
    if len(longest) > MAX_NAME:
        raise FileTooLarge(
            f"The name {show(longest)} has {len(longest):,} characters; at most {MAX_NAME:,} are read. Shorten it."
        )


def _names(model: ModelProto) -> Iterator[str]:
    """Every name that is read, before anything of it is repeated."""
    graph = model.graph
    for value in (*graph.initializer, *graph.input, *graph.output):
        yield value.name
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)


def _check_version(model: ModelProto) -> None:
    if not MIN_IR <= model.ir_version <= MAX_IR:
        raise OnnxUnsupportedVersion(f"IR version {model.ir_version}; {MIN_IR} to {MAX_IR} are read.")
    opset = opset_of(model)
    if not MIN_OPSET <= opset <= MAX_OPSET:
        raise OnnxUnsupportedVersion(f"Opset {opset}; {MIN_OPSET} to {MAX_OPSET} are read.")


def _check_features(model: ModelProto) -> None:
    if model.functions:
        raise OnnxUnsupportedFeature("The file defines functions of its own; export it with them inlined.")
    if model.training_info:
        raise OnnxUnsupportedFeature("The file holds training information; export it for inference.")
    if model.graph.sparse_initializer:
        raise OnnxUnsupportedFeature("The file holds sparse initializers; store them densely.")
    for value in (*model.graph.input, *model.graph.output):
        if value.type.WhichOneof("value") not in ("tensor_type", None):
            raise OnnxUnsupportedFeature(f"{show(value.name)} is a sequence, map or optional; only tensors are read.")


def _check_nodes(model: ModelProto) -> None:
    for index, node in enumerate(model.graph.node):
        what = describe(node, index)
        if node.domain not in _OWN_DOMAINS:
            raise foreign_operation(what, node.op_type, node.domain)
        for attribute in node.attribute:
            if attribute.type in _GRAPH_ATTRIBUTES or attribute.HasField("g") or attribute.graphs:
                raise OnnxUnsupportedFeature(f"{what} has a graph inside it; control flow is not read.")
            if attribute.ref_attr_name:
                raise OnnxUnsupportedFeature(f"{what} refers to an attribute of a function.")
        twice = [name for name, count in Counter(a.name for a in node.attribute).items() if count > 1]
        if twice:
            raise CorruptFile(f"{what} has the attribute {show(twice[0])} twice.")
        if node.op_type not in IMPORTERS:
            raise unread_operation(what, node.op_type)


def _check_tensors(model: ModelProto) -> None:
    for tensor in _tensors(model):
        check_tensor(tensor)


def _check_finite(model: ModelProto) -> None:
    for tensor in model.graph.initializer:
        check_finite(tensor)


def _check_names(model: ModelProto) -> None:
    """Every value is made once, and before it is read; this rules out cycles as well."""
    initializers = [tensor.name for tensor in model.graph.initializer]
    inputs = [value.name for value in model.graph.input]
    defined = {*initializers, *inputs}
    if "" in defined or len(set(initializers)) != len(initializers) or len(set(inputs)) != len(inputs):
        raise CorruptFile("Two inputs or two initializers have one name, or one has none.")
    for index, node in enumerate(model.graph.node):
        what = describe(node, index)
        for name in node.input:
            if name and name not in defined:
                raise CorruptFile(f"{what} reads {show(name)}, which nothing before it makes.")
        for name in node.output:
            if name and name in defined:
                raise CorruptFile(f"{what} makes {show(name)}, which there is already.")
            defined.add(name)
    for output in model.graph.output:
        if output.name not in defined:
            raise CorruptFile(f"Output {show(output.name)} is made by no node.")


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Every tensor of the file, those in attributes included."""
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
                raise OnnxUnsupportedFeature(f"Node {show(node.name)} holds a sparse tensor.")


CHECKS: tuple[Callable[[ModelProto], None], ...] = (
    _check_graph,
    _check_lengths,
    _check_version,
    _check_features,
    _check_nodes,
    _check_tensors,
    _check_names,
    _check_finite,
)
"""In this order, so that what is cheap or dangerous comes first."""
