"""The sparsify job: the file's network with many of its weights zero, and how each round went."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from micronet.contract import Sparsifying, SparsifyingReport, SparsifyResult, SparsifySettings
from micronet.jobs.context import Context
from micronet.jobs.learning import taught
from micronet.jobs.undone import undone_warnings
from micronet.sparsity import stage


def sparsify(settings: SparsifySettings, checkpoint: Path, context: Context) -> SparsifyResult:
    """Sparsify the network of the file at `checkpoint`. Raises MicronetError, each kind with what would be right."""
    warnings = partial(sparsify_warnings, settings)
    report, rest = taught("sparsify", settings, checkpoint, context, stage.sparsify, warnings=warnings)
    return SparsifyResult(sparsifying=report, **rest)


def sparsify_warnings(how: Sparsifying, report: SparsifyingReport) -> Iterator[str]:
    """What the owner of a network that was sparsified so should know about it."""
    yield from undone_warnings(report)
    if not report.rounds and report.came_apart is None:
        which = "outside keep_layers " if how.keep_layers else ""
        yield f"{which}the network came with all the zeros that sparsity {how.sparsity:g} asks for: it is unchanged."
    elif report.rounds and not report.kept_rounds:
        yield f"the first round fell below the floor of {how.floor:g}; the network is unchanged."
