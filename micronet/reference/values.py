"""The values a reference is made of: no torch."""

from micronet.contract import Charges, ScoreSettings, ScoreTerms, StoredKind, Value


class Amounts(Value):
    """Scalar operations; the inner ones are as wide as an accumulator, whatever the operands are."""

    multiplications: int
    additions: int
    inner_multiplications: int
    inner_additions: int


class Cost(Value):
    """What operations cost that share a rule; `amounts` are for one element of the result, null where sizes matter."""

    operations: tuple[str, ...]
    amounts: Amounts | None
    words: str


class CostGroup(Value):
    """Rules of one sort."""

    title: str
    costs: tuple[Cost, ...]


class PolicyFacts(Value):
    """Widths in bits that the policies are made of."""

    word: int
    full_width: int
    freebie_bits: int
    exponent_bits: int


class Limit(Value):
    """A bound that is checked before what it bounds is read."""

    name: str
    value: int
    words: str


class Fact(Value):
    """A name, and what is to be known of it."""

    name: str
    words: str


class CheckpointFacts(Value):
    """How files are read.

    containers      formats that are read, and by which files
    mistaken        what is told apart and refused, with what would be right
    limits          of files, archives, pickles, headers and tensors
    wrappers        keys a state dict is found under, by precedence; of those there, the first
    prefixes        of all keys, that are taken off
    calls           functions a pickle may name for a call; none is called before all is checked
    storages        kinds of numbers in PyTorch files, and
    safetensors     in safetensors files, that a state dict may hold
    integers        ends of names of tensors that may hold integers
    layouts         forms of a PyramidNet file that are recognised
    """

    containers: tuple[Fact, ...]
    mistaken: tuple[str, ...]
    limits: tuple[Limit, ...]
    wrappers: tuple[str, ...]
    prefixes: tuple[str, ...]
    calls: tuple[str, ...]
    storages: tuple[str, ...]
    safetensors: tuple[str, ...]
    integers: tuple[str, ...]
    layouts: tuple[Fact, ...]


class OnnxFacts(Value):
    """How ONNX files are read: versions from the first to the last, bounds, operations."""

    opsets: tuple[int, int]
    ir_versions: tuple[int, int]
    limits: tuple[Limit, ...]
    operations: tuple[str, ...]


class ExampleTensor(Value):
    """A stored tensor; `stored`, and the `stored_bits` that adds up to, under the example's policy.

    `stored` is of each kind how many there are of each width, by that width in bits.
    """

    name: str
    elements: int
    nonzero: int
    bits: int
    exponents: int
    stored: dict[StoredKind, dict[int, int]]
    stored_bits: int


class ExampleLayer(Value):
    """A layer's counts, and what the example's policy makes of them, in bits."""

    name: str
    op: str
    shape: tuple[int, ...]
    amounts: Amounts
    exponents: int
    weight_bits: int | None
    activation_bits: int
    tensors: tuple[ExampleTensor, ...]
    charged: Charges
    math_bits: int
    storage_bits: int


class Example(Value):
    """One small network, scored with these settings."""

    settings: ScoreSettings
    layers: tuple[ExampleLayer, ...]
    math_bits: int
    storage_bits: int
    score: ScoreTerms


class Reference(Value):
    """All of it."""

    costs: tuple[CostGroup, ...]
    policies: PolicyFacts
    checkpoints: CheckpointFacts
    onnx: OnnxFacts
    most_values: Limit
    input_shape: tuple[int, int, int]
    examples: tuple[Example, ...]
