"""How commands fail: one line on standard error that says what was wrong, and an exit code."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.text import Text

from micronet.errors import MicronetError

YOURS, OURS = 1, 3
"""Exit codes: the file or a setting is at fault; this machine or this program is. 2 is typer's, for wrong usage."""


@contextmanager
def reported(as_json: bool) -> Iterator[None]:
    """Report errors of the tree, unreadable files and a full memory, and exit; anything else is a bug and passes."""
    try:
        yield
    except MicronetError as error:
        _report(error.code, error.title, str(error), error.yours, as_json)
    except FileNotFoundError as error:
        _report("file-not-found", "No such file", f"{error.filename}: there is no such file", True, as_json)
    except OSError as error:
        _report("file", "The file cannot be read", str(error), True, as_json)
    except MemoryError:
        _report("out-of-memory", "Out of memory", "the network does not fit this machine's memory", False, as_json)


def _report(code: str, title: str, detail: str, yours: bool, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"code": code, "title": title, "detail": detail, "yours": yours}), file=sys.stderr)
    else:
        message = Text.assemble((f"{title} ", "bold red"), (f"[{code}]", "dim"), f"\n{detail}")
        Console(stderr=True, highlight=False).print(message)
    raise typer.Exit(YOURS if yours else OURS)
