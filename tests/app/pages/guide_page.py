"""The guide's text, read as a browser does."""

from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser

from app.pages.guide.body import guide_body
from micronet.tracks import BUILT_IN

UPLOAD_BYTES = 4 << 30


@dataclass
class Page:
    """Anchors and links in order; `within` has the text of each element that has an anchor, `code` all that is code."""

    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    attributes: set[str] = field(default_factory=set)
    tags: set[str] = field(default_factory=set)
    code: set[str] = field(default_factory=set)
    within: dict[str, str] = field(default_factory=dict)


class _Reader(HTMLParser):
    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page
        self._open: list[tuple[str, str | None]] = []
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._page.tags.add(tag)
        self._page.attributes |= given.keys()
        if (anchor := given.get("id")) is not None:
            self._page.ids.append(anchor)
            self._page.within[anchor] = ""
        if tag == "a" and (address := given.get("href")) is not None:
            self._page.links.append(address)
        self._open.append((tag, anchor))
        self._text = []

    def handle_endtag(self, tag: str) -> None:
        if tag == "code":
            self._page.code.add("".join(self._text))
        assert self._open.pop()[0] == tag, "elements are closed in order"

    def handle_data(self, data: str) -> None:
        self._text.append(data)
        for _, anchor in self._open:
            if anchor is not None:
                self._page.within[anchor] += data


def read(text: str) -> Page:
    """A part of a page."""
    page = Page()
    reader = _Reader(page)
    reader.feed(str(text))  # not Markup, which escapes what is added to it
    reader.close()
    return page


@cache
def guide() -> Page:
    """The guide with the built-in tracks."""
    return read(guide_body(tuple(BUILT_IN.values()), True, UPLOAD_BYTES))
