"""What the quantize job is asked with and what it answers."""

from typing import Annotated

from pydantic import Field

from micronet.contract.results import Accuracy, ArtifactFile, MergedBatchNorm, QuantizedTensor, Scorer
from micronet.contract.settings import BitWidths, QuantizerSettings, QuantizingSettings
from micronet.contract.training import FineTuning, LearningSettings, TrainingReport
from micronet.contract.values import Bits, Value

_Key = Annotated[str, Field(min_length=1, max_length=200)]
"""Of any characters: JSON Schema would have keys that fit no pattern be anything at all."""


class LayerBits(Value):
    """Widths of one layer. null: as `bits` has it; 32: not quantized.

    param_bits  of its parameters
    mul_bits    of its output
    """

    param_bits: Bits | None = None
    mul_bits: Bits | None = None


class Quantizing(Value):
    """Putting a network on fixed-point grids.

    bits            widths of all layers: parameters have `param_bits`, the input and every layer's output `mul_bits`
    layers          widths of single ones in their place, by name as in a score's `layers`; "input" is the network's
                    input. A name that ends in a star stands for all that begin so; the exact name, else the longest,
                    wins. A value that several layers read is as wide for all of them: as the layer that makes it says
    quantizer       how grids are placed, once, before any training. Where bits are few, "mse" leaves most to learn
                    from: SigmaMax's room for outliers rounds nearly all of a 4-bit activation to zero
    fuse_batchnorm  merge batch norms first; those that stay are scales and shifts from then on
    train           learn on the grids afterwards (quantization-aware training); null: round, and no more. In float32:
                    `precision` "bfloat16" is refused, for it has 8 bits of its own
    """

    bits: BitWidths = BitWidths()
    layers: Annotated[dict[_Key, LayerBits], Field(max_length=1000)] = Field(default_factory=dict)
    quantizer: QuantizerSettings = QuantizerSettings()
    fuse_batchnorm: bool = True
    train: FineTuning | None = None


class QuantizeSettings(LearningSettings, QuantizingSettings, Quantizing):
    """Quantize the file's network, all of it as a score job does.

    `holdout`, `train_images` and `evaluate` are for quantization-aware training: without `train` nothing is measured.

    bits  widths of all layers: parameters have `param_bits`, the input and every layer's output `mul_bits`
    """

    bits: BitWidths = BitWidths()


class QuantizingReport(Value):
    """How quantizing went. The accuracy before training, on held-out images, is that of rounding alone."""

    merged: tuple[MergedBatchNorm, ...]
    tensors: tuple[QuantizedTensor, ...]
    training: TrainingReport | None


class QuantizeResult(Value):
    """The answer of a quantize job; the artifact is ONNX and scores, with `bits` null, as the file did with bits.

    `training` and `accuracy`, the test set's, are null where nothing was trained; `teacher` as in that of a train job.
    """

    track: str
    bits: BitWidths
    merged: tuple[MergedBatchNorm, ...]
    tensors: tuple[QuantizedTensor, ...]
    training: TrainingReport | None = None
    accuracy: Accuracy | None = None
    teacher: Accuracy | None = None
    artifact: ArtifactFile
    scorer: Scorer
    warnings: tuple[str, ...]
