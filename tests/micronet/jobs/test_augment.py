"""The augment job: a policy for digits, the same for a seed and after any interruption, that training takes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from micronet.contract import Augmentation, AugmentationPolicy, AugmentResult, AugmentSettings
from micronet.data.datasets import open_split
from micronet.graph.ir import Graph
from micronet.jobs import JOBS, Context
from micronet.journal import DirectoryJournal, Entry
from micronet.tracks import track
from micronet.training.augmentation.policies import following
from micronet.training.augmentation.search import SEARCHED, Begin, Found, search
from micronet.training.task import Task
from tests.micronet.jobs.test_score import Heard

SMALL: Mapping[str, Any] = {
    **{"track": "digits", "architecture": {"name": "digits"}, "train_images": 100},
    **{"epochs": 1, "batch": 50, "folds": 2, "searches": 2, "candidates": 5, "lists": 4, "operations": 2, "best": 3},
    "augmentation": {"crop": 1, "flip": False},
}


def found(context: Context, **changes: object) -> AugmentResult:
    result = JOBS["augment"].run(AugmentSettings.model_validate({**SMALL, **changes}), None, context)
    assert isinstance(result, AugmentResult)
    return result


def test_it_writes_a_policy_that_training_takes(tmp_path: Path) -> None:
    heard = Heard()
    result = found(Context(device="cpu", progress=heard, outputs=tmp_path))
    data = (tmp_path / "policy.json").read_bytes()
    assert result.artifact.size == len(data)
    assert AugmentationPolicy.model_validate_json(data) == result.policy
    assert Augmentation(policy=result.policy).policy == result.policy
    assert len(result.policy.policies) == 2 * 2 * 3 * 4
    assert all(len(one) == 2 and {o.operation for o in one} <= set(SEARCHED) for one in result.policy.policies)
    assert 0 < result.loss_without < 10
    assert 0 < result.loss_with < 10
    assert result.accuracy_without.total == result.accuracy_with.total == 2 * 50
    names = ["read", "train fold 1", "search fold 1", "train fold 2", "search fold 2", "measure", "write"]
    assert heard.stages == [(name, place + 1, 7) for place, name in enumerate(names)]


def test_a_fresh_networks_zeros_are_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[AugmentSettings]()

    def searched(graph: Graph, settings: AugmentSettings, task: Task, begin: Begin) -> Found:
        asked.append(settings)
        return search(graph, settings, task, begin)

    monkeypatch.setattr("micronet.jobs.augment.search", searched)
    found(Context(device="cpu"))
    assert [settings.hold_zeros for settings in asked] == [False]


@pytest.fixture(scope="module")
def whole() -> AugmentResult:
    """What nothing interrupted."""
    return found(Context())


def test_a_seed_finds_the_same_and_another_seed_another(whole: AugmentResult) -> None:
    assert found(Context()) == whole
    assert found(Context(), seed=1).policy != whole.policy


class Killed(Exception):
    pass


@pytest.mark.parametrize("name", ["fold0.search1.chosen", "fold1.fit"])
def test_killed_and_begun_again_it_finds_the_same(
    name: str, whole: AugmentResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = DirectoryJournal.write

    def dying(journal: DirectoryJournal, entry_name: str, entry: Entry) -> None:
        if entry_name == name:
            raise Killed
        write(journal, entry_name, entry)

    context = Context(journal=tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(DirectoryJournal, "write", dying)
        with pytest.raises(Killed):
            found(context)
    assert (tmp_path / "fold0.search0.chosen").exists()
    assert not (tmp_path / name).exists()
    assert found(context) == whole


def test_a_finished_search_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = found(Context(journal=tmp_path))
    monkeypatch.setattr("micronet.training.augmentation.search.tried", None)
    assert found(Context(journal=tmp_path)) == first


def test_a_search_that_an_earlier_version_finished_is_done_anew(whole: AugmentResult, tmp_path: Path) -> None:
    """It chose otherwise; the networks that it trained are the same."""
    found(Context(journal=tmp_path))
    journal = DirectoryJournal(tmp_path)
    for path in tmp_path.glob("*.chosen"):
        path.unlink()
        journal.write(f"{path.stem}.best", Entry({"lists": [[{"operation": "color"}]]}))
    there = (tmp_path / "fold0.fit").stat().st_mtime_ns
    assert found(Context(journal=tmp_path)) == whole
    assert (tmp_path / "fold0.fit").stat().st_mtime_ns == there


def test_on_digits_a_found_policy_changes_many_images_and_much() -> None:
    """Of random lists, about 6 in 10. By the mean of one draw, a search ended at lists that change next to nothing."""
    policy = found(
        Context(device="cpu"),
        **{"architecture": {"name": "digits", "options": {"width": 8}}, "train_images": 600},
        **{"epochs": 20, "batch": 32, "learning_rate": 0.2, "augmentation": {"crop": 0, "flip": False}},
        **{"folds": 1, "searches": 1, "candidates": 30, "lists": 5, "best": 2},
    ).policy
    images = open_split(track("digits"), "train", None).images[:300]
    changed = following(policy)(images, torch.Generator().manual_seed(0))
    assert (changed != images).flatten(1).any(1).float().mean() > 0.4
    assert (changed.float() - images.float()).abs().mean() > 5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"best": 6}, "5 candidates"),
        ({"folds": 10, "searches": 5}, "folds x searches x best x lists is the length of the policy, 600: 512 at most"),
        ({"lists": 1}, "greater than or equal to 2"),
        ({"evaluate": True}, "evaluate"),
    ],
)
def test_settings_no_policy_can_come_of(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        AugmentSettings.model_validate({**SMALL, **changes})


def test_the_default_numbers_are_the_published_ones() -> None:
    """5 splits, 2 searches on each, the best 10 candidates of 5 lists of 2 operations."""
    settings = AugmentSettings()
    assert settings.folds * settings.searches * settings.best * settings.lists == 500
