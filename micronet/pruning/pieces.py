"""The tensors of a block, free of the graph, and the graph with other tensors in its blocks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from micronet.graph.ir import Argument, Graph, Node, Ref
from micronet.graph.names import Names
from micronet.pruning.blocks import CORE, ROTATION_IN, ROTATION_OUT, Block, PartName

aten = torch.ops.aten


@dataclass(frozen=True, slots=True)
class Affine:
    """x -> weight x + bias. A rotation's weight is a matrix, a core's is (outputs, inputs, *kernel); float64."""

    weight: Tensor
    bias: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Pieces:
    """What a block computes: rotation_out(core(rotation_in(x))), with what is missing left out."""

    core: Affine
    rotation_in: Affine | None = None
    rotation_out: Affine | None = None

    @property
    def inputs(self) -> int:
        """Channels that come in."""
        return (self.core if self.rotation_in is None else self.rotation_in).weight.shape[1]

    @property
    def outputs(self) -> int:
        """Channels that go out."""
        return (self.core if self.rotation_out is None else self.rotation_out).weight.shape[0]

    def parts(self) -> Iterator[tuple[PartName, Affine]]:
        """The pieces there are, named, in the order of computation."""
        named: tuple[tuple[PartName, Affine | None], ...] = (
            (ROTATION_IN, self.rotation_in),
            (CORE, self.core),
            (ROTATION_OUT, self.rotation_out),
        )
        for name, part in named:
            if part is not None:
                yield name, part

    @property
    def form(self) -> tuple[PartName, ...]:
        """Their names."""
        return tuple(name for name, _ in self.parts())


def pieces_of(graph: Graph, block: Block) -> Pieces:
    """The block's tensors."""
    return Pieces(
        _affine(graph, block.core),
        None if block.rotation_in is None else _matrix(_affine(graph, block.rotation_in)),
        None if block.rotation_out is None else _matrix(_affine(graph, block.rotation_out)),
    )


def with_pieces(graph: Graph, changes: Mapping[str, Pieces], blocks: tuple[Block, ...]) -> Graph:
    """`graph` with other pieces in the blocks that `changes` names; the rest stays as it is.

    The last node of a block keeps its name, so that whatever reads it reads the new one.
    """
    changed = [block for block in blocks if block.name in changes]
    gone = {node.name for block in changed for node in block.nodes}
    dropped = {ref.name for block in changed for node in block.nodes for ref in (*node.refs(),)[1:]}
    read = {ref.name for node in graph.nodes if node.name not in gone for ref in node.refs()}
    kept = {name: weight for name, weight in graph.weights.items() if name not in dropped or name in read}
    names = Names((graph.input, *kept, *(node.name for node in graph.nodes)))
    tails = {block.nodes[-1].name: block for block in changed}
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.name in tails:
            block = tails[node.name]
            made, weights = _written(block, changes[block.name], names)
            nodes += made
            kept.update(weights)
        elif node.name not in gone:
            nodes.append(node)
    return replace(graph, nodes=tuple(nodes), weights=kept).live()


def _written(block: Block, pieces: Pieces, names: Names) -> tuple[list[Node], dict[str, Tensor]]:
    """Nodes and weights of `pieces`, in the block's place."""
    nodes, weights = [], dict[str, Tensor]()
    source, parts = block.nodes[0].args[0], list(pieces.parts())
    for index, (part, affine) in enumerate(parts):
        layer = block.name if len(parts) == 1 else f"{block.name}.{part}"
        tail = block.nodes[-1].name
        name = tail if index == len(parts) - 1 else names.new(f"{tail}.{part}", "_")
        weight = affine.weight
        if block.is_convolution and part != CORE:
            weight = weight.view(*weight.shape, 1, 1)
        weights[key := names.new(f"{layer}.weight", "_")] = weight.float().contiguous()
        bias: Argument = None
        if affine.bias is not None:
            weights[second := names.new(f"{layer}.bias", "_")] = affine.bias.float().contiguous()
            bias = Ref(second)
        nodes.append(Node(name, block.core.target, (source, Ref(key), bias, *_geometry(block, part)), layer=layer))
        source = Ref(name)
    return nodes, weights


def _geometry(block: Block, part: str) -> tuple[Argument, ...]:
    """Stride, padding, dilation, groups of a convolution."""
    if not block.is_convolution:
        return ()
    return (block.stride, block.padding, block.dilation, 1) if part == CORE else ((1, 1), (0, 0), (1, 1), 1)


def _affine(graph: Graph, node: Node) -> Affine:
    weight, bias = (*node.args, None)[1:3]
    assert isinstance(weight, Ref)
    return Affine(
        graph.weights[weight.name].double(), graph.weights[bias.name].double() if isinstance(bias, Ref) else None
    )


def _matrix(affine: Affine) -> Affine:
    return replace(affine, weight=affine.weight.flatten(1))
