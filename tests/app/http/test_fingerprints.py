"""A request that is sent again is the same one to any version."""

import hashlib
import json

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from app.http.fingerprints import idempotency
from app.services import Services
from micronet.contract import PipelineSettings, PruneSettings, ScoreSettings, pipeline
from tests.app.http.sending import accepted, problem, send
from worker.records.tables import idempotency_keys
from worker.records.values import Idempotency

SHA256 = "a" * 64


class _Later(ScoreSettings):
    """Of a version that knows one more, and takes others where nothing is said.

    later   something
    """

    later: int = 3
    seed: int = 5
    policy: str = "challenge"


@pytest.mark.parametrize(
    "sent", ['{"track": "cifar10"}', '{"seed": 0}', "{}", '{"quantizer": {"granularity": "channel"}}']
)
def test_no_new_setting_and_no_new_default_changes_it(sent: str) -> None:
    earlier, later = (
        idempotency("key", "score", kind.model_validate_json(sent), SHA256) for kind in (ScoreSettings, _Later)
    )
    assert earlier.fingerprint == later.fingerprint
    assert earlier.former != later.former


def test_it_is_of_all_that_was_sent_in_any_order() -> None:
    def taken(sent: str, kind: str = "score", *file: str | None) -> str:
        return idempotency("key", kind, ScoreSettings.model_validate_json(sent), *(file or (SHA256,))).fingerprint

    network = '"architecture": {"name": "pyramidnet", "options": {%s}}'
    one = taken('{"seed": 1, %s}' % (network % '"depth": 20, "alpha": 48'))
    assert taken('{%s, "seed": 1}' % (network % '"alpha": 48, "depth": 20')) == one
    asked = [("{}",), ("{}", "fuse"), ("{}", "score", SHA256, "net.onnx"), ("{}", "score", None), ('{"seed": 1}',)]
    assert len({one, *(taken(*each) for each in asked)}) == 6


def test_what_a_recipe_says_was_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def taken() -> Idempotency:
        return idempotency("key", "pipeline", PipelineSettings.model_validate_json('{"recipe": "report"}'), None)

    earlier = taken()
    another = pipeline.recipe("cifar100")
    monkeypatch.setattr(pipeline, "recipe", lambda _name: another)
    assert taken().fingerprint == earlier.fingerprint
    assert taken().former != earlier.former


def test_a_key_of_an_earlier_version_is_known_until_it_is_forgotten(
    any_api: TestClient, any_services: Services
) -> None:
    """It kept the settings with every default: of the kind, all of them, the file and its name."""
    key = {"Idempotency-Key": "one"}
    first = accepted(any_api, {"ratio": 0.5}, kind="prune", headers=key)
    file = first["checkpoint"]
    parts = ("prune", PruneSettings(ratio=0.5).model_dump_json(), file["sha256"], file["filename"])
    kept = update(idempotency_keys).values(fingerprint=hashlib.sha256("\0".join(parts).encode()).hexdigest())
    any_services.records.database.write(lambda connection: connection.execute(kept))
    assert accepted(any_api, json.dumps({"ratio": 0.5}), kind="prune", headers=key)["id"] == first["id"]
    problem(send(any_api, {"ratio": 0.4}, kind="prune", headers=key), 422, "idempotency-conflict")
