"""Widths of single layers: which pattern wins, and names that nobody has."""

from collections.abc import Mapping

import pytest
import torch

from micronet.analysis.counts import count, layer_names
from micronet.architectures.load import create_network
from micronet.errors import AlreadyQuantized, SettingsError
from micronet.graph.capture import capture
from micronet.graph.grid import fixed_point
from micronet.graph.ir import Graph
from micronet.transformation.layer_widths import LayerWidths, widths_of
from micronet.transformation.quantization import Quantization, activation_widths, check_names, weight_widths
from micronet.transformation.quantize import check_own_quantizers, insert_quantizers, quantize_weights

NARROW = LayerWidths(4, 6)
WIDE = LayerWidths(8, 10)


def digits() -> Graph:
    with torch.no_grad():
        return capture(create_network("digits", {}, 0), (1, 8, 8))


def how(layers: Mapping[str, LayerWidths], weight_bits: int = 9, activation_bits: int = 12) -> Quantization:
    return Quantization(weight_bits, activation_bits, layers=layers)


def test_the_name_wins_then_the_longest_prefix() -> None:
    layers = {"*": LayerWidths(2, 2), "conv*": NARROW, "conv1*": WIDE, "conv1": LayerWidths(5), "": LayerWidths(3)}
    bits = [widths_of(layers, name).weight_bits for name in ("fc", "conv2", "conv12", "conv1", "conv1.bias")]
    assert bits == [2, 4, 8, 5, 8]
    assert widths_of({"conv1": NARROW}, "fc") == LayerWidths()


def test_each_tensor_has_the_width_of_its_layer() -> None:
    graph = digits()
    asked = how({"conv*": NARROW, "fc": LayerWidths(16, 16), "input": LayerWidths(None, 7)})
    weights = weight_widths(graph, asked)
    assert {weights[name] for name in ("conv1.weight", "conv2.weight")} == {4}
    assert (weights["fc.weight"], weights["fc.bias"], weights["bn1.weight"]) == (16, 16, 9)
    names = {**layer_names(graph), graph.input: "input"}
    values = {names[value]: bits for value, bits in activation_widths(graph, asked).items()}
    assert values == {"input": 7, "conv1": 6, "bn1": 12, "conv2": 6, "bn2": 12, "pool": 12, "fc": 16}


def test_a_score_says_these_widths() -> None:
    graph = digits()
    asked = how({"conv1": NARROW, "fc": WIDE, "bn1": LayerWidths(5, 32)})
    graph = quantize_weights(graph, asked)
    widths = activation_widths(graph, asked)
    grids = {name: fixed_point(bits, (0,)) for name, bits in widths.items() if bits < 32}
    layers = {layer.name: layer for layer in count(insert_quantizers(graph, grids)).layers}
    found = {name: layers[name].weight_bits for name in ("conv1", "bn1", "conv2", "bn2", "fc")}
    assert found == {"conv1": 4, "bn1": 5, "conv2": 9, "bn2": 9, "fc": 8}
    read = {name: layers[name].activation_bits for name in ("conv1", "bn1", "conv2", "bn2", "fc")}
    assert read == {"conv1": 12, "bn1": 6, "conv2": 32, "bn2": 12, "fc": 12}


def test_a_single_narrow_layer_leaves_the_others_in_floating_point() -> None:
    graph = digits()
    quantized = quantize_weights(graph, how({"conv1": NARROW}, 32, 32))
    assert set(quantized.formats) == {"conv1.weight"}
    assert torch.equal(quantized.weights["fc.weight"], graph.weights["fc.weight"])


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ({"conv3": NARROW}, "no layer is called conv3; the nearest is conv2"),
        ({"Input": NARROW}, "the nearest is input"),
        ({"block*": NARROW}, r"no layer is called block\*"),
        ({"relu1": LayerWidths(None, 4)}, "mul_bits for relu1"),
        ({"relu*": LayerWidths(4)}, "param_bits for relu"),
        ({"input": LayerWidths(4, 4)}, "param_bits for input"),
    ],
)
def test_names_that_nobody_has_are_refused(layers: Mapping[str, LayerWidths], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        check_names(digits(), how(layers))


def test_names_that_fit_pass() -> None:
    check_names(digits(), how({"*": NARROW, "relu1": LayerWidths(), "conv1": WIDE, "input": LayerWidths(None, 8)}))


def test_own_grids_are_held_to_the_widths_of_their_layers() -> None:
    graph = digits()
    asked = how({"conv1": NARROW, "fc": LayerWidths(32, 32)})
    quantized = quantize_weights(graph, asked)
    assert quantize_weights(quantized, asked) is quantized
    with pytest.raises(AlreadyQuantized, match=r"conv1\.weight has 4 bits"):
        quantize_weights(quantized, how({"fc": LayerWidths(32)}))
    grids = {name: fixed_point(bits, (0,)) for name, bits in activation_widths(graph, asked).items() if bits < 32}
    shown = insert_quantizers(graph, grids)
    check_own_quantizers(shown, asked)
    with pytest.raises(AlreadyQuantized, match="conv2 reads values of 12 bits, not 8"):
        check_own_quantizers(shown, how({"bn1": LayerWidths(None, 8)}))
