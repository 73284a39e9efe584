"""What each operation costs: SCORING section 3 as one table. An operation without a row has no cost we could state."""

import operator
from collections.abc import Mapping

import torch
from torch._ops import OpOverload

from micronet.analysis.dot_products import dot_product_rule
from micronet.analysis.formulas import (
    BATCH_NORM,
    FREE,
    HARD_SIGMOID,
    HARD_SWISH,
    LEAKY_RELU,
    MISH,
    ONE_MULTIPLICATION,
    SELU,
    SIGMOID,
    SWISH,
    adaptive_average_pool,
    adaptive_max_pool,
    average_pool,
    cast,
    clamp,
    conversion,
    elu,
    gelu,
    group_norm,
    hardtanh,
    largest,
    layer_norm,
    log_softmax,
    max_pool,
    mean,
    power,
    scaled_add,
    softmax,
    softplus,
    total,
)
from micronet.analysis.operations import Rule
from micronet.errors import UnknownOperation
from micronet.graph.ir import Target

aten = torch.ops.aten

RULES: Mapping[Target, Rule] = {
    # dot products: non-zero weights, and terms - 1
    aten.conv1d.default: dot_product_rule,
    aten.conv2d.default: dot_product_rule,
    aten.linear.default: dot_product_rule,
    aten.matmul.default: dot_product_rule,
    aten.mm.default: dot_product_rule,
    aten.bmm.default: dot_product_rule,
    aten.addmm.default: dot_product_rule,
    # normalization
    aten.batch_norm.default: BATCH_NORM,
    aten.layer_norm.default: layer_norm,
    aten.group_norm.default: group_norm,
    # comparisons
    aten.relu.default: ONE_MULTIPLICATION,
    aten.hardtanh.default: hardtanh,
    aten.relu6.default: hardtanh,
    aten.clamp.default: clamp,
    aten.clamp_min.default: ONE_MULTIPLICATION,
    aten.clamp_max.default: ONE_MULTIPLICATION,
    aten.maximum.default: ONE_MULTIPLICATION,
    aten.minimum.default: ONE_MULTIPLICATION,
    aten.abs.default: ONE_MULTIPLICATION,
    aten.leaky_relu.default: LEAKY_RELU,
    aten.prelu.default: LEAKY_RELU,
    # activation functions
    aten.sigmoid.default: SIGMOID,
    aten.silu.default: SWISH,
    aten.hardsigmoid.default: HARD_SIGMOID,
    aten.hardswish.default: HARD_SWISH,
    aten.gelu.default: gelu,
    aten.elu.default: elu,
    aten.selu.default: SELU,
    aten.mish.default: MISH,
    aten.softplus.default: softplus,
    aten.softmax.int: softmax,
    aten.log_softmax.int: log_softmax,
    aten.exp.default: ONE_MULTIPLICATION,
    aten.log.default: ONE_MULTIPLICATION,
    aten.sqrt.default: ONE_MULTIPLICATION,
    aten.tanh.default: ONE_MULTIPLICATION,
    aten.erf.default: ONE_MULTIPLICATION,
    aten.sin.default: ONE_MULTIPLICATION,
    aten.cos.default: ONE_MULTIPLICATION,
    aten.pow.Tensor_Scalar: power,
    aten.pow.Tensor_Tensor: ONE_MULTIPLICATION,
    aten.pow.Scalar: ONE_MULTIPLICATION,
    # element by element
    aten.mul.Tensor: ONE_MULTIPLICATION,
    aten.mul.Scalar: ONE_MULTIPLICATION,
    aten.div.Tensor: ONE_MULTIPLICATION,
    aten.div.Scalar: ONE_MULTIPLICATION,
    aten.reciprocal.default: ONE_MULTIPLICATION,
    aten.neg.default: ONE_MULTIPLICATION,
    aten.add.Tensor: scaled_add,
    aten.add.Scalar: scaled_add,
    aten.sub.Tensor: scaled_add,
    aten.sub.Scalar: scaled_add,
    aten.rsub.Scalar: scaled_add,
    # pooling and reductions
    aten.avg_pool1d.default: average_pool,
    aten.avg_pool2d.default: average_pool,
    aten.adaptive_avg_pool1d.default: adaptive_average_pool,
    aten.adaptive_avg_pool2d.default: adaptive_average_pool,
    aten.mean.default: mean,
    aten.mean.dim: mean,
    aten.sum.dim_IntList: total,
    aten.max_pool1d.default: max_pool,
    aten.max_pool2d.default: max_pool,
    aten.adaptive_max_pool2d.default: adaptive_max_pool,
    aten.amax.default: largest,
    aten.amin.default: largest,
    # grids
    aten.fake_quantize_per_tensor_affine.default: conversion,
    aten.fake_quantize_per_channel_affine.default: conversion,
    # moving values about
    aten.view.default: FREE,
    aten.reshape.default: FREE,
    aten.flatten.using_ints: FREE,
    aten.unflatten.int: FREE,
    aten.squeeze.default: FREE,
    aten.squeeze.dim: FREE,
    aten.squeeze.dims: FREE,
    aten.unsqueeze.default: FREE,
    aten.permute.default: FREE,
    aten.transpose.int: FREE,
    aten.t.default: FREE,
    aten.contiguous.default: FREE,
    aten.clone.default: FREE,
    aten.alias.default: FREE,
    aten.detach.default: FREE,
    aten.dropout.default: FREE,
    aten.feature_dropout.default: FREE,
    aten.to.dtype: cast,
    aten.expand.default: FREE,
    aten.repeat.default: FREE,
    aten.cat.default: FREE,
    aten.stack.default: FREE,
    aten.slice.Tensor: FREE,
    aten.select.int: FREE,
    aten.index_select.default: FREE,
    aten.narrow.default: FREE,
    aten.split.Tensor: FREE,
    aten.split_with_sizes.default: FREE,
    aten.chunk.default: FREE,
    aten.unbind.int: FREE,
    aten.constant_pad_nd.default: FREE,
    aten.pad.default: FREE,
    aten.pixel_shuffle.default: FREE,
    aten.upsample_nearest2d.default: FREE,
    aten.upsample_nearest2d.vec: FREE,
    operator.getitem: FREE,
    # arithmetic on sizes
    aten.sym_size.int: FREE,
    operator.mul: FREE,
}
"""One row per operation. Where a composite has no row of its own in SCORING section 3, its docstring shows the sum."""


def rule_of(target: Target, name: str) -> Rule:
    """The row of `target`; raises UnknownOperation, which names the operation and where it stands."""
    if target not in RULES:
        operation = operation_name(target)
        instead = _INSTEAD.get(
            operation, "Express it with operations that have one (micronet/analysis/rules.py lists them)"
        )
        raise UnknownOperation(
            f"{operation} ({name}) has no counting rule, and a silent zero would be a lie. "
            f"{instead}, or propose a rule."
        )
    return RULES[target]


_BY_VALUES = "What the images decide is chosen by relu, clamp, maximum and minimum, or by a product with a gate"
_RECURRENT = "Spell the cell out: linear layers, sigmoid, tanh, products and sums"
_INTERPOLATED = "Enlarge by the nearest element, which is free, and smooth with a depthwise convolution"
_INSTEAD: Mapping[str, str] = {
    **dict.fromkeys(("where", "masked_fill", "gt", "ge", "lt", "le", "eq", "ne", "sign"), _BY_VALUES),
    **dict.fromkeys(("hardshrink", "softshrink", "threshold"), _BY_VALUES),
    **dict.fromkeys(("lstm", "gru", "lstm_cell", "gru_cell"), _RECURRENT),
    **dict.fromkeys(("upsample_bilinear2d", "upsample_bicubic2d", "upsample_linear1d"), _INTERPOLATED),
    "index": "Pick places of one axis other than the batch: x.index_select(1, torch.tensor([2, 0]))",
    "argmax": "Give the logits back: the largest is found when answers are compared",
    "avg_pool3d": "A norm over neighbouring channels can be a 1x1 convolution of the squares",
}
"""Operation -> what would be right instead, where networks are met that have it."""


def operation_name(target: Target) -> str:
    """Short name of an operation: conv2d, batch_norm, add."""
    if target in _SHORTER:
        return _SHORTER[target]
    if isinstance(target, OpOverload):
        return target._schema.name.partition("::")[2]
    return getattr(target, "__name__", str(target))


_SHORTER: Mapping[Target, str] = {
    aten.fake_quantize_per_tensor_affine.default: "quantize",
    aten.fake_quantize_per_channel_affine.default: "quantize",
}
