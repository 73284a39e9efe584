"""From ModelProto to Graph: every node through the table, then the checks of an image classifier's interface."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest

import torch
from onnx import ModelProto, NodeProto, ValueInfoProto

from micronet.errors import NumericalError, OnnxInterface, OnnxUnsupportedFeature
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.onnx_reader.builder import Builder
from micronet.onnx_reader.call import Call
from micronet.onnx_reader.checking import check_model, describe, opset_of
from micronet.onnx_reader.declared import declared_bits
from micronet.onnx_reader.hints import unread_operation
from micronet.onnx_reader.parameters import parameters_of
from micronet.onnx_reader.table import IMPORTERS
from micronet.onnx_reader.targets import TARGETS
from micronet.onnx_reader.tensors import FLOATS
from micronet.onnx_reader.values import BATCH, Known, Made, Quantized, Value, readable
from micronet.shown import show, show_some


@dataclass(frozen=True, slots=True)
class Imported:
    """What the nodes of a file say: a builder full of nodes and weights, the inputs, and the outputs in order."""

    build: Builder
    inputs: Mapping[str, Made]
    outputs: tuple[Known | Made, ...]


def import_graph(model: ModelProto) -> Graph:
    """The graph of an image classifier, float32, whatever the batch size.

    A file saved for a fixed batch size is read so that N is free. An image whose channels come last (3 or 1 of them) is
    brought into that order by a permutation, so that the graph's input is always (N, C, H, W).

    Raises OnnxInterface unless the file has one input (N, C, H, W) of floats and one output (N, classes), and the other
    errors of `OnnxError`, CorruptFile, FileTooLarge and NotFinite for what the file says inside, and NumericalError for
    a network saved for a fixed batch size that gives no numbers.
    """
    check_model(model)
    image = _image(model)
    if len(model.graph.output) != 1:
        raise OnnxInterface(f"The file has {len(model.graph.output)} outputs; one, of logits, is read.")
    sizes = _sizes(image)
    imported = import_nodes(model, {image.name: (BATCH, *sizes[1:])}, file_batch=sizes[0] or None)
    build, logits = imported.build, imported.outputs[0]
    if not isinstance(logits, Made) or len(logits.shape) != 2 or logits.shape[0] != BATCH:
        shape = "no function of the image" if not isinstance(logits, Made) else readable(logits.shape)
        raise OnnxInterface(f"Output {show(model.graph.output[0].name)} is {shape}; it must be (N, classes).")
    made = imported.inputs[image.name]
    graph = Graph(
        input=made.ref.name,
        input_shape=made.shape[1:],
        nodes=tuple(build.nodes),
        weights=build.weights.tensors,
        output=logits.ref.name,
        formats=build.weights.formats,
        literals=frozenset(build.weights.literals),
    )
    if build.guessed:
        _check_images_do_not_mix(graph)
    return graph.live()


def _check_images_do_not_mix(graph: Graph) -> None:
    """Where a file saved for a fixed batch size left open where N belongs: two images give what each gives alone.

    Of NaN nothing can be told. A network may give numbers only for what is not negative, so such images are tried, too.
    """
    generator = torch.Generator().manual_seed(0)
    for draw in (torch.randn, torch.rand):
        images = draw(2, *graph.input_shape, generator=generator)
        try:
            together, alone = interpret(graph, images), torch.cat([interpret(graph, image[None]) for image in images])
        except RuntimeError as error:
            raise OnnxUnsupportedFeature(_FIXED_BATCH) from error
        if not bool(torch.isfinite(alone).all()):
            continue
        if not torch.allclose(together, alone, rtol=1e-3, atol=1e-4):
            raise OnnxUnsupportedFeature(_FIXED_BATCH)
        return
    raise NumericalError(
        "The network gives NaN or infinity for random images. Check its weights, and whether the running statistics "
        "of batch norms are what training left."
    )


_FIXED_BATCH = (
    "The file was saved for a fixed batch size in a way that cannot be undone; export it with a free batch size."
)


def import_nodes(model: ModelProto, shapes: Mapping[str, tuple[int, ...]], file_batch: int | None) -> Imported:
    """The nodes of a checked model whose inputs have `shapes` (`BATCH` for N), with any number of inputs and outputs.

    An input of rank 4 whose first size is `BATCH` and whose channels come last is permuted, see `import_graph`.
    """
    initializers = {tensor.name: tensor for tensor in model.graph.initializer}
    build = Builder(initializers, file_batch)
    values: dict[str, Value | None] = dict(parameters_of(model))
    for name, bits in declared_bits(model).items():
        parameter = values[name]
        assert isinstance(parameter, Known)
        values[name] = replace(parameter, bits=bits)
    inputs: dict[str, Made] = {}
    for name, shape in shapes.items():
        inputs[name], values[name] = _input(build, name, shape)
    opset = opset_of(model)
    for index, node in enumerate(model.graph.node):
        _import_node(node, index, opset, values, build)
    return Imported(build, inputs, tuple(_output(output.name, values) for output in model.graph.output))


def _import_node(node: NodeProto, index: int, opset: int, values: dict[str, Value | None], build: Builder) -> None:
    """Read one node, and add what it makes to `values`: None for an output that is not read."""
    what = describe(node, index)
    importer = IMPORTERS.get(node.op_type)
    if importer is None:
        raise unread_operation(what, node.op_type)
    for name in filter(None, node.input):
        if values[name] is None:
            raise OnnxUnsupportedFeature(f"{what} uses {show(name)}, an additional output that is not read.")
    build.begin(what, tuple(name for name in node.output if name))
    call = Call(node, what, opset, [values[name] if name else None for name in node.input], build)
    try:
        made = importer(call)
    except (ArithmeticError, IndexError, ValueError) as error:  # numbers that no importer was prepared for
        raise OnnxUnsupportedFeature(f"{what} cannot be read with these operands: {show(str(error))}.") from error
    call.check_all_read()
    build.end(node.name.lstrip("/") or f"{node.op_type}_{index}")
    results = [made] if isinstance(made, Value) else list(made)
    for name, value in zip_longest(node.output, results[: len(node.output)]):
        if name:
            values[name] = value


def _output(name: str, values: Mapping[str, Value | None]) -> Known | Made:
    value = values[name]
    if value is None or isinstance(value, Quantized):
        raise OnnxUnsupportedFeature(f"Output {show(name)} is quantized, or an additional output that is not read.")
    return value


def _input(build: Builder, name: str, shape: tuple[int, ...]) -> tuple[Made, Made]:
    """The graph's input, and the value the file knows it as."""
    channels_last = len(shape) == 4 and shape[0] == BATCH and shape[1] not in (1, 3) and shape[3] in (1, 3)
    if not channels_last:
        image = build.add_input(name, shape)
        return image, image
    n, height, width, channels = shape
    image = build.add_input(name, (n, channels, height, width))
    build.begin(f"Input {show(name)}", (f"{name}_channels_last",))
    permuted = build.emit(TARGETS["permute"], image, (0, 2, 3, 1))
    assert isinstance(permuted, Made)
    build.end(f"{name}_channels_last")
    return image, permuted


def _image(model: ModelProto) -> ValueInfoProto:
    initializers = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in initializers]
    if len(inputs) != 1:
        raise OnnxInterface(f"The file has {len(inputs)} inputs besides its weights; one, the image, is read.")
    (image,) = inputs
    assert isinstance(image, ValueInfoProto)
    return image


def _sizes(image: ValueInfoProto) -> tuple[int, ...]:
    """Declared sizes of the image, 0 for an open batch. OnnxInterface unless they are (N, C, H, W) of floats."""
    kind = image.type.tensor_type
    if not image.type.HasField("tensor_type") or kind.elem_type not in FLOATS:
        raise OnnxInterface(f"Input {show(image.name)} is no tensor of floats.")
    sizes = tuple(max(size.dim_value, 0) for size in kind.shape.dim)
    if len(sizes) != 4 or not all(sizes[1:]):
        raise OnnxInterface(
            f"Input {show(image.name)} has sizes ({show_some(sizes)}); (N, C, H, W) with all but N fixed is read."
        )
    return sizes
