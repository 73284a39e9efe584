"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Any

import typer

from micronet.jobs import JOBS

File = Annotated[Path, typer.Argument(help="Checkpoint: .pth, .pt, .t7, .safetensors or .onnx.", show_default=False)]
OptionalFile = Annotated[Path | None, typer.Argument(help="Checkpoint; or give --architecture.", show_default=False)]
SubmittedFile = Annotated[
    Path | None,
    typer.Argument(
        help="Checkpoint; or give --from, or --architecture for a kind that can begin with a fresh network.",
        show_default=False,
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data", envvar="MICRONET_DATA", help="Directory of data sets (cifar-100-python/ and so on in it)."),
]
Home = Annotated[
    Path | None,
    typer.Option("--home", envvar="MICRONET_HOME", help="Directory of the server's state.", show_default="~/.micronet"),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]


def known_kind(kind: str) -> str:
    """A kind that there is. Raises BadParameter."""
    if kind not in JOBS:
        raise typer.BadParameter(f"{kind!r}: there are the kinds {', '.join(JOBS)}.")
    return kind


def set_option(kind: str) -> Any:
    """Typer's option of settings by name: those of this kind, or of KIND, which may be any."""
    stages = " Stages, a recipe's too, count from 0: stages.0.epochs=9." if kind in ("KIND", "pipeline") else ""
    words = f"One setting; repeatable. `micronet settings {kind}` lists them.{stages}"
    return typer.Option("--set", metavar="KEY.PATH=JSON", help=words, show_default=False)


Teachers = Annotated[
    list[Path] | None,
    typer.Option("--teacher", help="Checkpoint that the settings name by SHA-256; repeatable.", show_default=False),
]
Force = Annotated[bool, typer.Option("--force", help="Write over files that are there already.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else, on standard output.")]
Output = Annotated[Path | None, typer.Option(help="Directory to fetch what the job made to.", show_default=False)]
Patience = Annotated[
    float, typer.Option(min=0, metavar="SECONDS", help="How long to wait for a server that went away, or is busy.")
]
Server = Annotated[str, typer.Option(envvar="MICRONET_SERVER", help="URL of the server.")]
Token = Annotated[
    str | None, typer.Option(envvar="MICRONET_TOKEN", help="Access token of your team.", show_default=False)
]
LOCAL = "http://127.0.0.1:8000"
"""Where `micronet serve` listens."""
PATIENCE = 300.0
