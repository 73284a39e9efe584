"""What no image changes is computed once, here, and becomes a weight."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor
from torch._ops import OpOverload

from micronet.analysis.shapes import tensor_refs
from micronet.analysis.widths import quantizes
from micronet.errors import FINITE_MASK, NotFinite, UnknownOperation
from micronet.graph.ir import Graph, Node
from micronet.transformation.constant_grids import MOVES, Constant, constant, enlarges, on
from micronet.transformation.tied_weights import merge_repeats, tie_transposed


def fold_constants(graph: Graph) -> Graph:
    """The same function, with every node that reads only weights, or nothing, replaced by its result.

    Arithmetic on constants is free (SCORING section 3), and a folded weight is stored in place of what it came from,
    also where that had fewer elements (factors, a codebook): what the layers multiply by is what is counted, rounded
    and stored. What is computed twice in one way is one weight, and a matrix that is read transposed, too, is one. A
    result made of literals only, or of nothing, is a literal where it holds one number however often, or indices; other
    tables (of sines, of places as floats) are stored, as they are in a file.

    A quantizer's result on a weight is a quantized weight, and so is what is moved about of one, or computed of one and
    still on its grid: see `constant`. What is on no grid after arithmetic is 32 bits wide (SCORING section 2), whatever
    it was computed of. A quantized weight moved so that no axis has a step for each index any more, or to more places
    than it has elements (a codebook), is stored as it was, and the node that moves it stays.

    Raises UnknownOperation for numbers drawn at random: drawn once, they would be weights that nobody stores; and where
    arithmetic on a quantized weight would have to be looked at, and it has no values. Raises NotFinite where a result
    that is stored holds NaN or infinity.
    """
    graph = tie_transposed(merge_repeats(graph))
    folded, folding = _folded(graph, staying=frozenset())
    mixed = folding.mixed & folded.by_name().keys()
    if mixed:  # is stored as it was, and what moves its parts stays, also where these have steps of their own
        folded, _ = _folded(graph, staying=mixed)
    _check_finite(folded, given=graph)
    return folded


def lost_grids(graph: Graph) -> tuple[str, ...]:
    """Paths of the nodes that, where `graph` is folded, compute a weight of quantized ones that is on no grid itself.

    Raises what `fold_constants` raises.
    """
    if not quantizes(graph):
        return ()
    folded, folding = _folded(tie_transposed(merge_repeats(graph)), staying=frozenset())
    return tuple(path for name, path in folding.off_grid.items() if name in folded.weights)


def _folded(graph: Graph, staying: frozenset[str]) -> tuple[Graph, "_Folding"]:
    """The graph without the nodes that are folded, and what was found on the way."""
    folding = _Folding(graph, staying)
    with torch.no_grad():
        for node in graph.nodes:
            folding.take(node)
    return folding.graph(), folding


class _Folding:
    """Takes the nodes of a graph in order, and keeps those that are not folded.

    mixed      nodes that stay, as after them no axis has a step for each index any more
    off_grid   paths of the nodes that computed weights of quantized ones, and on no grid, by the names of these
    """

    def __init__(self, graph: Graph, staying: frozenset[str]) -> None:
        self.mixed, self.off_grid = frozenset[str](), dict[str, str]()
        self._given, self._staying = graph, set(staying)
        self._nodes: list[Node] = []
        self._weights, self._formats, self._literals = dict(graph.weights), dict(graph.formats), set(graph.literals)
        self._constants = {name: Constant(weight) for name, weight in graph.weights.items()}
        for name, grid in graph.formats.items():
            self._constants[name] = on(graph.weights[name], grid)

    def take(self, node: Node) -> None:
        """Fold a node, or keep it."""
        names = tensor_refs(node)
        if any(name not in self._constants for name in names):
            self._nodes.append(node)
            return
        _check_no_chance(node)
        known = {name: self._constants[name] for name in names}
        made = self._constants[node.name] = constant(node, known)
        if node.target in MOVES and made.quantized and self._stays(node, made, known):
            self._nodes.append(node)
            return
        self._hold(node, made)
        if self._literals.issuperset(names) and _takes_no_memory(made.value):
            self._literals.add(node.name)

    def _stays(self, node: Node, made: Constant, known: Mapping[str, Constant]) -> bool:
        """Whether what a node moves is to be stored as it was: it would become more, or have no grid."""
        if enlarges(made, known) or self._staying.intersection((node.name, *known)):
            self._staying.add(node.name)
            return True
        if all(steps.grid() is not None for steps in made.steps):
            return False
        self.mixed |= {node.name}
        return True

    def _hold(self, node: Node, made: Constant) -> None:
        if not isinstance(made.value, Tensor):
            return
        self._weights[node.name] = made.value
        if made.quantized:
            assert made.grid is not None
            self._formats[node.name] = made.grid
        elif made.steps:
            self.off_grid[node.name] = node.path

    def graph(self) -> Graph:
        """The folded graph. Raises UnknownOperation for a weight of which nobody can tell whether it is on a grid."""
        folded = replace(
            self._given,
            nodes=tuple(self._nodes),
            weights=self._weights,
            formats=self._formats,
            literals=frozenset(self._literals),
        ).live()
        for name in (name for name in self.off_grid if name in folded.weights and folded.weights[name].is_meta):
            raise UnknownOperation(
                f"{self.off_grid[name]} computes with a quantized weight, and only the values would tell whether the "
                "result is still on its grid. Count the network with its values, not on the meta device."
            )
        return folded


def _check_finite(folded: Graph, given: Graph) -> None:
    """Of what was computed; what was given has been checked where it was read."""
    paths = {node.name: node.path for node in given.nodes}
    for name in folded.weights.keys() - given.weights.keys() - folded.literals:
        weight = folded.weights[name]
        if weight.is_floating_point() and not weight.is_meta and not bool(weight.isfinite().all()):
            raise NotFinite(f"what {paths[name]} computes of constants holds NaN or infinity. {FINITE_MASK}")


def _takes_no_memory(value: object) -> bool:
    """Whether there is one number, however often, or none, or places, which arithmetic makes again."""
    if not isinstance(value, Tensor) or not value.is_floating_point() or value.numel() <= 1:
        return True
    return not value.is_meta and bool((value == value.reshape(-1)[0]).all())


def _check_no_chance(node: Node) -> None:
    if isinstance(node.target, OpOverload) and torch.Tag.nondeterministic_seeded in node.target.tags:
        raise UnknownOperation(
            f"{node.path} draws random numbers ({node.target}), and a score must repeat. Store what it draws."
        )
