"""What there is to choose from: tracks, architectures, data sets."""

import json
from pathlib import Path
from typing import Annotated

import typer

from app.commands.options import DataDir, Json
from app.progress_bar import ProgressBar
from app.reporting import reported
from app.tables import show_rows, wide_console


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


def _options(schema: dict[str, object]) -> str:
    properties = schema.get("properties", {})
    assert isinstance(properties, dict)
    return ", ".join(f"{name}={options.get('default', '')}" for name, options in properties.items())
