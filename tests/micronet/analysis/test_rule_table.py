"""The table covers all that can be read or captured, and nothing but what reaches the output is counted."""

import ast
import inspect
import operator
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from micronet.analysis import rules
from micronet.analysis.counts import count
from micronet.analysis.rules import RULES
from micronet.architectures.load import sketch_network
from micronet.architectures.table import ARCHITECTURES, find_architecture
from micronet.errors import UnknownOperation
from micronet.graph.capture import capture
from micronet.graph.ir import Ref
from micronet.onnx_reader import EMITS
from tests.micronet.analysis.graphs import X, aten, captured, dense, graph, node, parameters_of, totals

N = 4 * 6 * 6
SMALL = {
    "pyramidnet": {"depth": 20, "alpha": 6},
    "wideresnet": {"depth": 10, "width": 1, "dropout": 0.1},
    "resnet_cifar": {"depth": 8},
    "resnet": {"depth": 18, "image_size": 32},
    "mobilenetv2": {"width_multiplier": 0.1, "image_size": 32},
    "efficientnet": {"width_multiplier": 0.1, "depth_multiplier": 0.1, "image_size": 32},
    "densenet": {"depth": 10, "growth": 4},
    "digits": {},
}


def test_every_operation_of_the_onnx_reader_has_a_row() -> None:
    assert {str(target) for target in EMITS - RULES.keys()} == set()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_operation_of_every_architecture_has_a_row(name: str) -> None:
    """And all is counted without memory for weights: no weight is taken for a zero."""
    options = SMALL.get(name, {})
    network = sketch_network(name, options)
    small = capture(network, find_architecture(name).parse(options).input_shape)
    assert {str(step.target) for step in small.nodes if step.target not in RULES} == set()
    elements, nonzero = parameters_of(count(small))
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert elements == nonzero == sum(parameter.numel() for parameter in network.parameters())
    assert len(norms) == sum(step.target is aten.batch_norm.default for step in small.nodes)


def test_other_shortcut_and_blocks_have_rows_too() -> None:
    for name, options in {
        "resnet_cifar": {"depth": 8, "shortcut": "B"},
        "pyramidnet": {"depth": 8, "alpha": 3, "bottleneck": False},
    }.items():
        assert totals(captured(sketch_network(name, options), (3, 32, 32)))[0] > 0


def test_no_row_is_written_twice() -> None:
    """A repeated key of a dict display replaces the first without a word."""
    source = ast.parse(inspect.getsource(rules))
    displays = [node for node in ast.walk(source) if isinstance(node, ast.Dict)]
    sizes = []
    for display in displays:
        keys = [ast.unparse(key) for key in display.keys if key is not None]
        assert sorted(keys) == sorted(set(keys))
        sizes.append(len(keys))
    assert max(sizes) >= 90
    assert len(RULES) > 90


def test_an_unknown_operation_is_named_and_never_free() -> None:
    with pytest.raises(UnknownOperation, match=r"cumsum \(running\)"):
        count(graph(node("running", aten.cumsum.default, X, 1)))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: torch.where(x > 0, x, 0.1 * x), r"gt .* chosen by relu, clamp"),
        (lambda x: nn.functional.interpolate(x, scale_factor=2, mode="bilinear"), r"bilinear2d .* by the nearest"),
        (nn.LocalResponseNorm(2), r"avg_pool3d .* 1x1 convolution of the squares"),
        (lambda x: x.argmax(1).float(), r"argmax .* Give the logits back"),
        (lambda x: x[:, torch.tensor([[1, 0]])], r"index .* x\.index_select\(1"),
        (lambda x: x.cumsum(1), r"cumsum .* Express it with operations that have one"),
    ],
)
def test_of_operations_that_networks_have_it_is_said_what_would_be_right(
    function: nn.Module | Callable[[Tensor], Tensor], words: str
) -> None:
    with pytest.raises(UnknownOperation, match=words + ".*, or propose a rule"):
        count(captured(function, (4, 6, 6)))


def test_an_unknown_operation_that_reaches_nothing_costs_nothing() -> None:
    unused = node("unused", aten.cumsum.default, X, 1)
    assert totals(graph(unused, node("y", aten.relu.default, X))) == (N, 0)


def test_what_does_not_reach_the_output_costs_and_stores_nothing() -> None:
    class Forgetful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.forgotten = nn.Conv2d(4, 1, 1), nn.Conv2d(4, 50, 3)

        def forward(self, x: Tensor) -> Tensor:
            self.forgotten(x).relu()
            return self.used(x)

    counts = count(captured(Forgetful(), (4, 6, 6)))
    assert totals(counts) == (4 * 36, 4 * 36)
    assert parameters_of(counts)[0] == 5


def test_arithmetic_on_constants_is_free_and_what_it_reads_is_stored() -> None:
    weights = {"w": torch.ones(5, 4, 1, 1), "gain": torch.ones(5, 1, 1, 1)}
    scaled = node("scaled", aten.mul.Tensor, Ref("w"), Ref("gain"))
    counts = count(graph(scaled, node("y", aten.conv2d.default, X, Ref("scaled")), weights=weights))
    assert totals(counts) == (5 * 4 * 36, 5 * 3 * 36)
    assert parameters_of(counts)[0] == 20 + 5


def test_arithmetic_on_sizes_is_free() -> None:
    size = node("size", aten.sym_size.int, X, 0)
    double = node("double", operator.mul, Ref("size"), 2)
    assert totals(graph(size, double, node("y", aten.view.default, X, (Ref("double"), -1)))) == (0, 0)


def test_tied_weights_compute_twice_and_are_stored_once() -> None:
    conv = dense(nn.Conv2d(4, 4, 1))
    counts = count(captured(nn.Sequential(conv, nn.ReLU(), conv), (4, 6, 6)))
    assert totals(counts) == (2 * 4 * 4 * 36 + N, 2 * 4 * 4 * 36)
    assert parameters_of(counts)[0] == 16 + 4
    assert [layer.weight_bits for layer in counts.layers] == [32, None, 32]


def test_literals_are_no_parameters() -> None:
    weights = {"six": torch.tensor(6.0)}
    counts = count(graph(node("y", aten.minimum.default, X, Ref("six")), weights=weights, literals=frozenset(weights)))
    assert totals(counts) == (N, 0)
    assert parameters_of(counts) == (0, 0)


def test_layers_have_names_of_their_own() -> None:
    conv = nn.Conv2d(4, 4, 1)
    names = [layer.name for layer in count(captured(nn.Sequential(conv, conv, conv), (4, 6, 6))).layers]
    assert len(set(names)) == 3
