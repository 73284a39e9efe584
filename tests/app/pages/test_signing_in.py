"""Signing in on a server with tokens: a cookie for our own pages, and for nobody else's."""

import re
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from app.http.access import COOKIE
from app.services import Services
from tests.app.http.conftest import bearer, called
from tests.app.http.sending import problem, send

OWN = {"Origin": "http://localhost"}


@pytest.fixture
def guarded(services: Services) -> Iterator[TestClient]:
    """A server with tokens."""
    with called(services, open_access=False) as client:
        client.follow_redirects = False
        yield client


@pytest.fixture
def token(services: Services) -> str:
    return services.records.tokens.create("blue")


def sign_in(client: TestClient, token: str, following: str = "/ui/jobs") -> None:
    answer = client.post("/ui/sign-in", data={"token": token, "next": following}, headers=OWN)
    assert (answer.status_code, answer.headers["location"]) == (303, following)
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


@pytest.mark.parametrize("origin", ["http://localhost", "https://localhost"])
def test_behind_a_proxy_that_speaks_https_the_cookie_goes_over_nothing_else(
    guarded: TestClient, token: str, origin: str
) -> None:
    answer = guarded.post("/ui/sign-in", data={"token": token, "next": "/"}, headers={"Origin": origin})
    assert answer.status_code == 303
    assert ("secure" in answer.headers["set-cookie"].lower()) == origin.startswith("https")


@pytest.mark.parametrize(
    ("page", "following"),
    [
        ("http://localhost/ui/jobs?status=failed", "%2Fui%2Fjobs%3Fstatus%3Dfailed"),
        ("http://[", "%2F"),
    ],
)
def test_a_part_of_a_page_leads_its_page_to_the_form(guarded: TestClient, page: str, following: str) -> None:
    answer = guarded.get("/ui/jobs", headers={"HX-Request": "true", "HX-Current-URL": page})
    assert (answer.status_code, answer.headers["hx-redirect"]) == (204, f"/ui/sign-in?next={following}")


@pytest.mark.parametrize(
    "page", ["/", "/?track=digits&policy=report", "/ui/jobs", "/ui/submit", "/ui/jobs/" + "0" * 32]
)
def test_who_has_no_token_is_asked_for_one_and_comes_back(guarded: TestClient, token: str, page: str) -> None:
    answer = guarded.get(page)
    assert answer.status_code == 303
    asked = guarded.get(answer.headers["location"])
    assert asked.status_code == 200
    assert f'name="next" value="{page.replace("&", "&amp;")}"' in asked.text
    sign_in(guarded, token, page)


def test_a_wrong_token_is_said_to_be_one(guarded: TestClient) -> None:
    for wrong in ("", "x", "mn_" + "x" * 43):
        answer = guarded.post("/ui/sign-in", data={"token": wrong, "next": "/"}, headers=OWN)
        assert answer.status_code == 422
        assert "not a valid token" in answer.text
        assert "set-cookie" not in answer.headers


def test_signing_in_leads_to_pages_of_this_server_only(guarded: TestClient, token: str) -> None:
    for elsewhere in (
        "//evil.example/",
        "https://evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "/a\r\nb: c",
    ):
        answer = guarded.post("/ui/sign-in", data={"token": token, "next": elsewhere}, headers=OWN)
        assert answer.headers["location"] == "/"


def test_a_browser_that_signed_in_sees_its_teams_jobs_until_it_signs_out(guarded: TestClient, token: str) -> None:
    sign_in(guarded, token)
    assert guarded.get("/ui/jobs").status_code == 200
    assert guarded.get("/jobs").status_code == 200
    assert guarded.post("/ui/sign-out", headers=OWN).status_code == 303
    assert guarded.get("/ui/jobs").status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_the_cookie_serves_no_page_of_another_site(guarded: TestClient, token: str, headers: dict[str, str]) -> None:
    guarded.cookies.set(COOKIE, token)
    problem(send(guarded, headers=headers), 403, "cross-site")
    answer = guarded.post("/ui/submit/score", files={"track": (None, "digits")}, headers=headers)
    assert answer.status_code == 403
    assert send(guarded, headers=OWN).status_code == 202


def test_a_header_beside_the_cookie_wins(guarded: TestClient, services: Services, token: str) -> None:
    guarded.cookies.set(COOKIE, token)
    assert send(guarded, headers=bearer(services, "red")).json()["team"] == "red"


def test_pages_of_other_sites_can_sign_nobody_in_or_out(guarded: TestClient, token: str) -> None:
    foreign = {"Origin": "https://evil.example"}
    assert guarded.post("/ui/sign-in", data={"token": token}, headers=foreign).status_code == 403
    assert guarded.post("/ui/sign-out", headers=foreign).status_code == 403


@pytest.mark.parametrize(
    ("referer", "following"),
    [
        ("http://localhost/ui/submit?kind=train", "/ui/submit?kind=train"),
        ("https://proxy.example/ui/jobs/1", "/ui/jobs/1"),
        ("http://x//evil.example/", "/"),
        ("http://x/\\evil.example", "/"),
        ("http://[", "/"),
        ("", "/"),
    ],
)
def test_a_form_sent_after_its_session_is_answered_with_where_to_sign_in_beside_it(
    guarded: TestClient, token: str, referer: str, following: str
) -> None:
    answer = guarded.post(
        "/ui/submit/score", files={"track": (None, "digits")}, headers=OWN | ({"Referer": referer} if referer else {})
    )
    assert answer.status_code == 401
    assert "Sign in in another tab" in answer.text
    (address,) = re.findall(r'href="(/ui/sign-in\?[^"]*)" target="_blank" rel="noopener"', answer.text)
    assert f'name="next" value="{following}"' in guarded.get(address).text


def test_the_form_knows_where_to_sign_in_beside_it(guarded: TestClient, token: str) -> None:
    guarded.cookies.set(COOKIE, token)
    (address,) = re.findall(
        r'id="signed-out"[^>]* hidden>[^<]*<a href="([^"]*)" target="_blank"', guarded.get("/ui/submit?kind=train").text
    )
    assert 'name="next" value="/ui/submit?kind=train"' in guarded.get(address).text
