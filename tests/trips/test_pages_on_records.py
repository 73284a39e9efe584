"""Pages in a real browser, over records that no worker made: the board on a phone, and a session that ends."""

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from app.http.access import COOKIE
from app.main import create_app
from app.services import Services
from micronet.contract import Accuracy, ScoreResult
from tests.app.http.conftest import live, make_services, services  # noqa: F401  # fixtures
from tests.app.http.results import score_text
from tests.app.http.sending import accepted
from tests.app.pages.records import ended
from tests.trips.browser import chromium, complaints, violations
from worker.records.values import Ending, Stage, Status

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


def phone(browser: Browser, url: str, **options: object) -> Page:
    return browser.new_context(base_url=url, viewport=PHONE, reduced_motion="reduce", **options).new_page()  # type: ignore[arg-type]


def measured(client: httpx.Client, services: Services, name: str, correct: int, points: float) -> None:  # noqa: F811
    """An entry of the track that has published results."""
    accepted(client, {"policy": "challenge", "name": name, "team": "a team with a rather long name"})
    result = ScoreResult.model_validate_json(score_text(350, points))
    accuracy = Accuracy(correct=correct, total=10_000, top1=correct / 10_000)
    changes = {"track": "cifar100", "policy": "challenge", "accuracy": accuracy, "qualifies": correct >= 8000}
    ended(services, Ending(Status.SUCCEEDED, result.model_copy(update=changes).model_dump_json()))


def test_a_phone_shows_every_point_and_every_score(browser: Browser, services: Services) -> None:  # noqa: F811
    """Without a move to the side: neither of the picture nor of the table."""
    with live(create_app(services.settings, services, open_access=True)) as url:
        with httpx.Client(base_url=url) as client:
            for index, (correct, points) in enumerate([(8100, 0.004), (8050, 0.02), (8200, 0.9), (7900, 0.001)]):
                measured(client, services, f"an entry with a name of some length {index}", correct, points)
        page = phone(browser, url)
        page.goto("/?policy=challenge")
        marks = page.locator("svg.plane circle, svg.plane svg[x] path").all()
        assert len(marks) == 4 + 4, "entries, and what was published"
        shown = [*marks, *page.locator("svg.plane text").all(), *page.locator(".board strong").all()]
        for element in (*shown, *page.locator(".board th[aria-sort]").all()):
            box = element.bounding_box()
            assert box is not None
            left, right = box["x"], box["x"] + box["width"]
            assert 0 <= left < right <= PHONE["width"], element.inner_html()
        sizes = page.locator("svg.plane text").evaluate_all("all => all.map(one => one.getBoundingClientRect().height)")
        assert min(sizes) >= 11, "legible"
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            assert violations(page) == []
        page.context.close()


def test_a_session_that_ends_leaves_the_form_as_it_was_filled(browser: Browser, services: Services) -> None:  # noqa: F811
    token = services.records.tokens.create("blue")
    with live(create_app(services.settings, services)) as url:
        page = phone(browser, url)
        said = complaints(page)
        page.context.add_cookies([{"name": COOKIE, "value": token, "url": url}])
        page.goto("/ui/submit?kind=train")
        page.get_by_label("Seed").fill("7")
        page.get_by_label("Checkpoint").set_input_files({"name": "net.onnx", "mimeType": "", "buffer": b"network"})
        page.context.clear_cookies()
        page.get_by_role("button", name="Queue the train job").click()
        expect(page.get_by_role("alert")).to_contain_text("this form keeps what you put in")
        assert violations(page) == []
        with page.context.expect_page() as opened:
            page.get_by_role("link", name="Sign in in another tab").click()
        beside = opened.value
        beside.get_by_label("access token").fill(token)
        beside.get_by_role("button", name="Sign in").click()
        beside.wait_for_url("**/ui/submit?kind=train")
        page.get_by_role("button", name="Queue the train job").click()
        page.wait_for_url("**/ui/jobs/*")
        expect(page.get_by_role("heading", level=1)).to_contain_text("net.onnx")
        assert [line for line in said if "401" not in line] == []
        page.context.close()


def test_what_is_no_form_takes_the_place_of_none(browser: Browser, services: Services) -> None:  # noqa: F811
    """A server that is busy, or a proxy that fails, takes nothing from what was put in."""
    with live(create_app(services.settings, services, open_access=True)) as url:
        page = phone(browser, url)
        page.route("**/ui/submit/train", lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"))
        page.goto("/ui/submit?kind=train")
        page.get_by_label("Seed").fill("7")
        page.get_by_role("button", name="Queue the train job").click()
        expect(page.locator("#sent-text")).to_have_text("The server answered 502; try again.")
        expect(page.get_by_label("Seed")).to_have_value("7")
        page.context.close()


def test_a_page_that_looks_again_says_when_nobody_answers_and_lists_stay_as_wide_as_the_window(
    browser: Browser,
    services: Services,  # noqa: F811
) -> None:
    """Words of hundreds of letters, a job that runs, and a server that is gone for a while."""
    with live(create_app(services.settings, services, open_access=True)) as url:
        with httpx.Client(base_url=url) as client:
            for index in range(2):
                accepted(client, {"track": "digits", "seed": index, "name": "W" * 98}, filename="x" * 250)
                ended(services, Ending(Status.SUCCEEDED, score_text(350, 0.4)))
            job = accepted(client, {"track": "digits"})["id"]
        page = browser.new_context(base_url=url, viewport=DESK, reduced_motion="reduce").new_page()
        page.goto("/ui/jobs")
        assert page.locator(".scroll").evaluate("region => region.scrollWidth <= region.clientWidth")
        for box in page.get_by_role("checkbox").all():
            box.check()
        with page.expect_response("**/ui/jobs"):  # it looks again, and what was checked stays so
            claimed = services.records.leases.claim("worker", ("short",))
        expect(page.get_by_role("row").filter(has_text="running")).to_have_count(1)
        assert violations(page) == []
        page.get_by_role("button", name="Compare two that are checked").click()
        expect(page.get_by_role("heading", name="Settings that differ")).to_be_visible()
        assert violations(page) == []

        page.goto(f"/ui/jobs/{job}")
        page.route("**/live?*", lambda route: route.abort())
        expect(page.get_by_role("status").filter(has_text="No answer since")).to_be_visible()
        assert violations(page) == []
        page.unroute("**/live?*")
        expect(page.get_by_text("No answer since")).to_be_hidden()
        page.route("**/live?*", lambda route: route.fulfill(status=429, body="slower"))  # as a proxy may say
        expect(page.get_by_role("status").filter(has_text="No answer since")).to_be_visible()
        page.unroute("**/live?*")
        expect(page.get_by_text("No answer since")).to_be_hidden()
        assert claimed is not None
        services.records.leases.beat(claimed, Stage("evaluate", 3, 4, 1, 4, "images"))
        expect(page).to_have_title(re.compile("^evaluate 25.%, 3 of 4: "))
        page.context.close()
