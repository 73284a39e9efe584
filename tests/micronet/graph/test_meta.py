"""Our quick shapes are torch's own, and what torch refuses is refused."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.graph.ir import Target
from micronet.graph.meta import on_meta, values_on_meta
from tests.micronet.networks import IMAGE, images, network

aten = torch.ops.aten

SIZES = st.integers(1, 5)
SHAPES = st.lists(SIZES, min_size=1, max_size=4)
PAIRS = st.lists(st.integers(0, 3), min_size=2, max_size=2)


def outcome(compute: object, *args: object) -> object:
    """Shape and dtype, or that it was refused."""
    try:
        result = compute(*args)  # type: ignore[operator]
    except (RuntimeError, IndexError, ValueError, ZeroDivisionError):
        return "refused"
    assert isinstance(result, Tensor)
    return tuple(result.shape), result.dtype, result.is_meta


def agree(target: Target, *args: object) -> None:
    assert outcome(lambda *given: on_meta(target, given, {}), *args) == outcome(target, *args)


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


@settings(max_examples=400)
@given(st.data())
def test_convolutions(data: st.DataObject) -> None:
    channels, filters, kernel = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 6)), data.draw(PAIRS)
    groups = data.draw(st.integers(0, 3))
    x = meta(2, data.draw(st.sampled_from([channels * max(groups, 1), 3])), data.draw(SIZES), data.draw(SIZES))
    weight = meta(filters, channels, max(kernel[0], 1), max(kernel[1], 1))
    bias = data.draw(st.sampled_from([None, meta(filters), meta(filters + 1)]))
    geometry = (data.draw(PAIRS), data.draw(PAIRS), [data.draw(st.integers(1, 2)) for _ in range(2)], groups)
    agree(aten.conv2d.default, x, weight, bias, *geometry[: data.draw(st.integers(0, 4))])


@settings(max_examples=200)
@given(SHAPES, SHAPES, st.sampled_from([torch.float32, torch.int64]))
def test_operations_element_by_element(one: list[int], other: list[int], dtype: torch.dtype) -> None:
    for target in (aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor):
        agree(target, meta(*one), meta(*other, dtype=dtype))
        agree(target, meta(*one, dtype=dtype), 2)
        agree(target, meta(*one, dtype=dtype), 2.5)


@settings(max_examples=200)
@given(st.lists(SIZES, min_size=2, max_size=4), st.integers(-4, 3), SIZES, st.booleans())
def test_joins_means_and_layers(shape: list[int], axis: int, size: int, keep: bool) -> None:
    other = [size if index == axis % len(shape) else side for index, side in enumerate(shape)]
    agree(aten.cat.default, [meta(*shape), meta(*other)], axis)
    agree(aten.mean.dim, meta(*shape), [axis], keep)
    agree(aten.mean.dim, meta(*shape), [axis, 0], keep)
    agree(aten.mean.dim, meta(*shape, dtype=torch.int64), [axis], keep)
    agree(aten.linear.default, meta(*shape), meta(7, size), meta(7))
    agree(aten.adaptive_avg_pool2d.default, meta(2, *shape[:3]), [size, 1])


@pytest.mark.parametrize("kwargs", [{}, {"device": torch.device("cpu")}, {"device": torch.device("meta")}])
def test_what_is_made_of_nothing_has_no_data_either(kwargs: dict[str, object]) -> None:
    made = on_meta(aten.full.default, ([2, 3], 0.5), kwargs)
    assert isinstance(made, Tensor)
    assert (made.is_meta, made.shape) == (True, (2, 3))


def test_values_are_those_of_a_run_but_for_their_data() -> None:
    graph = capture(network(["convolution", "residual", "twice", "excite"]), IMAGE)
    seen: dict[str, object] = {graph.input: images(3), **graph.weights}
    interpret(graph, images(3), lambda node, value: seen.update({node.name: value}))
    found = values_on_meta(graph, 3)
    assert list(found) == [*graph.weights, graph.input, *(node.name for node in graph.nodes)]
    for name, value in found.items():
        real = seen[name]
        if isinstance(real, Tensor):
            assert isinstance(value, Tensor)
            assert (value.shape, value.dtype, value.is_meta) == (real.shape, real.dtype, True)
        else:
            assert value == real
