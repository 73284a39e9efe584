"""A journal serves the job that began it, and no other: what is refused, and what makes no difference."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from micronet.architectures.load import create_network
from micronet.errors import SettingsError
from micronet.jobs import JOBS, Context
from micronet.jobs.journals import MADE_OF, origin
from micronet.journal import DirectoryJournal, Entry
from micronet.tracks import track

LEARNING = {"epochs": 1, "batch": 32, "augmentation": {"crop": 0, "flip": False, "policy": "none"}}
SMALL = {"track": "digits", "train_images": 64, "evaluate": False}
TRAIN = {**SMALL, **LEARNING, "architecture": {"name": "digits", "options": {"width": 4}}}
SPARSIFY = {"sparsity": 0.5, "fine_tuning": {**LEARNING, "epochs": 0}}
PIPELINE = {
    **SMALL,
    "architecture": TRAIN["architecture"],
    "stages": [{"stage": "train", **LEARNING}, {"stage": "sparsify", **SPARSIFY}],
}
OWN_TRACK = """
name = "own"
title = "{title}"
dataset = "digits"
classes = 10
input_shape = [1, 8, 8]
mean = [{mean}]
std = [0.4]
required_correct = 300
test_images = 360
baseline_storage = 5000
baseline_math = 600000
"""


def run(kind: str, asked: Mapping[str, Any], journal: Path, file: Path | None = None, data: Path | None = None) -> Any:
    job = JOBS[kind]
    return job.run(job.settings.model_validate(asked), file, Context(data, "cpu", journal=journal))


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The journal of a training that has ended."""
    journal = tmp_path_factory.mktemp("begun")
    run("train", TRAIN, journal)
    return journal


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": 2}, "differs in epochs"),
        ({"seed": 5, "learning_rate": 0.01}, "differs in learning_rate and seed"),
        ({"architecture": {"name": "digits", "options": {"width": 8}}}, "differs in architecture"),
        ({"augmentation": {"crop": 1}}, "differs in augmentation"),
        ({"train_images": None}, "differs in train_images"),
    ],
)
def test_a_training_of_other_settings_is_refused(changes: dict[str, Any], words: str, begun: Path) -> None:
    with pytest.raises(SettingsError, match=f"{words}. Give a directory of its own"):
        run("train", {**TRAIN, **changes}, begun)


def test_what_changes_no_result_makes_no_difference(begun: Path) -> None:
    again = run("train", {**TRAIN, "cuda_graphs": True, "team": "blue", "name": "second"}, begun)
    assert again == run("train", TRAIN, begun)


def test_another_kind_of_job_and_another_file_are_refused(begun: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"{seed}.pth" for seed in (1, 2)]
    for seed, file in enumerate(files, 1):
        torch.save(create_network("digits", {"width": 4}, seed).state_dict(), file)
    with pytest.raises(SettingsError, match=r"differs in job\."):
        run("sparsify", {**SMALL, **SPARSIFY, "architecture": TRAIN["architecture"]}, begun, files[0])
    with pytest.raises(SettingsError, match=r"differs in file\."):
        run("train", TRAIN, begun, files[0])
    journal = tmp_path / "journal"
    run("train", TRAIN, journal, files[0])
    with pytest.raises(SettingsError, match=r"differs in file\."):
        run("train", TRAIN, journal, files[1])


def test_what_an_earlier_version_said_in_other_words_is_that_versions(tmp_path: Path) -> None:
    DirectoryJournal(tmp_path).write(MADE_OF, Entry({"mixing": "0.5", "file": "none"}))
    with pytest.raises(SettingsError, match=r"differs in version\."):
        run("train", TRAIN, tmp_path)


def test_a_pipeline_goes_on_in_the_journal_of_its_own_stages_only(tmp_path: Path) -> None:
    train, sparsify = PIPELINE["stages"]
    first = run("pipeline", PIPELINE, tmp_path)
    with pytest.raises(SettingsError, match=r"differs in stages\."):
        run("pipeline", {**PIPELINE, "stages": [train, {**sparsify, "sparsity": 0.9}]}, tmp_path)
    recorded = {**sparsify, "fine_tuning": {**sparsify["fine_tuning"], "cuda_graphs": True}}
    assert run("pipeline", {**PIPELINE, "stages": [{**train, "cuda_graphs": True}, recorded]}, tmp_path) == first


def test_a_track_is_what_it_says_and_not_what_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "tracks").mkdir()
    file, asked = tmp_path / "tracks" / "own.toml", {**TRAIN, "track": "own"}
    file.write_text(OWN_TRACK.format(title="One", mean=0.3))
    first = run("train", asked, tmp_path / "journal", data=tmp_path)
    file.write_text(OWN_TRACK.format(title="Another", mean=0.3))
    assert run("train", asked, tmp_path / "journal", data=tmp_path) == first
    file.write_text(OWN_TRACK.format(title="One", mean=0.31))
    with pytest.raises(SettingsError, match=r"differs in track\."):
        run("train", asked, tmp_path / "journal", data=tmp_path)


def test_a_journal_that_does_not_say_what_it_is_of_goes_on_and_says_it_then(tmp_path: Path) -> None:
    """As earlier versions left them, and workers that died before they had stored every entry."""
    first = run("train", TRAIN, tmp_path)
    (tmp_path / MADE_OF).unlink()
    there = (tmp_path / "fit").stat().st_mtime_ns
    assert run("train", TRAIN, tmp_path) == first
    assert (tmp_path / "fit").stat().st_mtime_ns == there
    with pytest.raises(SettingsError, match="differs in seed"):
        run("train", {**TRAIN, "seed": 1}, tmp_path)


def test_a_job_that_was_refused_has_begun_no_journal(tmp_path: Path) -> None:
    """With settings that are right it does so in the same directory."""
    taught = {"distillation": {"teacher": "0" * 64}}
    with pytest.raises(SettingsError, match="upload the teacher first"):
        run("train", {**TRAIN, **taught}, tmp_path)
    assert list(tmp_path.iterdir()) == []
    run("train", TRAIN, tmp_path)
    with pytest.raises(SettingsError, match=r"differs in distillation\."):
        run("train", {**TRAIN, **taught}, tmp_path)


KINDS = ["train", "prune", "sparsify", "quantize", "augment", "pipeline", "optimize"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_is_in_it_but_those_that_change_nothing(kind: str) -> None:
    settings = JOBS[kind].settings.model_validate({})
    entry = origin(settings, None, track("digits"), "0" * 64, free=frozenset({"floor"})).entry()
    left_out = {"team", "name", "recipe", "cuda_graphs", "floor"}
    assert json.loads(entry.facts["settings"]).keys() == type(settings).model_fields.keys() - left_out
    assert "cuda_graphs" not in entry.facts["settings"]
    assert entry.facts.keys() == {"job", "settings", "file", "images", "track"}


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_says_is_read_again_as_it_was(kind: str) -> None:
    comes_of = origin(JOBS[kind].settings.model_validate({}), None, track("digits"), "0" * 64)
    assert list(comes_of.differences(comes_of.entry())) == []


def test_a_journal_from_before_there_was_a_setting_goes_on_with_its_default() -> None:
    asked = {**SMALL, **LEARNING, "seed": 3}
    comes_of = origin(JOBS["train"].settings.model_validate(asked), None, track("digits"), "0" * 64)
    facts = comes_of.entry().facts
    before = json.loads(facts["settings"])
    del before["momentum"], before["augmentation"]["cutout"]
    assert list(comes_of.differences(Entry({**facts, "settings": json.dumps(before)}))) == []
    del before["seed"]
    assert list(comes_of.differences(Entry({**facts, "settings": json.dumps(before)}))) == ["seed"]
    before["unheard"] = 1
    (odd,) = comes_of.differences(Entry({**facts, "settings": json.dumps(before)}))
    assert odd == "settings that this version does not know"
