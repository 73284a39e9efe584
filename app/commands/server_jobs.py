"""Jobs on a server: looked at, waited for, listed, canceled, deleted."""

import json
import sys
from itertools import islice
from typing import Annotated, Any

import typer

from app.client import Client, shapes
from app.client.shapes import FINAL
from app.commands.following import conclude, fetch, followed, left_running, show, show_state
from app.commands.options import LOCAL, PATIENCE, Force, Json, Output, Patience, Server, Token
from app.job_id_form import LEAST
from app.job_ids import whole_id
from app.printable import on_one_line
from app.progress_bar import ProgressBar
from app.reporting import reported
from app.tables import show_rows, wide_console
from micronet.errors import SettingsError
from micronet.jobs import JOBS

JobId = Annotated[
    str,
    typer.Argument(metavar="ID", help=f"Id of the job, or its first {LEAST} characters or more.", show_default=False),
]
Status = Annotated[shapes.Status | None, typer.Option(help="Only jobs that are so.", show_default=False)]
Kind = Annotated[str | None, typer.Option(help=f"Only of this kind: {', '.join(JOBS)}.", show_default=False)]
Team = Annotated[str | None, typer.Option(help="Only entered for this team.", show_default=False)]
Limit = Annotated[int, typer.Option(min=1, help="How many at most.")]
Wait = Annotated[bool, typer.Option("--wait", help="Until it has ended.")]
Yes = Annotated[bool, typer.Option("--yes", help="Without asking.")]


def jobs(
    status: Status = None,
    kind: Kind = None,
    team: Team = None,
    limit: Limit = 20,
    server: Server = LOCAL,
    token: Token = None,
    patience: Patience = PATIENCE,
    as_json: Json = False,
) -> None:
    """Your jobs on a server, the newest first."""
    with reported(as_json), Client(server, token, patience=patience) as client:
        found = list(islice(client.jobs(status=status, kind=kind, team=team), limit))
    if as_json:
        print(json.dumps(found, indent=2))
        return
    columns = ("id", "kind", "status", "team", "name", "file", "created")
    show_rows(columns, map(_row, found), wide_console(), whole=("id", "kind", "status", "created"))


def job(
    job_id: JobId,
    wait: Wait = False,
    output: Output = None,
    force: Force = False,
    server: Server = LOCAL,
    token: Token = None,
    patience: Patience = PATIENCE,
    as_json: Json = False,
) -> None:
    """A job on a server: how far it is, or what became of it.

    Prints its result as submit does; with --json and without --wait, the whole job. A job that has not ended exits
    with 0, one that has ended as submit does.
    """
    with reported(as_json), Client(server, token, patience=patience) as client:
        job_id = whole_id(client, job_id)
        found = client.job(job_id)
        if wait:
            with ProgressBar() as progress, left_running(job_id):
                found = followed(client, found, progress)
        if output is not None and found["status"] not in FINAL:
            raise SettingsError(f"job {job_id} is {found['status']}, so it has made nothing yet: add --wait.")
        conclude(
            found,
            as_json,
            fetched=lambda: fetch(client, found, output, force),
            printed=lambda: _show(found, whole=as_json and not wait, as_json=as_json),
        )


def cancel(
    job_id: JobId,
    wait: Wait = False,
    server: Server = LOCAL,
    token: Token = None,
    patience: Patience = PATIENCE,
    as_json: Json = False,
) -> None:
    """Stop a job on a server, and print its status. One that has ended stays as it is."""
    with reported(as_json), ProgressBar() as progress, Client(server, token, patience=patience) as client:
        found = client.cancel(whole_id(client, job_id))
        if wait and found["status"] not in FINAL:
            found = followed(client, found, progress)
    print(json.dumps(found, indent=2) if as_json else on_one_line(found["status"]))


def delete(
    job_id: JobId,
    yes: Yes = False,
    server: Server = LOCAL,
    token: Token = None,
    patience: Patience = PATIENCE,
    as_json: Json = False,
) -> None:
    """Take back a job that has ended, and its entry on the leaderboard. There is no way back.

    Its files go too, but for those that another job names.
    """
    with reported(as_json), Client(server, token, patience=patience) as client:
        if not yes:
            _check_answers()
        job_id = whole_id(client, job_id)
        if not yes:
            _ask(client.job(job_id))
        client.delete(job_id)
    print(json.dumps({"id": job_id, "status": "deleted"}, indent=2) if as_json else "deleted")


def _check_answers() -> None:
    """Raise SettingsError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise SettingsError("standard input is no terminal, so nobody can be asked: give --yes to delete the job.")


def _ask(found: dict[str, Any]) -> None:
    """Whether this job is to go. Raises Abort if not."""
    file = found["checkpoint"]
    facts = (found["name"], file and file["filename"], found["status"])
    about = ", ".join(fact for fact in facts if fact)
    typer.confirm(on_one_line(f"Delete {found['kind']} job {found['id']} ({about})?"), abort=True, err=True)


def _show(found: dict[str, Any], whole: bool, as_json: bool) -> None:
    if whole:
        print(json.dumps(found, indent=2))
    elif found["status"] in FINAL:
        show(found, as_json)
    else:
        show_state(found)


def _row(found: dict[str, Any]) -> tuple[str, ...]:
    stage, file = found["stage"], found["checkpoint"]
    at = f" ({stage['name']})" if stage is not None and found["status"] not in FINAL else ""
    return (
        found["id"],
        found["kind"],
        found["status"] + at,
        found["team"] or "",
        found["name"] or "",
        "" if file is None else file["filename"] or file["sha256"][:16],
        found["created_at"][:16].replace("T", " "),
    )
