"""Tracks: the published numbers, and a team's own files with their mistakes named."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from micronet.errors import DatasetCorrupt, UnknownTrack
from micronet.tracks import BUILT_IN, track, tracks

BIRDS = """
name = "birds"
title = "Birds of the garden"
dataset = "birds"
classes = 12
input_shape = [3, 64, 64]
mean = [0.5, 0.5, 0.5]
std = [0.25, 0.25, 0.25]
required_correct = 540
test_images = 600
baseline_storage = 2_000_000
baseline_math = 300_000_000
"""


SIGHTINGS = """
[[published]]
entrant = "Aviary"
year = 2024
score = 0.5
top1 = 0.95
policy = "report"

[[published]]
entrant = "Nest"
year = 2025
score = 0.25
note = "a preprint"
"""


def _write(data_dir: Path, text: str, name: str = "birds.toml") -> Path:
    (data_dir / "tracks").mkdir(exist_ok=True)
    (data_dir / "tracks" / name).write_text(text, encoding="utf-8")
    return data_dir


@pytest.mark.parametrize(
    ("name", "floor", "baselines", "threshold"),
    [
        ("cifar100", (8_000, 10_000), (36_500_000, 10_490_000_000), 0.8),
        ("imagenet", (37_500, 50_000), (6_900_000, 1_170_000_000), 0.75),
    ],
)
def test_the_challenge_tracks_are_as_published(
    name: str, floor: tuple[int, int], baselines: tuple[int, int], threshold: float
) -> None:
    it = track(name)
    assert (it.required_correct, it.test_images) == floor
    assert (it.baseline_storage, it.baseline_math) == baselines
    assert it.threshold == threshold
    assert it.official


def test_the_field_of_2019_is_as_published() -> None:
    """SCORING section 2 for WaveComp, whose accuracy is no whole number of answers."""
    published = track("cifar100").published
    assert [(one.entrant, one.score, one.top1) for one in published] == [
        ("RIAIR", 0.0044, None),
        ("KAIST AI", 0.0054, None),
        ("KAIST AI", 0.0056, None),
        ("OSI AI", 0.0058, 0.8003),
        ("WaveComp", 0.0456, 0.80003),
        ("WaveComp", 0.0464, 0.8047),
        ("WaveComp", 0.0467, 0.8015),
    ]
    assert {one.year for one in published} == {2019}
    assert [one.policy for one in published] == ["challenge"] * 4 + ["report"] * 3
    assert all(not other.published for other in BUILT_IN.values() if other.name != "cifar100")


def test_our_own_tracks_say_that_they_are_ours() -> None:
    ours = [it for it in BUILT_IN.values() if not it.official]
    assert [it.name for it in ours] == ["cifar10", "digits"]
    assert all("not an official track" in it.title and "Not a track of the challenge" in it.note for it in ours)


def test_the_baseline_of_the_digits_is_its_arithmetic() -> None:
    first, second, places = 1 * 9 * 16, 16 * 9 * 32, 8 * 8  # weights of the convolutions; where each is applied
    parameters = (first + 16) + (second + 32) + (32 * 10 + 10)
    multiplications = first * places + second * places + (16 + 32) * places + 32 + 32 * 10
    additions = first * places + second * places + 32 * (places - 1) + 32 * 10  # t weights and a bias: t additions
    assert track("digits").baseline_storage == parameters
    assert track("digits").baseline_math == multiplications + additions
    assert track("digits").threshold == 0.95


def test_a_track_is_frozen() -> None:
    with pytest.raises(ValidationError):
        track("cifar100").required_correct = 1


def test_importing_tracks_loads_neither_torch_nor_numpy() -> None:
    script = "import sys, micronet.tracks; sys.exit(' '.join({'torch', 'numpy'} & set(sys.modules)) or None)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_an_unknown_track_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownTrack, match=r"'cifar1000'; did you mean 'cifar100'\?"):
        track("cifar1000")
    with pytest.raises(UnknownTrack, match=r"there are \(birds, cifar10, "):
        track("zzz", _write(tmp_path, BIRDS))


def test_a_team_adds_its_own(tmp_path: Path) -> None:
    known = tracks(_write(tmp_path, BIRDS))
    assert list(known) == [*BUILT_IN, "birds"]
    assert known["birds"].input_shape == (3, 64, 64)
    assert known["birds"].threshold == 0.9
    assert not known["birds"].official
    assert track("birds", tmp_path) == known["birds"]


def test_and_what_others_have_published_there(tmp_path: Path) -> None:
    published = tracks(_write(tmp_path, BIRDS + SIGHTINGS))["birds"].published
    assert [one.model_dump() for one in published] == [
        {"entrant": "Nest", "year": 2025, "score": 0.25, "top1": None, "policy": "challenge", "note": "a preprint"},
        {"entrant": "Aviary", "year": 2024, "score": 0.5, "top1": 0.95, "policy": "report", "note": ""},
    ]


@pytest.mark.parametrize(
    ("good", "bad", "complaint"),
    [
        ('"Aviary"', '""', "published.0.entrant: String should have"),
        ("= 2024", "= 20.5", "published.0.year: Input should be a valid integer"),
        ("= 0.5", "= 0.0", "published.0.score: Input should be greater than 0"),
        ("= 0.5", "= inf", "published.0.score: Input should be a finite number"),
        ("= 0.95", "= 95.0", "published.0.top1: Input should be less than or equal to 1"),
        ('"report"', '"mine"', "published.0.policy: Input should be 'report' or 'challenge'"),
        ("top1 = 0.95", "correct = 570", "published.0.correct: Extra inputs are not permitted"),
    ],
)
def test_mistakes_in_published_results_are_named(tmp_path: Path, good: str, bad: str, complaint: str) -> None:
    assert good in SIGHTINGS
    with pytest.raises(DatasetCorrupt, match=rf"birds\.toml: .*{complaint}"):
        tracks(_write(tmp_path, BIRDS + SIGHTINGS.replace(good, bad)))


def test_no_directory_of_tracks_is_no_mistake(tmp_path: Path) -> None:
    assert tracks(tmp_path) == tracks(None) == BUILT_IN


@pytest.mark.parametrize(
    ("good", "bad", "complaint"),
    [
        ('name = "birds"', 'name = "cifar100"', "name: there is already a track 'cifar100'"),
        ('name = "birds"', 'name = "../birds"', "name: String should match"),
        ('dataset = "birds"', 'dataset = ".."', "dataset: String should match"),
        ("classes = 12", "classes = 1", "classes: Input should be greater"),
        ("classes = 12", "", "classes: Field required"),
        ("classes = 12", "classes = 12\nclases = 12", "clases: Extra inputs are not permitted"),
        ("classes = 12", "classes = 12\nofficial = true", "official: only the challenge's own"),
        ("[3, 64, 64]", "[64, 64]", r"input_shape.2: Field required"),
        ("[3, 64, 64]", "[4, 64, 64]", "input_shape: 4 channels"),
        ("[0.5, 0.5, 0.5]", "[0.5]", "mean: 1 values for 3 channels"),
        ("[0.5, 0.5, 0.5]", "[127.5, 127.5, 127.5]", r"mean.0: Input should be less"),
        ("[0.25, 0.25, 0.25]", "[0.25, 0.0, 0.25]", r"std.1: Input should be greater"),
        ("[0.25, 0.25, 0.25]", "[0.25, nan, 0.25]", r"std.1: "),
        ("= 540", "= 601", "required_correct: 601 is more than test_images, 600"),
        ("= 540", "= 0.9", "required_correct: Input should be a valid integer"),
        ("= 300_000_000", "= 3e8", "baseline_math: Input should be a valid integer"),
        ("= 300_000_000", "= 0", "baseline_math: Input should be greater than 0"),
        ("= 300_000_000", "= = 0", "not a readable TOML file"),
    ],
)
def test_mistakes_are_named_with_file_and_field(tmp_path: Path, good: str, bad: str, complaint: str) -> None:
    assert good in BIRDS
    with pytest.raises(DatasetCorrupt, match=rf"birds\.toml: .*{complaint}"):
        tracks(_write(tmp_path, BIRDS.replace(good, bad)))


def test_text_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    _write(tmp_path, BIRDS)
    (tmp_path / "tracks" / "birds.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(DatasetCorrupt, match=r"birds\.toml: not a readable TOML file"):
        tracks(tmp_path)


@pytest.mark.parametrize("text", ["a = " + "[" * 5000 + "]" * 5000, "a = " + "{b=" * 3000 + "1" + "}" * 3000])
def test_a_file_of_endless_nesting_is_not_readable(tmp_path: Path, text: str) -> None:
    with pytest.raises(DatasetCorrupt, match=r"birds\.toml: not a readable TOML file"):
        tracks(_write(tmp_path, text))


def test_two_files_cannot_share_a_name(tmp_path: Path) -> None:
    _write(tmp_path, BIRDS)
    with pytest.raises(DatasetCorrupt, match=r"more\.toml: name: there is already a track 'birds'"):
        tracks(_write(tmp_path, BIRDS, "more.toml"))
