"""The eigenbasis: an identity as long as nothing is removed, and what it says a direction costs."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.onnx_reader import import_graph, load_model
from micronet.pruning.blocks import find_blocks
from micronet.pruning.eigenbasis import Eigenbasis, Factors, Kept, eigenbasis, restricted, rotated, saliencies
from micronet.pruning.factors import every_class
from micronet.pruning.pieces import Pieces, pieces_of, with_pieces
from micronet.transformation.prepare import prepare
from tests.micronet.onnx_writer.roundtrip import NETWORKS, back, captured, images
from tests.micronet.pruning.test_factors import found, one_image, small, some_inputs

PUBLISHED = Path(__file__).parents[4] / "shared" / "checkpoints" / "kaist_v2_pr45.onnx"


def some_basis(pieces: Pieces, seed: int = 0) -> Eigenbasis:
    """Reflections, which have nothing to do with the network."""
    generator = torch.Generator().manual_seed(seed)
    outputs, inputs = pieces.core.weight.shape[:2]
    normals = [nn.functional.normalize(torch.randn(n, generator=generator).double(), dim=0) for n in (inputs, outputs)]
    q, r = (torch.eye(len(v)).double() - 2 * torch.outer(v, v) for v in normals)
    return Eigenbasis(q, torch.ones(inputs).double(), r, torch.ones(outputs).double())


def all_rotated(graph: Graph, seed: int = 0) -> Graph:
    """`graph` in some basis, with every direction kept."""
    blocks, _ = find_blocks(graph)
    changes = {}
    for block in blocks:
        pieces = pieces_of(graph, block)
        outputs, inputs = pieces.core.weight.shape[:2]
        changes[block.name] = restricted(
            pieces, some_basis(pieces, seed), Kept(torch.arange(inputs), torch.arange(outputs))
        )
    return with_pieces(graph, changes, blocks)


def close(one: Graph, other: Graph) -> None:
    batch = images(one)
    expected = interpret(one, batch)
    torch.testing.assert_close(interpret(other, batch), expected, rtol=0, atol=2e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_with_nothing_removed_the_network_computes_the_same(name: str) -> None:
    graph = prepare(captured(name), fuse=False)
    apart = all_rotated(graph)
    blocks, alone = find_blocks(graph)
    assert len(apart.nodes) == len(graph.nodes) + 2 * len(blocks)
    assert [block.name for block in find_blocks(apart)[0]] == [block.name for block in blocks]
    assert find_blocks(apart)[1] == alone
    close(graph, apart)


def test_a_published_file_computes_the_same() -> None:
    if not PUBLISHED.exists():
        pytest.skip(f"no {PUBLISHED.name} here")
    graph = prepare(import_graph(load_model(PUBLISHED)), fuse=False)
    blocks, alone = find_blocks(graph)
    assert len(blocks) > 20
    assert alone  # its depthwise convolutions
    close(graph, all_rotated(graph))


@pytest.mark.parametrize("name", ["digits", "mobilenetv2", "pyramidnet"])
def test_rotating_again_and_through_a_file_makes_no_more_nodes(name: str) -> None:
    graph = prepare(captured(name), fuse=False)
    once = back(all_rotated(graph), fuse=False)
    assert [block.name for block in find_blocks(once)[0]] == [block.name for block in find_blocks(graph)[0]]
    twice = all_rotated(once, seed=1)
    assert len(twice.nodes) == len(once.nodes)
    assert sorted(twice.weights) == sorted(once.weights)
    close(graph, twice)


def test_depthwise_layers_are_left_alone_and_named() -> None:
    graph = prepare(captured("mobilenetv2"), fuse=False)
    blocks, alone = find_blocks(graph)
    grouped = [
        node.layer
        for node in graph.nodes
        if node.target is torch.ops.aten.conv2d.default and node.args[6:] not in ((), (1,))
    ]
    assert list(alone) == grouped
    assert not {block.name for block in blocks} & set(alone)


def test_an_eigenbasis_takes_its_factor_apart() -> None:
    root = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    both = Factors(root @ root.T, root.T @ root)  # the larger one has a rank of 3
    basis = eigenbasis(both)
    torch.testing.assert_close(basis.inputs @ basis.input_values.diag() @ basis.inputs.T, both.inputs)
    torch.testing.assert_close(basis.outputs @ basis.output_values.diag() @ basis.outputs.T, both.outputs)
    assert bool((basis.input_values >= 0).all())


def test_saliencies_are_half_the_quadratic_form_of_the_fisher() -> None:
    """w' (I x A x G) w / 2 of the weights that a direction makes up, in the basis they came in."""
    generator = torch.Generator().manual_seed(0)
    core = torch.randn(3, 4, 2, 2, generator=generator, dtype=torch.float64)
    roots = [torch.randn(n, n, generator=generator, dtype=torch.float64) for n in (4, 3)]
    both = Factors(*(root @ root.T for root in roots))
    basis = eigenbasis(both)
    of_inputs, of_outputs = saliencies(core, basis)
    whole = torch.kron(torch.kron(both.outputs, both.inputs), torch.eye(4, dtype=torch.float64))
    for side, found_ in (("inputs", of_inputs), ("outputs", of_outputs)):
        for index, saliency in enumerate(found_.tolist()):
            w = part(core, basis, side, index).flatten()
            assert float(w @ whole @ w) / 2 == pytest.approx(saliency)


def part(core: Tensor, basis: Eigenbasis, side: str, index: int) -> Tensor:
    """What direction `index` alone contributes to the weights."""
    turned = rotated(core, basis.inputs, basis.outputs)
    mask = torch.zeros_like(turned)
    mask[(slice(None), index) if side == "inputs" else (index,)] = 1
    return rotated(turned * mask, basis.inputs.T, basis.outputs.T)


@pytest.mark.parametrize("name", ["hidden", "last"])
def test_a_step_towards_removal_costs_what_the_saliency_says(name: str) -> None:
    """Where the Fisher does factor: KL(before, after) = e^2 saliency + O(e^3) when a share e of a direction goes.

    The loss is measured against the network's own answers, of which it is a minimum, so that no first order is left.
    Halving e must halve what is left of the relative error (up to rounding, and up to a cubic term that vanishes).
    """
    module, graph, inputs = one_image()
    module = module.double()
    x = inputs.batch(0, 1)[0].double()
    basis = eigenbasis(found(graph, inputs, every_class)[name])
    weight = module.get_parameter(f"{name}.weight")
    original = weight.detach().clone()
    before = F.log_softmax(module(x), 1).detach()
    largest = 0.0
    for side, values in zip(("inputs", "outputs"), saliencies(original, basis), strict=True):
        for index, saliency in enumerate(values.tolist()):
            direction, errors = part(original, basis, side, index), []
            largest = max(largest, saliency)
            for share in (0.02, 0.01):
                weight.data = original - share * direction
                after = F.log_softmax(module(x), 1).detach()
                loss = float(F.kl_div(after, before, reduction="sum", log_target=True))
                errors.append(abs(loss / share**2 - saliency))
            weight.data = original
            assert errors[0] <= 0.1 * saliency + 1e-6
            assert errors[1] <= 0.6 * errors[0] + 1e-6
    assert largest > 1e-3


def test_predicted_and_measured_losses_rise_together() -> None:
    """Of a whole network, where K-FAC is an approximation: removing directions one by one, ranks agree."""
    _, graph = small()
    inputs = some_inputs(16)
    x = inputs.batch(0, 16)[0]
    before = F.log_softmax(interpret(graph, x), 1)
    both, (blocks, _) = found(graph, inputs), find_blocks(graph)
    predicted, measured = [], []
    for block in blocks:
        pieces, basis = pieces_of(graph, block), eigenbasis(both[block.name])
        for side, values in zip(("inputs", "outputs"), saliencies(pieces.core.weight, basis), strict=True):
            for index, saliency in enumerate(values.tolist()):
                kept = torch.tensor([i for i in range(len(values)) if i != index])
                smaller = restricted(pieces, basis, Kept(kept) if side == "inputs" else Kept(None, kept))
                after = F.log_softmax(interpret(with_pieces(graph, {block.name: smaller}, blocks), x), 1)
                predicted.append(saliency)
                measured.append(float(F.kl_div(after, before, reduction="batchmean", log_target=True)))
    ranks = [torch.tensor(values).argsort().argsort().float() for values in (predicted, measured)]
    assert float(torch.corrcoef(torch.stack(ranks))[0, 1]) > 0.8
