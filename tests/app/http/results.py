"""A score result, as a job leaves it."""

from micronet.contract import (
    Accuracy,
    DatasetIdentity,
    Layer,
    NetworkWidths,
    OperationTotals,
    Scorer,
    ScoreResult,
    ScoreTerms,
    StorageTotals,
)


def score_text(correct: int, points: float) -> str:
    """The text of a score on the digits: `correct` of 360, `points` in all."""
    return ScoreResult(
        track="digits",
        policy="report",
        accuracy=Accuracy(correct=correct, total=360, top1=correct / 360),
        operations=OperationTotals(multiplications=3, additions=2, exponents=1, math=1.5),
        storage=StorageTotals(parameters=10, nonzero=9, bits=90, storage=2.8125),
        score=ScoreTerms(storage=points / 2, math=points / 2, total=points),
        threshold=0.95,
        qualifies=correct >= 342,
        mtas_bytes=7,
        layers=(
            Layer(
                name="fc",
                op="linear",
                shape=(10,),
                multiplications=3,
                additions=2,
                parameters=10,
                nonzero=9,
                weight_bits=9,
                activation_bits=12,
                math=1.5,
                storage=2.8125,
            ),
        ),
        scorer=Scorer(
            version="1", torch="2", device="cpu", dataset=DatasetIdentity(name="digits", sha256="0" * 64), seed=0
        ),
        warnings=(),
        widths=NetworkWidths(param_bits=9, mul_bits=12),
    ).model_dump_json()
