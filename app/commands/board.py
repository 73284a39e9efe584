"""The leaderboard of a server, for people and for spreadsheets."""

import csv
import json
import sys
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Annotated, Any, Literal

import typer

from app.client import Client
from app.commands.options import LOCAL, PATIENCE, Json, Patience, Server, Token
from app.reporting import reported
from app.spreadsheets import harmless
from app.tables import show_rows, wide_console
from micronet.errors import SettingsError

SortKey = Literal[
    "score", "storage", "math", "top1", "margin", "bits", "sparsity", "team", "name", "policy", "version", "date"
]
"""As in `worker.records.scores`, which a client is not to load; a test holds the two equal."""
Track = Annotated[str, typer.Option(help="Track; `micronet tracks` lists them.", show_default=False)]
Policy = Annotated[
    Literal["report", "challenge"] | None,
    typer.Option(help="Only scores by this policy, ranked: those of two do not compare.", show_default=False),
]
Team = Annotated[
    str | None, typer.Option(help="Only this team's; with --policy, ranked among themselves.", show_default=False)
]
Qualifies = Annotated[
    bool | None,
    typer.Option("--qualifying/--under-floor", help="Only those that qualify, or that do not.", show_default=False),
]
Sort = Annotated[SortKey, typer.Option(help="What to sort by.")]
Descending = Annotated[bool, typer.Option("--descending", help="The highest first.")]
Limit = Annotated[int, typer.Option(min=1, help="How many entries at most.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print comma-separated values, with every digit.")]

_NUMBERS = ("rank", "top-1", "margin", "score", "storage", "math", "bits", "sparsity")
_SHOWN = ("rank", "team", "name", *_NUMBERS[1:], "policy", "date", "job")
_ROOM_FOR_IDS = 150
"""Columns of a terminal; where there are fewer, only entries without a name show the id of their job."""
COLUMNS = (
    *("rank", "team", "name", "top1", "margin", "correct", "images", "score", "storage", "math"),
    *("param_bits", "mul_bits", "parameters", "nonzero", "sparsity", "policy"),
    *("finished_at", "job", "checkpoint_sha256", "scorer_version"),
)
"""Of --csv."""


def leaderboard(
    track: Track,
    policy: Policy = None,
    team: Team = None,
    qualifies: Qualifies = None,
    sort: Sort = "score",
    descending: Descending = False,
    limit: Limit = 50,
    server: Server = LOCAL,
    token: Token = None,
    patience: Patience = PATIENCE,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """Measured scores of a track on a server. Lower is better; those under the floor come after all that qualify.

    The margin is how many more images are answered rightly than the floor needs.
    """
    if as_json and as_csv:
        raise typer.BadParameter("--json or --csv, not both.")
    order = "desc" if descending else "asc"
    with reported(as_json), Client(server, token, patience=patience) as client:
        board = client.leaderboard(track, policy=policy, team=team, qualifies=qualifies, sort=sort, order=order)
        entries = list(islice(board, limit))
        floor = _floor(client, track)
    rows = [flat(entry, floor) for entry in entries]
    if as_json:
        print(json.dumps(entries, indent=2))
    elif as_csv:
        _write_csv(rows)
    else:
        console = wide_console()
        shown = _SHOWN if console.width >= _ROOM_FOR_IDS else _SHOWN[:-1]
        cells = (_texts(row)[: len(shown)] for row in rows)
        show_rows(shown, cells, console, whole=(*_NUMBERS, "job"), numbers=_NUMBERS)


def flat(entry: Mapping[str, Any], floor: int) -> dict[str, Any]:
    """An entry as one row, with what follows from it: `margin`, the right answers beyond `floor`, and `sparsity`."""
    accuracy, score, parameters = entry["accuracy"], entry["score"], entry["parameters"]
    own = {
        "top1": accuracy["top1"],
        "margin": accuracy["correct"] - floor,
        "correct": accuracy["correct"],
        "images": accuracy["total"],
        "score": score["total"],
        "storage": score["storage"],
        "math": score["math"],
        "sparsity": 1 - entry["nonzero"] / parameters if parameters else 0.0,
    }
    return {name: own[name] if name in own else entry[name] for name in COLUMNS}


def _floor(client: Client, track: str) -> int:
    """How many images of the track have to be answered rightly."""
    for known in client.tracks():
        if known["name"] == track:
            return int(known["required_correct"])
    raise SettingsError(f"the server has a board of {track}, and no such track any more.")


def _texts(row: Mapping[str, Any]) -> tuple[str, ...]:
    bits = (row["param_bits"], row["mul_bits"])
    return (
        "-" if row["rank"] is None else str(row["rank"]),
        row["team"] or "",
        row["name"] or f"job {row['job']}",
        f"{row['top1']:.2%}",
        f"{row['margin']:+,}",
        *(f"{row[name]:.6f}" for name in ("score", "storage", "math")),
        "-" if bits == (None, None) else "/".join("-" if width is None else str(width) for width in bits),
        f"{row['sparsity']:.1%}",
        row["policy"],
        row["finished_at"][:10],
        row["job"],
    )


def _write_csv(rows: Iterable[Mapping[str, Any]]) -> None:
    writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: harmless(value) for name, value in row.items()} for row in rows)
