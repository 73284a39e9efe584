"""Sums of products with weights: Conv, Gemm, MatMul."""

from micronet.onnx_reader.call import Call, Importers
from micronet.onnx_reader.elementwise import add
from micronet.onnx_reader.shapes import reshape
from micronet.onnx_reader.values import Floating, Known, Made, multiple_of_batch, readable
from micronet.onnx_reader.windows import read_window, trailing


def _conv(call: Call) -> Floating:
    """Conv of one or two dimensions; uneven padding becomes a pad of its own."""
    x, weight, bias = call.tensor(0), call.tensor(1), call.optional(2)
    if isinstance(weight, Made) and any(map(multiple_of_batch, (*weight.shape, *x.shape[1:]))):
        raise call.unsupported("kernels computed from the image are not read.")
    rank = len(weight.shape) - 2
    if rank not in (1, 2) or len(x.shape) != rank + 2:
        raise call.unsupported(f"a convolution over {rank} dimensions; 1 or 2 are read.")
    if call.ints("kernel_shape") not in (None, weight.shape[2:]):
        raise call.corrupt("kernel_shape is not the shape of the kernel.")
    window = read_window(call, x.shape[2:], weight.shape[2:])
    before = window.before
    if window.before != window.after:
        x, before = call.emit("pad", x, trailing(window.before, window.after), 0.0), (0,) * rank
    groups = call.whole("group", 1)
    if groups < 1 or weight.shape[0] % groups or x.shape[1] != weight.shape[1] * groups:
        raise call.corrupt(f"{groups} groups do not divide the channels.")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise call.corrupt(f"a bias of shape {readable(bias.shape)} does not fit {weight.shape[0]} filters.")
    return call.emit(f"conv{rank}d", x, weight, bias, window.strides, before, window.dilations, groups)


def _gemm(call: Call) -> Floating:
    """Gemm as linear: transposition, alpha and beta go into constants, and cost a node only on activations.

    Alpha costs one on weights that have a grid, too: scaled, they would be on no grid of the file's.
    """
    a, b, c = call.tensor(0), call.tensor(1), call.optional(2)
    alpha, beta = call.real("alpha", 1.0), call.real("beta", 1.0)
    if len(a.shape) != 2 or len(b.shape) != 2:
        raise call.corrupt("Gemm takes matrices.")
    if call.whole("transA", 0):
        a = call.emit("permute", a, (1, 0))
    weight = b if call.whole("transB", 0) else call.emit("permute", b, (1, 0))
    if isinstance(weight, Known) and weight.grid is None and alpha != 1:
        weight, alpha = call.emit("mul", weight, alpha), 1.0
    if c is not None and beta != 1:
        c = call.emit("mul", c, beta)
    outputs = weight.shape[0]
    if isinstance(c, Known) and c.shape in ((outputs,), (1, outputs)) and alpha == 1:
        return call.emit("linear", a, weight, reshape(call, c, (outputs,)))
    result = call.emit("linear", a, weight, None)
    result = result if alpha == 1 else call.emit("mul", result, alpha)
    return result if c is None else add(call, result, c)


def _matmul(call: Call) -> Floating:
    return call.emit("matmul", call.tensor(0), call.tensor(1))


IMPORTERS: Importers = {"Conv": _conv, "Gemm": _gemm, "MatMul": _matmul}
