"""Block: a layer as pruning sees it, one node or a core between rotations, told by the names of its layers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

import torch

from micronet.analysis.dot_products import DOT_PRODUCTS, constant_factor
from micronet.analysis.shapes import constants
from micronet.graph.ir import Argument, Graph, Node, Ref
from micronet.graph.names import Names

aten = torch.ops.aten

PartName = Literal["rotation_in", "core", "rotation_out"]
ROTATION_IN: Final = "rotation_in"
CORE: Final = "core"
ROTATION_OUT: Final = "rotation_out"
"""Last parts of the names of a rewritten layer's nodes: they are all that says so, in a graph and in an ONNX file."""


@dataclass(frozen=True, slots=True)
class Block:
    """A convolution or linear layer `name`, or what became of one: nodes in a row that nothing else reads from."""

    name: str
    core: Node
    rotation_in: Node | None = None
    rotation_out: Node | None = None

    @property
    def nodes(self) -> tuple[Node, ...]:
        """In the order of computation."""
        return tuple(node for node in (self.rotation_in, self.core, self.rotation_out) if node is not None)

    @property
    def is_convolution(self) -> bool:
        """Or else a linear layer."""
        return self.core.target is aten.conv2d.default

    @property
    def stride(self) -> tuple[int, int]:
        """Of a convolution's core."""
        return _pair(self.core, 3, 1)

    @property
    def padding(self) -> tuple[int, int]:
        """Of a convolution's core; zeros."""
        return _pair(self.core, 4, 0)

    @property
    def dilation(self) -> tuple[int, int]:
        """Of a convolution's core."""
        return _pair(self.core, 5, 1)


def find_blocks(graph: Graph) -> tuple[tuple[Block, ...], tuple[str, ...]]:
    """Every layer that can be pruned, in order, and the names of the dot-product layers that cannot.

    Those are grouped and depthwise convolutions, layers of quantized weights, of weights that another layer reads too,
    and products with constant matrices that are not written as a layer.
    """
    users, names, fixed = graph.users(), Names(()), constants(graph)
    free = {node.name: node for node in graph.nodes if _can_be_pruned(graph, node, users)}
    around = [_around(graph, node, free, users) for node in free.values() if _part(node) == CORE]
    inside = {node.name for block in around for node in block.nodes}
    blocks = {block.core.name: block for block in around}
    blocks.update({node.name: Block(_path(node), node) for node in free.values() if node.name not in inside})
    in_order = [blocks[node.name] for node in graph.nodes if node.name in blocks]
    alone = [_path(node) for node in graph.nodes if node.name not in free and _is_layer(node, fixed)]
    found = tuple(replace(block, name=names.new(block.name, ".")) for block in in_order)
    return found, tuple(dict.fromkeys(alone))


def last_blocks(graph: Graph, blocks: Iterable[Block]) -> frozenset[str]:
    """Names of the blocks that give the answers: no other dot product of images lies between them and the output."""
    makers, fixed = graph.by_name(), constants(graph)
    waiting, last = [graph.output], set[str]()
    seen = set(waiting)
    while waiting:
        node = makers.get(waiting.pop())
        if node is None:
            continue
        if _is_layer(node, fixed):
            last.add(node.name)
            continue
        before = {ref.name for ref in node.refs()} - seen
        waiting.extend(before)
        seen |= before
    return frozenset(block.name for block in blocks if block.nodes[-1].name in last)


def _is_layer(node: Node, fixed: frozenset[str]) -> bool:
    """Whether a node is a dot product of images with constants."""
    if node.target is aten.conv2d.padding:
        return True
    return node.target in DOT_PRODUCTS and node.name not in fixed and constant_factor(node, fixed) is not None


def _around(graph: Graph, core: Node, free: Mapping[str, Node], users: Mapping[str, list[Node]]) -> Block:
    """The block of `core`, with the rotations beside it that its name says are there."""
    name = _path(core).removesuffix(f".{CORE}")
    source = core.args[0]
    before = free.get(source.name) if isinstance(source, Ref) and source.name != graph.output else None
    readers = users.get(core.name, [])
    after = free.get(readers[0].name) if len(readers) == 1 and core.name != graph.output else None
    if before is not None and not (
        _is_rotation(graph, before, core, f"{name}.{ROTATION_IN}") and len(users[before.name]) == 1
    ):
        before = None
    if after is not None and not _is_rotation(graph, after, core, f"{name}.{ROTATION_OUT}"):
        after = None
    alone = before is None and after is None  # a layer that somebody called so
    return Block(_path(core) if alone else name, core, before, after)


def _is_rotation(graph: Graph, node: Node, core: Node, path: str) -> bool:
    weight = node.args[1]
    assert isinstance(weight, Ref)
    if node.target is not core.target or node.layer != path:
        return False
    if node.target is aten.linear.default:
        return True
    plain = (_pair(node, 3, 1), _pair(node, 4, 0)) == ((1, 1), (0, 0))
    return plain and graph.weights[weight.name].shape[2:] == (1, 1)


def _can_be_pruned(graph: Graph, node: Node, users: Mapping[str, list[Node]]) -> bool:
    if node.target not in (aten.conv2d.default, aten.linear.default) or node.kwargs:
        return False
    x, weight, bias = (*node.args, None)[:3]
    own = [argument.name for argument in (weight, bias) if isinstance(argument, Ref)]
    if not isinstance(x, Ref) or not isinstance(weight, Ref) or x.name in graph.weights:
        return False
    if any(name not in graph.weights or name in graph.formats or name in graph.literals for name in own):
        return False
    if len(users[weight.name]) != 1 or graph.weights[weight.name].dim() < 2:
        return False
    return node.target is aten.linear.default or (len(node.args) < 7 or node.args[6] == 1)


def _path(node: Node) -> str:
    return node.layer or node.name


def _part(node: Node) -> str:
    return node.layer.rpartition(".")[2]


def _pair(node: Node, index: int, default: int) -> tuple[int, int]:
    argument: Argument = node.args[index] if len(node.args) > index else default
    pair = argument if isinstance(argument, tuple) else (argument,)
    first, last = pair[0], pair[-1]
    assert isinstance(first, int)
    assert isinstance(last, int)
    return first, last
