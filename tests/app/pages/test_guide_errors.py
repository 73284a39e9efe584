"""Every error code that the sources can say is in the guide, as the sources say it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import app
import micronet
import worker
from app.http.error_answers import STATUS
from app.pages.guide.errors import error_branches, error_classes, error_codes
from micronet.errors import MicronetError
from tests.app.pages.guide_page import guide

FOLDERS = [Path(package.__file__).parent for package in (app, worker, micronet) if package.__file__]
SAY_A_CODE = {"JobError", "job_error"}
"""Calls whose first argument is a code and whose second its title."""


@dataclass(frozen=True)
class Said:
    """A code that a source has as a literal, and the title that goes with it, if that is one, too."""

    where: str
    code: str
    title: str | None


def literals(tree: ast.AST, where: str) -> Iterator[Said]:
    """Codes in calls, in class bodies, and where a code is named beside its title."""
    for node in ast.walk(tree):
        place = f"{where}:{getattr(node, 'lineno', 0)}"
        match node:
            case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(code)), *rest]) if name in SAY_A_CODE:
                yield Said(place, code, text(rest[0]) if rest else None)
            case ast.Call(keywords=keywords) if any(keyword.arg == "code" for keyword in keywords):
                given = {keyword.arg: text(keyword.value) for keyword in keywords}
                if (code := given["code"]) is not None:
                    yield Said(place, code, given.get("title"))
            case ast.Call(
                func=ast.Attribute(attr="get"), args=[ast.Constant(value="code"), ast.Constant(value=str(code))]
            ):
                yield Said(place, code, None)
            case ast.Assign(targets=[ast.Name(id="code")], value=ast.Constant(value=str(code))):
                yield Said(place, code, None)
            case ast.Assign(targets=[ast.Tuple(elts=[ast.Name(id="code"), *_])], value=ast.Tuple(elts=[first, *rest])):
                if (code := text(first)) is not None:
                    yield Said(place, code, text(rest[0]))


def text(node: ast.expr) -> str | None:
    """A literal text."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


@cache
def said() -> tuple[Said, ...]:
    """All of them."""
    sources = [path for folder in FOLDERS for path in folder.rglob("*.py")]
    assert len(sources) > 250
    return tuple(each for path in sources for each in literals(ast.parse(path.read_text()), str(path)))


def test_the_sources_are_searched_well() -> None:
    found = {each.code for each in said()}
    assert {"corrupt-file", "too-many-waiting", "killed", "worker-lost", "cross-site", "unreachable", "server"} <= found
    assert len(found) > 80


def test_every_code_of_the_sources_has_a_class() -> None:
    assert [each for each in said() if each.code not in error_codes()] == []


def test_every_class_below_which_there_is_none_is_made_somewhere() -> None:
    """Else its code and title would stand in the guide and nobody would ever read them of it."""
    named = {
        node.id if isinstance(node, ast.Name) else node.attr
        for folder in FOLDERS
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name | ast.Attribute)
    }
    leaves = {kind.__name__ for kind in error_classes() if not kind.__subclasses__()}
    assert leaves <= named


def test_titles_beside_codes_are_those_of_a_class() -> None:
    titles = {(kind.code, kind.title) for kind in error_classes()}
    told = [each for each in said() if each.title is not None]
    assert len(told) >= 2
    assert [each for each in told if (each.code, each.title) not in titles] == []


def test_problems_of_http_are_made_of_classes_only() -> None:
    """`make_problem` takes code and title in one value: of an error, or of the class for what starlette says."""
    calls = [
        ast.unparse(node.args[1])
        for folder in FOLDERS
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "make_problem"
    ]
    assert sorted(calls) == ["(error.code, error.title, str(error))", "what"]


def test_every_class_is_listed_once_with_all_it_says() -> None:
    listed = [(row.code, row.title, row.yours, row.retryable) for branch in error_branches() for row in branch.rows]
    expected = [(kind.code, kind.title, kind.yours, kind.retryable) for kind in error_classes()]
    assert sorted(listed) == sorted(expected)
    assert all(row.words for branch in error_branches() for row in branch.rows)


def test_every_code_has_one_anchor_under_which_its_title_stands() -> None:
    page = guide()
    for branch in error_branches():
        assert branch.heading.anchor in page.ids
        for row in branch.rows:
            if row.anchor is not None:
                assert row.title in page.within[row.anchor]
                assert (f"HTTP {row.status}" in page.within[row.anchor]) == (row.status is not None)
                assert ("again may help" in page.within[row.anchor]) == row.retryable
    anchors = [anchor for anchor in page.ids if anchor.startswith("error-")]
    assert sorted(anchors) == sorted(f"error-{code}" for code in error_codes())


@pytest.mark.parametrize("kind", [kind for kind in STATUS if kind is not MicronetError], ids=lambda kind: kind.__name__)
def test_statuses_are_those_of_answers(kind: type[MicronetError]) -> None:
    rows = [
        row for branch in error_branches() for row in branch.rows if (row.code, row.title) == (kind.code, kind.title)
    ]
    assert [row.status for row in rows] == [STATUS[kind]]


def test_a_code_with_two_meanings_leads_to_both() -> None:
    rows = [row for branch in error_branches() for row in branch.rows if row.code == "unavailable"]
    first, second = rows
    assert (first.anchor, first.status) == ("error-unavailable", 503)
    assert (second.anchor, second.status) == (None, None)
    assert [heading.anchor for heading in first.also] == ["errors-ending"]
