"""Sums of products: convolutions, fully connected layers, products of matrices."""

import torch

from micronet.graph.geometry import geometry
from micronet.onnx_writer.call import Call, Writers

aten = torch.ops.aten


def _conv(call: Call) -> str:
    rank = len(call.sizes(0)) - 2
    how = geometry(call.node, rank)
    inputs = [call.value(index) for index in (0, 1, 2) if call.argument(index) is not None]
    return call.emit(
        "Conv",
        *inputs,
        kernel_shape=[call.fixed(1, axis) for axis in range(2, rank + 2)],
        strides=how.stride,
        pads=how.padding * 2,
        dilations=how.dilation,
        group=how.groups,
    )


def _linear(call: Call) -> str:
    """Gemm, which takes matrices: leading axes are laid in one before it and taken apart after it."""
    parameters = [call.value(index) for index in (1, 2) if call.argument(index) is not None]
    x, sizes = call.value(0), call.sizes(0)
    if len(sizes) != 2:
        features = call.fixed(0, len(sizes) - 1)
        x = call.emit("Reshape", x, call.draft.vector((-1, features)))
    product = call.emit("Gemm", x, *parameters, transB=1)
    return product if len(sizes) == 2 else shaped(call, product)


def shaped(call: Call, x: str) -> str:
    """`x` in the shape of what the node gives."""
    free = [-1 if size is None else size for size in call.result]
    if free.count(-1) > 1:
        raise call.refuse("its shape has the batch in two places.")
    return call.emit("Reshape", x, call.draft.vector(free))


def _addmm(call: Call) -> str:
    if (call.argument(3), call.argument(4)) != (1, 1):
        raise call.refuse("a product with a factor; write the factor as a product of its own.")
    return call.emit("Gemm", call.value(1), call.value(2), call.value(0))


def _matmul(call: Call) -> str:
    return call.emit("MatMul", call.value(0), call.value(1))


WRITERS: Writers = {
    aten.conv1d.default: _conv,
    aten.conv2d.default: _conv,
    aten.linear.default: _linear,
    aten.matmul.default: _matmul,
    aten.mm.default: _matmul,
    aten.bmm.default: _matmul,
    aten.addmm.default: _addmm,
}
