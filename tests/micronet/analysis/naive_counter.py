"""A second opinion: networks computed number by number, in plain Python, by numbers that count what is done to them.

Works on modules, not on graphs, and has no formula for any count: each layer is its definition, written as loops. That
the result is what torch computes shows that the operations counted are those that are needed.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from itertools import product

import numpy as np
import torch
from torch import Tensor, nn

from tests.micronet.analysis.counting_numbers import Array, Number, Tally, add_up


def run(network: nn.Module, image: Tensor) -> tuple[list[float], Tally]:
    """Values of the network's result for one image (no batch), flat, and what they took."""
    tally = Tally()
    numbers = np.array([Number(value, tally) for value in image.flatten().tolist()], dtype=object)
    result = _run(network.eval(), numbers.reshape(tuple(image.shape)))
    return [number.value for number in result.flatten()], tally


def stored(network: nn.Module) -> Iterator[list[float]]:
    """Values of each tensor that inference stores: batch norms as scale and shift, a shared tensor once."""
    seen: set[int] = set()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            scale, shift = _affine(module)
            yield scale
            yield shift
            continue
        for tensor in module.parameters(recurse=False):
            if id(tensor) not in seen:
                seen.add(id(tensor))
                yield tensor.detach().flatten().tolist()


def storage_bits(network: nn.Module, bits: int, cheapest: bool) -> int:
    """Element by element: each tensor either whole, or a mask bit for every element and the elements that are not 0."""
    total = 0
    for values in stored(network):
        whole = masked = 0
        for value in values:
            whole += bits
            masked += 1 + (bits if value != 0 else 0)
        has_zeros = any(value == 0 for value in values)
        total += (min(whole, masked) if cheapest else masked) if has_zeros else whole
    return total


def _run(module: nn.Module, x: Array) -> Array:
    for kind, rule in _RULES.items():
        if isinstance(module, kind):
            return rule(module, x)
    raise TypeError(f"no naive count for {type(module).__name__}")


def _each(function: Callable[[Number], Number]) -> Callable[[nn.Module, Array], Array]:
    def rule(_module: nn.Module, x: Array) -> Array:
        result = np.empty(x.shape, dtype=object)
        for index in np.ndindex(x.shape):
            result[index] = function(x[index])
        return result

    return rule


def _dot(weights: Iterable[float], values: Iterable[Number], bias: float | None, tally: Tally) -> Number:
    """Products with the weights that are not 0, and the bias as the last term."""
    terms: list[Number | float] = [v * w for w, v in zip(weights, values, strict=True) if w != 0]
    total = add_up(terms if bias is None else [*terms, bias])
    return total if isinstance(total, Number) else Number(total, tally)


def _conv2d(conv: nn.Conv2d, x: Array) -> Array:
    weight = conv.weight.detach().numpy()
    (ph, pw), (sh, sw), (dh, dw), (kh, kw) = conv.padding, conv.stride, conv.dilation, conv.kernel_size
    x = _padded(x, ph, pw, 0.0)
    height, width = (
        (n - d * (k - 1) - 1) // s + 1 for n, d, k, s in zip(x.shape[1:], (dh, dw), (kh, kw), (sh, sw), strict=True)
    )
    result = np.empty((conv.out_channels, height, width), dtype=object)
    inputs, outputs = conv.in_channels // conv.groups, conv.out_channels // conv.groups
    for filter_, i, j in np.ndindex(result.shape):
        first = filter_ // outputs * inputs
        window = [(first + c, i * sh + a * dh, j * sw + b * dw) for c, a, b in product(*map(range, (inputs, kh, kw)))]
        bias = None if conv.bias is None else float(conv.bias[filter_])
        flat = weight[filter_].flatten().tolist()
        result[filter_, i, j] = _dot(flat, (x[place] for place in window), bias, x.flat[0].tally)
    return result


def _linear(linear: nn.Linear, x: Array) -> Array:
    result = np.empty((*x.shape[:-1], linear.out_features), dtype=object)
    for *place, output in np.ndindex(result.shape):
        weights, row = linear.weight[output].tolist(), x[tuple(place)]
        bias = None if linear.bias is None else float(linear.bias[output])
        result[(*place, output)] = _dot(weights, row, bias, row[0].tally)
    return result


def _affine(norm: nn.BatchNorm2d) -> tuple[list[float], list[float]]:
    """Scale and shift, computed once and for all."""
    ones, zeros = torch.ones(norm.num_features), torch.zeros(norm.num_features)
    weight, bias = (ones, zeros) if norm.weight is None else (norm.weight.detach(), norm.bias.detach())
    scale = weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    return scale.tolist(), (bias.double() - norm.running_mean.double() * scale).tolist()


def _batch_norm(norm: nn.BatchNorm2d, x: Array) -> Array:
    scale, shift = _affine(norm)
    return np.array(
        [[[v * a + b for v in row] for row in plane] for plane, a, b in zip(x, scale, shift, strict=True)], dtype=object
    )


def _standardized(values: Array, eps: float) -> Array:
    """(v - mean) / deviation."""
    count = values.size
    mean = add_up(values.flatten()) * (1 / count)
    centred = values - mean
    variance = add_up(v * v for v in centred.flatten()) * (1 / count)
    factor = (variance + eps).apply(math.sqrt).apply(lambda deviation: 1 / deviation)
    return centred * factor


def _group_norm(norm: nn.GroupNorm, x: Array) -> Array:
    parts = [_standardized(part, norm.eps) for part in np.split(x, norm.num_groups)]
    weights, biases = norm.weight.tolist(), norm.bias.tolist()
    return np.array(
        [plane * w + b for plane, w, b in zip(np.concatenate(parts), weights, biases, strict=True)], dtype=object
    )


def _layer_norm(norm: nn.LayerNorm, x: Array) -> Array:
    rows = [_standardized(row, norm.eps) for row in x.reshape(-1, x.shape[-1])]
    weights, biases = norm.weight.tolist(), norm.bias.tolist()
    return np.array(
        [[v * w + b for v, w, b in zip(row, weights, biases, strict=True)] for row in rows], dtype=object
    ).reshape(x.shape)


def _padded(x: Array, rows: int, columns: int, value: float) -> Array:
    result = np.empty((x.shape[0], x.shape[1] + 2 * rows, x.shape[2] + 2 * columns), dtype=object)
    for index in np.ndindex(result.shape):
        result[index] = Number(value, x.flat[0].tally)
    result[:, rows : rows + x.shape[1], columns : columns + x.shape[2]] = x
    return result


def _pooled(x: Array, windows: list[list[range]], one: Callable[[list[Number]], Number]) -> Array:
    """`one` of each window: ranges of rows, ranges of columns."""
    rows, columns = windows
    result = np.empty((x.shape[0], len(rows), len(columns)), dtype=object)
    for c, i, j in np.ndindex(result.shape):
        result[c, i, j] = one([x[c, a, b] for a in rows[i] for b in columns[j]])
    return result


def _mean(values: list[Number]) -> Number:
    total = add_up(values)
    assert isinstance(total, Number)
    return total * (1 / len(values))


def _largest(values: list[Number]) -> Number:
    return reduce(lambda a, b: a.larger(b), values)


def _steps(size: int, kernel: int, stride: int) -> list[range]:
    return [range(start, start + kernel) for start in range(0, size - kernel + 1, stride)]


def _pool(one: Callable[[list[Number]], Number], outside: float) -> Callable[[nn.Module, Array], Array]:
    def rule(pool: nn.Module, x: Array) -> Array:
        x = _padded(x, pool.padding, pool.padding, outside)
        return _pooled(x, [_steps(size, pool.kernel_size, pool.stride) for size in x.shape[1:]], one)

    return rule


def _adaptive(one: Callable[[list[Number]], Number]) -> Callable[[nn.Module, Array], Array]:
    def rule(pool: nn.Module, x: Array) -> Array:
        size = pool.output_size
        windows = [[range(i * n // size, math.ceil((i + 1) * n / size)) for i in range(size)] for n in x.shape[1:]]
        return _pooled(x, windows, one)

    return rule


def _sigmoid(x: Number) -> Number:
    return ((x.apply(lambda v: math.exp(-v))) + 1.0).apply(lambda v: 1 / v)


def _hard_sigmoid(x: Number) -> Number:
    return (x + 3.0).larger(0.0).smaller(6.0) / 6.0


def _softmax(_module: nn.Module, x: Array) -> Array:
    """Over the first axis: channels of an image, or a vector of logits."""
    exponentials = _each(lambda v: v.apply(math.exp))(_module, x)
    totals = reduce(lambda a, b: a + b, list(exponentials))
    return exponentials / totals


def _sequential(network: Iterable[nn.Module], x: Array) -> Array:
    return reduce(lambda value, module: _run(module, value), network, x)


class Residual(nn.Sequential):
    """x + body(x)."""

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


class Gate(nn.Sequential):
    """x * body(x), where body may give one number per channel."""

    def forward(self, x: Tensor) -> Tensor:
        return x * super().forward(x)


class Branches(nn.ModuleList):
    """Results of all branches, one after the other along the channels."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self], 1)


_RULES: dict[type[nn.Module], Callable[..., Array]] = {
    Residual: lambda body, x: x + _sequential(body, x),
    Gate: lambda body, x: x * _sequential(body, x),
    Branches: lambda branches, x: np.concatenate([_run(branch, x) for branch in branches]),
    nn.Sequential: _sequential,
    nn.Conv2d: _conv2d,
    nn.Linear: _linear,
    nn.BatchNorm2d: _batch_norm,
    nn.GroupNorm: _group_norm,
    nn.LayerNorm: _layer_norm,
    nn.ReLU: _each(lambda v: v.larger(0.0)),
    nn.ReLU6: _each(lambda v: v.larger(0.0).smaller(6.0)),
    nn.LeakyReLU: _each(lambda v: v * 1.0 if v.is_positive() else v * 0.01),
    nn.Sigmoid: _each(_sigmoid),
    nn.SiLU: _each(lambda v: v * _sigmoid(v)),
    nn.Hardsigmoid: _each(_hard_sigmoid),
    nn.Hardswish: _each(lambda v: v * _hard_sigmoid(v)),
    nn.Tanh: _each(lambda v: v.apply(math.tanh)),
    nn.GELU: _each(lambda v: (v / 2.0) * ((v / math.sqrt(2)).apply(math.erf) + 1.0)),
    nn.AvgPool2d: _pool(_mean, 0.0),
    nn.MaxPool2d: _pool(_largest, -math.inf),
    nn.AdaptiveAvgPool2d: _adaptive(_mean),
    nn.AdaptiveMaxPool2d: _adaptive(_largest),
    nn.Softmax: _softmax,
    nn.Upsample: lambda up, x: x.repeat(int(up.scale_factor), 1).repeat(int(up.scale_factor), 2),
    nn.ZeroPad2d: lambda pad, x: _padded(x, pad.padding[2], pad.padding[0], 0.0),
    nn.Flatten: lambda _module, x: x.reshape(-1),
    nn.Dropout: lambda _module, x: x,
    nn.Identity: lambda _module, x: x,
}
