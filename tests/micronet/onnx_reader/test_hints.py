"""What is not read is refused with what would be right."""

import numpy as np
import pytest
from onnx import ModelProto, TensorProto

from micronet.errors import OnnxError, OnnxExternalData, OnnxForeignDomain, OnnxUnsupportedFeature
from micronet.errors import OnnxUnsupportedOperation as Unread
from micronet.onnx_reader import import_graph
from tests.micronet.onnx_reader.files import array, model, node, of


def outside() -> ModelProto:
    weight = TensorProto(name="w", dims=[1], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    return model([node("Add", "image", "w")], [weight])


def foreign(op: str) -> ModelProto:
    return model([node(op, "image", domain="com.microsoft")])


def learning() -> ModelProto:
    parameters = [of(name, [1, 2, 3]) for name in "abcd"]
    return model([node("BatchNormalization", "image", *"abcd", training_mode=1)], parameters)


CASES: dict[str, tuple[ModelProto, type[OnnxError], str]] = {
    "operators on integers": (model([node("QLinearConv", "image")]), Unread, "QuantFormat.QDQ"),
    "quantized per image": (model([node("DynamicQuantizeLinear", "image")]), Unread, "each image.*QuantFormat.QDQ"),
    "noise": (model([node("RandomUniformLike", "image")]), Unread, r"model.eval\(\)"),
    "a batch norm that learns": (learning(), OnnxUnsupportedFeature, r"model.eval\(\)"),
    "wide integers": (foreign("DequantizeLinear"), OnnxForeignDomain, "opset 21"),
    "operators of the runtime": (foreign("QLinearAdd"), OnnxForeignDomain, "QuantFormat.QDQ"),
    "an optimized file": (foreign("FusedConv"), OnnxForeignDomain, "ORT_ENABLE_BASIC"),
    "weights elsewhere": (outside(), OnnxExternalData, "external_data=False"),
}


@pytest.mark.parametrize("name", CASES)
def test_refusal_says_what_would_be_right(name: str) -> None:
    file, error, words = CASES[name]
    with pytest.raises(error, match=words):
        import_graph(file)


def test_an_operation_nobody_knows_is_named() -> None:
    with pytest.raises(Unread, match=r"Nonsense is not read\.$"):
        import_graph(model([node("Nonsense", "image")]))
    with pytest.raises(OnnxForeignDomain, match=r"are read\.$"):
        import_graph(model([node("Relu", "image", domain="somebody")]))


@pytest.mark.parametrize("batch", [1, 2, "N"])
def test_kernels_of_each_image_are_refused_as_such(batch: int | str) -> None:
    """One convolution in groups for all images, with kernels that were computed from them."""
    images = -1 if batch == "N" else int(batch)
    nodes = [node("GlobalAveragePool", "image", output="p"), node("Flatten", "p", output="f")]
    nodes += [node("MatMul", "f", "w", output="k"), node("Reshape", "k", "kernels", output="kernel")]
    nodes += [node("Reshape", "image", "together", output="y")]
    nodes += [
        node("Conv", "y", "kernel", output="z", group=1 if batch == "N" else batch),
        node("Reshape", "z", "apart"),
    ]
    shapes = {"kernels": [-1, 3, 1, 1], "together": [1, -1, 4, 4], "apart": [images, 3, 4, 4]}
    weights = [array("w", 3, 9), *(of(name, shape, np.int64) for name, shape in shapes.items())]
    with pytest.raises(OnnxUnsupportedFeature, match="kernels computed from the image"):
        import_graph(model(nodes, weights, image=(batch, 3, 4, 4)))


def test_a_file_for_a_fixed_batch_is_told_so() -> None:
    """Two class tokens beside two images: whether that 2 is the batch cannot be told."""
    nodes = [node("Concat", "image", "tokens", axis=2)]
    with pytest.raises(OnnxUnsupportedFeature, match=r"\(N, 3, 4, 4\).*batch of 2; export it with a free batch"):
        import_graph(model(nodes, [array("tokens", 2, 3, 1, 4)], image=(2, 3, 4, 4)))
    with pytest.raises(OnnxUnsupportedFeature, match="does not fit") as refusal:
        import_graph(model(nodes, [array("tokens", 2, 3, 1, 4)]))
    assert "free batch" not in str(refusal.value)
