"""How commands fail: one line on standard error that says what was wrong, and an exit code."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.text import Text

from app.errors import FileMissing, FileUnreadable, MachineTooSmall, NotGoodEnough
from app.printable import printable
from micronet.errors import MicronetError, Paused

YOURS, OURS, NOT_GOOD_ENOUGH, PAUSED = 1, 3, 4, 75
"""Exit codes: the file or a setting is at fault; this machine, this program, a server or the network is; nothing but
the score is; nothing is, try again (sysexits' EX_TEMPFAIL). 2 is typer's, for wrong usage."""
EXIT_CODES = (
    "Exit codes: 0 it went well; 1 the file, a setting or the request is at fault, or the job was canceled; "
    "2 wrong usage; 3 the server or the network is at fault; 4 the score is worse than allowed, or does not qualify; "
    "75 it paused when --pause-after said, and the same command goes on."
)


@contextmanager
def reported(as_json: bool) -> Iterator[None]:
    """Report errors of the tree, unreadable files and a full memory, and exit; anything else is a bug and passes."""
    try:
        yield
    except MicronetError as error:
        _report(error, as_json)
    except Paused:
        print("Paused, with all of it in the journal. The same command goes on from here.", file=sys.stderr)
        raise typer.Exit(PAUSED) from None
    except FileNotFoundError as error:
        _report(FileMissing(f"{error.filename}: there is no such file"), as_json)
    except BrokenPipeError:  # who reads what is printed has read enough: typer ends the command
        raise
    except OSError as error:
        _report(FileUnreadable(str(error)), as_json)
    except MemoryError:
        _report(MachineTooSmall("the network does not fit this machine's memory"), as_json)


def _report(error: MicronetError, as_json: bool) -> None:
    if as_json:
        said = {"code": error.code, "title": error.title, "detail": str(error), "yours": error.yours}
        print(json.dumps(said), file=sys.stderr)
    else:
        message = Text.assemble(
            (f"{error.title} ", "bold red"), (f"[{error.code}]", "dim"), f"\n{printable(str(error))}"
        )
        Console(stderr=True, highlight=False).print(message, soft_wrap=True)  # a terminal folds it, and a log need not
    raise typer.Exit(_exit_code(error))


def _exit_code(error: MicronetError) -> int:
    if isinstance(error, NotGoodEnough):
        return NOT_GOOD_ENOUGH
    return YOURS if error.yours else OURS
