"""ONNX files that cannot be read into a graph; some are refused by `read_checkpoint`, some when the graph is built."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from micronet.errors import (
    CorruptFile,
    FileTooLarge,
    NotFinite,
    OnnxExternalData,
    OnnxForeignDomain,
    OnnxUnsupportedFeature,
    OnnxUnsupportedOperation,
    OnnxUnsupportedVersion,
)
from tests.micronet.checkpoints.bad_file import BadFile

WEIGHT = np.ones((10, 48), dtype=np.float32)


def classifier(*nodes: NodeProto, weight: np.ndarray = WEIGHT, opset: int = 13, domain: str = "") -> ModelProto:
    """flatten, `nodes` from "flat" to "hidden" if any, and a linear layer, over images of 3x4x4."""
    layers = [helper.make_node("Flatten", ["image"], ["flat"]), *nodes]
    layers.append(helper.make_node("Gemm", ["hidden" if nodes else "flat", "weight"], ["logits"], transB=1))
    graph = helper.make_graph(
        layers,
        "classifier",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 4, 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(weight, "weight")],
    )
    opsets = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def _file(build: Callable[[], ModelProto], change: Callable[[bytes], bytes] = bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / "model.onnx"
        path.write_bytes(change(build().SerializeToString()))
        return path

    return make


def _node(operation: str, domain: str = "") -> Callable[[], ModelProto]:
    return lambda: classifier(helper.make_node(operation, ["flat"], ["hidden"], domain=domain), domain=domain)


def _external(folder: Path) -> Path:
    path = folder / "model.onnx"
    onnx.save_model(classifier(), path, save_as_external_data=True, location="weights", size_threshold=0)
    return path


def _external_elsewhere(folder: Path) -> Path:
    model = classifier()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../etc/passwd")
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def _huge_constant() -> ModelProto:
    shape = numpy_helper.from_array(np.array([10**6, 10**6], dtype=np.int64))
    return classifier(
        helper.make_node("Constant", [], ["shape"], value=shape),
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("Add", ["flat", "zeros"], ["hidden"]),
    )


def _huge_dims() -> ModelProto:
    model = classifier()
    model.graph.initializer[0].dims[:] = [10**6, 10**6]
    return model


ONNX: Mapping[str, BadFile] = {
    "onnx_external": BadFile(_external, OnnxExternalData),
    "onnx_external_elsewhere": BadFile(_external_elsewhere, OnnxExternalData),
    "onnx_foreign_domain": BadFile(_file(_node("Gelu", "com.microsoft")), OnnxForeignDomain),
    "onnx_unknown_operation": BadFile(_file(_node("Frobnicate")), OnnxUnsupportedOperation),
    "onnx_truncated": BadFile(_file(classifier, lambda data: data[: len(data) // 2]), CorruptFile),
    "onnx_nan": BadFile(_file(lambda: classifier(weight=WEIGHT * math.nan)), NotFinite),
    "onnx_old_opset": BadFile(_file(lambda: classifier(opset=1)), OnnxUnsupportedVersion),
    "onnx_future_opset": BadFile(_file(lambda: classifier(opset=900)), OnnxUnsupportedVersion),
    "onnx_huge_constant": BadFile(_file(_huge_constant), FileTooLarge),
    "onnx_huge_dims": BadFile(_file(_huge_dims), FileTooLarge),
    "onnx_loop": BadFile(
        _file(
            lambda: classifier(
                helper.make_node("Loop", ["", ""], ["hidden"], body=helper.make_graph([], "body", [], []))
            )
        ),
        OnnxUnsupportedFeature,
    ),
    "onnx_reads_nothing": BadFile(
        _file(lambda: classifier(helper.make_node("Relu", ["nowhere"], ["hidden"]))), CorruptFile
    ),
}
