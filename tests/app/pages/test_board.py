"""The leaderboard as people see it: ranks, those under the floor apart, filters, and a file for spreadsheets."""

import csv
import io
import re

import pytest
from fastapi.testclient import TestClient

from app.services import Services
from tests.app.http.sending import accepted
from tests.app.pages.records import scored

BOARD = {"alpha": (350, 0.40), "beta": (345, 0.10), "gamma": (355, 0.20), "low": (300, 0.01)}


@pytest.fixture
def board(api: TestClient, services: Services) -> dict[str, str]:
    """Three that qualify (342 of 360) and one that does not; ids of their jobs by name."""
    ids = {}
    for name, (correct, points) in BOARD.items():
        accepted(api, {"track": "digits", "name": name, "team": f"team {name}"})
        ids[name] = scored(services, correct, points).id
    return ids


def names(text: str, part: str = "entries") -> list[str]:
    """Names of the entries of a table, from top to bottom."""
    found = text.partition(f'id="{part}"')[2].partition("</table>")[0]
    return re.findall(r'href="/ui/entries/\w+">([^<]*)<', found)


def test_ranks_are_by_score_and_those_under_the_floor_stand_apart(api: TestClient, board: dict[str, str]) -> None:
    text = api.get("/?track=digits&policy=report").text
    assert names(text) == ["beta", "gamma", "alpha"]
    assert names(text, "under") == ["low"]
    assert re.findall(r'<td class="n">(\d*)</td>\s*<td><a href="/\?track=digits&amp;team', text) == ["1", "2", "3", ""]
    assert "+3" in text, "345 correct, 342 needed"
    assert "\N{MINUS SIGN}42" in text


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sort=top1", ["gamma", "alpha", "beta"]),
        ("sort=top1&order=asc", ["beta", "alpha", "gamma"]),
        ("sort=margin", ["gamma", "alpha", "beta"]),
        ("sort=name&order=desc", ["gamma", "beta", "alpha"]),
        ("search=BET", ["beta"]),
        ("search=%25", []),
        ("team=team+gamma", ["gamma"]),
        ("policy=challenge", []),
    ],
)
def test_views(api: TestClient, board: dict[str, str], query: str, expected: list[str]) -> None:
    assert names(api.get(f"/?track=digits&{query}").text) == expected


def test_headings_sort_and_say_so(api: TestClient, board: dict[str, str]) -> None:
    text = api.get("/?track=digits&sort=top1").text
    assert re.findall(r'aria-sort="(\w+)"><a href="[^"]*">([^<]*)<', text)[0] == ("descending", "Top-1")
    again = re.findall(r'<a href="([^"]*)">Top-1<', text)[0].replace("&amp;", "&")
    assert names(api.get(again).text) == ["beta", "alpha", "gamma"]


def test_an_entry_has_an_address_that_stays(api: TestClient, board: dict[str, str]) -> None:
    text = api.get(f"/ui/entries/{board['gamma']}").text
    assert "355 of 360" in text
    assert "2 of <a" in text, "second by score"
    assert f'href="/ui/jobs/{board["gamma"]}"' in text


def test_the_picture_has_the_front_and_the_floor(api: TestClient, board: dict[str, str]) -> None:
    text = api.get("/?track=digits").text
    assert text.count('<circle class="entry"') == 3
    assert text.count('<path class="under"') == 1
    (steps,) = re.findall(r'<path class="front" d="([^"]*)"', text)
    assert steps.count("H") == 1, "beta and gamma; alpha is beaten by gamma in both"
    assert "floor 95.00%" in text


def test_published_results_stand_between_the_entries_of_their_track(api: TestClient, board: dict[str, str]) -> None:
    text = api.get("/?track=cifar100").text
    assert "0.0044" in text
    assert "0.0456" in text
    assert "published 2019" in text
    assert "published" not in api.get("/?track=digits").text.partition("<h2")[2]


def test_as_a_file(api: TestClient, services: Services, board: dict[str, str]) -> None:
    accepted(api, {"track": "digits", "name": "=1+1", "team": "@SUM(A1)"})
    scored(services, 350, 0.5)
    answer = api.get("/leaderboard.csv?track=digits")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["name"] for row in rows] == ["low", "beta", "gamma", "alpha", "'=1+1"]
    assert rows[-1]["team"] == "'@SUM(A1)"
    assert rows[1]["margin"] == "3"
    assert float(rows[1]["score"]) == 0.1
