"""The command line: `micronet`. What needs torch or a server is imported inside the commands: help is instant."""

import typer

from app.commands import board, catalogue, client, jobs, scoring, server_jobs, serving
from app.commands.doctor import doctor
from app.commands.tokens import tokens
from app.failures import EXIT_CODES
from micronet.jobs import JOBS

app = typer.Typer(
    help="Count, quantize, measure and score efficient networks (MicroNet Challenge), here or on a server.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for command in (
    *(client.demo, scoring.score, scoring.count, catalogue.tracks, catalogue.architectures, catalogue.download),
    *(serving.serve, serving.api, serving.worker, doctor),
):
    app.command()(command)
for command in (client.submit, server_jobs.jobs, server_jobs.job, server_jobs.cancel, board.leaderboard):
    app.command(epilog=EXIT_CODES)(command)
for kind in JOBS:
    if kind not in jobs.OWN_COMMANDS:
        app.command(name=kind)(jobs.job_command(kind))
app.add_typer(tokens, name="token")


def main() -> None:
    """Entry point of the console script."""
    app()
