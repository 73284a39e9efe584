"""The part of a job's page that looks again: what it tells anew, and what it leaves as it is."""

import re

import pytest
from fastapi.testclient import TestClient

from app.services import Services
from tests.app.http.sending import accepted
from worker.records.values import Event, LogEntry, Stage


def title(text: str) -> str:
    """What the tab says."""
    (found,) = re.findall("<title>(.*?)</title>", text)
    return found


def test_of_the_log_only_what_is_new_is_sent_and_it_is_put_at_the_end(api: TestClient, services: Services) -> None:
    job = accepted(api)
    where = f"/ui/jobs/{job['id']}"
    page = api.get(where).text
    assert page.count("<li><time") == 1
    (seen,) = re.findall('<input type="hidden" class="seen" name="told" value="(.*?)">', page)
    assert seen == "1"
    assert 'id="log"' not in api.get(f"{where}/live?told=1").text, "nothing is new: nothing is swapped"
    claimed = services.records.leases.claim("worker-7", ("short",))
    assert claimed is not None
    again = api.get(f"{where}/live?told=1").text
    assert re.findall('<ol hx-swap-oob="beforeend:#log"><li>.*?</time> (.*?)</li>', again) == [
        "by worker worker-7, attempt 1"
    ]
    assert 'name="told" value="2"' in again
    assert api.get(f"{where}/live?told=x").status_code == 422


def test_the_tab_says_where_the_job_stands(api: TestClient, services: Services) -> None:
    job = accepted(api, {"name": "ours"})
    where = f"/ui/jobs/{job['id']}"
    assert title(api.get(where).text) == "queued, place 1: ours · micronet"
    claimed = services.records.leases.claim("worker-7", ("short",))
    assert claimed is not None
    assert title(api.get(f"{where}/live").text) == "running: ours · micronet"
    entries = (LogEntry("2026-01-01T00:00:00Z", Event.STAGE, "evaluate (3 of 4)"),)
    services.records.leases.beat(claimed, Stage("evaluate", 3, 4, 2500, 10_000, "images", 50.0), entries)
    for page in (where, f"{where}/live"):
        assert title(api.get(page).text) == "evaluate 25\N{NO-BREAK SPACE}%, 3 of 4: ours · micronet"


@pytest.mark.parametrize(
    ("stage", "words"),
    [("prune", "left of these; each round"), ("2-prune", "left of these; each round"), ("train", "left in this stage")],
)
def test_time_left_is_of_what_is_counted(api: TestClient, services: Services, stage: str, words: str) -> None:
    """Pruning counts anew in every round: the end of one is not the end of the stage."""
    job = accepted(api)
    claimed = services.records.leases.claim("worker-7", ("short",))
    assert claimed is not None
    services.records.leases.beat(claimed, Stage(stage, 2, 4, 38, 40, "steps", 2.0))
    assert f"about 1.0 s {words}" in api.get(f"/ui/jobs/{job['id']}/live").text


def test_a_page_that_looks_again_can_say_that_nobody_answers(api: TestClient, services: Services) -> None:
    job = accepted(api)
    page = api.get(f"/ui/jobs/{job['id']}").text
    assert re.search('<p id="no-answer" class="warning" role="status" hidden>', page)
    assert re.search('<script src="/ui/assets/live.js', page)
    services.records.jobs.cancel(job["id"])
    assert "no-answer" not in api.get(f"/ui/jobs/{job['id']}").text, "what has ended looks no more"
