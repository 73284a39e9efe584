"""The prune job: a network with fewer channels, in its layers' eigenbases, fine-tuned."""

from collections.abc import Iterator
from pathlib import Path

from micronet.contract import PruneResult, PruneSettings, PruningReport
from micronet.jobs.context import Context
from micronet.jobs.learning import taught
from micronet.jobs.undone import undone_warnings
from micronet.pruning import stage

_SPARSE = 0.05
"""The share of zeros from which on a network was made sparse."""


def prune(settings: PruneSettings, checkpoint: Path, context: Context) -> PruneResult:
    """Prune the file's network. Raises MicronetError, each kind with what would be right."""
    report, rest = taught("prune", settings, checkpoint, context, stage.prune, warnings=prune_warnings)
    return PruneResult(pruning=report, **rest)


def prune_warnings(report: PruningReport) -> Iterator[str]:
    """What the owner of a pruned network should know about it."""
    if report.rounds and not report.kept_rounds:
        yield "the first round fell below the floor; the network is unchanged."
    yield from undone_warnings(report)
    if not report.layers:
        yield (
            "no layer can be pruned: there are none, or they are grouped, depthwise, quantized, shared, or not written "
            "as layers (left_alone names them). The network is unchanged."
        )
    elif not report.rounds and report.came_apart is None:
        yield (
            "nothing was removed: no layer would get cheaper by what a round may remove, since rotations cost more "
            "than it saves. A larger ratio or layer_limit removes more at once; the network is unchanged."
        )
    elif report.kept_rounds:
        yield from _dearer_warnings(report)
    yield from _missed_warnings(report)
    before, after = (1 - totals.nonzero / max(1, totals.parameters) for totals in (report.before, report.after))
    if before >= _SPARSE and after < before / 2:
        yield (
            f"{before:.0%} of the parameters were zero before and {after:.0%} are now: pruning mixes the weights of a "
            "layer, and zeros among them are none any more. Prune first, then sparsify."
        )


def _dearer_warnings(report: PruningReport) -> Iterator[str]:
    """What fine-tuning that does not hold zeros, and biases that were exactly zero, may lead to."""
    costs = [
        ("non-zero parameters", report.before.nonzero, report.after.nonzero),
        ("multiplications", report.before.multiplications, report.after.multiplications),
    ]
    if all(now >= once for _, once, now in costs):
        yield "the network is no cheaper than it came: not in non-zero parameters, and not in multiplications."
        return
    for what, once, now in costs:
        if now > once:
            yield f"the network has more {what} than it came with: {now:,}, where it had {once:,}."


def _missed_warnings(report: PruningReport) -> Iterator[str]:
    """A compression that was asked for and not reached, with what would reach it."""
    asked, before, after = report.compression, report.before.parameters, report.after.parameters
    if asked is None or after <= (1 - asked) * before:
        return
    undone = report.came_apart is not None or report.kept_rounds < len(report.rounds)
    further = (
        "the round after them was undone." if undone else "More rounds, or a larger ratio or layer_limit, do more."
    )
    yield (
        f"compression: {asked:.2%} of the parameters were to go, and {1 - after / max(1, before):.2%} went (rounds: "
        f"{report.kept_rounds}); {further if report.layers else 'no layer can be pruned.'}"
    )
