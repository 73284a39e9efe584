"""Counts: everything a score is made of, layer by layer, before any policy weighs it."""

from collections.abc import Mapping
from dataclasses import dataclass

from micronet.analysis.accumulators import accumulator_bits
from micronet.analysis.dot_products import DOT_PRODUCTS, dot_products
from micronet.analysis.operations import Call, Operations
from micronet.analysis.parameters import Parameter, parameters
from micronet.analysis.permutations import permutation_of
from micronet.analysis.rules import operation_name, rule_of
from micronet.analysis.shapes import Shapes, constants, shapes
from micronet.analysis.transient import transient_bytes
from micronet.analysis.widths import FULL_WIDTH, QUANTIZERS, quantizes, widths
from micronet.graph.ir import Graph, Node


@dataclass(frozen=True, slots=True)
class LayerCounts:
    """One node's part.

    name, op, shape      what a person knows it by; shape of its result for one image, the batch left out
    operations           exact counts
    parameters           tensors stored for it, each tensor of the network with exactly one layer
    weight_bits          of its weights; None where it has none
    activation_bits      of the widest value it reads
    binary               whether its weights are -1 and +1, times values that are not quantized (one sign bit decides)
    exponents            fixed-point exponents its weights share; 1 for each dot-product layer that is not quantized too
    additions_by_filter  additions of each filter's dot products, and
    accumulator_bits     the proven width of each; both None where there is no proof
    """

    name: str
    op: str
    shape: tuple[int, ...]
    operations: Operations
    parameters: tuple[Parameter, ...]
    weight_bits: int | None
    activation_bits: int
    binary: bool = False
    exponents: int = 0
    additions_by_filter: tuple[int, ...] | None = None
    accumulator_bits: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """A whole network's layers, whether anything in it is quantized, and its MTAS in bytes."""

    layers: tuple[LayerCounts, ...]
    quantized: bool
    mtas_bytes: int


def count(graph: Graph) -> Counts:
    """Count `graph` for one image; what does not reach the output, and what is constant, costs nothing.

    Raises UnknownOperation for an operation without a row. No data is run.
    """
    graph = graph.live()
    known = shapes(graph)
    bits = widths(graph)
    layers = _Layers(graph, known, bits).layers()
    return Counts(layers, quantizes(graph), transient_bytes(graph, known, bits))


class _Layers:
    """Builds the layers of one graph from its facts."""

    def __init__(self, graph: Graph, known: Shapes, bits: Mapping[str, int]) -> None:
        self._graph, self._shapes, self._bits = graph, known, bits
        self._constants = constants(graph)
        self._parameters = parameters(graph)
        self._proofs = accumulator_bits(graph, known)
        self._names: set[str] = set()

    def layers(self) -> tuple[LayerCounts, ...]:
        return tuple(layer for node in self._graph.nodes if (layer := self._layer(node)) is not None)

    def _layer(self, node: Node) -> LayerCounts | None:
        """The node's layer, or None where it neither computes nor stores anything."""
        rule = rule_of(node.target, node.layer or node.name) if node.name not in self._constants else None
        call = Call(self._graph, self._shapes, node)
        operations = rule(call) if rule is not None else Operations()
        stored = self._parameters.get(node.name, ())
        permutation = permutation_of(call)
        if permutation is not None:
            operations, stored = permutation.operations, (*stored, permutation.parameter)
        if operations == Operations() and not stored:
            return None
        weights = [p.bits for p in stored if p.elements]
        weight_bits = max(weights, default=None) if node.target in QUANTIZERS else self._weight_bits(node, weights)
        by_filter, proven = self._proof(node, call)
        return LayerCounts(
            name=self._name(node),
            op="permutation" if permutation is not None else operation_name(node.target),
            shape=self._shapes[node.name][1:],
            operations=operations,
            parameters=stored,
            weight_bits=weight_bits,
            activation_bits=self._activation_bits(node),
            binary=weight_bits == 1 and self._activation_bits(node) == FULL_WIDTH,
            exponents=self._exponents(node),
            additions_by_filter=by_filter,
            accumulator_bits=proven,
        )

    def _weight_bits(self, node: Node, stored: list[int]) -> int | None:
        """Width of the widest weight the node multiplies with; a bias only adds."""
        if node.target in DOT_PRODUCTS:
            stored = [self._bits[ref.name] for ref in list(node.refs())[1:2] if ref.name in self._graph.weights]
        return max(stored, default=None)

    def _activation_bits(self, node: Node) -> int:
        return max((self._bits[ref.name] for ref in node.refs() if ref.name not in self._constants), default=FULL_WIDTH)

    def _exponents(self, node: Node) -> int:
        """One per convolution or fully connected layer, or one per filter where filters have their own."""
        if node.target not in DOT_PRODUCTS:
            return 0
        weight = list(node.refs())[1].name
        grid = self._graph.formats.get(weight)
        return 1 if grid is None else len(grid.steps)

    def _proof(self, node: Node, call: Call) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None]:
        products = dot_products(call) if node.name in self._proofs else None
        if products is None:
            return None, None
        return tuple(products.additions_per_filter()), tuple(self._proofs[node.name])

    def _name(self, node: Node) -> str:
        """The layer's path, told apart by the operation where several nodes share it."""
        name = node.layer or node.name
        if name in self._names:
            name = f"{name}.{operation_name(node.target)}"
        unique, number = name, 2
        while unique in self._names:
            unique, number = f"{name}.{number}", number + 1
        self._names.add(unique)
        return unique
