"""The law of wider fusing: the same function at no higher cost, whatever is zero."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from micronet.analysis.totals import network_totals
from micronet.architectures.load import create_network
from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.jobs.network import read_network
from micronet.sparsity.magnitude import set_smallest_to_zero, sparse_weights
from micronet.transformation.fuse_layers import FusedLayers, fuse_layers
from micronet.transformation.prepare import prepare
from micronet.transformation.spelling import drop_identities
from tests.micronet.networks import IMAGE, networks
from tests.micronet.onnx_writer.roundtrip import trained_looking_

aten = torch.ops.aten


def check(graph: Graph, fused: Graph) -> None:
    """Equal in float64 up to the float32 rounding of each new weight, and nothing of it costs more."""
    batch = torch.randn(3, *graph.input_shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    wide = (replace(g, weights={n: w.double() for n, w in g.weights.items()}) for g in (graph, fused))
    one, other = (interpret(each, batch) for each in wide)
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * max(1e-3, float(one.abs().max())))
    before, after = network_totals(graph), network_totals(fused)
    assert after.parameters <= before.parameters
    assert after.nonzero <= before.nonzero
    assert after.multiplications <= before.multiplications
    assert after.additions <= before.additions


def with_zeros(graph: Graph, share: float, seed: int) -> Graph:
    """Whole filters, whole columns and single weights of dot products zero, biases and norms' scales too."""
    generator = torch.Generator().manual_seed(seed)
    weights = dict(graph.weights)
    factors = sparse_weights(graph)
    for name, weight in graph.weights.items():
        if not weight.is_floating_point() or name.endswith(("running_mean", "running_var")):
            continue
        masks = [torch.rand(len(weight), generator=generator).view(-1, *[1] * (weight.dim() - 1))]
        if name in factors:
            masks.append(torch.rand(weight.shape[1], generator=generator).view(1, -1, *[1] * (weight.dim() - 2)))
            masks.append(torch.rand(weight.shape, generator=generator) * 0.5 + 0.5)
        kept = torch.stack([(mask >= share).expand(weight.shape) for mask in masks]).all(0)
        weights[name] = torch.where(kept, weight, 0.0)
    return replace(graph, weights=weights)


def fused(graph: Graph) -> FusedLayers:
    done = fuse_layers(graph)
    again = fuse_layers(done.graph)
    assert (again.merged, again.removed) == ((), ())
    return done


@settings(max_examples=60)
@given(networks(6), st.sampled_from([0.0, 0.2, 0.4, 0.6]), st.integers(0, 2**16), st.booleans())
def test_random_networks(module: nn.Module, share: float, seed: int, norms: bool) -> None:
    graph = with_zeros(prepare(capture(module, IMAGE), fuse=False), share, seed)
    graph = drop_identities(prepare(graph, fuse=norms))
    check(graph, fused(graph).graph)


NETWORKS: list[tuple[str, dict[str, object]]] = [
    ("pyramidnet", {"depth": 20, "alpha": 24}),
    ("wideresnet", {"depth": 10, "width": 1}),
    ("mobilenetv2", {"num_classes": 10, "image_size": 32, "width_multiplier": 0.25}),
]


@pytest.mark.parametrize(("name", "options"), NETWORKS, ids=[name for name, _ in NETWORKS])
def test_networks_of_the_catalogue_with_filters_of_zeros(name: str, options: dict[str, object]) -> None:
    with torch.no_grad():
        graph = prepare(capture(trained_looking_(create_network(name, options)), (3, 32, 32)), fuse=False)
    graph = drop_identities(prepare(with_zeros(graph, 0.3, 0), fuse=True))
    done = fused(graph)
    check(graph, done.graph)
    assert done.removed
    assert network_totals(done.graph).parameters < network_totals(graph).parameters


@pytest.mark.parametrize("name", ["osi_60", "kaist_v2_pr45"])
def test_published_entries(name: str, shared_dir: Path) -> None:
    graph, _ = read_network(shared_dir / "checkpoints" / f"{name}.onnx", None, None)
    graph = drop_identities(prepare(graph, fuse=True))
    check(graph, fused(graph).graph)


def test_a_network_without_zeros_or_layers_in_a_row_stays_as_it_is() -> None:
    with torch.no_grad():
        graph = capture(create_network("digits", {}), (1, 8, 8))
    fusable = drop_identities(prepare(graph, fuse=True))
    assert fused(fusable).graph is fusable


def test_sparse_to_the_bone_it_still_answers() -> None:
    with torch.no_grad():
        graph = prepare(capture(create_network("digits", {}), (1, 8, 8)), fuse=True)
    bare = set_smallest_to_zero(graph, 0.999)
    done = fused(drop_identities(bare))
    check(bare, done.graph)
    assert [node.target for node in done.graph.nodes].count(aten.conv2d.default) >= 1
