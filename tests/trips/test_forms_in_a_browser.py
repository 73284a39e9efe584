"""The form in a real browser, without a worker: it comes back as it was left, and leads to another kind as it is."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from app.main import create_app
from app.services import Services
from tests.app.http.conftest import live, make_services, services  # noqa: F401  # fixtures
from tests.app.pages.records import scored
from tests.trips.browser import chromium, complaints, violations


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def page(browser: Browser, services: Services) -> Iterator[Page]:  # noqa: F811
    with live(create_app(services.settings, services, open_access=True)) as url:
        context = browser.new_context(base_url=url, reduced_motion="reduce")
        yield context.new_page()
        context.close()


def test_who_comes_back_finds_every_control_as_it_was_left(page: Page) -> None:
    page.goto("/ui/submit?kind=train")
    page.evaluate("document.querySelectorAll('details').forEach(group => group.open = true)")
    page.get_by_label("Track").select_option("digits")
    page.get_by_label("Architecture", exact=True).select_option("digits")
    page.get_by_label("Its options").fill("width=16")
    page.get_by_label("Epochs", exact=True).fill("7")
    page.get_by_label("Name of the entry").fill("Abc")
    page.get_by_label("Flip").uncheck()
    left = values(page)
    page.get_by_role("link", name="Guide", exact=True).click()
    page.wait_for_url("**/guide")
    page.go_back()
    expect(page.get_by_label("Epochs", exact=True)).to_have_value("7")
    assert values(page) == left


def values(page: Page) -> dict[str, str]:
    """All that the form would send, but for what tells one rendered form from another."""
    sent = "Object.fromEntries([...new FormData(document.getElementById('submit'))].filter(([name]) => name !== 'key'))"
    found: dict[str, str] = page.evaluate(sent)
    return {name: text for name, text in found.items() if name != "checkpoint"}


def test_a_tab_takes_along_what_was_put_in_and_enter_presses_none(page: Page) -> None:
    said = complaints(page)
    page.goto("/ui/submit?kind=train")
    page.get_by_label("Name of the entry").fill("Abc")
    page.get_by_label("Track").select_option("digits")
    page.get_by_role("button", name="quantize", exact=True).click()
    page.wait_for_url("**/ui/submit?kind=quantize*")
    expect(page.get_by_label("Name of the entry")).to_have_value("Abc")
    expect(page.get_by_label("Track")).to_have_value("digits")
    assert violations(page) == []
    page.get_by_label("Name of the entry").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("choose one first.")
    assert [line for line in said if "422" not in line] == []


def test_a_cost_says_that_the_form_is_another_since(page: Page, services: Services) -> None:  # noqa: F811
    page.goto("/ui/submit?track=digits&policy=report")
    page.get_by_label("Checkpoint").set_input_files({"name": "net.onnx", "mimeType": "", "buffer": b"network"})
    page.wait_for_url("**/ui/submit?from=*")
    scored(services)
    expect(page.locator("#counted")).to_contain_text("counted for track digits by policy report")
    note = page.get_by_text("The form was changed after this was counted.")
    expect(note).to_be_hidden()
    page.get_by_label("Weights").fill("7")
    expect(note).to_be_visible()
    assert violations(page) == []
    page.get_by_label("Weights").fill("9")
    expect(note).to_be_hidden()
    page.get_by_label("Policy").select_option("challenge")
    page.get_by_role("button", name="Count again").click()
    expect(page.locator("#counted")).to_contain_text("place 1 in the queue")
    expect(page.get_by_label("Policy")).to_have_value("challenge")
    expect(note).to_be_hidden()
