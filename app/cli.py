"""The command line: `micronet`. What needs torch or a server is imported inside the commands: help is instant."""

import typer

from app.commands import catalogue, client, jobs, scoring, serving
from app.commands.doctor import doctor
from app.commands.tokens import tokens
from micronet.jobs import JOBS

app = typer.Typer(
    help="Count, quantize, measure and score efficient networks (MicroNet Challenge), here or on a server.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for command in (
    *(client.demo, scoring.score, scoring.count, catalogue.tracks, catalogue.architectures, catalogue.download),
    *(serving.serve, serving.api, serving.worker, doctor, client.submit),
):
    app.command()(command)
for kind in JOBS:
    if kind not in jobs.OWN_COMMANDS:
        app.command(name=kind)(jobs.job_command(kind))
app.add_typer(tokens, name="token")


def main() -> None:
    """Entry point of the console script."""
    app()
