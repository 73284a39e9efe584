"""What pages say to people, and where: without what only a program can do, and wherever they went wrong."""

import html

import pytest
from fastapi.testclient import TestClient

from app.pages.words import for_people
from app.services import Services
from tests.app.http.conftest import called
from tests.app.http.sending import accepted
from tests.app.pages.records import failed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("there is no job 'x'; GET /jobs lists them.", "there is no job 'x'; those of yours are all under Jobs."),
        (
            "no checkpoint ab is here; PUT /checkpoints/ab first.",
            "no checkpoint ab is here; send the file itself first.",
        ),
        (
            "no checkpoint ab is here; PUT /checkpoints/ab first, or send the file.",
            "no checkpoint ab is here; send the file itself first.",
        ),
        (
            "conv1 has 4 bits. Score it as it is, with bits null (on the command line --unquantized).",
            "conv1 has 4 bits. Score it as it is, without “Quantize to these widths”.",
        ),
        ("byte 7 is no header", "byte 7 is no header"),
    ],
)
def test_advice_for_programs_is_none_for_people(text: str, words: str) -> None:
    assert for_people(text) == words


def test_a_page_of_a_job_that_is_not_there_says_where_the_others_are(api: TestClient) -> None:
    answer = api.get("/ui/jobs/" + "0" * 32)
    assert answer.status_code == 404
    assert "GET /jobs" not in answer.text
    assert "under Jobs" in answer.text


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        ("prune", {}, "choose one first."),
        ("train", {}, "choose a network here, or a file above."),
    ],
)
def test_a_form_without_a_file_asks_for_one_in_its_own_words(
    api: TestClient, kind: str, given: dict[str, str], words: str
) -> None:
    answer = api.post(f"/ui/submit/{kind}", files={"track": (None, "digits"), **given})
    assert answer.status_code == 422
    text = html.unescape(answer.text)
    assert words in text
    assert "checkpoint_sha256 of" not in text


def test_a_browser_gets_a_page_wherever_nothing_is_and_a_program_a_problem(api: TestClient) -> None:
    page = api.get("/nope", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "To the leaderboard" in page.text
    for accept in ("*/*", "application/json"):
        problem = api.get("/nope", headers={"Accept": accept})
        assert (problem.status_code, problem.headers["content-type"]) == (404, "application/problem+json")
    refused = api.get("/score", headers={"Accept": "text/html"})
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


def test_a_quote_in_the_name_of_a_file_is_one(api: TestClient) -> None:
    """The client of this test sends it as browsers do: %22."""
    job = accepted(api, filename='a "b" 100%.onnx')
    assert job["checkpoint"]["filename"] == 'a "b" 100%.onnx'
    assert "a &#34;b&#34; 100%.onnx" in api.get(job["urls"]["page"]).text


def test_who_is_signed_in_sees_as_which_team(services: Services) -> None:
    token = services.records.tokens.create("blue & co")
    with called(services, open_access=False) as client:
        client.cookies.set("micronet_token", token)
        assert "Team <strong>blue &amp; co</strong>" in client.get("/ui/jobs").text
    with called(services) as client:
        assert "Team <strong>" not in client.get("/ui/jobs").text


def test_words_out_of_a_file_turn_no_text(api: TestClient, services: Services) -> None:
    job = accepted(api)
    failed(services, yours=True, detail="no layer \N{RIGHT-TO-LEFT OVERRIDE}1cf")
    assert "no layer \N{REPLACEMENT CHARACTER}1cf" in api.get(job["urls"]["page"]).text
