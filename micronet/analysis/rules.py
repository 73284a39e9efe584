"""What each operation costs: SCORING section 3 as one table. An operation without a row has no cost we could state."""

import math
import operator
from collections.abc import Mapping

import torch
from torch._ops import OpOverload

from micronet.analysis.dot_products import dot_product_rule
from micronet.analysis.operations import Call, Operations, Rule
from micronet.errors import UnknownOperation
from micronet.graph.ir import Ref, Target

aten = torch.ops.aten


def per_element(operations: Operations) -> Rule:
    """The same operations for each element of the result."""
    return lambda call: operations.times(call.outputs)


def clamp(call: Call) -> Operations:
    """One comparison per bound that is given (a ReLU6 has two)."""
    bounds = sum(call.argument(index) is not None for index in (1, 2))
    return Operations(bounds * call.outputs)


def hardtanh(call: Call) -> Operations:
    """A clip with both ends."""
    return Operations(2 * call.outputs)


def softmax(call: Call) -> Operations:
    """n exponentials, n - 1 additions and n divisions for each vector of n."""
    axis = call.argument(1)
    assert isinstance(axis, int)
    size = call.shape(0)[axis]
    vectors = call.outputs // size
    return Operations(size, 0, size, size - 1).times(vectors)


def mean(call: Call) -> Operations:
    """Each result sums n values, n - 1 additions, and scales the sum once."""
    window = math.prod(call.shape(0)) // call.outputs
    return Operations(0, 0, 1, window - 1).times(call.outputs)


def total(call: Call) -> Operations:
    """Each result sums n values: n - 1 additions."""
    window = math.prod(call.shape(0)) // call.outputs
    return Operations(0, 0, 0, window - 1).times(call.outputs)


def largest(call: Call) -> Operations:
    """n - 1 comparisons for the largest of n values."""
    window = math.prod(call.shape(0)) // call.outputs
    return Operations(window - 1).times(call.outputs)


def adaptive_average_pool(call: Call) -> Operations:
    """As the mean of each window; n values take n - 1 additions, and windows may differ and overlap."""
    return Operations(0, 0, call.outputs, _adaptive_reads(call) - call.outputs)


def adaptive_max_pool(call: Call) -> Operations:
    """n - 1 comparisons for a window of n; windows may differ and overlap."""
    return Operations(_adaptive_reads(call) - call.outputs)


def average_pool(call: Call) -> Operations:
    """As the mean of the window; overlapping windows each pay in full, as counted at the border."""
    window = _window(call.argument(1), len(call.shape(0)) - 2)
    return Operations(0, 0, 1, window - 1).times(call.outputs)


def max_pool(call: Call) -> Operations:
    """n - 1 comparisons for a window of n."""
    window = _window(call.argument(1), len(call.shape(0)) - 2)
    return Operations(window - 1).times(call.outputs)


def power(call: Call) -> Operations:
    """x^n for a small whole n is n - 1 multiplications; any other exponent is one transcendental operation."""
    exponent = call.argument(1)
    if isinstance(exponent, int | float) and exponent in (1, 2, 3, 4):
        return Operations(1, 0, int(exponent) - 2, 0).times(call.outputs) if exponent > 1 else Operations()
    return Operations(call.outputs)


def scaled_add(call: Call) -> Operations:
    """One addition; a factor (`alpha`) on the second operand, or on what is subtracted, is one more multiplication,
    unless that is a number."""
    factor_of = 0 if call.node.target is aten.rsub.Scalar else 1
    scaled = call.argument(2, 1) != 1 and isinstance(call.argument(factor_of), Ref)
    return Operations(int(scaled), 1).times(call.outputs)


def gelu(call: Call) -> Operations:
    """x/2 * (1 + erf(x/sqrt 2)): 4 multiplications and 1 addition; by tanh(a*(x + b*x^3)): 7 and 2."""
    if call.node.kwargs.get("approximate", "none") == "tanh":
        return Operations(2, 0, 5, 2).times(call.outputs)
    return Operations(2, 0, 2, 1).times(call.outputs)


def attention(call: Call) -> Operations:
    """Q K^T, scaled, plus the mask if there is one, its softmax, times V: the rows of the table for each."""
    *batch, queries, depth = call.shape(0)
    keys, values = call.shape(1)[-2], call.shape(2)[-1]
    scores = math.prod(batch) * queries * keys
    results = math.prod(batch) * queries * values
    inner = scores + 2 * scores + results * keys
    additions = scores * (depth - 1) + math.prod(batch) * queries * (keys - 1) + results * (keys - 1)
    masking = scores if call.argument(3) is not None else 0
    return Operations(scores * depth, 0, inner, additions + masking)


def layer_norm(call: Call) -> Operations:
    """Mean, variance and scaling over the last axes; see `_standardize`."""
    dims = call.argument(1)
    assert isinstance(dims, tuple)
    size = math.prod(call.shape(0)[-len(dims) :])
    scale = size if call.argument(2) is not None else 0
    shift = size if call.argument(3) is not None else 0
    return _standardize(size, scale, shift).times(call.outputs // size)


def group_norm(call: Call) -> Operations:
    """As layer norm, over the n values of each group of channels."""
    groups = call.argument(1)
    assert isinstance(groups, int)
    size = call.outputs // groups
    scale = size if call.argument(2) is not None else 0
    shift = size if call.argument(3) is not None else 0
    return _standardize(size, scale, shift).times(groups)


def log_softmax(call: Call) -> Operations:
    """x - log(sum(exp(x))): n exponentials and n - 1 additions, one logarithm, n subtractions, for each vector of n."""
    axis = call.argument(1)
    assert isinstance(axis, int)
    size = call.shape(0)[axis]
    return Operations(size, 0, 1, (size - 1) + size).times(call.outputs // size)


def elu(call: Call) -> Operations:
    """x where x > 0, else alpha * (exp(x) - 1): comparison, exponential; addition; one multiplication for each factor
    (alpha, scale, scale of the input) other than 1."""
    factors = sum(call.argument(index, 1) != 1 for index in (1, 2, 3))
    return Operations(2, 0, factors, 1).times(call.outputs)


def softplus(call: Call) -> Operations:
    """log(1 + exp(x)): 2 multiplications and 1 addition; a factor beta takes a product and a quotient more."""
    return Operations(1, 0, 1 if call.argument(1, 1) == 1 else 3, 1).times(call.outputs)


def conversion(call: Call) -> Operations:
    """Going to a grid. Fixed point is a shift and costs nothing (SCORING section 2); a scale is one multiplication
    per element, and a zero point one addition."""
    scales, zero_points = _numbers(call, 1), _numbers(call, 2)
    shift = scales is not None and all(math.frexp(scale)[0] == 0.5 for scale in scales)
    centred = zero_points is not None and not any(zero_points)
    return Operations(int(not shift), int(not centred)).times(call.outputs)


def _standardize(size: int, scale: int, shift: int) -> Operations:
    """Over n values: mean (1; n-1), centring (0; n), variance (n+1; n-1), 1/sqrt (2; 1), scale (n; 0), affine (n; n).

    The affine part only where there is one. All but the sum reads the mean or what comes of it, so nothing is narrow.
    """
    return Operations(0, 0, 1 + (size + 1) + 2 + size + scale, (size - 1) + size + (size - 1) + 1 + shift)


def _adaptive_reads(call: Call) -> int:
    """Elements that all windows of an adaptive pool have together: per axis, output i of m covers floor(i*n/m) to
    ceil((i+1)*n/m) of n inputs."""
    sizes = zip(call.shape(0), call.shapes[call.node.name], strict=True)
    return math.prod(sum(-(-(i + 1) * n // m) - i * n // m for i in range(m)) for n, m in sizes)


def _numbers(call: Call, index: int) -> list[float] | None:
    """The numbers given as argument `index`, one or one per channel; None where they are not known."""
    argument, weight = call.argument(index), call.weight(index)
    if isinstance(argument, int | float):
        return [argument]
    return None if weight is None or weight.is_meta else [float(number) for number in weight.flatten().tolist()]


def _window(size: object, dims: int) -> int:
    """Elements of a pooling window: sizes are given once for every axis, or one for each."""
    sizes = size if isinstance(size, tuple) else (size,)
    whole = [int(side) for side in sizes if isinstance(side, int)]
    return whole[0] ** dims if len(whole) == 1 else math.prod(whole)


FREE: Rule = per_element(Operations())
"""Moves or renames values without computing any."""
ONE_MULTIPLICATION = per_element(Operations(1))
"""A comparison, one transcendental or bitwise operation, a product or a quotient."""
ONE_ADDITION = per_element(Operations(0, 1))
SIGMOID = per_element(Operations(1, 0, 1, 1))
"""1 / (1 + exp(-x)): exponential, quotient; addition."""
SWISH = per_element(Operations(1, 0, 2, 1))
"""x * sigmoid(x)."""
HARD_SIGMOID = per_element(Operations(0, 1, 3, 0))
"""relu6(x + 3) / 6: two comparisons, a quotient; the addition reads x."""
HARD_SWISH = per_element(Operations(0, 1, 4, 0))
"""x * relu6(x + 3) / 6."""
BATCH_NORM = per_element(Operations(1, 0, 0, 1))
"""scale * x + shift, with scale and shift computed beforehand."""
LEAKY_RELU = per_element(Operations(2))
"""x where x > 0, else slope * x: a comparison and a product, both of x."""
SELU = per_element(Operations(2, 0, 2, 1))
"""scale * (x where x > 0, else alpha * (exp(x) - 1)): comparison, exponential, two products; addition."""
MISH = per_element(Operations(1, 0, 3, 1))
"""x * tanh(log(1 + exp(x))): exponential, logarithm, tanh, product; addition."""

RULES: Mapping[Target, Rule] = {
    # dot products: non-zero weights, and terms - 1
    aten.conv1d.default: dot_product_rule,
    aten.conv2d.default: dot_product_rule,
    aten.linear.default: dot_product_rule,
    aten.matmul.default: dot_product_rule,
    aten.mm.default: dot_product_rule,
    aten.bmm.default: dot_product_rule,
    aten.addmm.default: dot_product_rule,
    aten.scaled_dot_product_attention.default: attention,
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
    aten.to.dtype: FREE,
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
    aten.channel_shuffle.default: FREE,
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
        raise UnknownOperation(
            f"{operation_name(target)} ({name}) has no counting rule, and a silent zero would be a lie. "
            "Express it with operations that have one (GET /tracks and the documentation list them), or propose a rule."
        )
    return RULES[target]


def operation_name(target: Target) -> str:
    """Short name of an operation: conv2d, batch_norm, add."""
    if isinstance(target, OpOverload):
        return target._schema.name.partition("::")[2]
    return getattr(target, "__name__", str(target))
