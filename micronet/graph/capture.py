"""From a torch module to the graph, by watching it run twice without data."""

import operator
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from traceback import walk_tb

import torch
from torch import nn

from micronet.errors import CaptureFailed
from micronet.graph.ir import Argument, Graph, Node, Ref
from micronet.graph.recording import Recording, record

aten = torch.ops.aten

_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)
"""What spreads a module over devices and leaves it the same."""

_NO_VALUES = (
    "While it is watched, nothing is computed: keep numbers in tensors, or read them ahead, in __init__. What the "
    "network does must not depend on the images."
)
_QUANTIZERS = (
    "Grids are read from torch.fake_quantize_per_tensor_affine(x, scale, zero_point, low, high) with numbers, and from "
    "a file exported as ONNX; or take the network without quantizers, and micronet.quantize puts it on grids."
)
_REMEDIES: Mapping[str, str] = {
    "fake_quant": _QUANTIZERS,
    "meta tensor": _NO_VALUES,
    "data-dependent": _NO_VALUES,
    "nonzero": "Places are picked by number, as in x.index_select(1, torch.tensor([2, 0])), not by truth values.",
    "is invalid for input of size": "Any number of images may come: take it from x.shape[0], or flatten from axis 1.",
    "eval() is not supported": "Capture the module that was exported, set to evaluation before.",
}
"""What an error of torch's says -> what would be right."""

_LONGEST = 240
"""Of torch's explanations, in characters; the exception behind ours has them whole."""

_BATCHES = (1, 3)
"""Whatever differs between these two runs depends on the batch size, and must be a multiple of it."""


def capture(module: nn.Module, input_shape: tuple[int, ...]) -> Graph:
    """Graph of `module` in evaluation mode, for float32 images (N, *input_shape) with N free.

    `module` may lie on any device, the meta device too: nothing is computed, so counting needs no memory for weights.
    In-place operations become their pure twins. A tensor that is no parameter and no buffer, an attribute or one that
    the forward makes of numbers, is a weight all the same, as the Constant of an exported file is; a single number is a
    literal. Raises CaptureFailed for control flow that depends on data, for anything but one tensor (N, ...) as the
    result, and where another batch size gives another network.

    torch.export finds the same graphs, but takes ten times as long, half a minute for a pruned PyramidNet 272: it
    reasons about symbolic sizes, and one size that is not known can be had by comparing two runs.
    """
    module = module.module if isinstance(module, _WRAPPERS) else module
    try:
        module.eval()
        one, many = (record(module, input_shape, batch) for batch in _BATCHES)
        return _compare(one, many, input_shape).live()
    except Exception as error:  # the module's own code raises whatever it likes
        what = f"could not capture {type(module).__name__} for a batch of {input_shape} images"
        layer = _layer_of(error, module)
        raise CaptureFailed(f"{what}{f', in layer {layer}' if layer else ''}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """What went wrong, in a line, and what would be right, where that can be told."""
    text = str(error).strip()
    reason = text.splitlines()[0].rstrip(".") if text else type(error).__name__
    if not isinstance(error, CaptureFailed):
        reason = textwrap.shorten(reason, _LONGEST, placeholder=" (...)")
    if any(frame.f_globals.get("__name__", "").startswith("torch.ao.") for frame, _ in walk_tb(error.__traceback__)):
        return f"{reason}. {_QUANTIZERS}"
    return f"{reason}. {next((remedy for sign, remedy in _REMEDIES.items() if sign in reason), '')}".rstrip()


def _layer_of(error: Exception, module: nn.Module) -> str:
    """Path of the innermost part of `module` that was running; empty for the whole."""
    paths = {id(part): path for path, part in module.named_modules()}
    running = [paths.get(id(frame.f_locals.get("self")), "") for frame, _ in walk_tb(error.__traceback__)]
    return next(filter(None, reversed(running)), "")


def _compare(one: Recording, many: Recording, input_shape: tuple[int, ...]) -> Graph:
    """The graph that both recordings are of."""
    if one.output is None or many.output is None or one.output not in {node.name for node in one.nodes}:
        raise CaptureFailed(
            "the network must return one tensor of logits (N, classes), and not what it is given. Return of several "
            "answers the one that classifies"
        )
    if [node.target for node in one.nodes] != [node.target for node in many.nodes] or one.output != many.output:
        raise CaptureFailed(
            f"batches of {_BATCHES[0]} and {_BATCHES[1]} images take different ways; one way must do for any number"
        )
    sizes = _Sizes(one.images)
    nodes = tuple(sizes.free(first, second) for first, second in zip(one.nodes, many.nodes, strict=True))
    if tuple(shape[:1] for shape in (one.output_shape, many.output_shape)) != tuple((n,) for n in _BATCHES):
        raise CaptureFailed(f"{_BATCHES[1]} images give a result of shape {many.output_shape}, not one row per image")
    for name, literal in one.literals.items():
        other = many.literals[name]
        if literal.shape != other.shape or not (literal.is_meta or torch.equal(literal, other)):
            raise CaptureFailed(f"a constant tensor, {name}, depends on the batch size")
    weights = {**one.weights, **one.literals}
    constant = _constants(nodes, {*weights, *(node.name for node in sizes.nodes)})
    if one.output in constant:
        raise CaptureFailed("its answer is the same for all images")
    for node in nodes:
        if node.target is aten.batch_norm.default and node.args[5] and not _is_of_weights(node, constant):
            raise CaptureFailed(f"{node.layer or node.name} takes its statistics from the batch, not from training")
    fixed = frozenset(name for name, literal in one.literals.items() if literal.numel() <= 1)
    return Graph(one.images, input_shape, (*sizes.nodes, *nodes), weights, one.output, literals=fixed)


def _constants(nodes: Sequence[Node], given: set[str]) -> set[str]:
    """Names of what no image changes: what is `given`, and what is made of it or of nothing."""
    known = set(given)
    for node in nodes:
        if all(ref.name in known for ref in node.refs()):
            known.add(node.name)
    return known


def _is_of_weights(norm: Node, constant: set[str]) -> bool:
    """Whether a batch norm standardizes weights, and keeps no statistics."""
    return norm.args[3:5] == (None, None) and all(ref.name in constant for ref in norm.refs())


class _Sizes:
    """Finds the numbers that are multiples of the batch size, and the nodes that compute them."""

    def __init__(self, images: str) -> None:
        self._images = images
        self._made: dict[int, Node] = {}

    @property
    def nodes(self) -> tuple[Node, ...]:
        return tuple(self._made.values())

    def free(self, one: Node, many: Node) -> Node:
        """The node that is `one` for one image and `many` for more."""
        kwargs: Mapping[str, Argument] = {
            key: self._free(argument, many.kwargs[key], one) for key, argument in one.kwargs.items()
        }
        args = tuple(self._free(first, second, one) for first, second in zip(one.args, many.args, strict=True))
        return replace(one, args=args, kwargs=kwargs)

    def _free(self, one: Argument, many: Argument, node: Node) -> Argument:
        if isinstance(one, tuple) and isinstance(many, tuple) and len(one) == len(many):
            return tuple(self._free(first, second, node) for first, second in zip(one, many, strict=True))
        if one == many:
            return one
        if type(one) is int and type(many) is int and one * _BATCHES[1] == many * _BATCHES[0]:
            return self._multiple(one // _BATCHES[0])
        raise CaptureFailed(
            f"{node.layer or node.name} has the argument {one} for {_BATCHES[0]} images and {many} for {_BATCHES[1]}"
        )

    def _multiple(self, factor: int) -> Ref:
        """`factor` times the batch size."""
        if 1 not in self._made:
            self._made[1] = Node(f"{self._images}.size", aten.sym_size.int, (Ref(self._images), 0))
        if factor not in self._made:
            name = f"{self._images}.size.{factor}"
            self._made[factor] = Node(name, operator.mul, (Ref(self._made[1].name), factor))
        return Ref(self._made[factor].name)
