"""How commands fail: one line on standard error that says what was wrong, and an exit code."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.text import Text

from micronet.errors import MicronetError

YOURS, OURS, NOT_GOOD_ENOUGH = 1, 3, 4
"""Exit codes: the file or a setting is at fault; this machine, this program, a server or the network is; nothing but
the score is. 2 is typer's, for wrong usage."""
EXIT_CODES = (
    "Exit codes: 0 it went well; 1 the file, a setting or the request is at fault, or the job was canceled; "
    "2 wrong usage; 3 the server or the network is at fault; 4 the score is worse than allowed, or does not qualify."
)


class NotGoodEnough(MicronetError):
    """Everything went well, and the score is not what was asked for."""

    code = "not-good-enough"
    title = "The score is not good enough"


@contextmanager
def reported(as_json: bool) -> Iterator[None]:
    """Report errors of the tree, unreadable files and a full memory, and exit; anything else is a bug and passes."""
    try:
        yield
    except NotGoodEnough as error:
        _report(error.code, error.title, str(error), True, as_json)
        raise typer.Exit(NOT_GOOD_ENOUGH) from error
    except MicronetError as error:
        _report(error.code, error.title, str(error), error.yours, as_json)
        raise typer.Exit(YOURS if error.yours else OURS) from error
    except FileNotFoundError as error:
        _report("file-not-found", "No such file", f"{error.filename}: there is no such file", True, as_json)
        raise typer.Exit(YOURS) from error
    except OSError as error:
        _report("file", "The file cannot be read", str(error), True, as_json)
        raise typer.Exit(YOURS) from error
    except MemoryError as error:
        _report("out-of-memory", "Out of memory", "the network does not fit this machine's memory", False, as_json)
        raise typer.Exit(OURS) from error


def _report(code: str, title: str, detail: str, yours: bool, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"code": code, "title": title, "detail": detail, "yours": yours}), file=sys.stderr)
    else:
        message = Text.assemble((f"{title} ", "bold red"), (f"[{code}]", "dim"), f"\n{detail}")
        Console(stderr=True, highlight=False).print(message, soft_wrap=True)  # a terminal folds it, and a log need not
