"""What fusing and quantizing changed: what there was before, and what went."""

from collections.abc import Iterable
from dataclasses import dataclass

from micronet.analysis.counts import Counts
from micronet.analysis.rules import operation_name
from micronet.analysis.totals import network_totals, totals_of
from micronet.analysis.widths import is_size
from micronet.contract import (
    Changes,
    MergedBatchNorm,
    NetworkTotals,
    QuantizedTensor,
    QuantizingSettings,
    RemovedOperation,
)
from micronet.graph.ir import Graph
from micronet.transformation.fuse_batchnorm import MergedNorm, merge_batchnorms
from micronet.transformation.merge_linear import MergedLayer
from micronet.transformation.prepare import prepare


@dataclass(frozen=True, slots=True)
class Before:
    """A network as it came: its totals; where its batch norms went, and which other operations did."""

    totals: NetworkTotals
    merged: tuple[MergedBatchNorm, ...]
    removed: tuple[RemovedOperation, ...]


def fuse_and_tell(original: Graph, settings: QuantizingSettings) -> tuple[Graph, Before | None]:
    """The graph that settings want quantized and measured, and what it was; None where nothing is to change.

    What it was is told as facts, at once: a second graph's weights would take memory as long as the job runs.
    """
    plain = prepare(original, fuse=False)
    graph, norms = merge_batchnorms(plain) if settings.fuse_batchnorm else (plain, ())
    if not norms and settings.bits is None:
        return graph, None
    return graph, Before(network_totals(plain), merged_norms(norms), removed_operations(original, graph, norms))


def changes(before: Before | None, tensors: tuple[QuantizedTensor, ...], counts: Counts) -> Changes | None:
    """What became of a network that has `counts` now; None where nothing was fused or quantized."""
    if before is None or not (before.merged or tensors):
        return None
    return Changes(
        merged=before.merged, removed=before.removed, before=before.totals, after=totals_of(counts), tensors=tensors
    )


def merged_norms(norms: Iterable[MergedNorm]) -> tuple[MergedBatchNorm, ...]:
    """Merged batch norms as results tell of them."""
    return tuple(MergedBatchNorm(norm=one.norm, into=one.into) for one in norms)


def removed_operations(
    original: Graph, fused: Graph, norms: Iterable[MergedNorm], layers: Iterable[MergedLayer] = ()
) -> tuple[RemovedOperation, ...]:
    """Operations that went, merged batch norms and layers aside."""
    stayed = fused.by_name()
    told = {("batch_norm", one.norm) for one in norms}
    told |= {(operation, one.layer) for one in layers for operation in ("conv1d", "conv2d", "linear")}
    gone = [node for node in original.nodes if node.name not in stayed and not is_size(node)]
    named = [(operation_name(node.target), node.layer or node.name) for node in gone]
    return tuple(RemovedOperation(name=name, op=op) for op, name in named if (op, name) not in told)
