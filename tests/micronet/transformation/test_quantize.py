"""Quantized values lie on their grids, and every width that is counted is the width that is computed with."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from micronet.analysis.parameters import parameters, scale_and_shift
from micronet.analysis.shapes import constants
from micronet.analysis.widths import KEEPS_WIDTH, QUANTIZERS, widths
from micronet.architectures.quantizer import Quantizer
from micronet.errors import AlreadyQuantized
from micronet.graph.capture import capture
from micronet.graph.grid import Grid, on_grid
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph, rename
from micronet.transformation.fold_constants import fold_constants
from micronet.transformation.quantization import Quantization, layer_outputs, weight_widths
from micronet.transformation.quantize import (
    check_own_quantizers,
    needs_calibration,
    quantize_activations,
    quantize_weights,
)
from micronet.transformation.ranges import RANGE_RULES, Observer
from tests.micronet.networks import IMAGE, ByChannel, images, network, networks

aten = torch.ops.aten
HOWS = [Quantization(9, 12, rule, per_filter) for rule in sorted(RANGE_RULES) for per_filter in (False, True)]
PARTS = ["norm", "convolution", "norm", "relu", "residual", "depthwise", "excite", "twice"]


def calibrate(graph: Graph, observers: Mapping[str, Observer]) -> None:
    for seed in range(3):
        batch = images(8, seed)
        shown: dict[str, Tensor] = {graph.input: batch}
        interpret(graph, batch, lambda node, value, shown=shown: shown.update({node.name: value}))
        for name, observer in observers.items():
            observer.take(observer.measure(shown[name].reshape(1, -1)))


def _graph(*parts: str) -> Graph:
    return fold_constants(capture(network(list(parts)), IMAGE))


def _integers(values: Tensor, grid: Grid) -> Tensor:
    steps = torch.tensor(grid.steps, dtype=torch.float64)
    shape = [-1 if axis == grid.axis else 1 for axis in range(values.dim())]
    return values.double() / steps.view(shape if grid.axis is not None else ())


@pytest.mark.parametrize("how", HOWS, ids=lambda how: f"{how.rule} {how.per_filter}")
def test_every_parameter_lies_on_its_grid(how: Quantization) -> None:
    graph = _graph(*PARTS)
    quantized = quantize_weights(graph, how)
    assert set(quantized.formats) == set(quantized.weights) - quantized.literals
    for name, grid in quantized.formats.items():
        integers = _integers(quantized.weights[name], grid)
        assert torch.equal(integers, integers.round())
        assert -256 <= float(integers.min()) <= float(integers.max()) <= 255
    stored = [tensor for tensors in parameters(quantized).values() for tensor in tensors]
    assert {tensor.bits for tensor in stored} == {9}
    grids = {name: grid for name, grid in quantized.formats.items() if grid.axis == 0}
    kernels = {name for name, weight in quantized.weights.items() if weight.dim() > 1}
    assert grids.keys() == (kernels if how.per_filter else set())
    assert all(len(grid.steps) == len(quantized.weights[name]) for name, grid in grids.items())


@settings(max_examples=30)
@given(networks(), st.sampled_from(sorted(RANGE_RULES)))
def test_many_bits_are_close_to_float(module: nn.Module, rule: str) -> None:
    graph = fold_constants(capture(module, IMAGE))
    quantized = quantize_weights(graph, Quantization(22, 32, rule))
    logits, exact = interpret(quantized, images(4)), interpret(graph, images(4))
    torch.testing.assert_close(logits, exact, rtol=0.01, atol=0.01 * float(exact.abs().max() + 1))


def test_a_batch_norm_becomes_its_scale_and_shift() -> None:
    graph = _graph("norm", "relu")
    quantized = quantize_weights(graph, Quantization(9, 32))
    pairs = zip(graph.nodes, quantized.nodes, strict=True)
    norms = [(before, after) for before, after in pairs if before.target is aten.batch_norm.default]
    assert len(norms) == 2
    for before, after in norms:
        scale, shift = scale_and_shift(graph, before)
        stored = scale_and_shift(quantized, after)
        names = [ref.name for ref in after.refs()][1:3]
        for exact, seen, name in zip((scale, shift), stored, names, strict=True):
            assert torch.equal(seen, on_grid(exact, quantized.formats[name]))
            assert torch.equal(seen, quantized.weights[name])
    x = images(2)
    seen: dict[str, Tensor] = {}
    interpret(quantized, x, lambda node, value: seen.update({node.name: value}))
    scale, shift = (part.view(1, -1, 1, 1) for part in scale_and_shift(quantized, quantized.nodes[0]))
    torch.testing.assert_close(seen[quantized.nodes[0].name], scale * x + shift, rtol=1e-6, atol=1e-6)


def test_zeros_stay_zero() -> None:
    graph = _graph("convolution", "pointwise")
    weights = {name: weight * (torch.rand(weight.shape) < 0.5) for name, weight in graph.weights.items()}
    sparse = replace(graph, weights={**weights, **{k: v for k, v in graph.weights.items() if "running" in k}})
    for how in HOWS:
        quantized = quantize_weights(sparse, how)
        for name in quantized.weights.keys() & sparse.weights.keys():
            assert not quantized.weights[name][sparse.weights[name] == 0].any()


def test_32_bits_leave_the_graph_alone() -> None:
    graph = _graph(*PARTS)
    how = Quantization(32, 32)
    assert quantize_weights(graph, how) is graph
    assert quantize_activations(graph, how, calibrate) is graph


def test_widths_are_not_put_on_top_of_widths() -> None:
    once = quantize_weights(_graph("convolution"), Quantization(9, 12))
    with pytest.raises(AlreadyQuantized, match=r"bits null \(on the command line --unquantized\)"):
        quantize_weights(once, Quantization(8, 12))


@pytest.mark.parametrize("rule", sorted(RANGE_RULES))
@pytest.mark.parametrize("bits", [4, 12])
@settings(max_examples=15)
@given(module=networks())
def test_no_operation_reads_a_wider_activation(rule: str, bits: int, module: nn.Module) -> None:
    graph = fold_constants(capture(module, IMAGE))
    quantized = quantize_activations(graph, Quantization(32, bits, rule), calibrate)
    known, fixed = widths(quantized), constants(quantized)
    for node in quantized.nodes:
        if node.target not in QUANTIZERS:
            assert all(known[ref.name] <= bits for ref in node.refs() if ref.name not in fixed)
    assert known[quantized.output] <= bits


@settings(max_examples=15)
@given(networks(), st.integers(3, 12))
def test_what_operations_read_lies_on_few_enough_levels(module: nn.Module, bits: int) -> None:
    graph = fold_constants(capture(module, IMAGE))
    quantized = quantize_activations(graph, Quantization(32, bits, "max"), calibrate)
    seen: dict[str, Tensor] = {}
    interpret(quantized, images(8), lambda node, value: seen.update({node.name: value}))
    for node in quantized.nodes:
        if node.target in QUANTIZERS:
            _, step, _, low, high = node.args
            integers = seen[node.name].double() / step
            assert torch.equal(integers, integers.round())
            assert low <= float(integers.min()) <= float(integers.max()) <= high
            assert (high - low).bit_length() == bits


def test_what_is_quantized_is_the_input_and_what_is_computed() -> None:
    graph = _graph("convolution", "relu", "max pool", "residual")
    kept = {node.name for node in graph.nodes if node.target in KEEPS_WIDTH}
    assert set(layer_outputs(graph)) == {graph.input, *(node.name for node in graph.nodes)} - kept
    quantized = quantize_activations(graph, Quantization(32, 8), calibrate)
    assert [node.target for node in quantized.nodes if node.target not in QUANTIZERS] == [n.target for n in graph.nodes]
    made = [node.args[0].name for node in quantized.nodes if node.target in QUANTIZERS]
    assert made == layer_outputs(graph)


def test_a_graph_with_quantizers_of_its_own_keeps_them() -> None:
    module = nn.Sequential(Quantizer(3, 6), *network(["convolution"]).children()).eval()
    graph = capture(module, IMAGE)
    assert not needs_calibration(graph, Quantization(9, 12))
    assert quantize_activations(graph, Quantization(9, 12), calibrate) is graph
    assert quantize_weights(graph, Quantization(9, 12)).nodes[0] == graph.nodes[0]


def test_steps_of_a_graphs_own_quantizers_are_no_weights() -> None:
    """They stay where they are, at 32 bits each, and no layer is said to store them."""
    graph, how = fold_constants(capture(ByChannel().eval(), IMAGE)), Quantization(3, 32)
    quantized = quantize_weights(graph, how)
    assert {"conv.weight", "linear.bias"} <= quantized.formats.keys() == weight_widths(graph, how).keys()
    assert torch.equal(quantized.weights["steps"], torch.tensor([0.5, 0.25, 0.125, 0.3]))
    stored = {one.name: one.bits for of_node in parameters(quantized).values() for one in of_node}
    assert (stored["conv.weight"], stored["steps"], stored["zeros"]) == (3, 32, 32)
    assert quantize_weights(quantized, how) is quantized


def test_quantizers_wider_than_what_is_declared_are_refused() -> None:
    """Counted at 4 bits, but measured at the 6 the graph brings; and what its quantizers leave at 32 is no 6."""
    first = capture(nn.Sequential(Quantizer(3, 6), nn.Conv2d(4, 2, 1)).eval(), IMAGE)
    check_own_quantizers(first, Quantization(9, 6))
    check_own_quantizers(first, Quantization(9, 32))
    with pytest.raises(AlreadyQuantized, match="6 bits, not 4"):
        check_own_quantizers(first, Quantization(9, 4))
    second = capture(nn.Sequential(Quantizer(3, 6), nn.Conv2d(4, 2, 1), nn.Conv2d(2, 2, 1)).eval(), IMAGE)
    with pytest.raises(AlreadyQuantized, match="32 bits, not 6"):
        check_own_quantizers(second, Quantization(9, 6))


def test_new_names_are_nobody_elses() -> None:
    graph = _graph("convolution", "norm")
    norm = next(node for node in graph.nodes if node.target is aten.batch_norm.default)
    taken = {f"{graph.input}.quantized", f"{norm.name}.scale"}
    read = {ref.name for node in graph.nodes for ref in node.refs()} & graph.weights.keys()
    names = dict(zip(sorted(read), taken, strict=False))
    renamed = replace(
        graph,
        nodes=tuple(replace(node, args=tuple(rename(a, names) for a in node.args)) for node in graph.nodes),
        weights={names.get(name, name): weight for name, weight in graph.weights.items()},
    )
    how = Quantization(9, 8)
    one, other = (quantize_activations(quantize_weights(each, how), how, calibrate) for each in (graph, renamed))
    torch.testing.assert_close(interpret(one, images(4)), interpret(other, images(4)), rtol=0, atol=0)
