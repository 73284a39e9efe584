"""Which settings of each kind of job have a field, which come first, and in which groups the others are."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from app.pages.forms.schema import Path, Setting
from app.pages.forms.words import Words, titled

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Switch:
    """A box that says whether there is an object at all; without it the object is null, whatever its fields say."""

    name: str
    path: Path
    words: Words

    @property
    def id(self) -> str:
        """Its name, as an identifier of HTML."""
        return f"field-{self.name}"

    @property
    def hint(self) -> str:
        """What its words say."""
        return self.words.hint or ""


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that are shown together, and can be opened; `open`: that are so from the start."""

    title: str
    names: Names
    open: bool = False
    note: str = ""
    switch: Switch | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The fields of a kind. `rest`: what has none, in the words of the field that takes all of this as JSON."""

    first: Names
    groups: tuple[Group, ...] = ()
    rest: str = ""

    @property
    def names(self) -> Iterator[str]:
        """All of them, in order."""
        yield from self.first
        for group in self.groups:
            yield from group.names


def _in(place: str, *names: str) -> Names:
    return tuple(f"{place}/{name}" for name in names)


QUANTIZE = Switch("quantize", ("bits",), Words("Quantize to these widths", "without, the network is measured as it is"))
_WHOSE = ("name", "team", "track")
_ARCHITECTURE = _in("architecture", "name", "options")
_NORMALIZE = _in("normalize", "mean", "std")
_BITS = _in("bits", "param_bits", "mul_bits", "add_bits", "exponent_bits")
_QUANTIZER = _in("quantizer", "rule", "granularity", "weight_stds", "activation_stds", "calibration_images")
_LEARNING = ("epochs", "batch", "learning_rate", "optimizer", "schedule", "warmup_epochs")
_DETAIL = (
    *("steps", "milestones", "milestone_factor", "momentum", "weight_decay", "clip_norm", "label_smoothing"),
    *("mixup", "cutmix", "ema", "keep", "shakedrop", "hold_zeros", "precision", "cuda_graphs"),
)
_AUGMENTATION = _in("augmentation", "crop", "flip", "policy", "cutout")
_TEACHER = _in(
    "distillation",
    *("teacher", "weight", "temperature", "architecture/name", "architecture/options"),
    *("normalize/mean", "normalize/std"),
)
_IMAGES = ("holdout", "train_images", *_NORMALIZE)
_POLICY = "a policy of augmentation as data, such as an augment job makes"
_FORMAT = Group("Architecture", _ARCHITECTURE)


def _fine_tuning(place: str, title: str, *, held: bool = False, note: str = "") -> tuple[Group, ...]:
    """The groups of a training within a stage; `held`: one that has to hold zeros, which needs no saying."""
    detail = tuple(name for name in _DETAIL if not (held and name == "hold_zeros"))
    return (
        Group(title, _in(place, *_LEARNING), note=note),
        Group(f"{title} in detail", _in(place, *detail)),
        Group("Augmentation", _in(place, *_AUGMENTATION)),
        Group("Teacher", _in(place, *_TEACHER)),
    )


_TRAINING = (
    Group("Learning in detail", ("warmup_epochs", *_DETAIL)),
    Group("Augmentation", _AUGMENTATION),
    Group("Teacher", _TEACHER),
    Group("Images and measuring", (*_IMAGES, "evaluate")),
)
_SCORE = Plan(
    first=(*_WHOSE, "policy"),
    groups=(
        Group("Architecture", _ARCHITECTURE, open=True),
        Group("Bit widths", _BITS, open=True, switch=QUANTIZE),
        Group("Normalization", _NORMALIZE),
        Group("Quantizer", _QUANTIZER),
        Group("Counting and measuring", ("fuse_batchnorm", "encoding", "accumulators", "evaluate", "bit_true", "seed")),
    ),
)
PLANS: Mapping[str, Plan] = {
    "score": _SCORE,
    "count": _SCORE,
    "quantize": Plan(
        first=(*_WHOSE, *_BITS),
        groups=(
            _FORMAT,
            Group("Quantizer", (*_QUANTIZER, "fuse_batchnorm", "seed")),
            *_fine_tuning(
                "train",
                "Learning on the grids",
                note="With all of these empty, and those of the three groups below, the network is rounded, no more.",
            ),
            Group("Images and measuring", (*_IMAGES, "evaluate")),
        ),
        rest=f"widths of single layers (layers), {_POLICY}",
    ),
    "fuse": Plan(first=("name", "team"), groups=(Group("Architecture", _ARCHITECTURE, open=True),)),
    "train": Plan(
        first=(*_WHOSE, *_ARCHITECTURE, "epochs", "batch", "learning_rate", "optimizer", "schedule", "seed"),
        groups=_TRAINING,
        rest=_POLICY,
    ),
    "prune": Plan(
        first=(*_WHOSE, "ratio", "rounds", "grow_back", "compression", "floor", "seed"),
        groups=(
            Group("Pruning in detail", ("layer_limit", "factor_images")),
            *_fine_tuning("fine_tuning", "Fine-tuning"),
            _FORMAT,
            Group("Images and measuring", (*_IMAGES, "evaluate")),
        ),
        rest=_POLICY,
    ),
    "sparsify": Plan(
        first=(*_WHOSE, "sparsity", "rounds", "scope", "floor", "seed"),
        groups=(
            Group("Layers to keep", ("keep_layers",)),
            *_fine_tuning("fine_tuning", "Fine-tuning", held=True),
            _FORMAT,
            Group("Images and measuring", (*_IMAGES, "evaluate")),
        ),
        rest=_POLICY,
    ),
    "augment": Plan(
        first=(*_WHOSE, *_ARCHITECTURE, "folds", "searches", "candidates", "lists", "operations", "best", "seed"),
        groups=(
            Group("Learning", ("epochs", "batch", "learning_rate", "optimizer", "schedule", "warmup_epochs")),
            Group("Learning in detail", _DETAIL),
            Group("Augmentation", _AUGMENTATION),
            Group("Teacher", _TEACHER),
            Group("Images", _IMAGES),
        ),
        rest=_POLICY,
    ),
    "optimize": Plan(
        first=(*_WHOSE, "floor", "points", "looks", "seed"),
        groups=(
            Group("Bit widths", ("weight_bits", "input_bits", "gate_bits", "value_bits", "bias_bits")),
            Group("Searching", ("sparsify", "correct", "margin", "calibration_images", "holdout_images")),
            Group(
                "Learning on the grids",
                _in("tuning", "steps", "batch", "learning_rate", "temperature", "mixup"),
                note="With all of these empty, as in the group below, no network is trained.",
            ),
            Group("Augmentation", _in("tuning", *_AUGMENTATION)),
            _FORMAT,
            Group("Normalization", _NORMALIZE),
        ),
        rest=_POLICY,
    ),
    "pipeline": Plan(
        first=("recipe", *_WHOSE, "floor", "below", "policy", "evaluate", "seed"),
        groups=(_FORMAT, Group("Teacher", _TEACHER), Group("Images", _IMAGES)),
        rest="the stages, each with what it is told",
    ),
}
"""Of kinds whose fields have an order that was thought about. What a setting may be is in the contract; only those that
are named here have a field."""


def plan_of(kind: str, settings: Iterable[Setting]) -> Plan:
    """The plan of a kind of job with these settings: its own, or one with every field that can be drawn."""
    return PLANS[kind] if kind in PLANS else _plain(settings)


def _plain(settings: Iterable[Setting]) -> Plan:
    """Whose it is and all other values first, and a group for each object."""
    drawn: dict[Path, list[str]] = {(): []}
    rest = []
    for setting in settings:
        name = "/".join(setting.path)
        if setting.drawable:
            drawn.setdefault(setting.path[:-1], []).append(name)
        else:
            rest.append(name)
    first = sorted(drawn.pop(()), key=lambda name: _WHOSE.index(name) if name in _WHOSE else len(_WHOSE))
    return Plan(
        tuple(first), tuple(Group(titled(path), tuple(names)) for path, names in drawn.items()), ", ".join(rest)
    )
