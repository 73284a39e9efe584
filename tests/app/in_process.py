"""The command line in this process: what it says and how it exits, without the seconds that a new process takes."""

import os
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from unittest import mock

from app.commands.program import app
from app.reporting import written_out

_CHANGING_A_PROCESS = (
    "app.commands.jobs.prepare_process",
    "app.logs.configure_logs",
    "app.processes.die_with_parent",
    "micronet.jobs.prepare_process",
)


@dataclass(frozen=True)
class Done:
    """As `subprocess.CompletedProcess`."""

    returncode: int
    stdout: str
    stderr: str


def command(*arguments: str, **environment: str) -> Done:
    """What `micronet` does with these arguments, as its entry point runs it; what would change this process is left
    out, and as in `tests.app.test_cli.micronet`, there is no MICRONET_DATA."""
    kept = {name: value for name, value in os.environ.items() if name != "MICRONET_DATA"}
    out, said, code = StringIO(), StringIO(), 0
    with ExitStack() as stack:
        for name in _CHANGING_A_PROCESS:
            stack.enter_context(mock.patch(name))
        stack.enter_context(mock.patch.dict(os.environ, {**kept, "COLUMNS": "120", **environment}, clear=True))
        stack.enter_context(redirect_stdout(out))
        stack.enter_context(redirect_stderr(said))
        try:
            with written_out():
                app(list(arguments), prog_name="micronet")
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Done(code, out.getvalue(), said.getvalue())
