"""From counts and a measurement to the JSON of a score."""

from dataclasses import dataclass
from fractions import Fraction

import torch

from micronet.analysis.counts import Counts, LayerCounts
from micronet.analysis.parameters import total
from micronet.contract import (
    Changes,
    Charges,
    DatasetIdentity,
    Layer,
    NetworkWidths,
    OperationTotals,
    Scorer,
    ScoreResult,
    ScoreSettings,
    ScoreTerms,
    StorageTotals,
)
from micronet.evaluation.accuracy import Measured
from micronet.scoring.policies import POLICIES, WORD, Terms, Weighed, Widths, own_widths, widest_operands
from micronet.scoring.score import score
from micronet.tracks import Track
from micronet.version import version


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was found out: counts, correct answers and of which images, on what device, with which warnings.

    `changes`: what had been done to the network by then, if anything.
    """

    counts: Counts
    measured: Measured | None
    dataset_sha256: str | None
    device: str
    warnings: tuple[str, ...]
    changes: Changes | None = None


def score_result(settings: ScoreSettings, track: Track, measurement: Measurement) -> ScoreResult:
    """The result under the policy and track of `settings`; sums are integers up to the last division."""
    counts, terms = measurement.counts, _terms(settings, measurement.counts)
    policy = POLICIES[settings.policy]
    weighed = [policy(counts, layer, terms) for layer in counts.layers]
    storage_bits = sum(part.storage_bits for part in weighed)
    math = Fraction(sum(part.math_bits for part in weighed), WORD)
    storage = Fraction(storage_bits, WORD)
    points = score(storage, math, track.baseline_storage, track.baseline_math)
    quantized = counts.quantized
    measured = measurement.measured
    return ScoreResult(
        track=track.name,
        policy=settings.policy,
        accuracy=None if measured is None else measured.accuracy,
        operations=OperationTotals(
            multiplications=sum(layer.operations.all_multiplications for layer in counts.layers),
            additions=sum(layer.operations.all_additions for layer in counts.layers),
            exponents=sum(layer.exponents for layer in counts.layers) if quantized else 0,
            math=float(math),
        ),
        storage=StorageTotals(
            parameters=sum(total(layer.parameters, "elements") for layer in counts.layers),
            nonzero=sum(total(layer.parameters, "nonzero") for layer in counts.layers),
            bits=storage_bits,
            storage=float(storage),
        ),
        score=ScoreTerms(storage=points.storage, math=points.math, total=points.total),
        threshold=track.threshold,
        qualifies=None if measured is None else measured.correct >= track.required_correct,
        mtas_bytes=counts.mtas_bytes,
        layers=tuple(_layer(layer, part, settings) for layer, part in zip(counts.layers, weighed, strict=True)),
        scorer=scorer(measurement.device, settings.seed, track.dataset, measurement.dataset_sha256),
        warnings=tuple(dict.fromkeys((*measurement.warnings, *_policy_warnings(settings, counts)))),
        changes=measurement.changes,
        widths=_listed(settings, counts, terms.widths),
    )


def scorer(device: str, seed: int, dataset: str, dataset_sha256: str | None) -> Scorer:
    """What it takes to get a job's numbers again; no hash where no images were looked at."""
    identity = None if dataset_sha256 is None else DatasetIdentity(name=dataset, sha256=dataset_sha256)
    return Scorer(version=version(), torch=torch.__version__, device=device, dataset=identity, seed=seed)


def _terms(settings: ScoreSettings, counts: Counts) -> Terms:
    bits = settings.bits
    widths = own_widths(counts)
    if bits is not None:
        narrow = min(bits.param_bits, bits.mul_bits) < WORD  # only what is quantized has exponents
        widths = Widths(bits.param_bits, bits.mul_bits, bits.add_bits, bits.exponent_bits if narrow else 0)
    return Terms(widths, settings.encoding, settings.accumulators)


def _listed(settings: ScoreSettings, counts: Counts, charged: Widths) -> NetworkWidths:
    if settings.policy == "challenge" and settings.bits is None:
        return widest_operands(counts)
    return NetworkWidths(param_bits=charged.param_bits, mul_bits=charged.mul_bits)


def _layer(layer: LayerCounts, part: Weighed, settings: ScoreSettings) -> Layer:
    return Layer(
        name=layer.name,
        op=layer.op,
        shape=layer.shape,
        multiplications=layer.operations.all_multiplications,
        additions=layer.operations.all_additions,
        parameters=total(layer.parameters, "elements"),
        nonzero=total(layer.parameters, "nonzero"),
        weight_bits=layer.weight_bits,
        activation_bits=layer.activation_bits,
        math=part.math_bits / WORD,
        storage=part.storage_bits / WORD,
        accumulator_bits=layer.accumulator_bits if settings.accumulators == "proven" else None,
        charged=Charges.model_validate({"math": part.math, "storage": part.storage}),
    )


def _policy_warnings(settings: ScoreSettings, counts: Counts) -> tuple[str, ...]:
    """Settings that the policy does not look at, and what it could not see."""
    warnings = []
    bits = settings.bits
    if settings.policy == "challenge" and bits is not None and bits.add_bits != WORD:
        warnings.append(
            f"add_bits {bits.add_bits} does not count under the challenge's rules: additions are {WORD} bits wide "
            "unless a narrower accumulator is proven (accumulators: proven)."
        )
    if (
        settings.policy == "report"
        and bits is not None
        and bits.add_bits < WORD
        and settings.accumulators == "declared"
    ):
        warnings.append(
            f"additions count as {bits.add_bits} bits because add_bits says so; nothing here shows that sums fit."
        )
    if settings.policy == "report" and bits is None and counts.quantized:
        own = own_widths(counts)
        warnings.append(
            f"widths are those the file brings: of its widest parameter ({own.param_bits} bits) and of the widest "
            f"value that a dot product reads ({own.mul_bits} bits)."
        )
    return tuple(warnings)
