"""What is wrong with the settings that a form meant, at the fields where people look for it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from app.http.problems import Fault
from app.http.submissions import FILE, SHA256
from app.pages.forms.filled import taken
from app.pages.forms.form import SETTINGS, Form
from app.pages.forms.schema import Path

_FIRST_WORD = re.compile(r"[a-z_]+(\.[a-z_]+)*")


def faults_by_field(form: Form, rest: Mapping[str, Any], faults: Sequence[Fault]) -> dict[str, list[str]]:
    """The faults by the name of their field; "" for what concerns none, said with its place.

    `rest` is what the form said as JSON: faults in it are at the field for that, with their place in it.
    """
    found: dict[str, list[str]] = {}
    for fault in faults:
        name, place = _field_of(form, rest, fault)
        detail = fault.detail.removeprefix(f"{name.rpartition('/')[2]}: ")  # its label says that already
        found.setdefault(name, []).append(f"{place}: {detail}" if place else detail)
    return found


def _field_of(form: Form, rest: Mapping[str, Any], fault: Fault) -> tuple[str, str]:
    """The field a fault concerns, and its place where that has to be said."""
    pointer = fault.pointer or ""
    if not pointer.startswith("/settings"):
        name = FILE if pointer == f"/{SHA256}" else pointer.removeprefix("/")
        return (name, "") if name in form.names or name == FILE else ("", name)
    place = tuple(map(_unescaped, pointer.split("/")[2:]))
    named = _FIRST_WORD.match(fault.detail)  # of several settings that do not fit together, the first is named
    path = (*place, *named[0].split(".")) if named else place
    for length in range(len(path), 0, -1):  # normalize/mean/0 concerns normalize/mean, unless that came as JSON
        name = "/".join(path[:length])
        if name in form.fields and taken(rest, path[:length]) is None:
            return name, ""
    if (path and path[0] in rest) or (rest and not place):
        return SETTINGS, "/".join(place)
    within = _first_within(form, place)  # where people look for what is wrong with an object
    return ("", "/".join(place)) if within is None else (within, "")


def _first_within(form: Form, place: Path) -> str | None:
    """The first field of what is in the object at `place`."""
    within = (name for name, field in form.fields.items() if place and field.setting.path[: len(place)] == place)
    return next(within, None)


def _unescaped(part: str) -> str:
    """A part of a JSON pointer, as it was."""
    return part.replace("~1", "/").replace("~0", "~")
