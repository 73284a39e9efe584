"""Training whose worker or process is killed goes on from what it wrote down, and ends with the very same bytes."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy

from micronet.contract import TrainSettings
from micronet.jobs import JOBS, Context
from tests.trips.deployment import Deployment, until
from tests.trips.networks import write_slow
from tests.trips.processes import job_processes, nothing_stays
from tests.trips.services import S3Server

SETTINGS = (
    '{"track": "digits", "architecture": {"name": "digits"}, "epochs": 40, "batch": 32, "learning_rate": 0.1, '
    '"augmentation": {"crop": 0, "flip": false, "policy": "none"}}'
)
LONG = SETTINGS.replace('"epochs": 40', '"epochs": 400')


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """SHA-256 of what this training makes when nobody disturbs it."""
    outputs = tmp_path_factory.mktemp("outputs")
    result = JOBS["train"].run(TrainSettings.model_validate_json(SETTINGS), None, Context(outputs=outputs))
    return str(result.artifact.sha256)


def submit(deployment: Deployment, settings: str = SETTINGS) -> str:
    with deployment.client() as client:
        answer = client.post("/train", files={"settings": (None, settings)})
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    assert answer.json()["checkpoint"] is None
    return str(answer.json()["id"])


def asked(deployment: Deployment, query: str) -> list[Any]:
    """First columns of the rows of a query of the records."""
    url = deployment.environment.get("MICRONET_DATABASE_URL", f"sqlite:///{deployment.home}/micronet.db")
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        rows = [row[0] for row in connection.execute(sqlalchemy.text(query))]
    engine.dispose()
    return rows


def gets_on(deployment: Deployment, since: list[Any] | None = None) -> list[Any]:
    """Wait until the job has written down something new; what it is."""
    query = "SELECT location FROM journal ORDER BY location"
    before = asked(deployment, query) if since is None else since
    until(lambda: asked(deployment, query) not in ([], before), 90, "the job to get on")
    return asked(deployment, query)


def process_of_the_job(deployment: Deployment) -> int:
    until(lambda: len(job_processes(deployment.home)) == 1, 60, "the job's process")
    return job_processes(deployment.home)[0]


def ends_undisturbed(deployment: Deployment, job_id: str, undisturbed: str) -> dict[str, Any]:
    """It succeeds with the very bytes of a run nobody disturbed, and leaves no journal."""
    ended = deployment.ended(job_id, 240)
    assert ended["status"] == "succeeded", ended["error"]
    assert [artifact["sha256"] for artifact in ended["artifacts"]] == [undisturbed]
    assert ended["result"]["artifact"]["sha256"] == undisturbed
    no_journal_stays(deployment)
    return ended


def no_journal_stays(deployment: Deployment) -> None:
    until(lambda: not asked(deployment, "SELECT name FROM journal"), 20, "the journal to go")
    nothing_stays(deployment)


@pytest.mark.slow
def test_worker_killed_after_some_epochs(team_server: Deployment, undisturbed: str) -> None:
    team_server.start_api()
    team_server.start_worker()
    job_id = submit(team_server)
    gets_on(team_server)
    team_server.kill("worker")
    team_server.start_worker("worker-again")
    assert ends_undisturbed(team_server, job_id, undisturbed)["attempt"] == 2


@pytest.mark.slow
def test_process_of_the_job_killed_after_some_epochs(embedded: Deployment, undisturbed: str) -> None:
    embedded.start_api()
    embedded.start_worker()
    job_id = submit(embedded)
    gets_on(embedded)
    os.kill(process_of_the_job(embedded), signal.SIGKILL)
    assert ends_undisturbed(embedded, job_id, undisturbed)["attempt"] == 2


@pytest.mark.slow
def test_worker_told_to_stop_stores_the_newest_first(embedded: Deployment, undisturbed: str) -> None:
    embedded.start_api()
    embedded.start_worker()
    job_id = submit(embedded)
    gets_on(embedded)
    embedded.kill("worker", signal.SIGTERM)
    assert embedded.processes["worker"].wait(20) == 0
    back = embedded.job(job_id)
    assert (back["status"], back["attempt"]) == ("queued", 0)
    assert asked(embedded, "SELECT name FROM journal") != []
    embedded.start_worker("worker-again")
    assert ends_undisturbed(embedded, job_id, undisturbed)["attempt"] == 1


@pytest.mark.slow
def test_three_deaths_with_progress_in_between(embedded: Deployment, undisturbed: str) -> None:
    embedded.start_api()
    embedded.start_worker()
    job_id = submit(embedded)
    written = gets_on(embedded)
    deaths: list[Callable[[], None]] = [lambda: os.kill(process_of_the_job(embedded), signal.SIGKILL)] * 3
    for number, die in enumerate(deaths, 2):
        die()
        until(lambda: embedded.job(job_id)["attempt"] == number, 60, "another attempt")  # noqa: B023
        if number <= len(deaths):
            written = gets_on(embedded, written)
    assert ends_undisturbed(embedded, job_id, undisturbed)["attempt"] == 4


@pytest.mark.slow
def test_a_job_that_dies_twice_without_getting_on_has_failed(embedded: Deployment, tmp_path: Path) -> None:
    """It measures its network before it writes anything down, and of this one that takes far longer than to kill it."""
    embedded.start_api()
    embedded.start_worker()
    network = write_slow(tmp_path / "slow.onnx", layers=300)
    job_id = embedded.submit(network, '{"track": "digits", "epochs": 400}', kind="train")["id"]
    for attempt in (1, 2):
        until(lambda: embedded.job(job_id)["attempt"] == attempt, 60, "the attempt")  # noqa: B023
        os.kill(process_of_the_job(embedded), signal.SIGKILL)
    ended = embedded.ended(job_id)
    assert (ended["status"], ended["error"]["code"]) == ("failed", "killed")
    no_journal_stays(embedded)


@pytest.mark.slow
def test_canceling_frees_the_process_within_three_seconds(team_server: Deployment) -> None:
    team_server.start_api()
    team_server.start_worker()
    job_id = submit(team_server, LONG)
    gets_on(team_server)
    with team_server.client() as client:
        assert client.post(f"/jobs/{job_id}/cancel").json()["status"] == "canceling"
    until(lambda: not job_processes(team_server.home), 3, "the process to end")
    assert team_server.ended(job_id, 3)["status"] == "canceled"
    no_journal_stays(team_server)


@pytest.mark.slow
def test_a_waiting_job_that_is_canceled_leaves_no_journal(embedded: Deployment) -> None:
    embedded.start_api()
    embedded.start_worker()
    job_id = submit(embedded, LONG)
    gets_on(embedded)
    embedded.kill("worker", signal.SIGTERM)
    assert embedded.processes["worker"].wait(20) == 0
    with embedded.client() as client:
        assert client.post(f"/jobs/{job_id}/cancel").json()["status"] == "canceled"
    embedded.start_worker("worker-again")
    no_journal_stays(embedded)


@pytest.mark.slow
def test_another_host_goes_on_from_the_store(
    embedded: Deployment, s3_server: S3Server, undisturbed: str, tmp_path: Path
) -> None:
    """Nothing is shared but database, bell and an S3 store."""
    common = {
        "MICRONET_BLOBS_URL": s3_server.url,
        "MICRONET_DATABASE_URL": f"sqlite:///{embedded.home}/micronet.db",
        "MICRONET_BROKER_URL": f"file://{embedded.home}/bell",
    }
    here, there = Deployment(embedded.home, common), Deployment(tmp_path / "elsewhere", common)
    try:
        here.start_api()
        here.start_worker()
        job_id = submit(here)
        gets_on(here)
        here.kill("worker")
        there.start_worker("worker-there")
        ended = here.ended(job_id, 240)
        assert [artifact["sha256"] for artifact in ended["artifacts"]] == [undisturbed]
        assert ended["attempt"] == 2
        until(lambda: not asked(here, "SELECT name FROM journal"), 20, "the journal to go")
    finally:
        here.stop()
        there.stop()
