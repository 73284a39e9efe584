"""KAIST AI's network is the published one: their weights in ours give their logits."""

from dataclasses import replace
from pathlib import Path

import torch

from micronet.analysis.dot_products import DOT_PRODUCTS
from micronet.architectures.load import create_network
from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph, Ref
from micronet.jobs.network import read_network
from micronet.transformation.prepare import prepare


def weights_of_layers(graph: Graph) -> list[tuple[str, ...]]:
    """The names of each dot product's weight and bias, in the order they are computed in."""
    return [
        tuple(argument.name for argument in node.args[1:3] if isinstance(argument, Ref))
        for node in graph.nodes
        if node.target in DOT_PRODUCTS
    ]


def test_published_weights_give_published_logits(shared_dir: Path) -> None:
    with torch.no_grad():
        ours = prepare(capture(create_network("kaist", {}, 0), (3, 32, 32)), fuse=True)
    theirs = prepare(read_network(shared_dir / "checkpoints" / "kaist_v2_pr15.onnx", None, None)[0], fuse=True)
    taken = {
        mine: theirs.weights[name]
        for names, others in zip(weights_of_layers(ours), weights_of_layers(theirs), strict=True)
        for mine, name in zip(names, others, strict=True)
    }
    assert taken.keys() == ours.weights.keys() - ours.literals
    assert all(ours.weights[name].shape == weight.shape for name, weight in taken.items())
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    logits = interpret(replace(ours, weights={**ours.weights, **taken}), images)
    torch.testing.assert_close(logits, interpret(theirs, images), rtol=1e-3, atol=1e-4)
