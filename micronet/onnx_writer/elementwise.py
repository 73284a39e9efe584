"""Arithmetic and functions of one element; broadcasting is the same in both languages."""

import torch

from micronet.onnx_writer.call import Call, Writer, Writers

aten = torch.ops.aten


def unary(op: str) -> Writer:
    """The rule of a function of one tensor without options."""
    return lambda call: call.emit(op, call.value(0))


def _binary(op: str) -> Writer:
    return lambda call: call.emit(op, call.value(0), call.value(1))


def _sum(op: str) -> Writer:
    """Addition and subtraction; a factor on the second operand would be an operation of its own."""

    def writer(call: Call) -> str:
        _check_factor(call)
        return call.emit(op, call.value(0), call.value(1))

    return writer


def _reversed_difference(call: Call) -> str:
    _check_factor(call)
    return call.emit("Sub", call.value(1), call.value(0))


def _check_factor(call: Call) -> None:
    if (factor := call.argument(2)) != 1:
        raise call.refuse(f"a sum with the factor {factor}; write it as a product and a sum.")


def _cast(call: Call) -> str:
    """Between floats nothing happens."""
    dtype = call.argument(1)
    if dtype is not torch.float32:
        raise call.refuse(f"values of {dtype}; float32 is written.")
    return call.value(0)


WRITERS: Writers = {
    aten.add.Tensor: _sum("Add"),
    aten.add.Scalar: _sum("Add"),
    aten.sub.Tensor: _sum("Sub"),
    aten.sub.Scalar: _sum("Sub"),
    aten.rsub.Scalar: _reversed_difference,
    aten.mul.Tensor: _binary("Mul"),
    aten.mul.Scalar: _binary("Mul"),
    aten.div.Tensor: _binary("Div"),
    aten.div.Scalar: _binary("Div"),
    aten.pow.Tensor_Tensor: _binary("Pow"),
    aten.pow.Tensor_Scalar: _binary("Pow"),
    aten.pow.Scalar: _binary("Pow"),
    aten.maximum.default: _binary("Max"),
    aten.minimum.default: _binary("Min"),
    aten.abs.default: unary("Abs"),
    aten.neg.default: unary("Neg"),
    aten.exp.default: unary("Exp"),
    aten.log.default: unary("Log"),
    aten.sqrt.default: unary("Sqrt"),
    aten.erf.default: unary("Erf"),
    aten.sin.default: unary("Sin"),
    aten.cos.default: unary("Cos"),
    aten.reciprocal.default: unary("Reciprocal"),
    aten.to.dtype: _cast,
}
