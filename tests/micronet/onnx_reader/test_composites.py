"""Operations of ONNX that are read as several: attention, RMS norms, lengths of weights, indices along several axes."""

import numpy as np
import pytest
import torch
from onnx import NodeProto

from micronet.analysis.counts import count
from micronet.errors import CorruptFile, FileTooLarge, OnnxUnsupportedFeature
from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.network_file import from_bytes, to_bytes
from micronet.onnx_reader import import_graph
from micronet.transformation.prepare import prepare
from tests.micronet.onnx_reader.files import agreeing, array, model, node, of, targets


def totals(graph: Graph) -> tuple[int, int]:
    """Multiplications and additions, without 3 and 45 of the pool at the end of every file of 3 x 4 x 4."""
    operations = [layer.operations for layer in count(graph).layers]
    multiplications = sum(one.all_multiplications for one in operations) - 3
    return multiplications, sum(one.additions + one.inner_additions for one in operations) - 45


def parameters(graph: Graph) -> int:
    return sum(parameter.elements for layer in count(graph).layers for parameter in layer.parameters)


def test_attention_costs_what_the_table_says() -> None:
    """3 heads, 4 queries and keys of depth 4: 48 scores. Q and K scaled 48 each; Q K^T 48 * 4, 48 * 3; softmax 2 * 48,
    12 * 3; times V 48 * 4, 48 * 3."""
    graph = import_graph(model([node("Attention", "image", "image", "image")], opset=23))
    assert totals(graph) == (2 * 48 + 192 + 96 + 192, 144 + 36 + 144)
    images = torch.randn(2, 3, 4, 4)
    right = torch.nn.functional.scaled_dot_product_attention(images, images, images).mean((2, 3))
    torch.testing.assert_close(interpret(graph, images), right)


def test_a_mask_is_one_addition_per_score() -> None:
    nodes = [node("Attention", "image", "image", "image", "mask", scale=0.25)]
    graph = import_graph(model(nodes, [array("mask", 4, 4)], opset=23))
    assert totals(graph) == (2 * 48 + 192 + 96 + 192, 144 + 36 + 144 + 48)
    images, mask = torch.randn(2, 3, 4, 4), graph.weights["mask"]
    right = torch.nn.functional.scaled_dot_product_attention(images, images, images, mask, scale=0.25)
    torch.testing.assert_close(interpret(graph, images), right.mean((2, 3)))


@pytest.mark.parametrize("attribute", [{"is_causal": 1}, {"softcap": 2.0}])
def test_attention_of_language_models_is_refused(attribute: dict[str, object]) -> None:
    with pytest.raises(OnnxUnsupportedFeature, match=next(iter(attribute))):
        import_graph(model([node("Attention", "image", "image", "image", **attribute)], opset=23))


def test_an_rms_norm_is_counted_like_a_layer_norm_without_mean() -> None:
    """Over 4 values, for 12 rows: squares 4, 0; mean 1, 3; epsilon 0, 1; 1/sqrt 2, 0; scale 4, 0; its own 4, 0."""
    graph = import_graph(model([node("RMSNormalization", "image", "w", epsilon=1e-3)], [array("w", 4)], opset=23))
    assert totals(graph) == (12 * 15, 12 * 4)
    images = torch.randn(2, 3, 4, 4)
    right = torch.nn.functional.rms_norm(images, (4,), graph.weights["w"], 1e-3).mean((2, 3))
    torch.testing.assert_close(interpret(graph, images), right)


@pytest.mark.parametrize("eps", [1e-3, None])
def test_an_rms_norm_of_a_module_costs_and_gives_what_that_of_its_file_does(eps: float | None) -> None:
    """A module's epsilon is that of float32 unless it says another."""
    norm = torch.nn.RMSNorm(4, eps)
    epsilon = torch.finfo(torch.float32).eps if eps is None else eps
    nodes = [node("RMSNormalization", "image", "w", epsilon=epsilon)]
    of_file = import_graph(model(nodes, [array("w", 4)], opset=23))
    norm.load_state_dict({"weight": of_file.weights["w"]})
    module = torch.nn.Sequential(norm, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    graph = capture(module, (3, 4, 4))
    assert totals(graph) == totals(of_file) == (12 * 15, 12 * 4)
    assert parameters(graph) == parameters(of_file) == 4
    images = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(interpret(graph, images), module(images))
    torch.testing.assert_close(interpret(of_file, images), module(images))
    again = from_bytes(to_bytes(prepare(graph, fuse=False)))
    assert (totals(again), parameters(again)) == (totals(graph), 4)


def test_a_weight_norm_is_folded_into_its_weight() -> None:
    """g * v / |v|, each filter by its own length: one weight of 3 x 3, and 3 products for each of 48 outputs."""
    nodes = [node("ReduceL2", "v", "axes", output="size"), node("Div", "v", "size", output="unit")]
    nodes += [node("Mul", "g", "unit", output="w"), node("Conv", "image", "w")]
    axes = of("axes", [1, 2, 3], np.int64)
    graph = agreeing(model(nodes, [array("v", 3, 3, 1, 1), array("g", 3, 1, 1, 1), axes], opset=18))
    assert targets(graph) == ["conv2d"]
    assert parameters(graph) == 9
    assert totals(graph) == (3 * 48, 2 * 48)


def pick(*indices: list[int]) -> list[NodeProto]:
    """Channels of the image by constant indices, with GatherND."""
    first, back = node("Transpose", "image", output="t", perm=[1, 0, 2, 3]), [1, 0, 2, 3]
    chosen = [node("Constant", output="i", value=of("", indices, np.int64)), node("GatherND", "t", "i", output="p")]
    return [first, *chosen, node("Transpose", "p", perm=back)]


def test_channels_picked_by_indices_are_the_product_with_a_matrix_that_gather_is() -> None:
    """Three of three channels by a sparse matrix: 9 elements, 3 of them not zero, 3 products for each of 16 places."""
    graph = agreeing(model(pick([2], [0], [-1])))
    assert "index_select" in targets(graph)
    assert [(p.elements, p.nonzero) for layer in count(graph).layers for p in layer.parameters] == [(9, 3)]
    assert totals(graph) == (48, 0)


def test_indices_that_do_not_fit_are_named() -> None:
    with pytest.raises(CorruptFile, match="outside dimensions"):
        import_graph(model(pick([2], [3])))
    with pytest.raises(OnnxUnsupportedFeature, match="batch"):
        import_graph(model([*pick([0])[1:2], node("GatherND", "image", "i")]))
    with pytest.raises(OnnxUnsupportedFeature, match="several axes"):
        import_graph(model(pick([0, 0])))


def test_a_range_picks_what_a_slice_would() -> None:
    nodes = [node("Range", "one", "four", "two", output="i"), node("Gather", "image", "i", axis=2)]
    ends = [of(name, number, np.int64) for name, number in (("one", 1), ("four", 4), ("two", 2))]
    assert targets(agreeing(model(nodes, ends))) == ["slice"]
    with pytest.raises(CorruptFile, match="delta"):
        import_graph(model(nodes, [*ends[:2], of("two", 0, np.int64)]))
    with pytest.raises(FileTooLarge):
        import_graph(model(nodes, [ends[0], of("four", 2**40, np.int64), ends[2]]))


def test_signs_of_weights_are_weights() -> None:
    graph = agreeing(model([node("Sign", "v", output="w"), node("Conv", "image", "w")], [array("v", 3, 3, 1, 1)]))
    assert targets(graph) == ["conv2d"]
    assert set(graph.weights["v"].flatten().tolist()) <= {-1.0, 1.0}
