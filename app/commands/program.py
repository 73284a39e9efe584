"""The commands as one program. What needs torch or a server is imported inside the commands: help is instant."""

from typing import Annotated

import typer

from app.commands import board, catalogue, jobs, scoring, server_jobs, serving, submitting
from app.commands.doctor import doctor
from app.commands.tokens import tokens
from app.reporting import EXIT_CODES
from micronet.jobs import JOBS
from micronet.version import version


def _print_version(asked: bool) -> None:
    if asked:
        print(version())
        raise typer.Exit


app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def program(
    version: Annotated[  # the option reads its own value, and the callback does the rest
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Count, quantize, measure and score efficient networks (MicroNet Challenge), here or on a server."""


for command in (
    *(submitting.demo, scoring.score, scoring.count, catalogue.tracks, catalogue.architectures, catalogue.download),
    *(serving.serve, serving.api, serving.worker, doctor),
):
    app.command()(command)
for command in (
    *(submitting.submit, server_jobs.jobs, server_jobs.job, server_jobs.cancel, server_jobs.delete),
    board.leaderboard,
):
    app.command(epilog=EXIT_CODES)(command)
for kind in JOBS:
    if kind not in jobs.OWN_COMMANDS:
        app.command(name=kind)(jobs.job_command(kind))
app.add_typer(tokens, name="token")
