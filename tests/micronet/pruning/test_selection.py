"""Selection: by hand."""

import torch

from micronet.pruning.selection import least_salient, others

WORTH = {
    "first": (torch.tensor([5.0, 0.1]), torch.tensor([0.2, 0.3, 9.0, 0.4])),
    "second": (torch.tensor([0.0]), torch.tensor([0.25, 7.0, 0.2])),
}


def named(ratio: float, limit: float) -> list[tuple[str, str, int]]:
    return [(d.block, d.side, d.index) for d in least_salient(WORTH, ratio, limit)]


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
    assert least_salient({"only": (torch.tensor([0.0]), torch.tensor([0.0]))}, 0.5, 0.9) == []


def test_the_others() -> None:
    assert others(3, []) is None
    assert torch.equal(others(4, [1, 2]), torch.tensor([0, 3]))  # type: ignore[arg-type]
