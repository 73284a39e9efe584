"""The fuse job: the same function in fewer operations, as a file."""

from pathlib import Path

from micronet.analysis.totals import network_totals
from micronet.contract import (
    FuseResult,
    FuseSettings,
    FusingReport,
    MergedLayer,
    RemovedChannels,
)
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.jobs.artifact import random_images, write_artifact
from micronet.jobs.changes import merged_norms, removed_operations
from micronet.jobs.context import Context, Stages
from micronet.jobs.network import read_network
from micronet.jobs.result import scorer
from micronet.jobs.table import JOBS
from micronet.transformation.explicit_padding import explicit_padding
from micronet.transformation.fuse_layers import fuse_layers
from micronet.transformation.plain_batch_norms import plain_batch_norms
from micronet.transformation.prepare import prepare_and_tell

COMPARED_IMAGES = 8


def fuse(settings: FuseSettings, checkpoint: Path, context: Context) -> FuseResult:
    """Fuse the file at `checkpoint`. Raises MicronetError, each kind with what would be right."""
    stages = Stages(context.progress, ("read", "fuse", "write"))
    stages.begin("read")
    original, warnings = read_network(checkpoint, settings.architecture, None)
    stages.begin("fuse")
    fused, report = fuse_graph(original)
    stages.begin("write")
    artifact = write_artifact(fused, JOBS["fuse"].artifact, context)
    return FuseResult(**dict(report), artifact=artifact, scorer=scorer("cpu", 0, "", None), warnings=warnings)


def fuse_graph(original: Graph) -> tuple[Graph, FusingReport]:
    """The same function in fewer operations, and what went where.

    Batch norms go into the layers beside them; channels that carry a constant, or that nobody reads, are taken out;
    linear layers in a row become one where that is cheaper. A batch norm that nothing can take over becomes the scale
    and shift it is in inference.
    """
    fused, merged = prepare_and_tell(original, fuse=True)
    further = fuse_layers(fused)
    fused = plain_batch_norms(further.graph)
    images = random_images(original, COMPARED_IMAGES)
    before, after = interpret(original, images), interpret(fused, images)
    return fused, FusingReport(
        merged=merged_norms(merged),
        merged_layers=tuple(MergedLayer(layer=one.layer, into=one.into) for one in further.merged),
        removed=removed_operations(original, fused, merged, further.merged),
        removed_channels=tuple(
            RemovedChannels(layer=one.layer, constant=one.constant, unread=one.unread) for one in further.removed
        ),
        before=network_totals(explicit_padding(original)),
        after=network_totals(fused),
        largest_difference=float((before - after).abs().max()),
        largest_logit=float(before.abs().max()),
    )
