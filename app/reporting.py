"""How commands fail: one line on standard error that says what was wrong, and an exit code."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TextIO

import typer
from rich.console import Console
from rich.text import Text

from app.errors import FULL, FileMissing, FileUnreadable, Interrupted, MachineTooSmall, NoSpace, NotGoodEnough
from app.printable import on_one_line, printable
from micronet.errors import MicronetError, Paused

YOURS, OURS, NOT_GOOD_ENOUGH, PAUSED, SIGNAL = 1, 3, 4, 75, 128
"""Exit codes: the file or a setting is at fault; this machine, this program, a server or the network is; nothing but
the score is; nothing is, try again (sysexits' EX_TEMPFAIL); a signal, whose number is added. 2 is typer's, for wrong
usage."""


def exit_codes(*, server: bool = False, score: bool = False, follows: bool = False, pauses: bool = False) -> str:
    """Those of a command, for its help. It asks a `server`, may be told what `score` is good enough, `follows` a job of
    the server's to its end, `pauses` one that it runs."""
    told = {
        YOURS: "the file, a setting or the request is at fault" + ", or the job was canceled" * follows,
        2: "wrong usage",
        OURS: f"{'the server or the network' if server else 'this machine or this program'} is at fault",
    }
    if score:
        told[NOT_GOOD_ENOUGH] = "the score is worse than allowed, or does not qualify"
    if pauses:
        told[PAUSED] = "it paused when --pause-after said, and the same command goes on"
    meanings = "; ".join(f"{code} {words}" for code, words in told.items())
    stopped = "130 or 143 Ctrl-C or SIGTERM stopped it" + ", and the server's job goes on" * follows
    return f"Exit codes: 0 it went well; {meanings}; {stopped}."


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
    except BrokenPipeError:  # who reads what is printed has read enough: typer ends the command
        raise
    except OSError as error:
        _report(of_the_system(error), as_json)
    except MemoryError:
        _report(MachineTooSmall("the network does not fit this machine's memory"), as_json)


def of_the_system(error: OSError) -> MicronetError:
    """What the system says about a file, as one of the tree."""
    if isinstance(error, FileNotFoundError):
        return FileMissing(f"{error.filename}: there is no such file")
    return NoSpace(str(error)) if error.errno in FULL else FileUnreadable(str(error))


def spell_out(*streams: TextIO | None) -> None:
    """Have letters that the encoding of a terminal or a file lacks spelled as in Python, where they would raise."""
    for stream in streams:
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def written_out() -> Iterator[None]:
    """For the whole program: what it prints is written at its end, or it says that it was not, and exits."""
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except OSError as error:
        with open(os.devnull, "wb") as nowhere:  # for what Python itself still writes when it ends
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        ended = error.__context__
        if isinstance(ended, SystemExit) and ended.code:  # that much was said already
            raise ended from None
        if isinstance(error, BrokenPipeError):
            raise SystemExit(YOURS) from None
        if error.errno not in FULL:
            raise
        say(NoSpace(f"standard output: {error.strerror}"), as_json=False)
        raise SystemExit(OURS) from None


def _report(error: MicronetError, as_json: bool) -> None:
    say(error, as_json)
    raise typer.Exit(_exit_code(error))


def say(error: MicronetError, as_json: bool) -> None:
    """Write an error to standard error: for people, or as one line of JSON."""
    if as_json:
        said = {"code": error.code, "title": error.title, "detail": str(error), "yours": error.yours}
        print(json.dumps(said), file=sys.stderr)
    else:
        message = Text.assemble(
            (f"{on_one_line(error.title)} ", "bold red"),
            (f"[{on_one_line(error.code)}]", "dim"),
            f"\n{printable(str(error))}",
        )
        Console(stderr=True, highlight=False).print(message, soft_wrap=True)  # a terminal folds it, and a log need not


def _exit_code(error: MicronetError) -> int:
    if isinstance(error, NotGoodEnough):
        return NOT_GOOD_ENOUGH
    if isinstance(error, Interrupted):
        return SIGNAL + error.signal_number
    return YOURS if error.yours else OURS
