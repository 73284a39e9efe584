"""Writes the reference from the tables: `python -m micronet.reference.write`."""

from pathlib import Path

from micronet.analysis.parameters import EXPONENT_BITS
from micronet.analysis.widths import FULL_WIDTH
from micronet.reference.costs import cost_groups
from micronet.reference.example import INPUT_SHAPE, examples
from micronet.reference.files import checkpoint_facts, most_values, onnx_facts
from micronet.reference.reading import FILE
from micronet.reference.values import PolicyFacts, Reference
from micronet.scoring.policies import FREEBIE_BITS, WORD


def derive() -> Reference:
    """What the tables say now."""
    return Reference(
        costs=cost_groups(),
        policies=PolicyFacts(word=WORD, full_width=FULL_WIDTH, freebie_bits=FREEBIE_BITS, exponent_bits=EXPONENT_BITS),
        checkpoints=checkpoint_facts(),
        onnx=onnx_facts(),
        most_values=most_values(),
        input_shape=INPUT_SHAPE,
        examples=examples(),
    )


if __name__ == "__main__":
    Path(__file__).with_name(FILE).write_text(derive().model_dump_json(indent=1) + "\n", encoding="utf-8")
