"""What a file of one job brings to another job, and what is given in its place."""

from typing import Any

import pytest

from app.handed_on import with_given

WIDE = {"name": "wideresnet", "options": {"depth": 16, "width": 4}}
NORMAL = {"mean": [0.5], "std": [0.25]}


@pytest.mark.parametrize(
    ("name", "handed", "given", "expected"),
    [
        (
            "architecture",
            WIDE,
            {"options": {"depth": 28}},
            {"name": "wideresnet", "options": {"depth": 28, "width": 4}},
        ),
        ("architecture", WIDE, {"name": "wideresnet"}, WIDE),
        ("architecture", WIDE, {"name": "digits"}, {"name": "digits"}),
        (
            "architecture",
            WIDE,
            {"name": "digits", "options": {"width": 8}},
            {"name": "digits", "options": {"width": 8}},
        ),
        ("architecture", {"name": "digits"}, {"options": {"width": 8}}, {"name": "digits", "options": {"width": 8}}),
        ("architecture", WIDE, None, None),
        ("architecture", WIDE, "digits", "digits"),
        ("normalize", NORMAL, {"mean": [0.75]}, {"mean": [0.75], "std": [0.25]}),
        ("normalize", NORMAL, {"std": [0.5]}, {"mean": [0.5], "std": [0.5]}),
        ("normalize", NORMAL, None, None),
    ],
)
def test_of_an_architecture_and_a_normalization_a_part_can_be_given(
    name: str, handed: Any, given: Any, expected: Any
) -> None:
    assert with_given({name: handed, "seed": 7}, {name: given}) == {name: expected, "seed": 7}


def test_what_is_handed_on_alone_stays_and_everything_else_that_is_given_takes_its_place() -> None:
    handed = {"architecture": WIDE, "normalize": NORMAL, "bits": None, "seed": 7}
    assert with_given(handed, {}) == handed
    assert with_given({}, {"architecture": {"options": {}}}) == {"architecture": {"options": {}}}
    assert with_given(handed, {"bits": {"param_bits": 4}, "seed": 8}) == handed | {"bits": {"param_bits": 4}, "seed": 8}
