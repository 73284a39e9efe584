"""Processes of a server are killed at the worst moments. Every accepted job ends, once, and nothing stays behind."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.trips.deployment import BRISK, Deployment, until
from tests.trips.networks import UNQUANTIZED, write_slow
from tests.trips.processes import children, job_processes, nothing_stays

Digits = tuple[Path, str]


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network whose evaluation takes some seconds."""
    return write_slow(tmp_path_factory.mktemp("slow") / "slow.onnx", layers=10)


def test_api_killed_while_uploading(embedded: Deployment, digits: Digits) -> None:
    embedded.start_api()
    head = f"POST /score HTTP/1.1\r\nHost: 127.0.0.1:{embedded.port}\r\nContent-Length: 50000000\r\n"
    head += "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    head += '--b\r\nContent-Disposition: form-data; name="checkpoint"; filename="a.pth"\r\n\r\n'
    with socket.create_connection(("127.0.0.1", embedded.port)) as half:
        half.sendall(head.encode() + b"x" * 8_000_000)
        until(lambda: any((embedded.home / "blobs").glob("??/*")), 10, "the file to be begun")
        embedded.kill("api")
    embedded.start_api("api-again")
    embedded.start_worker()
    job = embedded.submit(*digits)
    assert embedded.ended(job["id"])["status"] == "succeeded"
    nothing_stays(embedded)


def test_worker_killed_between_claim_and_start(team_server: Deployment, digits: Digits) -> None:
    team_server.start_api()
    job = team_server.submit(*digits)
    (blob,) = (team_server.home / "blobs").glob("??/*")
    aside = team_server.home / "aside"  # out of a sweep's way
    blob.rename(aside)
    os.mkfifo(blob)  # whoever opens it waits: after the claim, before the start
    team_server.start_worker()
    until(lambda: team_server.job(job["id"])["status"] == "running", 30, "the claim")
    team_server.kill("worker")
    blob.unlink()
    aside.rename(blob)
    team_server.start_worker("worker-again")
    ended = team_server.ended(job["id"])
    assert (ended["status"], ended["attempt"]) == ("succeeded", 2)
    nothing_stays(team_server)


def test_supervisor_killed_in_mid_job(embedded: Deployment, slow: Path) -> None:
    embedded.start_api()
    embedded.start_worker()
    job = embedded.submit(slow, UNQUANTIZED)
    embedded.running(job["id"])
    embedded.kill("worker")
    until(lambda: not job_processes(embedded.home), 5, "the job's process to end with its supervisor")
    embedded.start_worker("worker-again")
    ended = embedded.ended(job["id"])
    assert (ended["status"], ended["attempt"]) == ("succeeded", 2)
    nothing_stays(embedded)


def test_a_worker_that_beats_less_often_than_others_would_keeps_its_job(
    team_server: Deployment, digits: Digits
) -> None:
    team_server.start_api()
    job = team_server.submit(*digits)
    (blob,) = (team_server.home / "blobs").glob("??/*")
    content = blob.read_bytes()
    blob.unlink()
    os.mkfifo(blob)  # whoever opens it waits, with the job
    team_server.start_worker("patient", MICRONET_LEASE_SECONDS="90", MICRONET_BEAT_SECONDS="30")
    until(lambda: team_server.job(job["id"])["status"] == "running", 30, "the claim")
    team_server.start_worker("hasty")
    until(lambda: "worker ready" in team_server.log("hasty"), 60, "the other worker")
    time.sleep(3 * float(BRISK["MICRONET_LEASE_SECONDS"]))
    blob.write_bytes(content)
    ended = team_server.ended(job["id"])
    assert (ended["status"], ended["attempt"]) == ("succeeded", 1)


def test_a_job_whose_workers_all_die_fails_with_its_cause(embedded: Deployment, slow: Path) -> None:
    embedded.start_api()
    job = embedded.submit(slow, UNQUANTIZED)
    for attempt in (1, 2):
        embedded.start_worker(f"worker-{attempt}")
        until(lambda: embedded.job(job["id"])["attempt"] == attempt, 60, "the claim")  # noqa: B023
        embedded.running(job["id"])
        embedded.kill(f"worker-{attempt}")
    embedded.start_worker("worker-3")
    ended = embedded.ended(job["id"])
    assert (ended["status"], ended["error"]["code"], ended["error"]["yours"]) == ("failed", "worker-lost", False)
    nothing_stays(embedded)


def test_job_killed_once_is_tried_again_and_twice_has_failed(embedded: Deployment, slow: Path) -> None:
    embedded.start_api()
    embedded.start_worker()
    once, twice = embedded.submit(slow, UNQUANTIZED), embedded.submit(slow, UNQUANTIZED)
    for job, attempts in ((once, [1]), (twice, [1, 2])):
        for attempt in attempts:
            until(lambda: embedded.job(job["id"])["attempt"] == attempt, 60, "the attempt")  # noqa: B023
            embedded.running(job["id"])
            (pid,) = job_processes(embedded.home)
            os.kill(pid, signal.SIGKILL)
        ended = embedded.ended(job["id"])
        if job is once:
            assert (ended["status"], ended["attempt"]) == ("succeeded", 2)
        else:
            assert (ended["status"], ended["error"]["code"], ended["error"]["retryable"]) == ("failed", "killed", True)
    nothing_stays(embedded)


def test_spare_killed_in_mid_job(embedded: Deployment, slow: Path) -> None:
    embedded.start_api()
    embedded.start_worker()
    job = embedded.submit(slow, UNQUANTIZED)
    embedded.running(job["id"])
    (spare,) = children(embedded.processes["worker"].pid)
    os.kill(spare, signal.SIGKILL)
    ended = embedded.ended(job["id"])
    assert (ended["status"], ended["attempt"]) == ("succeeded", 2)
    nothing_stays(embedded)


def test_a_crash_is_a_failed_job_and_the_worker_goes_on(embedded: Deployment, slow: Path, digits: Digits) -> None:
    embedded.start_api()
    embedded.start_worker()
    job = embedded.submit(slow, UNQUANTIZED)
    embedded.running(job["id"])
    (pid,) = job_processes(embedded.home)
    os.kill(pid, signal.SIGSEGV)
    ended = embedded.ended(job["id"])
    assert (ended["status"], ended["error"]["code"], ended["attempt"]) == ("failed", "crashed", 1)
    assert embedded.ended(embedded.submit(*digits)["id"])["status"] == "succeeded"


def test_worker_told_to_stop_gives_its_job_back_unharmed(team_server: Deployment, slow: Path) -> None:
    team_server.start_api()
    team_server.start_worker()
    job = team_server.submit(slow, UNQUANTIZED)
    team_server.running(job["id"])
    team_server.kill("worker", signal.SIGTERM)
    assert team_server.processes["worker"].wait(15) == 0
    back = team_server.job(job["id"])
    assert (back["status"], back["attempt"], back["started_at"], back["stage"]) == ("queued", 0, None, None)
    team_server.start_worker("worker-again")
    ended = team_server.ended(job["id"])
    assert (ended["status"], ended["attempt"]) == ("succeeded", 1)
    nothing_stays(team_server)


def test_canceling_frees_the_process_within_three_seconds(embedded: Deployment, slow: Path) -> None:
    embedded.start_api()
    embedded.start_worker()
    job = embedded.submit(slow, UNQUANTIZED)
    embedded.running(job["id"])
    with embedded.client() as client:
        assert client.post(f"/jobs/{job['id']}/cancel").json()["status"] == "canceling"
    until(lambda: not job_processes(embedded.home), 3, "the process to end")
    ended = embedded.ended(job["id"], 3)
    assert (ended["status"], ended["result"]) == ("canceled", None)
    nothing_stays(embedded)


def test_two_servers_on_one_database(deployment: Deployment, digits: Digits) -> None:
    deployment.start_api()
    second = Deployment(deployment.home, deployment.environment)
    try:
        second.start_api("second-api")
        deployment.start_worker()
        second.start_worker("second-worker")
        counting = digits[1][:-1] + ', "evaluate": false}'
        jobs = [one.submit(digits[0], counting)["id"] for _ in range(10) for one in (deployment, second)]
        ended = [deployment.ended(job_id) for job_id in jobs]
        assert {(job["status"], job["attempt"]) for job in ended} == {("succeeded", 1)}
        nothing_stays(deployment)
    finally:
        second.stop()
