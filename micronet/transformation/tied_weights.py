"""Constants that are one: computed twice in one way, or one matrix, read as it is and transposed."""

from collections.abc import Hashable, Mapping
from dataclasses import replace

import torch

from micronet.analysis.shapes import Shapes, constants, first_ref, shapes
from micronet.graph.ir import Graph, Node, Ref, Target
from micronet.graph.names import Names

aten = torch.ops.aten

_PRODUCTS: frozenset[Target] = frozenset({aten.linear.default, aten.matmul.default, aten.mm.default})
_TRANSPOSITIONS: frozenset[Target] = frozenset({aten.t.default, aten.transpose.int, aten.permute.default})


def merge_repeats(graph: Graph) -> Graph:
    """The same function, with what is computed of weights twice in one way computed once."""
    known, first, renamed = set(graph.weights), dict[Hashable, str](), dict[str, str]()
    for given in graph.nodes:
        node = given.renamed(renamed) if renamed else given
        if any(ref.name not in known for ref in node.refs()):
            continue
        known.add(node.name)
        what = node.target, repr((node.args, sorted(node.kwargs.items())))  # unlike equality, this tells 1 from 1.0
        if first.setdefault(what, node.name) != node.name:
            renamed[node.name] = first[what]
    return graph.without(renamed)


def tie_transposed(graph: Graph) -> Graph:
    """The same function at the same cost, where a constant matrix is read as it is by all who multiply by it.

    Layers that share one, as an autoencoder's do or an embedding and its output (Press and Wolf 2017, "Using the output
    embedding to improve language models"), read it transposed: linear(x, Wt) is x W, and x Wt is linear(x, W). Runs
    before constants are folded, after which the transposed matrix would be a weight of its own, stored once more.
    """
    tied = _tied(graph)
    if not tied:
        return graph
    known = shapes(graph)
    tied = {name: matrix for name, matrix in tied.items() if known[name] == known[matrix][::-1]}
    tied = {name: matrix for name, matrix in tied.items() if len(known[name]) == 2}
    names = graph.names()
    nodes = [made for node in graph.nodes for made in _read_as_it_is(node, tied, known, names)]
    return replace(graph, nodes=tuple(nodes)).live()


def _tied(graph: Graph) -> dict[str, str]:
    """Matrices that others than constants read, too, by the names of their transpositions."""
    fixed, users = constants(graph), graph.users()
    turned = {
        node.name: first_ref(node)
        for node in graph.nodes
        if node.target in _TRANSPOSITIONS and node.name in fixed and _swaps(node)
    }
    return {name: matrix for name, matrix in turned.items() if any(user.name not in fixed for user in users[matrix])}


def _swaps(node: Node) -> bool:
    """Whether it swaps the two axes of a matrix, if it is of one."""
    if node.target is aten.t.default:
        return True
    axes = node.args[1] if node.target is aten.permute.default else node.args[1:3]
    places = [axis % 2 for axis in axes if isinstance(axis, int)] if isinstance(axes, tuple) else []
    return places == [1, 0] or (node.target is aten.transpose.int and places == [0, 1])


def _read_as_it_is(node: Node, tied: Mapping[str, str], known: Shapes, names: Names) -> list[Node]:
    """The nodes that compute the same of the matrix itself."""
    weight = None if node.kwargs or len(node.args) < 2 else node.args[1]
    if node.target not in _PRODUCTS or not isinstance(weight, Ref) or weight.name not in tied:
        return [node]
    x, matrix = node.args[0], Ref(tied[weight.name])
    if node.target is not aten.linear.default:
        return [replace(node, target=aten.linear.default, args=(x, matrix))]
    bias = node.argument(2)
    if bias is None:
        return [replace(node, target=aten.matmul.default, args=(x, matrix))]
    if isinstance(x, Ref) and len(known[x.name]) == 2:
        return [replace(node, target=aten.addmm.default, args=(bias, x, matrix))]
    product = Node(names.new(f"{node.name}.product", "_"), aten.matmul.default, (x, matrix), layer=node.layer)
    return [product, replace(node, target=aten.add.Tensor, args=(Ref(product.name), bias))]
