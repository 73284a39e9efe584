"""What an operation costs, worked out of the table of SCORING section 3; composites show their sum."""

import math

import torch

from micronet.analysis.operations import Call, Operations, Rule
from micronet.graph.geometry import per_axis
from micronet.graph.ir import Ref

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
    window = _window(call)
    return Operations(0, 0, 1, window - 1).times(call.outputs)


def total(call: Call) -> Operations:
    """Each result sums n values: n - 1 additions."""
    window = _window(call)
    return Operations(0, 0, 0, window - 1).times(call.outputs)


def largest(call: Call) -> Operations:
    """n - 1 comparisons for the largest of n values."""
    window = _window(call)
    return Operations(window - 1).times(call.outputs)


def adaptive_average_pool(call: Call) -> Operations:
    """As the mean of each window; n values take n - 1 additions, and windows may differ and overlap."""
    return Operations(0, 0, call.outputs, max(_adaptive_reads(call) - call.outputs, 0))


def adaptive_max_pool(call: Call) -> Operations:
    """n - 1 comparisons for a window of n; windows may differ and overlap."""
    return Operations(max(_adaptive_reads(call) - call.outputs, 0))


def average_pool(call: Call) -> Operations:
    """As the mean of the window; overlapping windows each pay in full, as counted at the border."""
    window = math.prod(per_axis(call.argument(1), len(call.shape(0)) - 2))
    return Operations(0, 0, 1, window - 1).times(call.outputs)


def max_pool(call: Call) -> Operations:
    """n - 1 comparisons for a window of n."""
    window = math.prod(per_axis(call.argument(1), len(call.shape(0)) - 2))
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
    scaled = call.argument(2) != 1 and isinstance(call.argument(factor_of), Ref)
    return Operations(int(scaled), 1).times(call.outputs)


def gelu(call: Call) -> Operations:
    """x/2 * (1 + erf(x/sqrt 2)): 4 multiplications and 1 addition; by tanh(a*(x + b*x^3)): 7 and 2."""
    if call.argument(1) == "tanh":
        return Operations(2, 0, 5, 2).times(call.outputs)
    return Operations(2, 0, 2, 1).times(call.outputs)


def layer_norm(call: Call) -> Operations:
    """Over n values, products and sums: mean 1, n-1; centring 0, n; variance n+1, n-1; 1/sqrt 2, 1; scale n, 0; affine
    n, n."""
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
    factors = sum(call.argument(index) != 1 for index in (1, 2, 3))
    return Operations(2, 0, factors, 1).times(call.outputs)


def softplus(call: Call) -> Operations:
    """log(1 + exp(x)): 2 multiplications and 1 addition; a factor beta takes a product and a quotient more."""
    return Operations(1, 0, 1 if call.argument(1) == 1 else 3, 1).times(call.outputs)


def conversion(call: Call) -> Operations:
    """Going to a grid. Fixed point is a shift and costs nothing (SCORING section 2); a scale is one multiplication
    per element, and a zero point one addition."""
    scales, zero_points = _numbers(call, 1), _numbers(call, 2)
    shift = scales is not None and all(math.frexp(scale)[0] == 0.5 for scale in scales)
    centred = zero_points is not None and not any(zero_points)
    return Operations(int(not shift), int(not centred)).times(call.outputs)


def cast(call: Call) -> Operations:
    """To another floating format: none, as float32 holds both. To integers: rounding, one operation per element."""
    dtype = call.argument(1)
    floating = isinstance(dtype, torch.dtype) and dtype.is_floating_point
    return Operations(0 if floating else call.outputs)


def _window(call: Call) -> int:
    """Values that each result is of, 1 where there are none: a sum of nothing is a zero, and saves no addition."""
    return max(math.prod(call.shape(0)) // call.outputs, 1)


def _standardize(size: int, scale: int, shift: int) -> Operations:
    """As `layer_norm` has it, the affine part only where there is one.

    All but the sum reads the mean or what comes of it, so nothing is narrow.
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


FREE: Rule = per_element(Operations())
"""Moves or renames values without computing any."""
ONE_MULTIPLICATION = per_element(Operations(1))
"""A comparison, one transcendental or bitwise operation, a product or a quotient."""
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
