"""The augment job: it finds a policy on digits, the same for a seed and after any interruption, and training takes it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from micronet.contract import Augmentation, AugmentationPolicy, AugmentResult, AugmentSettings
from micronet.jobs import JOBS, Context
from micronet.journal import DirectoryJournal, Entry
from micronet.training.augmentation.search import SEARCHED
from tests.micronet.jobs.test_score import Heard

SMALL: Mapping[str, Any] = {
    **{"track": "digits", "architecture": {"name": "digits"}, "train_images": 200},
    **{"epochs": 2, "batch": 50, "folds": 2, "searches": 2, "candidates": 12, "operations": 2, "best": 3},
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


def test_a_seed_finds_the_same_and_another_seed_another() -> None:
    first, second, other = found(Context()), found(Context()), found(Context(), seed=1)
    assert first == second
    assert first.policy != other.policy


class Killed(Exception):
    pass


@pytest.mark.parametrize("name", ["fold0.search1.best", "fold1.fit"])
def test_killed_and_begun_again_it_finds_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert found(context) == found(Context())


def test_a_finished_search_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = found(Context(journal=tmp_path))
    monkeypatch.setattr("micronet.training.augmentation.search._best", None)
    assert found(Context(journal=tmp_path)) == first


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"best": 13}, "12 candidates"), ({"folds": 20, "searches": 10}, "512"), ({"evaluate": True}, "evaluate")],
)
def test_settings_no_policy_can_come_of(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        AugmentSettings.model_validate({**SMALL, **changes})


def test_the_search_prefers_what_the_network_understands() -> None:
    """The best of 40 candidates has less loss than the mean policy: digits drawn by TrivialAugment's strengths."""
    result = found(Context(), folds=1, searches=1, candidates=40, best=1, epochs=6, train_images=400)
    assert result.loss_with < result.loss_without + 0.5
