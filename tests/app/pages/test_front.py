"""The picture of a board: what competes has the room, and every entry leads to its page."""

import re

import pytest
from fastapi.testclient import TestClient

from app.pages.drawings.front import Edge, draw_front
from app.services import Services
from micronet.tracks import track as find_track
from tests.app.http.sending import accepted
from tests.app.pages.records import scored
from worker.records.points import Point

DIGITS = find_track("digits")  # its floor is 0.95


def point(score: float, correct: int) -> Point:
    """An entry with so many of a thousand right."""
    return Point(f"{score}", correct, 1000, score, correct >= 950, "report", "net")


RIVALS = [point(0.3, 970), point(0.5, 980)]


@pytest.mark.parametrize(
    ("odd", "edge"),
    [
        (point(0.4, 10), "below"),
        (point(0.4, 919), "below"),
        (point(0.4, 921), None),
        (point(0.029, 945), "left"),
        (point(0.031, 945), None),
        (point(5.1, 960), "right"),
        (point(4.9, 960), None),
    ],
)
def test_what_does_not_compete_is_drawn_at_the_edge(odd: Point, edge: Edge | None) -> None:
    """The floor is 95 %, the best has 98: down to 92 is drawn. Scores are from 0.3 / 10 to 0.5 x 10."""
    drawing = draw_front([*RIVALS, odd], RIVALS, DIGITS, ())
    assert drawing is not None
    assert [mark.edge for mark in drawing.marks] == [None, None, edge]
    assert drawing.beyond == (edge is not None)
    first, second, _ = drawing.marks
    assert abs(first.y - second.y) > 10, "of a hundred: however far the odd one is, the others are apart"


def test_where_nothing_reaches_the_floor_all_is_drawn_where_it_is() -> None:
    drawing = draw_front([point(0.1, 10), point(9.0, 500)], (), DIGITS, ())
    assert drawing is not None
    assert drawing.beyond == 0


def test_every_mark_names_its_entry_and_leads_to_it(api: TestClient, services: Services) -> None:
    ids = []
    for name, correct in (("<ours>", 350), ("theirs", 3)):
        accepted(api, {"track": "digits", "name": name, "team": "T"})
        ids.append(scored(services, correct, 0.4).id)
    text = api.get("/?track=digits").text
    marks = re.findall(r'<a href="/ui/entries/(\w+)" tabindex="-1" aria-label="([^"]*)">', text)
    assert marks == [
        (ids[0], "&lt;ours&gt; (T): score 0.400000, top-1 97.22%"),
        (ids[1], "theirs (T): score 0.400000, top-1 0.83%"),
    ]
    assert "1 entry beyond them" in text
