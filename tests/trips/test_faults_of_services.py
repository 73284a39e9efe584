"""Broker, database, disk and clock fail. Every accepted job ends, once."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from tests.trips.deployment import Deployment, until
from tests.trips.networks import UNQUANTIZED, write_slow
from tests.trips.processes import nothing_stays
from tests.trips.services import PostgresServer, RedisServer, needed
from worker.celery_app import CeleryBell

Digits = tuple[Path, str]


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network whose evaluation takes some seconds."""
    return write_slow(tmp_path_factory.mktemp("slow") / "slow.onnx", layers=10)


def test_redis_stopped_flushed_and_started_again(
    team_server: Deployment, redis_server: RedisServer, slow: Path, digits: Digits
) -> None:
    team_server.start_api()
    team_server.start_worker()
    running = team_server.submit(slow, UNQUANTIZED)
    team_server.running(running["id"])
    waiting = team_server.submit(*digits)
    redis.Redis.from_url(redis_server.url).flushall()
    redis_server.stop()
    unrung = team_server.submit(*digits)
    assert team_server.ended(unrung["id"])["status"] == "succeeded"  # with no broker at all
    redis_server.start()
    late = team_server.submit(*digits)
    for job in (running, waiting, unrung, late):
        ended = team_server.ended(job["id"])
        assert (ended["status"], ended["attempt"]) == ("succeeded", 1)
    nothing_stays(team_server)


def test_worker_started_before_its_broker(team_server: Deployment, redis_server: RedisServer, digits: Digits) -> None:
    redis_server.stop()
    team_server.start_api()
    team_server.start_worker()
    job = team_server.submit(*digits)
    assert team_server.ended(job["id"])["status"] == "succeeded"
    team_server.kill("worker", signal.SIGTERM)
    assert team_server.processes["worker"].wait(20) == 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
def test_postgresql_restarted(
    team_server: Deployment, postgres_server: PostgresServer, slow: Path, digits: Digits, how: int
) -> None:
    team_server.start_api()
    team_server.start_worker()
    running = team_server.submit(slow, UNQUANTIZED)
    team_server.running(running["id"])
    postgres_server.stop(how)
    with team_server.client() as client:
        answer = client.get(f"/jobs/{running['id']}")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    postgres_server.start()
    until(lambda: team_server.client().get("/health/ready").is_success, 20, "the API to be ready again")
    after = team_server.submit(*digits)
    for job in (running, after):
        assert team_server.ended(job["id"])["status"] == "succeeded"
    assert team_server.job(running["id"])["attempt"] == 1
    nothing_stays(team_server)


def test_bells_doubled_late_and_never(deployment: Deployment, digits: Digits) -> None:
    deployment.start_api()
    deployment.start_worker()
    first = deployment.submit(*digits)
    broker = deployment.environment.get("MICRONET_BROKER_URL", f"file://{deployment.home}/bell")
    bell = CeleryBell(broker)
    for _ in range(5):
        bell.ring(first["id"], "short")
    assert deployment.ended(first["id"])["attempt"] == 1
    bell.ring(first["id"], "short")  # late: it has ended
    bell.close()
    silent = Deployment(deployment.home, {**deployment.environment, "MICRONET_BROKER_URL": "redis://127.0.0.1:1/0"})
    try:
        silent.start_api("silent-api")
        never = silent.submit(*digits)
        assert silent.ended(never["id"])["attempt"] == 1
    finally:
        silent.stop()
    assert deployment.job(first["id"])["attempt"] == 1
    nothing_stays(deployment)


def test_disk_full_on_upload(embedded: Deployment, tmp_path: Path, digits: Digits) -> None:
    with small_disk(tmp_path / "small", 24) as disk:
        small = Deployment(embedded.home, {"MICRONET_BLOBS_URL": f"file://{disk}", "MICRONET_MIN_FREE_BYTES": "0"})
        try:
            small.start_api()
            small.start_worker()
            with small.client() as client:
                files = {"checkpoint": ("big.pth", os.urandom(48 << 20))}
                answer = client.post("/score", data={"settings": digits[1]}, files=files)
            assert (answer.status_code, answer.json()["code"]) == (507, "storage-full")
            assert not list(disk.glob("??/*"))
            assert small.ended(small.submit(*digits)["id"])["status"] == "succeeded"
        finally:
            small.stop()


def test_disk_of_the_records_full_when_the_result_comes(embedded: Deployment, tmp_path: Path, slow: Path) -> None:
    with small_disk(tmp_path / "small", 24) as disk:
        small = Deployment(embedded.home, {"MICRONET_DATABASE_URL": f"sqlite:///{disk}/micronet.db"})
        try:
            small.start_api()
            small.start_worker()
            job = small.submit(slow, UNQUANTIZED)
            small.running(job["id"])
            fill(disk / "filler")
            until(lambda: "end not recorded yet" in small.log("worker"), 60, "the result to find no room")
            (disk / "filler").unlink()
            ended = small.ended(job["id"])
            assert (ended["status"], ended["attempt"]) == ("succeeded", 1)
            nothing_stays(small)
        finally:
            small.stop()


def test_every_disk_full_when_the_result_comes(tmp_path: Path, slow: Path) -> None:
    with small_disk(tmp_path / "small", 24) as disk:
        small = Deployment(disk / "home", {"MICRONET_MIN_FREE_BYTES": "0"}, logs=tmp_path)
        try:
            small.start_api()
            small.start_worker()
            job = small.submit(slow, UNQUANTIZED)
            small.running(job["id"])
            fill(disk / "filler")
            until(lambda: "job ended" in small.log("worker"), 60, "the result to find no room")
            (disk / "filler").unlink()
            ended = small.ended(job["id"])
            error = ended["error"]
            assert (ended["status"], error["code"], error["yours"], error["retryable"]) == (
                "failed",
                "disk-full",
                False,
                True,
            )
            nothing_stays(small)
        finally:
            small.stop()


def test_the_clock_goes_back_in_mid_job(embedded: Deployment, tmp_path: Path, slow: Path, digits: Digits) -> None:
    library, clock = tmp_path / "clock.so", tmp_path / "clock"
    source = Path(__file__).with_name("clock.c")
    subprocess.run([needed("cc"), "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    clock.write_text("0")
    shifted = {"LD_PRELOAD": str(library), "SHIFTED_CLOCK": str(clock)}
    embedded.start_api(**shifted)
    embedded.start_worker(**shifted)
    job = embedded.submit(slow, UNQUANTIZED)
    began = embedded.running(job["id"])
    clock.write_text("-3600")
    later = embedded.submit(*digits)
    ended = embedded.ended(job["id"])
    assert (ended["status"], ended["attempt"]) == ("succeeded", 1)
    assert ended["finished_at"] < began["started_at"]  # it really went back
    clock.write_text("7200")
    assert embedded.ended(later["id"])["attempt"] == 1
    nothing_stays(embedded)


def fill(path: Path) -> None:
    """Write until there is no room, to the last page."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (1 << 20, 1 << 12):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass


@contextmanager
def small_disk(directory: Path, mebibytes: int) -> Iterator[Path]:
    """A file system of its own with so much room; skipped where mounting is not allowed."""
    directory.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(directory)]
    if mount is None or subprocess.run([mount, *options], check=False, capture_output=True).returncode != 0:
        pytest.skip("a small disk needs the right to mount one")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)
