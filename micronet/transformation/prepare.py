"""What is done to every graph before anybody looks at it: constants folded, one spelling for each thing."""

from micronet.graph.ir import Graph
from micronet.transformation.explicit_padding import explicit_padding
from micronet.transformation.fold_constants import fold_constants
from micronet.transformation.fuse_batchnorm import MergedNorm, merge_batchnorms
from micronet.transformation.idle_arithmetic import drop_idle_arithmetic
from micronet.transformation.masks import masks_as_arithmetic
from micronet.transformation.merge_quantizers import merge_quantizers
from micronet.transformation.plain_dilation import plain_dilation
from micronet.transformation.recognize import recognize
from micronet.transformation.spelling import drop_identities, one_spelling


def prepare(graph: Graph, fuse: bool) -> Graph:
    """The graph with constants folded, masks as arithmetic, idle arithmetic left out, quantizers merged, paddings,
    dilations and activation functions spelled one way and, if asked, norms fused, with no dropout between a layer and
    its own, or between a value and its quantizer."""
    return prepare_and_tell(graph, fuse)[0]


def prepare_and_tell(graph: Graph, fuse: bool) -> tuple[Graph, tuple[MergedNorm, ...]]:
    """The same, and where the merged batch norms went."""
    graph = drop_idle_arithmetic(masks_as_arithmetic(fold_constants(drop_identities(graph) if fuse else graph)))
    graph = one_spelling(recognize(plain_dilation(explicit_padding(merge_quantizers(graph)))))
    return merge_batchnorms(graph) if fuse else (graph, ())
