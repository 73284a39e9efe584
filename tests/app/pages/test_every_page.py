"""What holds for every page: it is there, it runs nothing but our files, and what users wrote is text."""

import re
from html.parser import HTMLParser

import pytest
from fastapi.testclient import TestClient

from app.pages.assets import assets
from app.services import Services
from micronet.jobs import JOBS
from tests.app.http.sending import accepted
from tests.app.pages.records import failed, scored

SCRIPT = "<script>alert(1)</script>"
ATTRIBUTE = '"><img src=x onerror=alert(1)>'


class Elements(HTMLParser):
    """Collects what could run, or be styled, from within a page itself."""

    def __init__(self) -> None:
        super().__init__()
        self.running: list[tuple[str, object]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        foreign = tag in ("img", "iframe", "object", "style") or (
            tag == "script" and not (given.get("src") or "").startswith("/ui/assets/")
        )
        inline = any(name == "style" or name.startswith("on") for name in given)
        if foreign or inline or (given.get("href") or "").strip().lower().startswith("javascript:"):
            self.running.append((tag, attrs))


@pytest.fixture
def pages(api: TestClient, services: Services) -> list[str]:
    """The address of every page there is, on a server with a job of each kind of end, all named by attackers."""
    hostile = {"track": "digits", "name": SCRIPT, "team": ATTRIBUTE}
    waiting = []
    for index in range(2):
        accepted(api, hostile | {"seed": index}, filename=SCRIPT + ".onnx")
        waiting.append(scored(services, 350 - 300 * index).id)
    accepted(api, hostile, filename=ATTRIBUTE)
    waiting.append(failed(services, yours=True, detail=SCRIPT + ATTRIBUTE).id)
    waiting.append(accepted(api, hostile, filename=ATTRIBUTE)["id"])
    ok, under, broken, queued = waiting
    return [
        "/?track=digits",
        f"/?track=digits&search={SCRIPT}",
        f"/?track=digits&team={ATTRIBUTE}",
        "/ui/jobs",
        f"/ui/jobs?team={ATTRIBUTE}",
        *(f"/ui/jobs/{job_id}" for job_id in waiting),
        f"/ui/jobs/{queued}/live",
        "/ui/submit",
        *(f"/ui/submit?kind={kind}" for kind in JOBS),
        "/ui/submit?recipe=report",
        f"/ui/submit?from={broken}",
        "/ui/compare",
        f"/ui/compare?a={ok}&b={under}",
        f"/ui/entries/{ok}",
        "/ui/sign-in",
        f"/ui/sign-in?next={ATTRIBUTE}",
    ]


def test_pages_are_there_and_nothing_on_them_can_run(api: TestClient, pages: list[str]) -> None:
    for page in pages:
        answer = api.get(page)
        assert answer.status_code == 200, (page, answer.text)
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        found = Elements()
        found.feed(answer.text)
        assert found.running == [], page
        assert SCRIPT not in answer.text


def test_faults_are_pages_too(api: TestClient, services: Services) -> None:
    for page, status, words in (
        ("/ui/jobs/" + "0" * 32, 404, "there is no job"),
        ("/ui/jobs/<b>", 404, "no job&#39;s id"),
        ("/ui/entries/" + "0" * 32, 404, "no entry"),
        ("/?track=mine", 422, "mine"),
        ("/?sort=luck", 422, "one of"),
        ("/?page=0", 422, "whole number"),
        ("/ui/jobs?cursor=x", 422, "no place"),
        (f"/ui/submit?kind={SCRIPT}", 422, "one of"),
        ("/ui/compare?a=1&b=2", 404, "no job"),
        ("/ui/nothing", 404, "nothing is at"),
        ("/ui/entries/%00", 404, "no job"),
    ):
        answer = api.get(page)
        assert answer.status_code == status, (page, answer.text)
        assert words in answer.text
        assert SCRIPT not in answer.text
        assert "<b>" not in answer.text


def test_files_of_pages_are_kept_for_good_under_the_address_of_their_content(api: TestClient) -> None:
    front = api.get("/").text
    (address,) = re.findall(r'href="(/ui/assets/style.css\?v=\w+)"', front)
    answer = api.get(address)
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert api.get("/ui/assets/style.css").headers["cache-control"] == "no-cache"
    assert api.get("/ui/assets/../rendering.py").status_code == 404
    assert {"style.css", "submit.js", "htmx.min.js", "icon.svg"} <= set(assets())


def test_pages_come_compressed_to_those_who_can_read_that(api: TestClient) -> None:
    plain = api.get("/ui/compare", headers={"Accept-Encoding": "identity"})
    packed = api.get("/ui/compare", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.text == plain.text
    assert int(packed.headers["content-length"]) < len(plain.content)
