"""What the library's tables say, as data: for those who show it and cannot import torch.

`python -m micronet.reference.write` writes `library.json` from the tables; a test holds the two equal.
"""

from micronet.reference.reading import reference
from micronet.reference.values import (
    Amounts,
    CheckpointFacts,
    Cost,
    CostGroup,
    Example,
    ExampleLayer,
    ExampleTensor,
    Fact,
    Limit,
    OnnxFacts,
    PolicyFacts,
    Reference,
)

__all__ = [
    "Amounts",
    "CheckpointFacts",
    "Cost",
    "CostGroup",
    "Example",
    "ExampleLayer",
    "ExampleTensor",
    "Fact",
    "Limit",
    "OnnxFacts",
    "PolicyFacts",
    "Reference",
    "reference",
]
