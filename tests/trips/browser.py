"""A real Chromium, the one of the system, and what axe-core says about the page it shows."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

_QUIET = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser. Skips the test where there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=list(_QUIET))
        yield browser
        browser.close()


def violations(page: Page) -> list[tuple[str, str]]:
    """What axe finds against WCAG 2.2 AA and good practice: rule and first element."""
    asked = {"rules": {"target-size": {"enabled": True}}}  # of WCAG 2.2, and off unless it is asked for
    found = Axe().run(page, options=asked).response["violations"]
    return [(rule["id"], rule["nodes"][0]["html"][:200]) for rule in found]


def complaints(page: Page) -> list[str]:
    """A list that grows with every error of a script, refused by the policy or not found, on this page from now on."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    return said
