"""Quantizing as one stage of a road: merge, place grids, round, learn if asked, report."""

from dataclasses import replace

from micronet.contract import MergedBatchNorm, Quantizing, QuantizingReport
from micronet.evaluation.inputs import Inputs
from micronet.graph.ir import Graph
from micronet.quantization.rounding import put_on_grids, quantization
from micronet.quantization.tensors import quantized_tensors
from micronet.quantization.training import train_on_grids
from micronet.training.task import Task
from micronet.transformation.fuse_batchnorm import merge_batchnorms
from micronet.transformation.plain_batch_norms import plain_batch_norms


def quantize_stage(graph: Graph, how: Quantizing, task: Task) -> tuple[Graph, QuantizingReport]:
    """`graph` on fixed-point grids, its batch norms merged or scales and shifts, and how it went.

    All that is drawn or chosen comes of the task's seed, and no image but the task's is looked at.
    Raises AlreadyQuantized where the graph has other grids (any at all, with `how.train`), SettingsError for names of
    layers it does not have, NumericalError where training comes apart.
    """
    graph, merged = merged_batchnorms(graph, how)
    wanted = quantization(how.bits, how.quantizer, how.layers)
    quantized = put_on_grids(graph, wanted, lambda: calibration_images(how, task), task.advance)
    training = None
    if how.train is not None:
        quantized, training = train_on_grids(quantized, how.train, task)
    tensors = quantized_tensors(quantized, task.seed, task.advance)
    return plain_batch_norms(quantized.graph), QuantizingReport(merged=merged, tensors=tensors, training=training)


def merged_batchnorms(graph: Graph, how: Quantizing) -> tuple[Graph, tuple[MergedBatchNorm, ...]]:
    """The graph with batch norms merged, if they are to be, and where they went."""
    if not how.fuse_batchnorm:
        return graph, ()
    graph, merged = merge_batchnorms(graph)
    return graph, tuple(MergedBatchNorm(norm=one.norm, into=one.into) for one in merged)


def calibration_images(how: Quantizing, task: Task) -> Inputs:
    """Those of the task's training images that its seed chooses."""
    return replace(task.train, split=task.train.split.subset(how.quantizer.calibration_images, task.seed))
