"""Drawings: values land where they belong."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.breakdown import LayerCost
from app.pages.drawings.front import draw_front
from app.pages.drawings.layers import HEIGHT, draw_layers
from app.pages.drawings.scale import Scale, around, around_logarithmic, written
from micronet.tracks import track as find_track
from tests.app.pages.layers import layer
from worker.records.points import Point

_POSITIVE = st.floats(1e-6, 1e6)


@pytest.mark.parametrize("logarithmic", [False, True])
def test_a_scale_maps_its_ends_onto_its_ends(logarithmic: bool) -> None:
    scale = Scale(0.01, 100, 40, 900, logarithmic)
    assert (scale(0.01), scale(100)) == (40, 900)


def test_a_logarithmic_scale_gives_each_decade_the_same_room() -> None:
    scale = Scale(0.001, 1, 0, 300, logarithmic=True)
    assert (scale(0.01), scale(0.1)) == (100, 200)


@given(st.lists(_POSITIVE, min_size=1, max_size=20))
def test_every_value_and_tick_lies_within_the_drawing(values: list[float]) -> None:
    for scale in (
        Scale(*around(values), 0, 100),
        Scale(*around_logarithmic(values), 0, 100, logarithmic=True),
    ):
        assert all(0 <= scale(value) <= 100 for value in values)
        assert all(-0.1 <= scale(value) <= 100.1 for value in scale.ticks())
        assert scale.ticks(), scale


def test_ticks_are_round_numbers() -> None:
    assert Scale(0.779, 0.821, 0, 100).ticks() == (0.78, 0.79, 0.8, 0.81, 0.82)
    assert Scale(0.003, 0.06, 0, 100, logarithmic=True).ticks() == (0.005, 0.01, 0.02, 0.05)


_ANY = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(_ANY, min_size=1, max_size=5))
def test_numbers_of_any_size_are_drawn_and_their_marks_are_short(values: list[float]) -> None:
    even = Scale(*around(values), 0, 100)
    logarithmic = Scale(*around_logarithmic([max(value, 1e-9) for value in values]), 0, 100, logarithmic=True)
    for scale in (even, logarithmic):
        assert all(0 <= scale(value) <= 100 for value in values)
        ticks = scale.ticks()
        assert 1 <= len(ticks) <= 13
        assert len(set(ticks)) == len(ticks), "each is another one"
        assert all(len(written(tick)) <= 20 for tick in ticks)


@pytest.mark.parametrize(
    ("losses", "marks"),
    [
        ([1e-13, 3e-13], ["1e-13", "1.5e-13", "2e-13", "2.5e-13", "3e-13"]),
        ([1e300], ["9.5e+299", "9.75e+299", "1e+300", "1.025e+300", "1.05e+300"]),
        ([0.0, 0.0], ["-1", "-0.5", "0", "0.5", "1"]),
        ([0.00005, 0.0001], ["0.00006", "0.00008", "0.0001"]),
    ],
)
def test_marks_of_very_small_and_large_numbers_have_exponents(losses: list[float], marks: list[str]) -> None:
    scale = Scale(*around(losses), 0, 100)
    ticks = scale.ticks(5)
    assert [written(tick) for tick in ticks] == marks
    assert all(0 <= scale(tick) <= 100 for tick in ticks)


def test_bars_are_as_high_as_what_they_stand_for() -> None:
    costs = (LayerCost(layer("a"), 0.004, 0.001, 0.5), LayerCost(layer("b"), 0.002, 0.003, 0.5))
    a, b = draw_layers(costs).bars
    assert a.storage_height == pytest.approx(2 * b.storage_height, rel=0.01)
    assert b.math_height == pytest.approx(3 * a.math_height, rel=0.01)
    assert a.storage_y + a.storage_height == pytest.approx(draw_layers(costs).zero)
    assert a.x + a.width < b.x


def test_drawings_with_one_largest_share_a_scale() -> None:
    cost = LayerCost(layer("a"), 0.001, 0.001, 1.0)
    (alone,), (beside,) = draw_layers([cost]).bars, draw_layers([cost], largest=0.01).bars
    assert alone.storage_height == pytest.approx(10 * beside.storage_height, rel=0.01)


def test_nothing_at_all_is_drawn_too() -> None:
    assert draw_layers([]).bars == ()
    assert len(draw_layers([LayerCost(layer("free"), 0.0, 0.0, 0.0)]).bars) == 1


@pytest.mark.parametrize("cost", [5e-324, 1e308])
def test_layers_that_cost_what_none_does_are_drawn_too(cost: float) -> None:
    (bar,) = draw_layers([LayerCost(layer("a"), cost, cost, 1.0)]).bars
    assert 0 <= bar.storage_y <= bar.storage_y + bar.storage_height <= HEIGHT


def _point(score: float, top1: float) -> Point:
    return Point(f"{score}", round(10_000 * top1), 10_000, score, top1 >= 0.8, "report")


@pytest.mark.parametrize(
    "results",
    [
        [],
        [(0.3, 0.81)],
        [(0.0071, 0.8), (0.0071, 0.8)],
        [(0.0061, 0.8), (0.0069, 0.9)],
        [(0.0, 0.9), (1e-6, 0.0), (900.0, 1.0)],
    ],
)
@pytest.mark.parametrize("track", ["cifar100", "digits"])
def test_every_mark_of_a_board_lies_within_it(results: list[tuple[float, float]], track: str) -> None:
    front = [_point(*result) for result in results]
    chosen = find_track(track)
    drawing = draw_front((), front, chosen, chosen.published)
    if drawing is None:
        assert not [score for score, _ in results if score > 0]
        return
    places = [(mark.x, mark.y) for mark in (*drawing.marks, *drawing.published, *drawing.unknown)]
    assert all(0 <= x <= 100 and 0 <= y <= 100 for x, y in places)
    corners = [float(number) for number in re.findall(r"-?[\d.]+", drawing.steps)]
    assert all(0 <= corner <= 100 for corner in corners)
    assert drawing.x_ticks
    assert drawing.y_ticks
