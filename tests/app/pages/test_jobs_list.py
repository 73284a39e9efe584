"""The list of jobs: what each came to, how long it took, and that it looks again while something runs."""

import re
from contextlib import closing

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from app.pages.formats import took
from app.services import Services
from tests.app.http.sending import accepted
from tests.app.pages.records import failed, scored
from worker.records.database import Database
from worker.records.tables import jobs


@pytest.mark.parametrize(
    ("started", "finished", "words"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:03:14Z", "3 min 14 s"),
        ("2026-01-01T00:00:00.5Z", "2026-01-01T00:00:01Z", "0.5 s"),
        ("2026-01-01T00:00:01Z", "2026-01-01T00:00:00Z", "0.0 s"),  # the clocks of two workers
        ("2026-01-01T00:00:00Z", None, ""),
        (None, "2026-01-01T00:00:00Z", ""),
    ],
)
def test_how_long_a_job_took(started: str | None, finished: str | None, words: str) -> None:
    assert took(started, finished) == words


def test_a_list_says_what_each_job_came_to(api: TestClient, services: Services) -> None:
    over = accepted(api, {"track": "digits"}, filename="a_b.onnx")["id"]
    scored(services, 350, 0.4)
    under = accepted(api, {"track": "digits"})["id"]
    scored(services, 300, 0.5)
    accepted(api)
    failed(services, yours=True)
    with closing(Database(services.settings.database)) as database:
        times = {"started_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T00:01:05Z"}
        database.write(lambda connection: connection.execute(update(jobs).where(jobs.c.id == over).values(**times)))
    text = api.get("/ui/jobs").text
    rows = {job: text.partition(f'id="job-{job}"')[2].partition("</tr>")[0] for job in (over, under)}
    assert "0.400000" in rows[over]
    assert "97.22\N{NO-BREAK SPACE}%" in rows[over]
    assert "1 min 5 s" in rows[over]
    assert "<bdi>a_<wbr>b.<wbr>onnx</bdi>" in rows[over]
    assert ("under the floor" in rows[over], "under the floor" in rows[under]) == (False, True)
    assert re.findall(r'name="of" value="(\w+)"', text) == [under, over], "what was scored can be compared"
    one = api.get("/ui/jobs?status=failed").text
    assert 'id="compare"' not in one


def test_scores_of_a_list_say_by_which_policy_they_are(api: TestClient, services: Services) -> None:
    for policy in ("report", "challenge"):
        accepted(api, {"track": "digits", "policy": policy})
        scored(services, 345, 0.25, policy=policy)
    rows = re.findall(r'<td class="n">0.250000</td>\s*<td>(.*?)</td>', api.get("/ui/jobs").text)
    assert rows == ["challenge", "report"]


def test_a_list_looks_again_while_something_runs(api: TestClient, services: Services) -> None:
    accepted(api, {"track": "digits"})
    alive = api.get("/ui/jobs?kind=score").text
    assert '<tbody id="jobs" hx-get="/ui/jobs?kind=score" hx-trigger="every 3s"' in alive
    assert "no-answer" in alive
    scored(services)
    ended = api.get("/ui/jobs?kind=score").text
    assert "hx-get" not in ended
    assert "<script" not in ended


def cells(text: str) -> list[int]:
    """Of each row of the table, the head's first."""
    return [row.count("<th ") + row.count("<td") for row in re.findall("<tr>.*?</tr>", text, re.DOTALL)]


def test_rows_that_come_later_fit_the_head_that_stands(api: TestClient, services: Services) -> None:
    """Only rows are swapped: what compares two is there before there are two, and boxes belong to its form."""
    accepted(api, {"track": "digits"})
    scored(services)
    accepted(api, {"track": "digits", "seed": 1})
    page = api.get("/ui/jobs").text
    assert (cells(page), 'form id="compare"' in page, page.count('name="of"')) == ([11, 11, 11], True, 1)
    for filtered in ("kind=train", "status=queued"):
        assert 'id="compare"' not in api.get(f"/ui/jobs?{filtered}").text
    scored(services)
    again = api.get("/ui/jobs", headers={"HX-Request": "true"}).text
    assert (cells(again), again.count('name="of"')) == ([11, 11, 11], 2)


def test_the_last_answer_of_a_list_fits_too(api: TestClient, services: Services) -> None:
    accepted(api, {"track": "digits"})
    assert cells(api.get("/ui/jobs").text) == [11, 11]
    failed(services, yours=True)
    assert cells(api.get("/ui/jobs", headers={"HX-Request": "true"}).text) == [11, 11]
    assert cells(api.get("/ui/jobs").text) == [10, 10], "nothing runs, and nothing can be compared"


def test_where_very_many_wait_places_are_on_their_own_pages(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    job = [accepted(api, {"track": "digits", "seed": seed}) for seed in range(2)][-1]
    assert re.findall(r"queued</span>, place (\d+)", api.get("/ui/jobs").text) == ["2", "1"]
    monkeypatch.setattr("app.pages.jobs._MOST_IN_ORDER", 1)
    assert ", place" not in api.get("/ui/jobs").text
    assert "place 2" in api.get(job["urls"]["page"]).text
