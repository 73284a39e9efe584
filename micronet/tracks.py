"""Tracks: what a network is measured on, and what it is measured against. Data, not code: a team adds its own."""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from micronet.errors import DatasetCorrupt, UnknownTrack

# Data set names become directory names, so nothing in them may leave a directory.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Count = Annotated[int, Field(strict=True, gt=0)]
Side = Annotated[int, Field(strict=True, gt=0, le=2048)]
Mean = Annotated[float, Field(ge=0.0, le=1.0)]
Deviation = Annotated[float, Field(gt=0.0, le=1.0)]


class Published(BaseModel):
    """A result that was published for a track, to compare with: `top1` is null where it was not told.

    `policy` is the one its score was counted by; that of another does not compare.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    entrant: Title
    year: Annotated[int, Field(strict=True, ge=1900, le=9999)]
    score: Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
    top1: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    policy: Literal["report", "challenge"] = "challenge"
    note: str = ""


class Track(BaseModel):
    """One track: a data set, an input, a floor to reach and the baselines the score is relative to.

    `mean` and `std` are per channel, of pixels scaled to 0..1. `required_correct` is the floor in correct answers out
    of `test_images`; it is a whole number because the challenge does not round. `baseline_storage` counts 32-bit
    parameters, `baseline_math` 32-bit operations on one example (SCORING section 1). `official` marks the challenge's
    own tracks; the scores of any other compare only with each other. `dataset` names a row of
    `micronet.data.datasets.DATASETS`, or a directory of image folders in the data directory. `published` are results of
    others, the lowest score first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    title: Title
    dataset: Name
    classes: Annotated[int, Field(strict=True, ge=2)]
    input_shape: tuple[Side, Side, Side]
    mean: tuple[Mean, ...]
    std: tuple[Deviation, ...]
    required_correct: Count
    test_images: Count
    baseline_storage: Count
    baseline_math: Count
    official: bool = False
    note: str = ""
    published: tuple[Published, ...] = ()

    @property
    def threshold(self) -> float:
        """The floor as top-1 accuracy, 0..1. For showing only: qualifying compares `required_correct`."""
        return self.required_correct / self.test_images

    @field_validator("published")
    @classmethod
    def _lowest_first(cls, published: tuple[Published, ...]) -> tuple[Published, ...]:
        return tuple(sorted(published, key=lambda result: result.score))

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        channels = self.input_shape[0]
        if channels not in (1, 3):
            raise ValueError(f"input_shape: {channels} channels, and images have 1 (grey) or 3 (colour)")
        for field, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != channels:
                raise ValueError(f"{field}: {len(values)} values for {channels} channels of input_shape")
        if self.required_correct > self.test_images:
            raise ValueError(f"required_correct: {self.required_correct} is more than test_images, {self.test_images}")
        return self


# The first four of the challenge's final leaderboard (micronet-challenge.github.io), which has no accuracies (OSI AI
# tells its own), and the entries this project started from, by their report (SCORING section 2). The leaderboard has
# these at 0.0794, 0.0794 and 0.0830, and does not say which is which. 80.003 % of 10,000 images is no whole number of
# answers, so accuracy is told as published.
_WAVECOMP = "By the team's own report and formulas; the final leaderboard has it at 0.0794 to 0.0830."
_ONE_OF_TWO = "One of two entries of this team on the final leaderboard."
_FIELD_OF_2019 = (
    Published(
        entrant="RIAIR", year=2019, score=0.0044, note="Winner: Institute of Automation, Chinese Academy of Sciences."
    ),
    Published(entrant="KAIST AI", year=2019, score=0.0054, note=_ONE_OF_TWO),
    Published(entrant="KAIST AI", year=2019, score=0.0056, note=_ONE_OF_TWO),
    Published(entrant="OSI AI", year=2019, score=0.0058, top1=0.8003),
    Published(entrant="WaveComp", year=2019, score=0.0456, top1=0.80003, policy="report", note=_WAVECOMP),
    Published(entrant="WaveComp", year=2019, score=0.0464, top1=0.8047, policy="report", note=_WAVECOMP),
    Published(entrant="WaveComp", year=2019, score=0.0467, top1=0.8015, policy="report", note=_WAVECOMP),
)

_CIFAR100 = Track(
    name="cifar100",
    title="CIFAR-100",
    dataset="cifar100",
    classes=100,
    input_shape=(3, 32, 32),
    mean=(0.5071, 0.4865, 0.4409),
    std=(0.2673, 0.2564, 0.2762),
    required_correct=8_000,
    test_images=10_000,
    baseline_storage=36_500_000,
    baseline_math=10_490_000_000,
    official=True,
    note="Baselines: WideResNet-28-10.",
    published=_FIELD_OF_2019,
)

_IMAGENET = Track(
    name="imagenet",
    title="ImageNet-1k",
    dataset="imagenet",
    classes=1_000,
    input_shape=(3, 224, 224),
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    required_correct=37_500,
    test_images=50_000,
    baseline_storage=6_900_000,
    baseline_math=1_170_000_000,
    official=True,
    note="Measured on the validation images. Baselines: MobileNetV2 1.4.",
)

# Our own track. The baselines are those of cifar100, since the same WideResNet-28-10 (less nine tenths of its last
# layer) is the usual reference here too; it reaches about 96 %, and the floor is set a little below it, as in cifar100.
_CIFAR10 = Track(
    name="cifar10",
    title="CIFAR-10 (not an official track)",
    dataset="cifar10",
    classes=10,
    input_shape=(3, 32, 32),
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
    required_correct=9_500,
    test_images=10_000,
    baseline_storage=_CIFAR100.baseline_storage,
    baseline_math=_CIFAR100.baseline_math,
    note="Not a track of the challenge. Baselines: those of cifar100. Floor: our choice.",
)

# Our own track. The baseline is a small network counted by SCORING section 3: two 3x3 convolutions of 16 and 32 filters
# with bias on 8x8, a ReLU after each, average over 64 places, linear layer 32 -> 10 with bias:
#   parameters       160 + 4,640 + 330                                   =   5,130
#   multiplications  9,216 + 294,912 + 3,072 (ReLU) + 32 (mean) + 320    = 307,552
#   additions        9,216 + 294,912 + 2,016 (mean) + 320                = 306,464
# The floor, 95 %, is what logistic regression on the pixels reaches, so that a network has to be worth its layers.
_DIGITS = Track(
    name="digits",
    title="Handwritten digits, 8x8 (not an official track)",
    dataset="digits",
    classes=10,
    input_shape=(1, 8, 8),
    mean=(0.3055,),
    std=(0.3762,),
    required_correct=342,
    test_images=360,
    baseline_storage=5_130,
    baseline_math=307_552 + 306_464,
    note="Not a track of the challenge; needs no download. Baseline: a network of two convolutions. Floor: our choice.",
)

BUILT_IN: Mapping[str, Track] = MappingProxyType({t.name: t for t in (_CIFAR100, _IMAGENET, _CIFAR10, _DIGITS)})


def tracks(data_dir: Path | None = None) -> Mapping[str, Track]:
    """Every track by name: the built-in ones, then those in `data_dir/tracks/*.toml`, in the order of their file names.

    A file holds the fields of `Track` as TOML, all but `official`. Raises DatasetCorrupt, naming the file and the
    field, for one that cannot be used, and for a name that is already taken: a track is never silently replaced.
    """
    found = dict(BUILT_IN)
    for path in sorted((data_dir / "tracks").glob("*.toml")) if data_dir is not None else ():
        own = _read_track(path)
        if own.name in found:
            raise DatasetCorrupt(f"{path}: name: there is already a track {own.name!r}; choose another name")
        found[own.name] = own
    return MappingProxyType(found)


def track(name: str, data_dir: Path | None = None) -> Track:
    """The track called `name`. Raises UnknownTrack, with the nearest names, where there is none."""
    known = tracks(data_dir)
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "there are"
    raise UnknownTrack(f"no track {name!r}; {hint} ({', '.join(sorted(known))})")


def _read_track(path: Path) -> Track:
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # ValueError covers TOML's own error and text that is not UTF-8
        raise DatasetCorrupt(f"{path}: not a readable TOML file: {error}") from error
    except RecursionError as error:
        raise DatasetCorrupt(
            f"{path}: not a readable TOML file: tables or arrays inside each other, endlessly"
        ) from error
    if "official" in fields:
        raise DatasetCorrupt(f"{path}: official: only the challenge's own tracks are official; leave it out")
    try:
        return Track.model_validate(fields)
    except ValidationError as error:
        raise DatasetCorrupt(f"{path}: {'; '.join(_complaints(error))}") from error


def _complaints(error: ValidationError) -> list[str]:
    """One line per complaint, `field: what was wrong`."""
    lines = []
    for complaint in error.errors(include_url=False):
        field = ".".join(str(part) for part in complaint["loc"])
        message = complaint["msg"].removeprefix("Value error, ")
        lines.append(f"{field}: {message}" if field else message)
    return lines
