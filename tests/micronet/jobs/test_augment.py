"""The augment job: a policy for digits, the same for a seed and after any interruption, that training takes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from micronet.contract import Augmentation, AugmentationPolicy, AugmentResult, AugmentSettings
from micronet.graph.ir import Graph
from micronet.jobs import JOBS, Context
from micronet.journal import DirectoryJournal, Entry
from micronet.training.augmentation.search import SEARCHED, Begin, Found, least, search, tried
from micronet.training.task import Task
from tests.micronet.jobs.test_score import Heard

SMALL: Mapping[str, Any] = {
    **{"track": "digits", "architecture": {"name": "digits"}, "train_images": 100},
    **{"epochs": 1, "batch": 50, "folds": 2, "searches": 2, "candidates": 5, "operations": 2, "best": 3},
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
    assert len(result.policy.policies) == 2 * 2 * 3
    assert all(len(one) == 2 and {o.operation for o in one} <= set(SEARCHED) for one in result.policy.policies)
    assert 0 < result.loss_without < 10
    assert 0 < result.loss_with < 10
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


@pytest.mark.parametrize("name", ["fold0.search1.best", "fold1.fit"])
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
    assert (tmp_path / "fold0.search0.best").exists()
    assert not (tmp_path / name).exists()
    assert found(context) == whole


def test_a_finished_search_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = found(Context(journal=tmp_path))
    monkeypatch.setattr("micronet.training.augmentation.search.tried", None)
    assert found(Context(journal=tmp_path)) == first


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"best": 6}, "5 candidates"), ({"folds": 20, "searches": 10}, "512"), ({"evaluate": True}, "evaluate")],
)
def test_settings_no_policy_can_come_of(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        AugmentSettings.model_validate({**SMALL, **changes})


def test_the_estimator_goes_where_loss_is_least() -> None:
    """A loss by hand, 0 for inverting never: of 60 candidates the best come first, and the later half is better."""

    def loss(policy: AugmentationPolicy) -> float:
        [[one]] = policy.policies
        return one.probability + (one.operation != "invert")

    candidates = tried(loss, count=60, operations=1, seed=0)
    losses = [one.loss for one in candidates]
    assert [loss(AugmentationPolicy(policies=(one.operations,))) for one in candidates] == losses
    assert sum(losses[30:]) < 0.9 * sum(losses[:30])
    assert candidates == tried(loss, count=60, operations=1, seed=0)
    assert losses != [one.loss for one in tried(loss, count=60, operations=1, seed=1)]
    chosen = least(candidates, 10)
    assert [loss(AugmentationPolicy(policies=(operations,))) for operations in chosen] == sorted(losses)[:10]
