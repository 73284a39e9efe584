"""Every error code there is, from the tree of errors itself."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from app import errors as c
from app.client import errors as e
from app.http import errors as h
from app.http.error_answers import STATUS
from micronet import errors as m
from micronet.contract.words import prose_and_rows
from worker import errors as w

_OURS = ("app.", "worker.", "micronet.")


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """A class of errors. `status` is that of answers, None where only jobs and commands end with it.

    yours      whose it is to mend: whoever sent it, or who runs the server
    retryable  whether sending it again may help
    anchor     of the guide's page; None where another class of the same code has it
    also       branches that have other classes of the same code
    """

    code: str
    title: str
    words: str
    status: int | None
    yours: bool
    retryable: bool
    anchor: str | None
    also: tuple["Heading", ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """Of a branch: its anchor, and what people read."""

    anchor: str
    title: str


@dataclass(frozen=True, slots=True)
class Branch:
    """Errors of one sort."""

    heading: Heading
    rows: tuple[ErrorRow, ...]


_BRANCHES: Mapping[type[m.MicronetError], Heading] = {
    m.CheckpointError: Heading("errors-file", "The file"),
    m.ArchitectureError: Heading("errors-architecture", "The architecture"),
    m.GraphError: Heading("errors-network", "The network"),
    m.DataError: Heading("errors-images", "The images"),
    m.MicronetError: Heading("errors-settings", "Settings and numbers"),
    w.ServiceError: Heading("errors-service", "What a request is about"),
    h.HttpError: Heading("errors-request", "The request itself"),
    w.JobEnded: Heading("errors-ending", "How jobs end"),
    c.CommandError: Heading("errors-command", "The command line"),
    e.ServerError: Heading("errors-client", "The command line and its server"),
}
"""What is listed together; a class belongs to the nearest above it."""


def anchor_of(code: str) -> str:
    """Where the guide explains a code."""
    return f"error-{code}"


@cache
def error_branches() -> tuple[Branch, ...]:
    """Every code, its classes in the order of the tree."""
    classes: dict[type[m.MicronetError], list[type[m.MicronetError]]] = {branch: [] for branch in _BRANCHES}
    for kind in error_classes():
        classes[_branch_of(kind)].append(kind)
    in_order = [kind for found in classes.values() for kind in found]
    return tuple(
        Branch(_BRANCHES[branch], tuple(_row(kind, in_order) for kind in found)) for branch, found in classes.items()
    )


@cache
def error_codes() -> frozenset[str]:
    """All of them."""
    return frozenset(row.code for branch in error_branches() for row in branch.rows)


def error_classes() -> Iterator[type[m.MicronetError]]:
    """The classes of this project that have a code or a title of their own, those above before those below."""
    waiting = [m.MicronetError]
    while waiting:
        kind = waiting.pop()
        if kind.__module__.startswith(_OURS) and {"code", "title"} & vars(kind).keys():
            yield kind
        waiting += reversed(kind.__subclasses__())


def _branch_of(kind: type[m.MicronetError]) -> type[m.MicronetError]:
    return next(each for each in kind.__mro__ if each in _BRANCHES)


def _row(kind: type[m.MicronetError], in_order: Sequence[type[m.MicronetError]]) -> ErrorRow:
    same = [each for each in in_order if each.code == kind.code]
    others = dict.fromkeys(_BRANCHES[_branch_of(each)] for each in same if _branch_of(each) is not _branch_of(kind))
    explicit = (STATUS[each] for each in kind.__mro__ if each in STATUS and each is not m.MicronetError)
    return ErrorRow(
        code=kind.code,
        title=kind.title,
        words=prose_and_rows(kind.__doc__)[0],
        status=next(explicit, None),
        yours=kind.yours,
        retryable=kind.retryable,
        anchor=anchor_of(kind.code) if kind is same[0] else None,
        also=tuple(others),
    )
