"""Every operation the importer may emit, by the name its rules use."""

import operator
from types import MappingProxyType

import torch

from micronet.graph.ir import Target

_aten = torch.ops.aten

TARGETS: MappingProxyType[str, Target] = MappingProxyType(
    {
        # sums of products
        "conv1d": _aten.conv1d.default,
        "conv2d": _aten.conv2d.default,
        "linear": _aten.linear.default,
        "matmul": _aten.matmul.default,
        # normalization
        "batch_norm": _aten.batch_norm.default,
        "layer_norm": _aten.layer_norm.default,
        "group_norm": _aten.group_norm.default,
        # noise of training
        "dropout": _aten.dropout.default,
        # element by element
        "add": _aten.add.Tensor,
        "sub": _aten.sub.Tensor,
        "rsub": _aten.rsub.Scalar,
        "mul": _aten.mul.Tensor,
        "div": _aten.div.Tensor,
        "pow": _aten.pow.Tensor_Tensor,
        "pow_number": _aten.pow.Tensor_Scalar,
        "number_pow": _aten.pow.Scalar,
        "maximum": _aten.maximum.default,
        "minimum": _aten.minimum.default,
        "abs": _aten.abs.default,
        "neg": _aten.neg.default,
        "exp": _aten.exp.default,
        "log": _aten.log.default,
        "sqrt": _aten.sqrt.default,
        "erf": _aten.erf.default,
        "sin": _aten.sin.default,
        "cos": _aten.cos.default,
        "reciprocal": _aten.reciprocal.default,
        # activations
        "relu": _aten.relu.default,
        "clamp": _aten.clamp.default,
        "hardtanh": _aten.hardtanh.default,
        "leaky_relu": _aten.leaky_relu.default,
        "prelu": _aten.prelu.default,
        "elu": _aten.elu.default,
        "selu": _aten.selu.default,
        "sigmoid": _aten.sigmoid.default,
        "hardsigmoid": _aten.hardsigmoid.default,
        "hardswish": _aten.hardswish.default,
        "silu": _aten.silu.default,
        "gelu": _aten.gelu.default,
        "mish": _aten.mish.default,
        "softplus": _aten.softplus.default,
        "tanh": _aten.tanh.default,
        "softmax": _aten.softmax.int,
        "log_softmax": _aten.log_softmax.int,
        # pooling and reductions
        "max_pool1d": _aten.max_pool1d.default,
        "max_pool2d": _aten.max_pool2d.default,
        "avg_pool1d": _aten.avg_pool1d.default,
        "avg_pool2d": _aten.avg_pool2d.default,
        "adaptive_avg_pool2d": _aten.adaptive_avg_pool2d.default,
        "mean": _aten.mean.dim,
        "sum": _aten.sum.dim_IntList,
        "amax": _aten.amax.default,
        "amin": _aten.amin.default,
        # moving values about
        "cat": _aten.cat.default,
        "split": _aten.split_with_sizes.default,
        "slice": _aten.slice.Tensor,
        "select": _aten.select.int,
        "index_select": _aten.index_select.default,
        "reshape": _aten.reshape.default,
        "permute": _aten.permute.default,
        "squeeze": _aten.squeeze.dims,
        "unsqueeze": _aten.unsqueeze.default,
        "expand": _aten.expand.default,
        "repeat": _aten.repeat.default,
        "pad": _aten.constant_pad_nd.default,
        "pixel_shuffle": _aten.pixel_shuffle.default,
        "upsample_nearest2d": _aten.upsample_nearest2d.default,
        # quantization
        "fake_quantize": _aten.fake_quantize_per_tensor_affine.default,
        "fake_quantize_channels": _aten.fake_quantize_per_channel_affine.default,
        # sizes and parts
        "sym_size": _aten.sym_size.int,
        "times": operator.mul,
        "getitem": operator.getitem,
    }
)
"""Name used in the importers -> operation. The counting table has a row for each."""

EMITS: frozenset[Target] = frozenset(TARGETS.values())
"""Every target a node of an imported graph can have."""


LAYOUT: frozenset[Target] = frozenset(
    TARGETS[name] for name in ("reshape", "permute", "squeeze", "unsqueeze", "slice", "select", "expand")
)
"""Operations that look at the elements of their first operand in another way."""

MOVES: frozenset[Target] = LAYOUT | {TARGETS["index_select"], TARGETS["split"]}
"""Operations whose every element is one of their first operand."""

TAKES_INTEGERS: frozenset[Target] = frozenset({TARGETS["index_select"], TARGETS["fake_quantize_channels"]})
"""Operations on floats that one of their operands says something about in integers: indices, or zero points."""

FOLD_ONLY: MappingProxyType[str, Target] = MappingProxyType(
    {
        "where": _aten.where.self,
        "equal": _aten.eq.Tensor,
        "greater": _aten.gt.Tensor,
        "greater_or_equal": _aten.ge.Tensor,
        "less": _aten.lt.Tensor,
        "less_or_equal": _aten.le.Tensor,
        "and": _aten.logical_and.default,
        "or": _aten.logical_or.default,
        "not": _aten.logical_not.default,
        "sign": _aten.sign.default,
        "remainder": _aten.remainder.Tensor,
        "fmod": _aten.fmod.Tensor,
        "divide_integers": _aten.div.Tensor_mode,
        "clamp_between": _aten.clamp.Tensor,
    }
)
"""Operations that are computed on constants and shapes during the import, and never emitted."""
