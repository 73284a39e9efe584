"""Selection: by hand."""

import pytest
import torch
from torch import Tensor

from micronet.errors import NumericalError
from micronet.pruning.selection import Direction, Saving, coming_back, least_salient, others, share

WORTH = {
    "first": (torch.tensor([5.0, 0.1]), torch.tensor([0.2, 0.3, 9.0, 0.4])),
    "second": (torch.tensor([0.0]), torch.tensor([0.25, 7.0, 0.2])),
}


def chosen(
    worth: dict[str, tuple[Tensor, Tensor]], savings: dict[str, Saving], ratio: float, limit: float
) -> list[tuple[str, str, int]]:
    return [(d.block, d.side, d.index) for d in least_salient(worth, savings, ratio, limit)]


def every_one(inputs: int, outputs: int) -> float | None:
    """Each direction saves one."""
    return inputs + outputs or None


def named(ratio: float, limit: float) -> list[tuple[str, str, int]]:
    return chosen(WORTH, dict.fromkeys(WORTH, every_one), ratio, limit)


def test_the_least_of_all_layers_go_first_and_one_always_stays() -> None:
    """Of 10 directions 4: 0.0 is the last of its side, so 0.1, 0.2 (twice, in the order of the network) and 0.25."""
    assert named(0.4, 0.9) == [("first", "inputs", 1), ("first", "outputs", 0), ("second", "outputs", 2),
                               ("second", "outputs", 0)]  # fmt: skip


def test_no_side_loses_more_than_its_limit() -> None:
    """Half of 2, 4 and 3 are 1, 2 and 1 (of 1, none): four go at most, whatever the ratio."""
    expected = [("first", "inputs", 1), ("first", "outputs", 0), ("second", "outputs", 2), ("first", "outputs", 1)]
    assert named(0.9, 0.5) == expected


def test_at_least_one_goes() -> None:
    assert named(0.01, 0.5) == [("first", "inputs", 1)]


def test_nothing_goes_where_nothing_may() -> None:
    only = {"only": (torch.tensor([0.5]), torch.tensor([0.5]))}
    assert chosen(only, {"only": every_one}, 0.5, 0.9) == []


ONE = {
    "one": (torch.tensor([1.0, 2, 3, 4]), torch.tensor([9.0, 9])),
    "two": (torch.tensor([2.0, 2]), torch.tensor([9.0])),
}


def test_the_first_of_a_side_go_together_or_not_at_all() -> None:
    """Of "one", two inputs save 1 and three save 4: losses of 3 for 1 and 6 for 4. "two" saves 1 for 2: a third less.

    Half of 9 are 4, whose least salient lose 1 + 2 + 2 + 3 = 8 (of "two" one has to stay). So 1 + 2 + 3 and 2 may go.
    """
    savings: dict[str, Saving] = {
        "one": lambda inputs, outputs: {2: 1.0, 3: 4.0}.get(inputs) if not outputs else None,
        "two": lambda inputs, outputs: {1: 1.0}.get(inputs) if not outputs else None,
    }
    both = [("one", "inputs", 0), ("one", "inputs", 1), ("one", "inputs", 2), ("two", "inputs", 0)]
    assert chosen(ONE, savings, 0.5, 0.9) == both
    # a third are 3, whose least lose 1 + 2 + 2: three inputs of "one" lose too much, two of them more than "two" does
    assert chosen(ONE, savings, 0.34, 0.9) == [("two", "inputs", 0), ("one", "inputs", 0), ("one", "inputs", 1)]
    assert chosen(ONE, savings, 0.12, 0.9) == []  # the least salient one costs 1
    assert share(ONE, 0.12) == 1


def test_nothing_goes_that_makes_another_side_go_for_nothing() -> None:
    """Two inputs save 4, two outputs 3, and both together no more than the inputs."""
    worth = {"one": (torch.tensor([1.0, 1, 5]), torch.tensor([1.0, 1, 5]))}
    savings: dict[str, Saving] = {"one": lambda inputs, outputs: {(2, 0): 4.0, (0, 2): 3.0}.get((inputs, outputs))}
    assert chosen(worth, savings, 0.9, 0.9) == [("one", "inputs", 0), ("one", "inputs", 1)]


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_saliencies_that_tell_nothing_are_an_error(value: float) -> None:
    worth = {"one": (torch.full((3,), value), torch.full((2,), value))}
    with pytest.raises(NumericalError, match="Fisher information is"):
        least_salient(worth, {"one": every_one}, 0.5, 0.5)


def test_the_most_salient_come_back_as_long_as_blocks_pay() -> None:
    """At least two inputs of "one" have to stay away; those of "two" may all but one come back."""
    gone = [Direction("one", "inputs", n, 3.0 + n) for n in range(3)] + [
        Direction("two", "inputs", n, n) for n in (1, 2)
    ]
    savings: dict[str, Saving] = {
        "one": lambda inputs, _: 1.0 if inputs > 1 else None,
        "two": lambda inputs, _: 1.0 if inputs else None,
    }
    back = [(d.block, d.index) for d in coming_back(gone, savings, 4)]
    assert back == [("one", 2), ("two", 2)]
    assert [(d.block, d.index) for d in coming_back(gone, savings, 1)] == [("one", 2)]
    assert coming_back(gone, savings, 0) == []


def test_the_others() -> None:
    assert others(3, []) is None
    assert torch.equal(others(4, [1, 2]), torch.tensor([0, 3]))  # type: ignore[arg-type]
