"""Where a score stands: its rank, its row on the board, and its team's best before it."""

import re

import pytest
from fastapi.testclient import TestClient

from app.pages.board_query import PAGE_SIZE
from app.services import Services
from tests.app.http.sending import accepted
from tests.app.pages.records import failed, scored


def score(api: TestClient, services: Services, team: str | None, correct: int, points: float) -> str:
    """The page of a score of this team."""
    accepted(api, {"track": "digits", "team": team, "name": f"at {points}"})
    job = scored(services, correct, points)
    return standing(api.get(f"/ui/jobs/{job.id}").text)


def standing(text: str) -> str:
    """What the page says of it, without its markup."""
    part = text.partition('id="standing"')[2].partition("</section>")[0]
    return " ".join(re.sub("<[^>]*>", "", part).split())


def test_a_score_says_where_it_stands(api: TestClient, services: Services) -> None:
    assert "Rank 1 of 1 on digits, policy report. It is the first of its team to reach" in score(
        api, services, "blue", 350, 0.5
    )
    better = score(api, services, "blue", 350, 0.4)
    assert "Rank 1 of 2" in better
    assert "It is 0.100000 (20.0 %) better than the best of its team before, at 0.5 with" in better
    worse = score(api, services, "blue", 350, 0.45)
    assert "Rank 2 of 3" in worse
    assert "It is 0.050000 worse than the best of its team before, at 0.4 with 0.400000." in worse
    assert "as good as the best of its team before" in score(api, services, "blue", 351, 0.4)
    under = score(api, services, "blue", 10, 0.1)
    assert "No rank, for it is under the floor" in under
    assert "The best of its team before is at 0.4" in under
    other = score(api, services, "red", 350, 0.3)
    assert "Rank 1 of 5" in other
    assert "first of its team" in other
    nobody = score(api, services, None, 350, 0.2)
    assert "of its team" not in nobody


def test_it_leads_to_its_row(api: TestClient, services: Services) -> None:
    jobs = []
    for index in range(PAGE_SIZE + 1):
        accepted(api, {"track": "digits", "seed": index})
        jobs.append(scored(services, 350, 0.4 + index / 1000).id)
    (address,) = re.findall(r'on <a href="([^"]*)">digits', api.get(f"/ui/jobs/{jobs[-1]}").text)
    address, _, row = address.replace("&amp;", "&").partition("#")
    assert f'<tr id="{row}">' in api.get(address).text
    assert row == f"entry-{jobs[-1]}"


@pytest.mark.parametrize("ends", ["not at all", "badly"])
def test_what_measured_nothing_stands_nowhere(api: TestClient, services: Services, ends: str) -> None:
    job = accepted(api, {"track": "digits"})
    if ends == "badly":
        failed(services, yours=True)
    assert 'id="standing"' not in api.get(job["urls"]["page"]).text


def test_a_page_says_when_its_job_began_and_ended(api: TestClient, services: Services) -> None:
    job = accepted(api, {"track": "digits"})
    assert "<dt>Started</dt>" not in api.get(job["urls"]["page"]).text
    scored(services)
    text = api.get(job["urls"]["page"]).text
    assert "<dt>Started</dt>" in text
    assert "<dt>Ended</dt>" in text
    assert re.search(r"<dt>Took</dt><dd>\d\.\d s", text)


def test_the_beginning_of_an_id_leads_to_the_page(api: TestClient) -> None:
    job = accepted(api)
    api.follow_redirects = False
    answer = api.get(f"/ui/jobs/{job['id'][:8]}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/ui/jobs/{job['id']}")
    assert api.get(f"/ui/jobs/{job['id'][:5]}").status_code == 404, "too short to be that of one alone"
