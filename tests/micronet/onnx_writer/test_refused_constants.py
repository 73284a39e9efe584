"""Constants that no file can hold, and operands of two types: each is refused with what would be right."""

import pytest
import torch
from torch import Tensor

from micronet.errors import NotWritable
from micronet.graph.ir import Ref
from micronet.onnx_writer import to_model
from tests.micronet.analysis.graphs import X, aten, graph, node


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (torch.tensor([True, False, True, True]), r"'w' is of torch\.bool.* Convert it: \.float\(\), \.long\(\)"),
        (torch.tensor([0.0, -torch.inf, 0, 0]), r"'w' holds NaN or infinity.* such as -1e9"),
        (torch.tensor([1, 0, 1, 1]), r"standard ONNX refuses it: .* convert operands to one"),
    ],
)
def test_a_constant_that_no_file_holds_is_refused_with_a_way_out(weight: Tensor, words: str) -> None:
    product = node("y", aten.mul.Tensor, X, Ref("w"))
    with pytest.raises(NotWritable, match=words):
        to_model(graph(product, weights={"w": weight.view(4, 1, 1)}))


def test_several_numbers_that_no_training_set_are_a_buffer() -> None:
    product = node("y", aten.mul.Tensor, X, Ref("w"))
    with pytest.raises(NotWritable, match="Store them as one: register_buffer"):
        to_model(graph(product, weights={"w": torch.arange(4.0).view(4, 1, 1)}, literals=frozenset({"w"})))
