"""Resize and Upsample copy the elements onnxruntime copies, by scales and by sizes, in every mode that is read."""

import itertools

import numpy as np
import onnxruntime
import pytest
import torch.nn.functional as F
from onnx import TensorProto, helper
from torch import arange

from micronet.analysis.counts import count
from micronet.analysis.shapes import shapes
from micronet.onnx_reader.resizing import nearest, nearest_by_torch, ratio
from tests.micronet.onnx_reader.files import agreeing, model, node, of, targets

POSITIONS = ("asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners")
ROUNDINGS = ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")
FLOOR = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


def row_resizer(kind: int, position: str, rounding: str) -> onnxruntime.InferenceSession:
    """Resizes (1, 1, size, 1) by `how`: four scales, or four sizes."""
    modes = {"coordinate_transformation_mode": position, "nearest_mode": rounding}
    operands = ("row", "", "how") if kind == TensorProto.FLOAT else ("row", "", "", "how")
    row = helper.make_tensor_value_info("row", TensorProto.FLOAT, [1, 1, "size", 1])
    how = helper.make_tensor_value_info("how", kind, [4])
    made = helper.make_tensor_value_info("x", TensorProto.FLOAT, None)
    graph = helper.make_graph([node("Resize", *operands, **modes)], "resize", [row, how], [made])
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnxruntime.InferenceSession(file.SerializeToString())


def copied(session: onnxruntime.InferenceSession, size: int, how: np.ndarray) -> list[int]:
    row = np.arange(size, dtype=np.float32).reshape(1, 1, size, 1)
    return [int(element) for element in session.run(None, {"row": row, "how": how})[0].flatten()]


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("position", POSITIONS)
def test_the_elements_are_onnxruntimes(position: str, rounding: str) -> None:
    by_sizes, by_scales = (row_resizer(kind, position, rounding) for kind in (TensorProto.INT64, TensorProto.FLOAT))
    for size, new in itertools.product((2, 3, 5, 7, 14, 16, 26, 28, 63), range(1, 85)):
        sizes, scale = np.array([1, 1, new, 1]), np.float32(new / 20)
        if size != new:  # whole images that keep their sizes are copied
            assert nearest(size, new, ratio(size, new), position, rounding) == copied(by_sizes, size, sizes)
        made = int(np.float32(size) * scale)
        if made not in (0, size):
            right = copied(by_scales, size, np.array([1, 1, scale, 1], np.float32))
            assert nearest(size, made, scale, position, rounding) == right


@pytest.mark.parametrize(
    ("size", "scales", "made"),
    [
        (5, (1.4, 1.4), (7, 7)),  # 1.4f is a little less than 1.4, and 5 x 1.4f is 7 in float32
        (15, (1.4, 1.4), (21, 21)),
        (10, (0.7, 0.7), (7, 7)),
        (10, (0.7, 1.0), (7, 10)),
        (2, (1.4, 1.4), (2, 2)),  # 1 / 1.4 is element 0, but an image that keeps its sizes is copied
        (2, (1.4, 2.0), (2, 4)),  # this one does not keep them
    ],
)
def test_by_scales(size: int, scales: tuple[float, float], made: tuple[int, int]) -> None:
    weights = [of("scales", [1, 1, *scales])]
    graph = agreeing(model([node("Resize", "image", "", "scales", **FLOOR)], weights, ("N", 3, size, size)))
    (resized,) = graph.nodes[-2].refs()
    assert shapes(graph)[resized.name][2:] == made


@pytest.mark.parametrize(("size", "scale"), [(16, 1.3), (20, 1.3), (9, 1.2)])
@pytest.mark.parametrize("rounding", ["round_prefer_floor", "round_prefer_ceil"])
def test_halves_by_scales(size: int, scale: float, rounding: str) -> None:
    weights = [of("scales", [1, 1, scale, scale])]
    agreeing(model([node("Resize", "image", "", "scales", nearest_mode=rounding)], weights, ("N", 3, size, size)))


@pytest.mark.parametrize(("size", "new"), [(26, 22), (52, 22), (62, 14), (2, 82), (14, 2)])
def test_where_torch_copies_other_elements_they_are_selected(size: int, new: int) -> None:
    weights = [of("sizes", [2, 3, new, new], np.int64)]
    graph = agreeing(model([node("Resize", "image", "", "", "sizes", **FLOOR)], weights, (2, 3, size, size)))
    assert "upsample_nearest2d" not in targets(graph)


@pytest.mark.parametrize(("size", "new"), [(8, 16), (6, 9), (16, 8)])
def test_where_torch_copies_the_same_elements_it_is_torchs_own(size: int, new: int) -> None:
    weights = [of("sizes", [2, 3, new, new], np.int64)]
    graph = agreeing(model([node("Resize", "image", "", "", "sizes", **FLOOR)], weights, (2, 3, size, size)))
    assert targets(graph) == ["upsample_nearest2d"]


@pytest.mark.parametrize("scale", [0.5, 0.6, 0.7, 1.4, 2.0])
def test_opset_10_rounds_up_where_it_shrinks(scale: float) -> None:
    weights = [of("scales", [1, 1, scale, scale])]
    agreeing(model([node("Resize", "image", "scales")], weights, ("N", 3, 10, 10), opset=10))


def test_torchs_elements_are_those_of_interpolate() -> None:
    for size, new in itertools.product((2, 6, 14, 26), range(1, 90)):
        row = F.interpolate(arange(size).float()[None, None], size=new, mode="nearest")
        assert nearest_by_torch(size, new) == row.flatten().long().tolist()


@pytest.mark.parametrize("size", [(28, 4), (14, 2), (4, 28), (26, 22)])
def test_a_row_at_another_scale_costs_nothing(size: tuple[int, int]) -> None:
    """Wherever its places are rounded to: in float32 every seventh pixel is 0, 6, 14."""
    before, after = size
    resize = node("Resize", "image", "", "", "sizes", mode="nearest", **FLOOR)
    graph = agreeing(model([resize], [of("sizes", [1, 3, after, after], np.int64)], (1, 3, before, before)))
    assert all(layer.op != "permutation" for layer in count(graph).layers)
