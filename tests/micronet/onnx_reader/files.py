"""Small ONNX files, made node by node, and onnxruntime's word on what they give."""

from collections.abc import Sequence

import numpy as np
import onnxruntime
import torch
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.onnx_reader import import_graph
from micronet.onnx_reader.targets import TARGETS

RANDOM = np.random.default_rng(0)


def array(name: str, *shape: int) -> TensorProto:
    return numpy_helper.from_array(RANDOM.standard_normal(shape).astype(np.float32), name)


def of(name: str, values: object, kind: type = np.float32) -> TensorProto:
    return numpy_helper.from_array(np.array(values, kind), name)


def node(op: str, *inputs: str, output: str = "x", **attributes: object) -> NodeProto:
    return helper.make_node(op, list(inputs), [output], **attributes)


def model(
    nodes: Sequence[NodeProto],
    weights: Sequence[TensorProto] = (),
    image: Sequence[object] = ("N", 3, 4, 4),
    opset: int = 17,
) -> ModelProto:
    """A file of these nodes, which make `x` from `image`; logits are its mean over what lies behind the channels."""
    end = [node("GlobalAveragePool", "x", output="pooled"), node("Flatten", "pooled", output="logits")]
    graph = helper.make_graph(
        [*nodes, *end],
        "test",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, list(image))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
        list(weights),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def agreeing(file: ModelProto) -> Graph:
    """The graph of the file, after it said what onnxruntime says on two images and on one."""
    graph = import_graph(file)
    session = onnxruntime.InferenceSession(file.SerializeToString())
    open_batch = not isinstance(session.get_inputs()[0].shape[0], int)
    for batch in (2, 1) if open_batch else (session.get_inputs()[0].shape[0],):
        images = torch.randn(batch, *graph.input_shape)
        right = session.run(None, {"image": images.numpy()})[0]
        np.testing.assert_allclose(interpret(graph, images).numpy(), right, atol=1e-5, rtol=1e-4)
    return graph


def targets(graph: Graph) -> list[str]:
    names = {target: name for name, target in TARGETS.items()}
    return [names[node.target] for node in graph.nodes][:-2]
