"""The document of the contract: schemathesis holds the running server to it, with good requests and bad ones."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.main import create_app
from app.services import Services
from micronet.jobs import JOBS
from micronet.tracks import BUILT_IN
from tests.app.background import repeated
from tests.app.http.conftest import MakeServices, live
from tests.app.http.results import score_text
from worker.records.values import Ending, JobError, Status
from worker.settings import Settings

SEED = os.environ.get("MICRONET_TEST_SEED", "1")
ENDINGS = {
    "score": Ending(Status.SUCCEEDED, score_text(350, 0.1)),
    "quantize": Ending(Status.FAILED, error=JobError(code="corrupt-file", title="Damaged", detail="all of it")),
}


@contextmanager
def fake_worker(services: Services) -> Iterator[None]:
    """Jobs end soon after they were sent, each kind in its way."""

    def work() -> None:
        while (job := services.records.leases.claim("worker", ("short", "long"))) is not None:
            services.records.leases.finish(job, ENDINGS.get(job.kind, Ending(Status.CANCELED)))

    with repeated(work, 0.05):
        yield


def schemathesis(url: str, directory: Path, *options: str) -> None:
    """Run it; what it finds is the test's failure."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--checks=all", "--mode=all"]
    limits = ["--request-timeout=15", "--continue-on-failure", f"--seed={SEED}", "--output-sanitize=false"]
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.app.http.schemathesis_hooks",
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    ran = subprocess.run(
        [*command, *limits, *options], cwd=directory, env=environment, text=True, capture_output=True, check=False
    )
    said = "\n".join(line[:600] for line in ran.stdout.splitlines())  # a request can be a line of a megabyte
    assert ran.returncode == 0, said[-12000:] + ran.stderr[-2000:]


@pytest.fixture
def services(make_services: MakeServices) -> Services:
    return make_services(team_requests_per_second=100_000, team_waiting_jobs=100_000)


LEARNING = "|".join(("augment", "count", "optimize", "pipeline", "prune", "quantize", "sparsify", "train"))
PHASES = {
    "everywhere": (f"--exclude-path-regex=^/({LEARNING})$", "--max-examples=10"),
    "learning": (f"--include-path-regex=^/({LEARNING})$", "--max-examples=20", "--phases=examples,fuzzing"),
}
"""Among the settings of these are those of training, once or several times, or all of a score's. In the coverage phase
every value of each would be gone through every time, 25,000 requests; it is done at /score, and here they are
drawn."""


@pytest.mark.slow
@pytest.mark.parametrize("options", PHASES.values(), ids=PHASES)
def test_an_open_server_keeps_its_contract(services: Services, tmp_path: Path, options: tuple[str, ...]) -> None:
    app = create_app(services.settings, services, open_access=True)
    with live(app) as url, fake_worker(services):
        schemathesis(url, tmp_path, *options)


@pytest.mark.slow
def test_a_server_with_tokens_keeps_its_contract(services: Services, tmp_path: Path) -> None:
    """Without the forms: their `team` has to be the token's, which no schema can say."""
    app = create_app(services.settings, services)
    token = services.records.tokens.create("blue")
    forms = "|".join(JOBS)
    with live(app) as url, fake_worker(services):
        options = ("--max-examples=3", "--phases=coverage,fuzzing", f"--exclude-path-regex=^/({forms})$")
        schemathesis(url, tmp_path, f"--header=Authorization: Bearer {token}", *options)


def test_limits_are_in_the_document() -> None:
    document = create_app(Settings(upload_bytes=12345, form_bytes=2048), open_access=True).openapi()
    form = document["paths"]["/score"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["anyOf"][0]["properties"]["checkpoint"]["maxLength"] == 12345
    assert "2,048" in form["description"]
    put = document["paths"]["/checkpoints/{sha256}"]["put"]["requestBody"]["content"]["application/octet-stream"]
    assert put["schema"]["maxLength"] == 12345
    patch = document["paths"]["/checkpoints/{sha256}"]["patch"]
    bounds = {p["name"]: p["schema"] for p in patch["parameters"] if p["in"] == "header"}
    assert [(name, bounds[name]["minimum"], bounds[name]["maximum"]) for name in sorted(bounds)] == [
        ("Upload-Length", 1, 12345),
        ("Upload-Offset", 0, 12345),
    ]
    assert {"200", "201", "204", "409", "413", "422", "429", "507"} <= patch["responses"].keys()
    assert form["anyOf"][1]["properties"]["filename"]["maxLength"] == 255
    settings = document["components"]["schemas"]["score.Settings"]["properties"]
    assert settings["seed"]["maximum"] == 2**63 - 1
    assert "cifar100" in settings["track"]["enum"]
    limit = next(p for p in document["paths"]["/jobs"]["get"]["parameters"] if p["name"] == "limit")
    assert (limit["schema"]["minimum"], limit["schema"]["maximum"]) == (1, 100)


def test_who_has_no_token_is_told_of_no_track_but_the_built_in(tmp_path: Path) -> None:
    (tmp_path / "tracks").mkdir()
    own = BUILT_IN["digits"].model_dump(mode="json", exclude={"official", "name", "note", "published"})
    text = "\n".join(["name = 'secret'", *(f"{key} = {value!r}" for key, value in own.items())])
    (tmp_path / "tracks" / "own.toml").write_text(text)
    for open_access in (True, False):
        document = create_app(Settings(data=tmp_path), open_access=open_access).openapi()
        of_settings = document["components"]["schemas"]["score.Settings"]["properties"]["track"]
        asked = document["paths"]["/leaderboard"]["get"]["parameters"]
        (of_board,) = [parameter["schema"] for parameter in asked if parameter["name"] == "track"]
        for schema in (of_settings, of_board):
            assert schema.get("enum") == ([*BUILT_IN, "secret"] if open_access else None)
            assert schema.get("examples") == (None if open_access else [*BUILT_IN])
        assert ("secret" in json.dumps(document)) == open_access


def test_whatever_changes_something_may_be_refused_as_of_another_site() -> None:
    """On an open server by its gate; where tokens are needed, a browser's cookie is taken from our own pages only."""
    for open_access in (True, False):
        paths = create_app(Settings(), open_access=open_access).openapi()["paths"]
        refusing = {
            (method, path)
            for path, operations in paths.items()
            for method, operation in operations.items()
            if "403" in operation["responses"]
        }
        changing = {(method, path) for path, each in paths.items() for method in each if method not in ("get", "head")}
        assert refusing == changing
        assert ("delete", "/jobs/{job_id}") in refusing


def test_tokens_are_in_the_document_where_they_are_needed() -> None:
    for open_access in (True, False):
        document = create_app(Settings(), open_access=open_access).openapi()
        guarded = {
            path for path, operations in document["paths"].items() if any("security" in o for o in operations.values())
        }
        free = {"/health/live", "/health/ready", "/metrics"}
        assert guarded == (set() if open_access else set(document["paths"]) - free)
