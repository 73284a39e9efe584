"""Einstein sums of one or two operands, as products of matrices."""

import math
import string
from collections.abc import Sequence
from typing import Any

from torch import Tensor


def einsum(equation: str, operands: Sequence[Tensor], **_: object) -> Any:
    """`equation` in letters, as torch has it; axes that stand in one operand only are summed before anything else.

    The product has the common axes that are kept in front, in the order of the first operand. NotImplemented for three
    operands, which can be multiplied in several orders, for diagonals, and for axes of size 1 that stand for more.
    """
    terms, result = _terms(equation, [operand.dim() for operand in operands])
    sizes = {
        label: size for term, x in zip(terms, operands, strict=True) for label, size in zip(term, x.shape, strict=True)
    }
    fits = all([sizes[label] for label in term] == list(x.shape) for term, x in zip(terms, operands, strict=True))
    once = all(len(set(labels)) == len(labels) for labels in (*terms, result))
    if len(operands) > 2 or not fits or not once or not set(result) <= sizes.keys():
        return NotImplemented
    kept = [set(result).union(*(other for other in terms if other is not term)) for term in terms]
    summed = [_summed(x, term, needed) for x, term, needed in zip(operands, terms, kept, strict=True)]
    x, labels = summed[0] if len(summed) == 1 else _product(*summed[0], *summed[1], result)
    return _ordered(x, labels, result)


def _terms(equation: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """Labels of each operand, and of the result, with letters of their own for "..."."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    free = [letter for letter in string.ascii_letters if letter not in equation]
    spread = [free[: rank - len(term) + 3] for term, rank in zip(terms, ranks, strict=True)]
    longest = max((letters for letters, term in zip(spread, terms, strict=True) if "..." in term), key=len, default=[])
    full = [
        term.replace("...", "".join(longest[len(longest) - len(letters) :]))
        for term, letters in zip(terms, spread, strict=True)
    ]
    every = "".join(full)
    implied = "".join(longest) + "".join(sorted(c for c in set(every) - set(longest) if every.count(c) == 1))
    return full, right.replace("...", "".join(longest)) if arrow else implied


def _summed(x: Tensor, labels: str, needed: set[str]) -> tuple[Tensor, str]:
    axes = [axis for axis, label in enumerate(labels) if label not in needed]
    return (x.sum(axes) if axes else x), "".join(label for label in labels if label in needed)


def _product(x: Tensor, of_x: str, y: Tensor, of_y: str, result: str) -> tuple[Tensor, str]:
    """(common, rows, inner) @ (common, inner, columns), with the labels of what that gives."""
    common = "".join(label for label in of_x if label in of_y and label in result)
    inner = "".join(label for label in of_x if label in of_y and label not in result)
    rows, columns = (_without(labels, common + inner) for labels in (of_x, of_y))
    if not common and len(columns) > len(rows):
        return _product(y, of_y, x, of_x, result)
    sizes = dict(zip(of_x + of_y, (*x.shape, *y.shape), strict=True))
    as_it_is = not common and len(columns) == len(inner) == 1
    one = _grouped(_ordered(x, of_x, common + rows + inner), sizes, (*common, *(rows if as_it_is else [rows]), inner))
    other = _grouped(_ordered(y, of_y, common + inner + columns), sizes, (*common, inner, columns))
    labels = common + rows + columns
    return one.matmul(other).reshape([sizes[label] for label in labels]), labels


def _without(labels: str, others: str) -> str:
    return "".join(label for label in labels if label not in others)


def _ordered(x: Tensor, labels: str, order: str) -> Tensor:
    return x if labels == order else x.permute([labels.index(label) for label in order])


def _grouped(x: Tensor, sizes: dict[str, int], groups: Sequence[str]) -> Tensor:
    """One axis for each group of labels; of size 1 where there is none."""
    shape = [math.prod(sizes[label] for label in group) for group in groups]
    return x if shape == list(x.shape) else x.reshape(shape)
