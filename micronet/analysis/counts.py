"""Counts: everything a score is made of, layer by layer, before any policy weighs it."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from micronet.analysis.accumulators import accumulator_bits
from micronet.analysis.codebooks import codes_of
from micronet.analysis.dot_products import DOT_PRODUCTS, constant_factor, dot_products
from micronet.analysis.formulas import FREE, conversion
from micronet.analysis.numbers import number_bits, operand_numbers, tensor_bits
from micronet.analysis.operations import Call, Operations
from micronet.analysis.parameters import Parameter, batch_norm_grids, parameters
from micronet.analysis.permutations import permutation_of
from micronet.analysis.rules import RULES, operation_name, rule_of
from micronet.analysis.shapes import Shapes, constants, first_ref, shapes
from micronet.analysis.transient import transient_bytes
from micronet.analysis.widths import FULL_WIDTH, QUANTIZERS, quantizes, widths
from micronet.graph.ir import Graph, Node

aten = torch.ops.aten


@dataclass(frozen=True, slots=True)
class LayerCounts:
    """One node's part.

    name, op, shape      what a person knows it by; shape of its result for one image, the batch left out; () where it
                         has several
    operations           exact counts
    parameters           tensors stored for it, each tensor of the network with exactly one layer; the exponent of its
                         result's fixed-point grid included
    weight_bits          of the widest constant it computes with: a weight (a layer's bias aside), or a number that the
                         operation has in itself, such as a factor or the end of a clip; None where there is none
    activation_bits      of the widest value it reads
    binary               whether its weights are -1 and +1, times values that are not quantized (one sign bit decides)
    exponents            fixed-point exponents its weights share; 1 for a dot-product layer that is not quantized, too
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


def layer_names(graph: Graph) -> dict[str, str]:
    """Names of the layers that `count` finds, by the name of their node. Raises UnknownOperation."""
    graph = graph.live()
    return {node: layer.name for node, layer in _Layers(graph, shapes(graph), widths(graph)).by_node().items()}


class _Layers:
    """Builds the layers of one graph from its facts."""

    def __init__(self, graph: Graph, known: Shapes, bits: Mapping[str, int]) -> None:
        self._graph, self._shapes, self._bits = graph, known, bits
        self._makers = graph.by_name()
        self._constants = constants(graph)
        self._parameters = parameters(graph)
        self._proofs = accumulator_bits(graph, known)
        self._grids = self._grids_of_results()
        self._names: set[str] = set()

    def layers(self) -> tuple[LayerCounts, ...]:
        return tuple(self.by_node().values())

    def by_node(self) -> dict[str, LayerCounts]:
        return {node.name: layer for node in self._graph.nodes if (layer := self._layer(node)) is not None}

    def _layer(self, node: Node) -> LayerCounts | None:
        """The node's layer, or None where it neither computes nor stores anything."""
        constant = node.name in self._constants
        call = Call(self._graph, self._shapes, node)
        rule = FREE if constant else rule_of(node.target, node.path)
        operations = rule(call) if call.outputs else Operations()  # a result of no elements costs nothing
        codes = codes_of(call) if constant else ()
        stored = (*self._parameters.get(node.name, ()), *self._grids.get(node.name, ()), *codes)
        permutation = None if constant else permutation_of(call)
        if permutation is not None:
            operations, stored = permutation.operations, (permutation.parameter,)
        if operations == Operations() and (not stored or self._is_way_to_store(node)):
            return None
        by_filter, proven = self._proof(node, call)
        return LayerCounts(
            name=self._name(node),
            op="permutation" if permutation is not None else operation_name(node.target),
            shape=self._shapes.of.get(node.name, ())[0 if constant else 1 :],  # several results have no one shape
            operations=operations,
            parameters=stored,
            weight_bits=self._weight_bits(node),
            activation_bits=self._activation_bits(node),
            binary=self._is_binary(node),
            exponents=self._exponents(node),
            additions_by_filter=by_filter,
            accumulator_bits=proven,
        )

    def _grids_of_results(self) -> dict[str, tuple[Parameter, ...]]:
        """What is stored for the grid of a layer's result, by the node that computes the result."""
        grids: dict[str, tuple[Parameter, ...]] = {}
        for node in self._graph.nodes:
            if self._is_way_to_store(node):  # a result may be read on several grids, and each has an exponent
                maker = first_ref(node)
                grids[maker] = (*grids.get(maker, ()), *self._parameters.get(node.name, ()))
        return grids

    def _is_way_to_store(self, node: Node) -> bool:
        """Whether the node is a fixed-point quantizer of what a layer computes: part of that layer, and no row."""
        if node.target not in QUANTIZERS or node.name in self._constants:
            return False
        maker = self._makers.get(first_ref(node))
        computes = maker is not None and maker.target not in QUANTIZERS and RULES.get(maker.target) is not FREE
        return computes and conversion(Call(self._graph, self._shapes, node)) == Operations()

    def _operands(self, node: Node) -> list[str]:
        """Constants the node computes with; of a dot product its factor, for a bias only adds."""
        if node.target in DOT_PRODUCTS:
            factor = constant_factor(node, self._constants)
            return [] if factor is None else [factor]
        return [ref.name for ref in node.refs() if ref.name in self._constants and self._bits[ref.name]]

    def _weight_bits(self, node: Node) -> int | None:
        if node.target is aten.batch_norm.default:
            grid, _ = batch_norm_grids(self._graph, node)
            return FULL_WIDTH if grid is None else grid.bits
        numbers = map(number_bits, operand_numbers(node))
        return max((*numbers, *map(self._constant_bits, self._operands(node))), default=None)

    def _constant_bits(self, name: str) -> int:
        """Of a weight its width; of a literal, on which nobody puts a grid, that of its numbers."""
        origin = name
        while (maker := self._makers.get(origin)) is not None and maker.target is aten.expand.default:
            origin = first_ref(maker)  # spread over as many places as there are images
        return tensor_bits(self._graph.weights[origin]) if origin in self._graph.literals else self._bits[name]

    def _activation_bits(self, node: Node) -> int:
        return max((self._bits[ref.name] for ref in node.refs() if ref.name not in self._constants), default=FULL_WIDTH)

    def _is_binary(self, node: Node) -> bool:
        """Whether every weight is -1 or +1, one bit each."""
        if self._weight_bits(node) != 1 or self._activation_bits(node) != FULL_WIDTH:
            return False
        weights = [self._graph.weights[name] for name in self._operands(node) if name in self._graph.weights]
        return bool(weights) and all(bool((weight.abs() == 1).all()) for weight in weights)

    def _exponents(self, node: Node) -> int:
        """One per convolution or fully connected layer, or one per filter where filters have their own."""
        factor = constant_factor(node, self._constants) if node.target in DOT_PRODUCTS else None
        if factor is None:
            return 0
        grid = self._graph.formats.get(factor)
        return 1 if grid is None else len(grid.steps)

    def _proof(self, node: Node, call: Call) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None]:
        products = dot_products(call) if node.name in self._proofs else None
        if products is None:
            return None, None
        return tuple(products.additions_per_filter()), tuple(self._proofs[node.name])

    def _name(self, node: Node) -> str:
        """The layer's path, told apart by the operation where several nodes share it."""
        name = node.path
        if name in self._names:
            name = f"{name}.{operation_name(node.target)}"
        unique, number = name, 2
        while unique in self._names:
            unique, number = f"{name}.{number}", number + 1
        self._names.add(unique)
        return unique
