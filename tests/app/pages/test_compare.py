"""Two scores side by side: how they are chosen, and what was asked of each."""

import html
import re

import pytest
from fastapi.testclient import TestClient

from app.services import Services
from tests.app.http.conftest import called
from tests.app.http.sending import accepted
from tests.app.pages.records import scored
from worker.records.values import Job


@pytest.fixture
def both(api: TestClient, services: Services) -> tuple[Job, Job]:
    """Two scores of one file, by other settings."""
    accepted(api, {"track": "digits", "name": "first", "bits": None})
    first = scored(services, 350, 0.4)
    bits = {"param_bits": 6, "mul_bits": 8}
    accepted(api, {"track": "digits", "name": "second", "bits": bits, "seed": 7})
    return first, scored(services, 345, 0.3)


def test_settings_that_differ_stand_side_by_side(api: TestClient, both: tuple[Job, Job]) -> None:
    text = api.get(f"/ui/compare?a={both[0].id}&b={both[1].id}").text
    table = text.partition('id="settings"')[2].partition("</table>")[0]
    rows = re.findall(
        r'<tr><th scope="row">(.*?)</th><td class="long">(.*?)</td><td class="long">(.*?)</td></tr>', table
    )
    assert {name: (a, b) for name, a, b in rows} == {
        "bits": ("none", "–"),
        "bits, param bits": ("–", "6"),
        "bits, mul bits": ("–", "8"),
        "bits, add bits": ("–", "32"),
        "bits, exponent bits": ("–", "8"),
        "seed": ("0", "7"),
    }
    same = api.get(f"/ui/compare?a={both[0].id}&b={both[0].id}").text
    assert "the same was asked of the same file" in same


def titles(text: str) -> list[str]:
    """What the two are called: in the heading, and alike over every pair of columns."""
    heading = re.findall(r'<h1>(.*?) <span class="quiet">and</span> (.*?)</h1>', text)
    columns = re.findall(r'<th scope="col" class="long">(?:<a [^>]*>)?(.*?)(?:</a>)?</th>', text)
    assert columns == [*heading[0]] * (len(columns) // 2)
    return [*heading[0]]


def compared(api: TestClient, services: Services, *policies: str, names: tuple[str, str] = ("net", "net")) -> str:
    """The page of two scores by these policies."""
    ids = []
    for points, policy, name in zip((0.4, 0.3), policies, names, strict=True):
        accepted(api, {"track": "digits", "name": name, "policy": policy})
        ids.append(scored(services, 350, points, policy=policy).id)
    return html.unescape(api.get(f"/ui/compare?a={ids[0]}&b={ids[1]}").text)


def test_two_scores_of_one_name_are_told_apart(api: TestClient, services: Services) -> None:
    names = ("one", "other")
    assert titles(compared(api, services, "report", "challenge", names=names)) == ["one", "other"]
    assert titles(compared(api, services, "report", "challenge")) == ["net, report", "net, challenge"]
    alike = compared(api, services, "report", "report")
    assert titles(alike) == [f"net, {job[:8]}" for job in re.findall(r'<a href="/ui/jobs/(\w+)">net', alike)]


def differences(text: str) -> dict[str, str]:
    """The last column of the totals."""
    rows = re.findall(r'<tr><th scope="row">([^<]*)</th>\s*(.*?)</tr>', text.partition('id="settings"')[0], re.DOTALL)
    return {name: re.findall(r">([^<>]*)</td>", cells)[-1] for name, cells in rows}


def test_of_scores_that_do_not_compare_no_difference_is_shown(api: TestClient, services: Services) -> None:
    """What does not hang on the policy compares all the same."""
    alike, apart = (compared(api, services, "report", policy) for policy in ("report", "challenge"))
    assert ("do not compare" in alike, "do not compare" in apart) == (False, True)
    charged = {"score", "storage term", "math term", "math, 32-bit operations", "storage, 32-bit parameters"}
    before, after = differences(alike), differences(apart)
    assert {name for name, difference in after.items() if difference == "–"} == charged
    assert not charged & {name for name, difference in before.items() if difference == "–"}
    assert {**before, **dict.fromkeys(charged, "–")} == after
    layers = [text.partition('id="layers"')[2] for text in (alike, apart)]
    assert [">difference<" in text for text in layers] == [True, False]
    assert ["that differ most" in text for text in layers] == [True, False]


def test_what_both_are_listed_at_stands_among_the_totals(api: TestClient, both: tuple[Job, Job]) -> None:
    text = api.get(f"/ui/compare?a={both[0].id}&b={both[1].id}").text
    rows = dict(re.findall(r'<tr><th scope="row">(bits of \w+)</th>\s*((?:<td.*?</td>\s*)+)</tr>', text))
    assert {name: re.findall(r">(.*?)</td>", cells) for name, cells in rows.items()} == {
        "bits of weights": ["9", "9", "±0"],
        "bits of activations": ["12", "12", "±0"],
    }


def test_two_that_were_checked_have_an_address_of_their_own(api: TestClient, both: tuple[Job, Job]) -> None:
    api.follow_redirects = False
    first, second = both
    answer = api.get(f"/ui/compare?of={second.id}&of={first.id}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/ui/compare?a={second.id}&b={first.id}")
    one = api.get(f"/ui/compare?of={first.id}")
    assert one.status_code == 200
    assert f'name="a" value="{first.id}"' in one.text
    three = api.get(f"/ui/compare?of={first.id}&of={second.id}&of={first.id}")
    assert three.status_code == 422
    assert "check two of them" in three.text
    assert api.get("/ui/compare?of=x&of=y").status_code == 404


def test_as_much_of_an_id_is_enough_as_tells_it_from_others(api: TestClient, both: tuple[Job, Job]) -> None:
    api.follow_redirects = False
    first, second = both
    answer = api.get(f"/ui/compare?a={first.id[:8]}&b={second.id}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/ui/compare?a={first.id}&b={second.id}")
    wrong = api.get(f"/ui/compare?a={first.id[:5]}&b={second.id}")
    assert (wrong.status_code, "no job's id" in html.unescape(wrong.text)) == (404, True)
    nobody = api.get(f"/ui/compare?a={first.id}&b=00000000")
    assert nobody.status_code == 404
    assert re.findall(r'<input id="(\w)"[^>]* aria-invalid="true"', nobody.text) == ["b"]


def test_ids_of_others_are_not_found_by_their_beginning(services: Services) -> None:
    tokens = [services.records.tokens.create(team) for team in ("blue", "red")]
    with called(services, open_access=False) as client:
        client.headers["Authorization"] = f"Bearer {tokens[0]}"
        job = accepted(client)
        client.headers["Authorization"] = f"Bearer {tokens[1]}"
        answer = client.get(f"/ui/compare?a={job['id'][:8]}&b={'0' * 32}")
        assert answer.status_code == 404
        assert job["id"] not in answer.text
