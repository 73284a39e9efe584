"""The graph, its plain meaning, and its helpers."""

import operator
import weakref
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from micronet.graph.capture import capture
from micronet.graph.grid import fixed_point
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph, Node, Ref, rename, substitute
from tests.micronet.networks import IMAGE, images, network

aten = torch.ops.aten


def _chain(*nodes: Node, output: str, **weights: Tensor) -> Graph:
    return Graph("x", (3,), nodes, weights, output)


def _relu(name: str, source: str) -> Node:
    return Node(name, aten.relu.default, (Ref(source),))


def test_live_drops_what_never_reaches_the_output() -> None:
    used, unused = Node("a", aten.add.Tensor, (Ref("x"), Ref("w"))), Node("b", aten.mul.Tensor, (Ref("x"), Ref("dead")))
    grids = {name: fixed_point(8, (4,)) for name in ("w", "dead")}
    graph = Graph(
        "x", (3,), (used, unused), {"w": torch.ones(3), "dead": torch.ones(3)}, "a", grids, frozenset({"w", "dead"})
    )
    live = graph.live()
    assert [node.name for node in live.nodes] == ["a"]
    assert set(live.weights) == set(live.formats) == live.literals == {"w"}
    assert torch.equal(interpret(live, torch.ones(2, 3)), interpret(graph, torch.ones(2, 3)))


def test_who_read_what_went_reads_what_is_given_in_its_place() -> None:
    """Through any number of them; the output may be one."""
    chain = [_relu(b, a) for a, b in pairwise("xabcd")]
    smaller = _chain(*chain, output="d").without({"a": "x", "c": "b", "d": "c"})
    assert (smaller.nodes, smaller.output) == ((_relu("b", "x"),), "b")
    assert _chain(*chain, output="d").without({}).nodes == tuple(chain)


def test_users_name_a_node_once_however_often_it_reads() -> None:
    twice = Node("b", aten.cat.default, ((Ref("a"), Ref("a")), 1), {"unusual": Ref("x")})
    graph = _chain(_relu("a", "x"), twice, output="b")
    assert [ref.name for ref in twice.refs()] == ["a", "a", "x"]
    assert graph.users() == {"x": [graph.nodes[0], twice], "a": [twice]}
    assert graph.by_name() == {"a": graph.nodes[0], "b": twice}


def test_an_argument_is_found_by_position_by_name_or_as_the_signature_has_it() -> None:
    convolution = Node("y", aten.conv2d.default, (Ref("x"), Ref("w"), None, (2, 2)), {"groups": 4})
    found = [convolution.argument(index) for index in range(8)]
    assert found == [Ref("x"), Ref("w"), None, (2, 2), (0, 0), (1, 1), 4, None]
    sum_of_two = Node("y", aten.add.Tensor, (Ref("x"), 1), {"alpha": 3})
    assert (sum_of_two.argument(2), replace(sum_of_two, kwargs={}).argument(2)) == (3, 1)
    assert [Node("y", operator.mul, (Ref("n"), 2)).argument(index) for index in (1, 2)] == [2, None]


def test_substitute_and_rename_reach_into_tuples() -> None:
    argument = (Ref("a"), 2, (Ref("b"), None))
    assert substitute(argument, {"a": 1, "b": 3}) == [1, 2, [3, None]]
    assert rename(argument, {"b": "c"}) == (Ref("a"), 2, (Ref("c"), None))
    with pytest.raises(KeyError, match="b"):
        substitute(argument, {"a": 1})


def test_interpret_shows_each_value_once_in_order() -> None:
    graph = capture(network(["convolution", "residual", "twice"]), IMAGE)
    seen: list[str] = []
    interpret(graph, images(2), lambda node, _value: seen.append(node.name))
    assert seen == [node.name for node in graph.nodes]


def test_interpret_frees_a_value_after_its_last_use() -> None:
    names = ["x", *(f"v{index}" for index in range(6))]
    graph = _chain(*(Node(b, aten.add.Tensor, (Ref(a), 1)) for a, b in pairwise(names)), output="v5")
    alive: list[weakref.ref[Tensor]] = []
    most = 0

    def observe(_node: Node, value: object) -> None:
        nonlocal most
        assert isinstance(value, Tensor)
        alive.append(weakref.ref(value))
        most = max(most, sum(reference() is not None for reference in alive))

    result = interpret(graph, torch.zeros(2, 3), observe)
    assert result.tolist() == [[6.0] * 3] * 2
    assert most == 2  # an operand and its result


def test_interpret_keeps_weights_and_images_as_they_are() -> None:
    graph = capture(network(["relu in place", "hard swish", "residual in place"]), IMAGE)
    batch, weights = images(3), {name: weight.clone() for name, weight in graph.weights.items()}
    interpret(graph, batch)
    assert torch.equal(batch, images(3))
    assert all(torch.equal(weights[name], weight) for name, weight in graph.weights.items())
