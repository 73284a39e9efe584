"""Scoring and counting here, without a server."""

from app.commands.options import DataDir, Device, File, Json, OptionalFile
from app.progress_bar import ProgressBar
from app.reporting import reported
from app.score_options import with_score_settings
from app.tables import show_whole
from micronet.contract import ScoreSettings


@with_score_settings
def score(
    settings: ScoreSettings, file: File, data: DataDir = None, device: Device = "auto", as_json: Json = False
) -> None:
    """Score a checkpoint: quantize, fuse, count, measure accuracy."""
    with reported(as_json), ProgressBar() as progress:
        from micronet.jobs import JOBS, Context, prepare_process

        prepare_process()
        result = JOBS["score"].run(settings, file, Context(data, device, progress))
    show_whole(result, as_json)


@with_score_settings
def count(settings: ScoreSettings, file: OptionalFile = None, data: DataDir = None, as_json: Json = False) -> None:
    """What would this cost? The same as score, without data and without accuracy."""
    with reported(as_json):
        from micronet.jobs import Context, count_network

        result = count_network(settings, file, Context(data))
    show_whole(result, as_json)
