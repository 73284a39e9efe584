"""The guide as it is served, and the addresses that problems name."""

from pathlib import Path

from app.pages.guide.errors import error_codes
from app.pages.rendering import CONTENT_SECURITY_POLICY
from micronet.tracks import BUILT_IN
from tests.app.http import conftest
from tests.app.http.conftest import MakeServices, bearer, called
from tests.app.pages.guide_page import read

make_services = conftest.make_services  # a fixture


def own_track(data: Path) -> None:
    """A track of a team's own, called own."""
    (data / "tracks").mkdir(parents=True)
    fields = BUILT_IN["digits"].model_dump(include=set(type(BUILT_IN["digits"]).model_fields) - {"official", "name"})
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in fields.items() if value != ()}
    lines = ['name = "own"', *(f"{key} = {value!r}" for key, value in plain.items())]
    (data / "tracks" / "own.toml").write_text("\n".join(lines))


def test_the_guide_is_a_page_like_others(make_services: MakeServices) -> None:
    with called(make_services()) as client:
        answer = client.get("/guide")
        assert answer.status_code == 200
        assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert answer.headers["content-encoding"] == "gzip"
        assert client.head("/guide").status_code == 200
        assert {"content", "policies", "error-killed", "settings-pipeline"} <= set(read(_body(answer.text)).ids)


def test_own_tracks_are_for_those_with_a_token(make_services: MakeServices, tmp_path: Path) -> None:
    own_track(tmp_path / "data")
    services = make_services(home=tmp_path / "home", data=tmp_path / "data")
    with called(services, open_access=False) as client:
        assert 'id="track-own"' not in client.get("/guide").text
        assert 'id="track-own"' not in client.get("/guide", headers={"Authorization": "Bearer mn_no"}).text
        assert 'id="track-own"' in client.get("/guide", headers=bearer(services, "blue")).text
    with called(services) as client:
        assert 'id="track-own"' in client.get("/guide").text


def test_the_type_of_every_problem_leads_to_its_words(make_services: MakeServices) -> None:
    with called(make_services()) as client:
        for code in error_codes():
            answer = client.get(f"/problems/{code}", follow_redirects=False)
            assert (answer.status_code, answer.headers["location"]) == (303, f"/guide#error-{code}")


def test_an_answer_names_a_type_that_is_there(make_services: MakeServices) -> None:
    with called(make_services(), open_access=False) as client:
        problem = client.get("/jobs").json()
        assert client.get(problem["type"], follow_redirects=False).headers["location"] == "/guide#error-token-required"


def test_a_code_that_nobody_says_is_a_page_that_says_so(make_services: MakeServices) -> None:
    with called(make_services()) as client:
        answer = client.get("/problems/<b>")
        assert answer.status_code == 404
        assert "/guide#error-no-such-address" in answer.text
        assert "<b>" not in answer.text


def _body(text: str) -> str:
    """What is between the ends of the main part, which has no elements without an end."""
    return text[text.index("<main") : text.index("</main>") + len("</main>")]
