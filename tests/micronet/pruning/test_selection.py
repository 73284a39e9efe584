"""Selection: by hand."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from micronet.errors import NumericalError
from micronet.pruning.selection import Direction, Saving, Side, allowed, coming_back, others, selected, share


@dataclass(frozen=True)
class ByHand:
    """Savings as a function of how many inputs and outputs are gone."""

    of: Callable[[int, int], int]

    def saved(self, inputs: int, outputs: int) -> int:
        return self.of(inputs, outputs)

    def along(self, side: Side, other: int, up_to: int) -> NDArray[np.int64]:
        both = ((n, other) if side == "inputs" else (other, n) for n in range(up_to + 1))
        return np.array([self.of(*one) for one in both], np.int64)


WORTH = {
    "first": (torch.tensor([5.0, 0.1]), torch.tensor([0.2, 0.3, 9.0, 0.4])),
    "second": (torch.tensor([0.0]), torch.tensor([0.25, 7.0, 0.2])),
}


def chosen(
    worth: dict[str, tuple[Tensor, Tensor]], savings: dict[str, Saving], ratio: float, limit: float
) -> list[tuple[str, str, int]]:
    return [(d.block, d.side, d.index) for d in selected(worth, savings, ratio, limit)]


EVERY_ONE = ByHand(lambda inputs, outputs: inputs + outputs)
"""Each direction saves one."""


def named(ratio: float, limit: float) -> list[tuple[str, str, int]]:
    return chosen(WORTH, dict.fromkeys(WORTH, EVERY_ONE), ratio, limit)


def test_the_least_of_all_layers_go_first_and_one_always_stays() -> None:
    """Of 10 directions 4: 0.0 is the last of its side, so 0.1, 0.2 (twice, in the order of the network) and 0.25."""
    assert named(0.4, 0.9) == [("first", "inputs", 1), ("first", "outputs", 0), ("second", "outputs", 2),
                               ("second", "outputs", 0)]  # fmt: skip


def test_no_side_loses_more_than_its_limit() -> None:
    """Half of 2, 4 and 3 are 1, 2 and 1 (of 1, none): four go at most, whatever the ratio."""
    expected = [("first", "inputs", 1), ("first", "outputs", 0), ("second", "outputs", 2), ("first", "outputs", 1)]
    assert named(0.9, 0.5) == expected
    assert (allowed(WORTH, 0.9, 0.5), allowed(WORTH, 0.3, 0.5), share(WORTH, 0.9)) == (4, 3, 9)


def test_what_the_last_layer_gives_stays() -> None:
    """Its inputs go on as any others; the share is still one of all directions."""
    expected = [("first", "inputs", 1), ("second", "outputs", 2), ("second", "outputs", 0)]
    savings = dict.fromkeys(WORTH, EVERY_ONE)
    gone = selected(WORTH, savings, 0.9, 0.9, {"first"})
    assert [(d.block, d.side, d.index) for d in gone] == expected
    assert (allowed(WORTH, 0.9, 0.9, {"first"}), allowed(WORTH, 0.2, 0.9, {"first"})) == (3, 2)


def test_at_least_one_goes() -> None:
    assert named(0.01, 0.5) == [("first", "inputs", 1)]


def test_nothing_goes_where_nothing_may() -> None:
    only = {"only": (torch.tensor([0.5]), torch.tensor([0.5]))}
    assert chosen(only, {"only": EVERY_ONE}, 0.5, 0.9) == []


ONE = {
    "one": (torch.tensor([1.0, 2, 3, 4]), torch.tensor([9.0, 9])),
    "two": (torch.tensor([2.0, 2]), torch.tensor([9.0])),
}


def test_the_first_of_a_side_go_together_or_not_at_all() -> None:
    """Of "one", two inputs save 1 and three save 4: losses of 3 for 1 and 6 for 4. "two" saves 1 for 2: a third less.

    Half of 9 are 4, whose least salient lose 1 + 2 + 2 + 3 = 8 (of "two" one has to stay). So 1 + 2 + 3 and 2 may go.
    """
    savings: dict[str, Saving] = {
        "one": ByHand(lambda inputs, outputs: {2: 1, 3: 4}.get(inputs, 0) if not outputs else 0),
        "two": ByHand(lambda inputs, outputs: {1: 1}.get(inputs, 0) if not outputs else 0),
    }
    both = [("one", "inputs", 0), ("one", "inputs", 1), ("one", "inputs", 2), ("two", "inputs", 0)]
    assert chosen(ONE, savings, 0.5, 0.9) == both
    # a third are 3, whose least lose 1 + 2 + 2: three inputs of "one" lose too much, two of them more than "two" does
    assert chosen(ONE, savings, 0.34, 0.9) == [("two", "inputs", 0), ("one", "inputs", 0), ("one", "inputs", 1)]
    assert chosen(ONE, savings, 0.12, 0.9) == []  # the least salient one costs 1
    assert share(ONE, 0.12) == 1


def test_what_a_side_saves_is_looked_up_once_for_each_that_went_of_the_other() -> None:
    """However wide: not once for each direction that might go next."""
    looks: list[tuple[str, int]] = []

    class Heard(ByHand):
        def along(self, side: Side, other: int, up_to: int) -> NDArray[np.int64]:
            looks.append((side, other))
            return super().along(side, other, up_to)

    values = torch.rand(300, generator=torch.Generator().manual_seed(0))
    savings: dict[str, Saving] = {"one": Heard(lambda inputs, outputs: inputs + outputs)}
    gone = selected({"one": (values[:150], values[150:])}, savings, 0.5, 0.8)
    assert len(gone) == 150
    assert len(set(looks)) == len(looks) <= len(gone) + 2


def test_nothing_goes_that_makes_another_side_go_for_nothing() -> None:
    """Two inputs save 4, two outputs 3, and both together no more than the inputs."""
    worth = {"one": (torch.tensor([1.0, 1, 5]), torch.tensor([1.0, 1, 5]))}
    savings: dict[str, Saving] = {
        "one": ByHand(lambda inputs, outputs: {(2, 0): 4, (0, 2): 3}.get((inputs, outputs), 0))
    }
    assert chosen(worth, savings, 0.9, 0.9) == [("one", "inputs", 0), ("one", "inputs", 1)]


def test_a_side_that_pays_once_the_other_lost_enough_goes_too() -> None:
    """Two outputs save nothing while one input is gone, and 4 more when two are."""
    worth = {"one": (torch.tensor([1.0, 1, 9]), torch.tensor([3.0, 3, 9]))}
    table = {(1, 0): 5, (2, 0): 9, (2, 2): 13}
    savings: dict[str, Saving] = {"one": ByHand(lambda inputs, outputs: table.get((inputs, outputs), 0))}
    expected = [("one", side, n) for side in ("inputs", "outputs") for n in range(2)]
    assert chosen(worth, savings, 0.7, 0.9) == expected


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_saliencies_that_tell_nothing_are_an_error(value: float) -> None:
    worth = {"one": (torch.full((3,), value), torch.full((2,), value))}
    with pytest.raises(NumericalError, match="Fisher information is"):
        selected(worth, {"one": EVERY_ONE}, 0.5, 0.5)


def test_the_most_salient_come_back_as_long_as_blocks_pay() -> None:
    """At least two inputs of "one" have to stay away; those of "two" may all but one come back."""
    gone = [Direction("one", "inputs", n, 3.0 + n) for n in range(3)] + [
        Direction("two", "inputs", n, n) for n in (1, 2)
    ]
    savings: dict[str, Saving] = {
        "one": ByHand(lambda inputs, _: int(inputs > 1)),
        "two": ByHand(lambda inputs, _: int(inputs > 0)),
    }
    back = [(d.block, d.index) for d in coming_back(gone, savings, 4)]
    assert back == [("one", 2), ("two", 2)]
    assert [(d.block, d.index) for d in coming_back(gone, savings, 1)] == [("one", 2)]
    assert coming_back(gone, savings, 0) == []


def test_the_others() -> None:
    assert others(3, []) is None
    assert torch.equal(others(4, [1, 2]), torch.tensor([0, 3]))  # type: ignore[arg-type]
