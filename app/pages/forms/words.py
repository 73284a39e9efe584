"""What people are told about the fields of a form: every label, said once, and what the contract says less plainly."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.pages.forms.schema import Path


@dataclass(frozen=True, slots=True)
class Words:
    """What people are told about a field. Without a hint, it is what the contract says of the setting."""

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
    "team": Words("Team", "whose entry it is"),
    "track": Words("Track"),
    "policy": Words("Policy"),
    "recipe": Words("Recipe", _RECIPE),
    "architecture/name": Words("Architecture", "needed for a bare state dict, or without a file; never for ONNX"),
    "architecture/options": Words("Its options", "KEY=VALUE, one a line: depth=272"),
    "bits/param_bits": Words("Weights", "bits"),
    "bits/mul_bits": Words("Activations", "bits"),
    "bits/add_bits": Words("Additions", "bits"),
    "bits/exponent_bits": Words("Exponents", "bits"),
    "normalize/mean": Words("Mean", "one number per channel, commas between; empty: the track’s"),
    "normalize/std": Words("Standard deviation", "likewise"),
    "fuse_batchnorm": Words("Merge batch norms", ""),
    "quantizer/rule": Words("Range rule"),
    "quantizer/granularity": Words("One exponent per", "tensor, or channel: per filter"),
    "quantizer/weight_stds": Words("Deviations of a weight", "SigmaMax"),
    "quantizer/activation_stds": Words("Deviations of an activation", "SigmaMax"),
    "calibration_images": Words("Calibration images"),
    "encoding": Words("Storage of zeros", "challenge only"),
    "accumulators": Words("Accumulators", "proven: additions at the width a bound over the weights proves"),
    "evaluate": Words("Measure accuracy", "on the test set, which is used for nothing else"),
    "bit_true": Words("Bit-true", "sums are exact"),
    "seed": Words("Seed"),
    "holdout": Words("Held-out share"),
    "train_images": Words("Training images"),
    "epochs": Words("Epochs"),
    "steps": Words("Steps"),
    "batch": Words("Batch"),
    "optimizer": Words("Optimizer"),
    "learning_rate": Words("Learning rate"),
    "schedule": Words("Schedule"),
    "milestones": Words("Milestones"),
    "milestone_factor": Words("Factor at milestones"),
    "warmup_epochs": Words("Warm-up epochs", "over which the learning rate grows from zero"),
    "momentum": Words("Momentum"),
    "weight_decay": Words("Weight decay"),
    "clip_norm": Words("Gradient clipping"),
    "label_smoothing": Words("Label smoothing"),
    "mixup": Words("Mixup"),
    "cutmix": Words("CutMix"),
    "ema": Words("Average of weights (EMA)"),
    "augmentation/crop": Words("Crop"),
    "augmentation/flip": Words("Flip"),
    "augmentation/policy": Words("Augmentation policy"),
    "augmentation/cutout": Words("Cutout"),
    "distillation/teacher": Words("Teacher", _TEACHER),
    "distillation/architecture/name": Words("Teacher’s architecture", "where its file does not say it"),
    "distillation/architecture/options": Words("Teacher’s options", "KEY=VALUE, one a line: depth=110"),
    "distillation/normalize/mean": Words(
        "Teacher’s mean", "one number per channel, commas between; empty: what the student is shown"
    ),
    "distillation/normalize/std": Words("Teacher’s standard deviation", "likewise"),
    "distillation/weight": Words("Weight of the teacher"),
    "temperature": Words("Temperature"),
    "shakedrop": Words("ShakeDrop"),
    "hold_zeros": Words("Hold zeros"),
    "keep": Words("Epoch to keep"),
    "precision": Words("Precision"),
    "cuda_graphs": Words("CUDA graphs"),
    "ratio": Words("Share to remove"),
    "layer_limit": Words("Limit per layer"),
    "rounds": Words("Rounds"),
    "grow_back": Words("Growing back"),
    "compression": Words("Compression"),
    "floor": Words("Floor"),
    "factor_images": Words("Images for factors"),
    "sparsity": Words("Share of zeros"),
    "scope": Words("Scope"),
    "keep_layers": Words("Layers to keep", "as they are; their names, one a line"),
    "folds": Words("Folds"),
    "searches": Words("Searches"),
    "candidates": Words("Candidates"),
    "lists": Words("Lists of operations", "in each candidate, and draws by which it is judged"),
    "operations": Words("Operations"),
    "best": Words("Best to keep"),
    "below": Words("Below the floor"),
    "weight_bits": Words("Bits of weights", "narrowest and widest that a layer may have, a comma between"),
    "input_bits": Words("Bits of inputs", "of the values that a layer reads, likewise"),
    "gate_bits": Words("Bits of gates", "of the values that a hard swish reads, likewise"),
    "value_bits": Words("Bits of other values", ""),
    "bias_bits": Words("Bits of biases", ""),
    "sparsify": Words("Let more weights be zero", ""),
    "correct": Words("Fit the weights"),
    "holdout_images": Words("Held-out images"),
    "points": Words("Networks to make"),
    "margin": Words("Margin"),
    "looks": Words("Looks at the test set"),
}


def words_of(path: Path) -> Words:
    """The words for a setting, wherever it is: of those that fit, the most particular."""
    return next(_WORDS[name] for start in range(len(path)) if (name := "/".join(path[start:])) in _WORDS)
