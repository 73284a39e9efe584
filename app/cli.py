"""The command line: `micronet`. What needs torch is imported inside the commands, so that help is instant."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console

from app.failures import reported
from app.progress_bar import ProgressBar
from app.score_options import with_score_settings
from app.tables import show_rows, show_score
from micronet.contract import ScoreResult, ScoreSettings

app = typer.Typer(
    help="Count, quantize, measure and score efficient networks (MicroNet Challenge).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

File = Annotated[Path, typer.Argument(help="Checkpoint: .pth, .pt, .t7, .safetensors or .onnx.", show_default=False)]
OptionalFile = Annotated[Path | None, typer.Argument(help="Checkpoint; or give --architecture.", show_default=False)]
DataDir = Annotated[
    Path | None,
    typer.Option("--data", envvar="MICRONET_DATA", help="Directory of data sets (cifar-100-python/ and so on in it)."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else, on standard output.")]


@app.command()
@with_score_settings
def score(
    settings: ScoreSettings, file: File, data: DataDir = None, device: Device = "auto", as_json: Json = False
) -> None:
    """Score a checkpoint: quantize, fuse, count, measure accuracy."""
    with reported(as_json), ProgressBar() as progress:
        from micronet.jobs import JOBS, Context, prepare_process

        prepare_process()
        result = JOBS["score"].run(settings, file, Context(data, device, progress))
    _print(result, as_json)


@app.command()
@with_score_settings
def count(settings: ScoreSettings, file: OptionalFile = None, data: DataDir = None, as_json: Json = False) -> None:
    """What would this cost? The same as score, without data and without accuracy."""
    with reported(as_json):
        from micronet.jobs import Context, count_network

        result = count_network(settings, file, Context(data))
    _print(result, as_json)


@app.command()
def demo(device: Device = "auto", as_json: Json = False) -> None:
    """Train a small network on handwritten digits, in seconds, and score its checkpoint."""
    with reported(as_json), TemporaryDirectory() as directory, ProgressBar() as progress:
        from micronet.jobs import JOBS, Context, prepare_process
        from micronet.training.demo import train_digits

        prepare_process()
        checkpoint = Path(directory, "digits.pth")
        settings = train_digits(checkpoint, progress)
        result = JOBS["score"].run(settings, checkpoint, Context(None, device, progress))
    _print(result, as_json)


@app.command()
def tracks(data: DataDir = None, as_json: Json = False) -> None:
    """The tracks: data set, floor and baselines of each."""
    with reported(as_json):
        from micronet.tracks import tracks as all_tracks

        known = all_tracks(data)
    if as_json:
        Console().print_json(data=[track.model_dump(mode="json") for track in known.values()])
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
    show_rows(columns, rows, Console())


@app.command()
def architectures(as_json: Json = False) -> None:
    """The networks a bare state dict can be of, with their options."""
    with reported(as_json):
        from micronet.architectures import architectures as all_architectures

        known = all_architectures()
    schemas = {name: architecture.options.model_json_schema() for name, architecture in known.items()}
    if as_json:
        Console().print_json(
            data=[
                {"name": name, "summary": architecture.summary, "options": schemas[name]}
                for name, architecture in known.items()
            ]
        )
        return
    rows = ((name, row.summary, _options(schemas[name])) for name, row in known.items())
    show_rows(("name", "network", "options"), rows, Console())


@app.command()
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


def _print(result: ScoreResult, as_json: bool) -> None:
    if as_json:
        print(result.model_dump_json(indent=2))
    else:
        show_score(result, Console(highlight=False))


def main() -> None:
    """Entry point of the console script."""
    app()
