"""The commands as one program. What needs torch or a server is imported inside the commands: help is instant."""

from typing import Annotated

import typer

from app.commands import board, catalogue, jobs, scoring, server_jobs, serving, submitting
from app.commands.doctor import doctor
from app.commands.tokens import tokens
from app.reporting import exit_codes
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
    *(submitting.demo, scoring.score, scoring.count),
    *(catalogue.tracks, catalogue.architectures, catalogue.settings, catalogue.download),
):
    app.command(epilog=exit_codes())(command)
for command in (serving.serve, serving.api, serving.worker, doctor):
    app.command()(command)
app.command(epilog=exit_codes(server=True, follows=True, score=True))(submitting.submit)
app.command(epilog=exit_codes(server=True, follows=True))(server_jobs.job)
for command in (server_jobs.jobs, server_jobs.cancel, server_jobs.delete, board.leaderboard):
    app.command(epilog=exit_codes(server=True))(command)
for kind in JOBS:
    if kind not in jobs.OWN_COMMANDS:
        app.command(name=kind, epilog=exit_codes(pauses=jobs.may_pause(JOBS[kind])))(jobs.job_command(kind))
app.add_typer(tokens, name="token")
