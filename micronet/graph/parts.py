"""Composites: operations that are recorded as the ones they consist of, as files of ONNX spell them."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from micronet.graph import composite_arithmetic as arithmetic
from micronet.graph import composite_moves as moves
from micronet.graph.einsum import einsum
from micronet.graph.ir import Target

aten = torch.ops.aten

IN_PARTS: Mapping[Target, Callable[..., Any]] = {
    # as torch itself takes them apart
    **{
        operation: operation.decompose
        for operation in (
            aten.absolute.default,
            aten.adaptive_max_pool1d.default,
            aten.adjoint.default,
            aten.atleast_1d.Sequence,
            aten.atleast_1d.default,
            aten.atleast_2d.Sequence,
            aten.atleast_2d.default,
            aten.atleast_3d.Sequence,
            aten.atleast_3d.default,
            aten.broadcast_to.default,
            aten.clip.default,
            aten.column_stack.default,
            aten.concat.default,
            aten.concatenate.default,
            aten.divide.Scalar,
            aten.divide.Tensor,
            aten.dstack.default,
            aten.expand_as.default,
            aten.hsplit.array,
            aten.hsplit.int,
            aten.hstack.default,
            aten.mT.default,
            aten.max.other,
            aten.min.other,
            aten.moveaxis.int,
            aten.moveaxis.intlist,
            aten.movedim.int,
            aten.movedim.intlist,
            aten.multiply.Scalar,
            aten.multiply.Tensor,
            aten.negative.default,
            aten.numpy_T.default,
            aten.ravel.default,
            aten.repeat_interleave.self_int,
            aten.reshape_as.default,
            aten.rnn_relu_cell.default,
            aten.rnn_tanh_cell.default,
            aten.split.sizes,
            aten.square.default,
            aten.std.dim,
            aten.std_mean.dim,
            aten.subtract.Scalar,
            aten.subtract.Tensor,
            aten.swapaxes.default,
            aten.swapdims.default,
            aten.tensor_split.indices,
            aten.tensor_split.sections,
            aten.tile.default,
            aten.true_divide.Scalar,
            aten.true_divide.Tensor,
            aten.type_as.default,
            aten.unsafe_chunk.default,
            aten.var.dim,
            aten.var_mean.dim,
            aten.view_as.default,
            aten.vsplit.array,
            aten.vsplit.int,
            aten.vstack.default,
        )
    },
    # sums of products
    aten.conv1d.padding: arithmetic.convolution,
    aten.conv2d.padding: arithmetic.convolution,
    aten.baddbmm.default: arithmetic.add_matrices,
    aten.einsum.default: einsum,
    aten.scaled_dot_product_attention.default: arithmetic.attention,
    # normalizations and statistics
    aten.instance_norm.default: arithmetic.instance_norm,
    aten.rms_norm.default: arithmetic.rms_norm,
    aten.cosine_similarity.default: arithmetic.cosine_similarity,
    aten.linalg_vector_norm.default: arithmetic.vector_norm,
    aten.var.correction: arithmetic.variance,
    aten.std.correction: arithmetic.deviation,
    aten.var_mean.correction: arithmetic.variance_and_mean,
    aten.std_mean.correction: arithmetic.deviation_and_mean,
    aten.max.dim: arithmetic.largest(aten.amax.default),
    aten.min.dim: arithmetic.largest(aten.amin.default),
    # element by element
    aten.addcdiv.default: arithmetic.add_quotient,
    aten.addcmul.default: arithmetic.add_product,
    aten.alpha_dropout.default: arithmetic.alpha_dropout,
    aten.feature_alpha_dropout.default: arithmetic.alpha_dropout,
    aten.celu.default: lambda x, alpha=1.0: aten.elu.default(x, alpha, 1, 1 / alpha),
    aten.clamp.Tensor: arithmetic.clamp,
    aten.glu.default: arithmetic.glu,
    aten.lerp.Scalar: arithmetic.between,
    aten.lerp.Tensor: arithmetic.between,
    aten.log1p.default: lambda x: (x + 1).log(),
    aten.log_sigmoid.default: arithmetic.log_sigmoid,
    aten.rsqrt.default: lambda x: x.sqrt().reciprocal(),
    # moving values about
    aten.channel_shuffle.default: moves.channel_shuffle,
    aten.flip.default: moves.flip,
    aten.im2col.default: moves.windows,
    aten.index.Tensor: moves.index,
    aten.pad.default: moves.pad,
    aten.pixel_unshuffle.default: moves.pixel_unshuffle,
    aten.roll.default: moves.roll,
    aten.unfold.default: moves.unfold,
    # constants
    aten.zeros.default: lambda size, **kind: moves.full(size, 0.0, **kind),
    aten.ones.default: lambda size, **kind: moves.full(size, 1.0, **kind),
    aten.full.default: moves.full,
    aten.zeros_like.default: lambda x, **kind: moves.full_like(x, 0, **kind),
    aten.ones_like.default: lambda x, **kind: moves.full_like(x, 1, **kind),
    aten.full_like.default: moves.full_like,
    aten.new_zeros.default: lambda x, size, **kind: moves.new_full(x, size, 0, **kind),
    aten.new_ones.default: lambda x, size, **kind: moves.new_full(x, size, 1, **kind),
    aten.new_full.default: moves.new_full,
}
"""Operation -> what computes it by others. Where it gives NotImplemented, the operation is recorded whole."""
