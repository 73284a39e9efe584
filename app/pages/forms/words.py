"""What people are told about the fields of a form, where the contract's own name and words are less plain."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.pages.forms.schema import Path


@dataclass(frozen=True, slots=True)
class Words:
    """What people are told about a field. Without a hint, it is what the contract says of the setting.

    An empty hint: the label says all of it.
    """

    label: str
    hint: str | None = None


RECIPE_WORDS: Mapping[str, str] = {
    "cifar100": "a network for CIFAR-100 from nothing, small, trained long and made sparse, for optimize to finish",
    "cifar100-teacher": "PyramidNet-110/84, to teach the network of cifar100",
    "digits": "the whole road in a minute or two, on handwritten digits",
    "report": "the whole road of the WaveComp report: PyramidNet-272/200, days of a GPU",
}
"""What each of them is."""

_RECIPE = "its settings hold wherever nothing else is said here; none: all stages, as they are by default"
_TEACHER = "SHA-256 of its file, one that is here already: the address of a file ends with it"

_WORDS: Mapping[str, Words] = {
    "name": Words("Name of the entry", "for the leaderboard and the list of jobs"),
    "recipe": Words("Recipe", _RECIPE),
    "architecture/name": Words("Architecture", "needed for a bare state dict, or without a file; never for ONNX"),
    "architecture/options": Words("Its options", "KEY=VALUE, one a line: depth=272"),
    "bits/param_bits": Words("Weights", "bits"),
    "bits/mul_bits": Words("Activations", "bits"),
    "bits/add_bits": Words("Additions"),
    "bits/exponent_bits": Words("Exponents"),
    "normalize/mean": Words("Mean", "one number per channel, commas between; empty: the track’s"),
    "normalize/std": Words("Standard deviation", "likewise"),
    "fuse_batchnorm": Words("Merge batch norms", ""),
    "quantizer/rule": Words("Range rule"),
    "quantizer/weight_stds": Words("Deviations of a weight"),
    "quantizer/activation_stds": Words("Deviations of an activation"),
    "encoding": Words("Storage of zeros"),
    "evaluate": Words("Measure accuracy"),
    "bit_true": Words("Bit-true"),
    "holdout": Words("Held-out share"),
    "clip_norm": Words("Gradient clipping"),
    "cutmix": Words("CutMix"),
    "ema": Words("Average of weights (EMA)"),
    "augmentation/policy": Words("Augmentation policy"),
    "distillation/teacher": Words("Teacher", _TEACHER),
    "distillation/architecture/name": Words("Teacher’s architecture", "where its file does not say it"),
    "distillation/architecture/options": Words("Teacher’s options", "KEY=VALUE, one a line: depth=110"),
    "distillation/normalize/mean": Words(
        "Teacher’s mean", "one number per channel, commas between; empty: what the student is shown"
    ),
    "distillation/normalize/std": Words("Teacher’s standard deviation", "likewise"),
    "distillation/weight": Words("Weight of the teacher"),
    "shakedrop": Words("ShakeDrop"),
    "keep": Words("Epoch to keep"),
    "cuda_graphs": Words("CUDA graphs"),
    "ratio": Words("Share to remove at most"),
    "sparsity": Words("Share of zeros"),
    "keep_layers": Words("Layers to keep", "as they are; their names, one a line"),
    "best": Words("Best to keep"),
    "below": Words("Below the floor"),
    "weight_bits": Words("Bits of weights", "narrowest and widest that a layer may have, a comma between"),
    "correct": Words("Fit the weights"),
    "holdout_images": Words("Held-out images"),
    "points": Words("Networks to make"),
    "looks": Words("Looks at the test set"),
}


def words_of(path: Path) -> Words:
    """The words for a setting, wherever it is: of those that fit, the most particular; else its name is the label."""
    fitting = ("/".join(path[start:]) for start in range(len(path)))
    return next((_WORDS[name] for name in fitting if name in _WORDS), Words(titled(path[-1:])))


def titled(path: Path) -> str:
    """The names of a path as people read them: Fine tuning: augmentation."""
    return ": ".join(path).replace("_", " ").capitalize()
