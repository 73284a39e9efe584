"""The eigenbasis of a layer's Kronecker-factored Fisher, what each direction is worth in it, and layers cut down to it.

With A (inputs, inputs) the second moment of what a kernel's taps read, and G (outputs, outputs) that of the gradients
of the log-likelihood with respect to the outputs, K-FAC takes the Fisher of a layer's weights W (outputs, inputs) for
A x G (Martens and Grosse 2015; Grosse and Martens 2016 for convolutions). Let A = Q_A L_A Q_A' and G = Q_G L_G Q_G'. Of
the weights in the eigenbasis, V = Q_G' W Q_A, it is diagonal, with the entries L_G[i] L_A[j]; setting some of them to
zero raises the loss, to second order around a minimum, by half the sum of L_G[i] L_A[j] V[i, j]^2 over them. So (Wang
et al. 2019, EigenDamage, section 4)

    of an input direction j    L_A[j] / 2 * sum over i and taps of L_G[i] V[i, j]^2
    of an output direction i   L_G[i] / 2 * sum over j and taps of L_A[j] V[i, j]^2

A departure: taps of a kernel count as independent and of one A, so that the rotation of the inputs is a 1x1
convolution, which the paper takes from the decomposition of a layer into depthwise and pointwise parts.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from micronet.pruning.pieces import Affine, Pieces


@dataclass(frozen=True, slots=True)
class Factors:
    """A (inputs, inputs) and G (outputs, outputs) of a layer's core, float64; see `micronet.pruning.factors`."""

    inputs: Tensor
    outputs: Tensor


@dataclass(frozen=True, slots=True)
class Eigenbasis:
    """Eigenvectors, as columns, and eigenvalues of both factors; float64, eigenvalues growing and none below zero."""

    inputs: Tensor
    input_values: Tensor
    outputs: Tensor
    output_values: Tensor


@dataclass(frozen=True, slots=True)
class Kept:
    """Indices, int64, of the directions that stay; None where all of a side do and it is not rotated."""

    inputs: Tensor | None = None
    outputs: Tensor | None = None


def eigenbasis(factors: Factors) -> Eigenbasis:
    """Of symmetric factors; what rounding left of a zero below zero is zero."""
    inner, inputs = torch.linalg.eigh((factors.inputs + factors.inputs.T) / 2)
    outer, outputs = torch.linalg.eigh((factors.outputs + factors.outputs.T) / 2)
    return Eigenbasis(inputs, inner.clamp(min=0), outputs, outer.clamp(min=0))


def rotated(core: Tensor, inputs: Tensor | None, outputs: Tensor | None) -> Tensor:
    """Q_G' W Q_A, tap by tap: a core (o, i, *kernel) with its columns of `inputs` (i, p) and `outputs` (o, q)."""
    if inputs is not None:
        core = torch.einsum("oi...,ip->op...", core, inputs)
    return core if outputs is None else torch.einsum("oi...,oq->qi...", core, outputs)


def saliencies(core: Tensor, basis: Eigenbasis) -> tuple[Tensor, Tensor]:
    """Loss that removing each input direction (i,) and each output direction (o,) of a core costs; see above."""
    squares = rotated(core, basis.inputs, basis.outputs).square().reshape(*core.shape[:2], -1).sum(2)
    damage = squares * basis.input_values * basis.output_values[:, None] / 2
    return damage.sum(0), damage.sum(1)


def restricted(pieces: Pieces, basis: Eigenbasis, kept: Kept) -> Pieces:
    """`pieces` in the eigenbasis of their core, without the directions that are not kept.

    Rotations that are there already take over the new ones. The bias is added after the rotation back, so it outlives
    every output direction.
    """
    inputs = None if kept.inputs is None else basis.inputs[:, kept.inputs]
    outputs = None if kept.outputs is None else basis.outputs[:, kept.outputs]
    core = replace(pieces.core, weight=rotated(pieces.core.weight, inputs, outputs))
    before, after = pieces.rotation_in, pieces.rotation_out
    if inputs is not None:
        before = Affine(inputs.T) if before is None else then(before, Affine(inputs.T))
    if outputs is not None:
        bias = pieces.core.bias
        after = Affine(outputs, bias) if after is None else then(Affine(outputs, bias), after)
        core = replace(core, bias=None)
    return Pieces(core, before, after)


def then(first: Affine, second: Affine) -> Affine:
    """x -> second(first(x)), of two rotations, as one."""
    bias = second.bias
    if first.bias is not None:
        moved = second.weight @ first.bias
        bias = moved if bias is None else bias + moved
    return Affine(second.weight @ first.weight, bias)
