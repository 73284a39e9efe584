"""The leaderboard as people see it: ranks, those under the floor apart, filters, and a file for spreadsheets."""

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event

from app.services import Services
from micronet.contract import Accuracy
from tests.app.http.conftest import called
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
    assert re.findall(r'<tr id="entry-\w+">\s*<td class="n">(\d*)</td>', text) == ["1", "2", "3", ""]
    assert "+3" in text, "345 correct, 342 needed"
    assert "\N{MINUS SIGN}42" in text


@contextmanager
def asked(services: Services) -> Iterator[list[str]]:
    """What is asked of the leaderboard's table meanwhile."""
    statements: list[str] = []

    def keep(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if "FROM scores" in statement:
            statements.append(statement)

    event.listen(services.records.database.engine, "before_cursor_execute", keep)
    yield statements
    event.remove(services.records.database.engine, "before_cursor_execute", keep)


@pytest.mark.parametrize(("query", "counted"), [("", 1), ("&policy=report", 1), ("&policy=both", 1), ("&search=a", 2)])
def test_a_view_counts_the_track_once(
    api: TestClient, services: Services, board: dict[str, str], query: str, counted: int
) -> None:
    """Twice where the usual policy is that of all entries, and only some are shown."""
    with asked(services) as statements:
        text = api.get(f"/?track=digits{query}").text
    assert "3 entries" in text or query == "&search=a"
    assert sum("count(" in statement for statement in statements) == counted


def test_in_order_of_merit_no_place_is_searched_for(api: TestClient, services: Services, board: dict[str, str]) -> None:
    """To number all entries of a track, to show 50 of them, took most of the time of a view."""
    with asked(services) as statements:
        assert names(api.get("/?track=digits").text) == ["beta", "gamma", "alpha"]
    assert statements
    assert not [statement for statement in statements if "row_number" in statement]


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


@pytest.mark.parametrize(
    ("query", "said", "elsewhere"),
    [
        ("search=zzz", "No entry that was asked for reaches the floor.", 'href="/?track=digits&amp;policy=report"'),
        ("team=team+low", "No entry that was asked for reaches the floor.", 'href="/?track=digits&amp;policy=report"'),
        ("page=9", "There are no entries on page 9.", 'href="/?track=digits&amp;policy=report"'),
        ("search=a&page=9", "no entries on page 9.", 'href="/?track=digits&amp;policy=report&amp;search=a"'),
        ("policy=challenge", "Nothing reaches the floor yet.", 'href="/ui/submit?track=digits&amp;policy=challenge"'),
        ("search=bet", "1 entry of those asked for reaches the floor.", 'href="/leaderboard.csv'),
        ("team=team+beta", "1 entry of those asked for reaches the floor.", 'href="/leaderboard.csv'),
        ("", "3 entries reach the floor.", 'href="/leaderboard.csv'),
    ],
)
def test_a_view_says_of_itself_what_is_so_of_it(
    api: TestClient, board: dict[str, str], query: str, said: str, elsewhere: str
) -> None:
    part = api.get(f"/?track=digits&{query}").text.partition('id="entries"')[2].partition('id="under"')[0]
    assert said in part, part
    assert elsewhere in part
    assert ("Nothing reaches" in part) == (query == "policy=challenge")


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


def cifar_score(services: Services, api: TestClient, name: str, points: float) -> None:
    """An entry of the challenge on the track that has published results."""
    accepted(api, {"policy": "challenge", "name": name})
    accuracy = Accuracy(correct=8050, total=10_000, top1=0.805)
    scored(services, 350, points, track="cifar100", policy="challenge", accuracy=accuracy, qualifies=True)


def rows_of_board(text: str) -> list[str]:
    """What each row of the table of entries is: an entry's name, or a published score."""
    table = text.partition('id="entries"')[2].partition("</table>")[0]
    return re.findall(r'href="/ui/entries/\w+">([^<]*)<|<strong>(0\.0\d\d\d)</strong>', table)  # type: ignore[no-any-return]


def test_published_results_stand_between_the_entries_of_their_track(api: TestClient, services: Services) -> None:
    for index in range(60):
        cifar_score(services, api, f"entry {index}", 0.005 + index / 1000)
    first, second = (api.get(f"/?policy=challenge&page={page}").text for page in (1, 2))
    shown = [name or score for name, score in [*rows_of_board(first), *rows_of_board(second)]]
    scores = [0.005 + int(row[6:]) / 1000 if row.startswith("entry") else float(row) for row in shown]
    assert scores == sorted(scores)
    assert [row for row in shown if not row.startswith("entry")] == ["0.0044", "0.0054", "0.0056", "0.0058"]
    assert len(shown) == 64
    assert rows_of_board(api.get("/?policy=challenge&page=9").text) == []
    sorted_by_name = api.get("/?policy=challenge&sort=name").text
    assert 'id="published"' in sorted_by_name, "what is drawn is in a table, whatever the order"


@pytest.mark.parametrize(
    ("policy", "entrants"),
    [
        ("challenge", ["RIAIR", "KAIST AI", "KAIST AI", "OSI AI"]),
        ("report", ["WaveComp"] * 3),
        ("both", ["RIAIR", "KAIST AI", "KAIST AI", "OSI AI", *["WaveComp"] * 3]),
    ],
)
def test_published_results_are_those_of_the_policy_in_the_list_and_the_picture(
    api: TestClient, policy: str, entrants: list[str]
) -> None:
    text = api.get(f"/?policy={policy}").text
    assert re.findall(r'<tr class="published">\s*<td></td><td>([^<]*), <em>', text) == entrants
    assert re.findall(r"<title>([^<]*) \(2019\)", text) == entrants
    elsewhere = api.get(f"/?policy={policy}&sort=name").text.partition('id="published"')[2]
    assert re.findall(r'<th scope="row">([^<]*)<', elsewhere) == entrants


def test_it_is_said_why_a_team_is_published_twice(api: TestClient) -> None:
    """It read as a row that had slipped in twice."""
    rows = re.findall(r'<tr class="published">.*?</tr>', api.get("/?policy=challenge").text, re.DOTALL)
    twice = [row for row in rows if "KAIST AI" in row]
    assert ["One of two entries of this team" in row for row in twice] == [True, True]


def test_from_a_team_and_back_a_view_stays_what_it_was(api: TestClient, services: Services) -> None:
    accepted(api, {"track": "digits", "name": "tiny", "team": "blue"})
    scored(services)
    view = "track=digits&amp;policy=report{}&amp;search=tiny&amp;sort=top1&amp;order=asc"
    text = api.get("/?" + view.format("").replace("&amp;", "&")).text
    assert f'<a href="/?{view.format("&amp;team=blue")}">blue</a>' in text
    assert '<th scope="col">Rank</th>' in text
    of_team = api.get("/?" + view.format("&team=blue").replace("&amp;", "&")).text
    assert f'<a href="/?{view.format("")}">All teams</a>' in of_team
    assert '<th scope="col">Rank in team</th>' in of_team


def test_scores_of_two_policies_are_not_ranked_against_each_other(api: TestClient, board: dict[str, str]) -> None:
    both = api.get("/?track=digits&policy=both").text
    assert names(both) == ["beta", "gamma", "alpha"]
    assert "do not compare" in both
    assert 'class="front"' not in both
    assert "do not compare" not in api.get("/?track=digits").text, "all entries have one policy: it is chosen"
    ranks = [
        row["rank"] for row in csv.DictReader(io.StringIO(api.get("/leaderboard.csv?track=digits&policy=both").text))
    ]
    assert set(ranks) == {""}


def test_a_team_of_any_name_has_its_page(api: TestClient, services: Services) -> None:
    accepted(api, {"track": "digits", "team": " a\u00a0b\u200d "})
    scored(services)
    (address,) = re.findall(
        r'<a href="(/\?track=digits&amp;policy=report&amp;team=[^"]*)"', api.get("/?track=digits").text
    )
    assert len(names(api.get(address.replace("&amp;", "&")).text)) == 1


def test_as_a_file(api: TestClient, services: Services, board: dict[str, str]) -> None:
    accepted(api, {"track": "digits", "name": "=1+1", "team": "@SUM(A1)"})
    scored(services, 350, 0.5)
    answer = api.get("/leaderboard.csv?track=digits")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["name"] for row in rows] == ["beta", "gamma", "alpha", "'=1+1", "low"]
    assert rows[-2]["team"] == "'@SUM(A1)"
    assert rows[0]["margin"] == "3"
    assert float(rows[0]["score"]) == 0.1


def test_entries_that_the_policy_hides_are_told_of(api: TestClient, services: Services, board: dict[str, str]) -> None:
    shown, hidden = (api.get(f"/?track=digits&policy={policy}").text for policy in ("report", "challenge"))
    assert "not shown" not in shown, "none is under the other"
    link = '<a href="/?track=digits&amp;policy=report">4 entries under report</a> are not shown'
    assert link in hidden
    assert "not shown" not in api.get("/?track=digits&policy=both").text
    assert ">1 entry under report</a> is not shown" in api.get("/?track=digits&policy=challenge&search=alpha").text


def test_two_entries_of_ones_own_are_chosen_to_compare(services: Services) -> None:
    tokens = {team: services.records.tokens.create(team) for team in ("blue", "red")}
    with called(services, open_access=False) as client:
        for team in ("blue", "red", "blue"):
            client.headers["Authorization"] = f"Bearer {tokens[team]}"
            accepted(client, {"track": "digits", "name": f"of {team}"})
            scored(services)
        both = client.get("/?track=digits").text
        assert re.findall('name="of" value="\\w{32}" aria-label="([^"]*)"', both) == ["Compare of blue"] * 2
        assert '<form id="compare"' in both
        client.headers["Authorization"] = f"Bearer {tokens['red']}"
        assert 'id="compare"' not in client.get("/?track=digits").text, "one alone"
