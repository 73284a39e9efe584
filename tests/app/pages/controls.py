"""A form on a page, as a browser sees it: what it would send."""

from html.parser import HTMLParser
from typing import Any

from fastapi.testclient import TestClient


class Controls(HTMLParser):
    """Names and texts of all that a browser would send of the form for a job."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, str] = {}
        self.action = ""
        self._writing: str | None = None
        self._choosing = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name, value = given.get("name") or "", given.get("value") or ""
        if given.get("id") == "submit":
            self.action = given["action"] or ""
        if tag == "input" and given.get("type") != "file" and (given.get("type") != "checkbox" or "checked" in given):
            self.sent[name] = value
        elif tag == "textarea":
            self.sent[name], self._writing = "", name
        elif tag == "select":
            self._choosing = name
        elif tag == "option" and (self._choosing not in self.sent or "selected" in given):
            self.sent[self._choosing] = value

    def handle_endtag(self, tag: str) -> None:
        self._writing = None

    def handle_data(self, data: str) -> None:
        if self._writing is not None:
            self.sent[self._writing] += data


def shown_in(text: str) -> Controls:
    """The form on a page."""
    shown = Controls()
    shown.feed(text)
    return shown


def sent_as_shown(page: TestClient, address: str) -> dict[str, Any]:
    """The job that the form at an address makes, sent as it is; of the kind that the form is of."""
    shown = shown_in(page.get(address, follow_redirects=True).text)
    fields = {name: (None, text) for name, text in shown.sent.items()}
    sent = page.post(shown.action, files=fields, follow_redirects=False)
    assert sent.status_code == 303, sent.text
    job: dict[str, Any] = page.get(sent.headers["location"].replace("/ui", "")).json()
    return job
