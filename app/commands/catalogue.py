"""What there is to choose from: tracks, architectures, data sets."""

import json
from pathlib import Path
from typing import Annotated

import typer

from app.commands.options import DataDir, Json, known_kind
from app.pages.guide.schema import Row, tables_of
from app.progress_bar import ProgressBar
from app.reporting import reported
from app.tables import show_rows, wide_console
from micronet.jobs import JOBS

Kind = Annotated[str, typer.Argument(callback=known_kind, help=f"Kind of job: {', '.join(JOBS)}.", show_default=False)]


def tracks(data: DataDir = None, as_json: Json = False) -> None:
    """The tracks: data set, floor and baselines of each."""
    with reported(as_json):
        from micronet.tracks import tracks as all_tracks

        known = all_tracks(data)
    if as_json:
        print(json.dumps([track.model_dump(mode="json") for track in known.values()], indent=2))
        return
    columns = ("name", "data set", "input", "correct answers needed", "baseline storage", "baseline math")
    rows = (
        (
            track.name,
            track.dataset,
            "x".join(map(str, track.input_shape)),
            f"{track.required_correct:,} of {track.test_images:,}",
            f"{track.baseline_storage:,}",
            f"{track.baseline_math:,}",
        )
        for track in known.values()
    )
    show_rows(columns, rows, wide_console())


def architectures(as_json: Json = False) -> None:
    """The networks a bare state dict can be of, with their options."""
    with reported(as_json):
        from micronet.architectures import architectures as all_architectures

        known = all_architectures()
    schemas = {name: architecture.options.model_json_schema() for name, architecture in known.items()}
    if as_json:
        found = [{"name": name, "summary": row.summary, "options": schemas[name]} for name, row in known.items()]
        print(json.dumps(found, indent=2))
        return
    rows = ((name, row.summary, _options(schemas[name])) for name, row in known.items())
    show_rows(("name", "network", "options"), rows, wide_console())


def settings(kind: Kind, as_json: Json = False) -> None:
    """The settings of a kind of job, for --set and --settings: what holds where nothing is said, and what they mean."""
    schema = JOBS[kind].settings.model_json_schema()
    if as_json:
        print(json.dumps(schema, indent=2))
        return
    rows = []
    for table in tables_of(schema):
        if table.case is not None:
            rows.append((f"{table.path.replace('[]', '.N')}: {table.case}", "", table.words))
        rows += [(row.path.replace("[]", ".N"), _usual(row), row.words) for row in table.rows]
    show_rows(("setting", "default", "meaning"), rows, wide_console(), whole=("setting",))


def download(
    dataset: Annotated[str, typer.Argument(help="cifar10 or cifar100.", show_default=False)],
    data: Annotated[Path, typer.Option("--data", envvar="MICRONET_DATA", help="Directory of data sets.")],
) -> None:
    """Fetch a data set from its authors, check it, and unpack it."""
    with reported(as_json=False), ProgressBar() as progress:
        from micronet.data.download import download as fetch

        progress.stage("download", 1, 1)
        where = fetch(dataset, data, lambda done, total: progress.advance(done, total, "bytes"))
    print(where)


def _usual(row: Row) -> str:
    """What holds where nothing is said."""
    return row.default if row.alone is None else f"{row.default}; {row.alone} where something beside it is said"


def _options(schema: dict[str, object]) -> str:
    properties = schema.get("properties", {})
    assert isinstance(properties, dict)
    return ", ".join(f"{name}={options.get('default', '')}" for name, options in properties.items())
