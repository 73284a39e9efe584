"""From a module to the graph: the same function, by the module's own names, for any batch size."""

import operator
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn
from torch.ao.quantization import FakeQuantize
from torch.nn import functional as F

from micronet.architectures.quantizer import Quantizer
from micronet.errors import CaptureFailed
from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.transformation.fold_constants import fold_constants
from tests.micronet.networks import IMAGE, images, network, networks

aten = torch.ops.aten


class Function(nn.Module):
    """A module of one function."""

    def __init__(self, function: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> object:
        return self.function(x)


def targets(module: nn.Module) -> list[object]:
    return [node.target for node in capture(module, IMAGE).nodes]


@settings(max_examples=40)
@given(networks())
def test_the_graph_gives_what_the_module_gives_for_any_batch_size(module: nn.Module) -> None:
    graph = capture(module, IMAGE)
    for count in (1, 2, 5):
        torch.testing.assert_close(interpret(graph, images(count)), module(images(count)), rtol=0, atol=0)


def test_it_is_the_graph_of_torch_export() -> None:
    module = network(["convolution", "norm", "relu", "residual", "excite", "max pool"])
    batch = {0: torch.export.Dim("batch")}
    program = torch.export.export(module, (images(2),), dynamic_shapes=(batch,), strict=False)
    exported = [node.target for node in program.graph.nodes if node.op == "call_function"]
    assert targets(module) == exported


def test_in_place_operations_become_pure() -> None:
    graph = capture(network(["convolution", "relu in place", "hard swish", "residual in place"]), IMAGE)
    assert not [node for node in graph.nodes if node.target._schema.is_mutable]
    assert aten.hardswish.default in [node.target for node in graph.nodes]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (x.relu_() + x).flatten(1),  # both read the overwritten value
        lambda x: x.flatten(1).relu_(),
        lambda x: x.clone().add_(1).mul_(x).flatten(1),
        lambda x: torch.zeros(x.shape[0], 2).add_(x.mean()),
    ],
)
def test_what_is_read_after_an_overwriting_is_the_new_value(function: Callable[[Tensor], Tensor]) -> None:
    graph = capture(Function(function), IMAGE)
    torch.testing.assert_close(interpret(graph, images(4)), function(images(4).clone()))


@pytest.mark.parametrize("function", [lambda x: x.flatten(1).relu_() + x.flatten(1), lambda x: (x[:, 0].zero_(), x)[1]])
def test_a_value_changed_through_a_view_is_refused_not_misread(function: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(CaptureFailed, match=r"changed in place; write that with a pure operation"):
        capture(Function(function), IMAGE)


def test_weights_have_the_modules_names_and_tied_weights_are_one() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(6, 6, bias=False)
            self.second = nn.Linear(6, 6)
            self.second.weight = self.first.weight
            self.register_buffer("offset", torch.ones(6))
            self.unused = nn.Parameter(torch.ones(9))

        def forward(self, x: Tensor) -> Tensor:
            return self.second(self.first(x)).mean((1, 2)) + self.offset

    module = Tied()
    graph = capture(module, IMAGE)
    assert set(graph.weights) == {"first.weight", "second.bias", "offset"}
    assert graph.weights["first.weight"].data_ptr() == module.first.weight.data_ptr()
    assert not graph.literals
    assert [node.layer for node in graph.nodes] == ["first", "second", "", ""]


def test_tensors_that_are_no_parameters_are_weights_and_single_numbers_are_literals() -> None:
    table = torch.arange(6.0)
    graph = capture(Function(lambda x: x.mean((1, 2)) * table + torch.tensor(2.0)), IMAGE)
    assert sorted(weight.dim() for weight in graph.weights.values()) == [0, 1]
    assert [graph.weights[name].dim() for name in graph.literals] == [0]
    torch.testing.assert_close(interpret(graph, images(2)), images(2).mean((1, 2)) * table + 2)


def test_a_size_that_grows_with_the_batch_is_computed_from_it() -> None:
    graph = capture(Function(lambda x: x.reshape(x.shape[0] * 4, -1).reshape(x.shape[0], -1)), IMAGE)
    assert [node.target for node in graph.nodes[:2]] == [aten.sym_size.int, operator.mul]
    assert torch.equal(interpret(graph, images(7)), images(7).flatten(1))


def test_results_of_a_split_are_items() -> None:
    function = lambda x: sum(part.mean((1, 2, 3)) for part in x.chunk(2, 1)[::-1])  # noqa: E731
    graph = capture(Function(function), IMAGE)
    assert [node.target for node in graph.nodes].count(operator.getitem) == 2
    torch.testing.assert_close(interpret(graph, images(3)), function(images(3)))


def test_any_module_with_fake_quantization_is_captured() -> None:
    graph = capture(Function(lambda x: torch.fake_quantize_per_tensor_affine(x, 0.5, 0, -8, 7).mean((2, 3))), IMAGE)
    assert graph.nodes[0].args[1:] == (0.5, 0, -8, 7)
    assert torch.equal(interpret(graph, images(2)), Quantizer(1, 4)(images(2)).mean((2, 3)))


def test_a_module_without_memory_has_the_same_graph() -> None:
    module = network(["convolution", "norm", "excite", "twice"])
    graph, weightless = capture(module, IMAGE), capture(module.to("meta"), IMAGE)
    assert graph.nodes == weightless.nodes
    assert all(weight.is_meta for weight in weightless.weights.values())


def test_capture_leaves_no_hooks_behind() -> None:
    module = network(["residual"])
    before = torch.backends.mha.get_fastpath_enabled()
    capture(module, IMAGE)
    assert not any(child._forward_hooks or child._forward_pre_hooks for child in module.modules())
    assert torch.backends.mha.get_fastpath_enabled() is before


def _step(x: Tensor) -> Tensor:
    return x.flatten(1) if x.sum() > 0 else -x.flatten(1)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (_step, "must not depend on the images"),
        (lambda x: (x, x + 1), "must return one tensor of logits"),
        (lambda x: x, "must return one tensor of logits"),
        (lambda x: {"logits": x + 1}, "must return one tensor of logits"),
        (lambda x: x.view(2, -1), "shape '.2, -1.' is invalid|not one row per image"),
        (lambda x: x.mean((2, 3)).squeeze(), "not one row per image"),
        (lambda x: x.flatten(1) if x.shape[0] > 1 else x.flatten(1) + 1, "take different ways"),
        (lambda x: x.flatten(1) * (x.shape[0] + 1), "has the argument 2 for 1 images and 4 for 3"),
        (lambda x: x.flatten(1) + torch.tensor(x.shape[0]), "depends on the batch size"),
        (lambda x: F.batch_norm(x, None, None, training=True).flatten(1), "statistics from the batch"),
        (lambda x: F.rms_norm(x, (5,)).flatten(1), r"expected input with shape \[\*5\]"),
        (lambda x: x[:, torch.tensor([True, False, True])].flatten(1), "picked by number.* not by truth values"),
        (lambda x: x.flatten(1) * float(x.max()), r"keep numbers in tensors, or read them ahead, in __init__"),
        (lambda x: torch.ones(x.shape[0], 3), "its answer is the same for all images"),
        (lambda x: x.missing(), "has no attribute 'missing'"),
    ],
)
def test_what_cannot_be_captured_says_why(function: Callable[[Tensor], object], reason: str) -> None:
    with pytest.raises(CaptureFailed, match=reason) as caught:
        capture(Function(function), IMAGE)
    assert "could not capture Function for a batch of (4, 6, 6) images" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_error_of_a_layer_names_it_and_the_shapes() -> None:
    module = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.Sequential(nn.ReLU(), nn.Conv2d(3, 5, 3)))
    with pytest.raises(CaptureFailed, match=r"in layer 1\.1: .*weights \(5, 3, 3, 3\), input \(1, 4, 6, 6\)") as caught:
        capture(module, IMAGE)
    assert "must not depend" not in str(caught.value)


def test_a_module_that_torch_exported_is_refused_with_a_way_out() -> None:
    exported = torch.export.export(nn.Flatten().eval(), (images(2),)).module()
    with pytest.raises(CaptureFailed, match="Capture the module that was exported"):
        capture(exported, IMAGE)


def _with_tensors(x: Tensor) -> Tensor:
    scale, zero = torch.tensor(0.5), torch.tensor(0, dtype=torch.int32)
    return torch.fake_quantize_per_tensor_affine(x, scale, zero, -8, 7).flatten(1)


@pytest.mark.parametrize("module", [Function(_with_tensors), nn.Sequential(FakeQuantize(), nn.Flatten())])
def test_quantizers_that_are_not_read_name_the_one_that_is(module: nn.Module) -> None:
    with pytest.raises(CaptureFailed, match=r"Grids are read from torch\.fake_quantize_per_tensor_affine\(x, scale"):
        capture(module, IMAGE)


def test_a_module_on_several_devices_is_what_it_spreads() -> None:
    module = network(["convolution", "relu"])
    spread, plain = capture(nn.DataParallel(module), IMAGE), capture(module, IMAGE)
    assert (spread.nodes, spread.weights.keys()) == (plain.nodes, plain.weights.keys())


def test_a_batch_norm_of_weights_is_a_way_to_standardize_them() -> None:
    """As timm writes it: mean 0 and variance 1 for each filter."""

    class Standardized(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            rows = self.weight.reshape(1, self.out_channels, -1)
            return F.conv2d(x, F.batch_norm(rows, None, None, training=True).reshape_as(self.weight)).mean((2, 3))

    module = Standardized(4, 5, 3, bias=False)
    graph = fold_constants(capture(module, IMAGE))
    assert [weight.shape for weight in graph.weights.values()] == [(5, 4, 3, 3)]
    torch.testing.assert_close(interpret(graph, images(2)), module(images(2)))
