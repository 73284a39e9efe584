"""docker-compose.yml on a real engine: MICRONET_TEST_DOCKER=1 python -m pytest tests/docker

It builds the image, so it is asked for. The tests run in order, on one deployment.
"""

import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from micronet.jobs import JOBS, Context
from micronet.progress import Silence
from micronet.training.demo import train_digits
from tests.docker.composed import Composed, inside, inspected
from tests.trips.deployment import free_port, until
from tests.trips.networks import UNQUANTIZED, write_slow

pytestmark = [
    pytest.mark.skipif(os.environ.get("MICRONET_TEST_DOCKER") != "1", reason="MICRONET_TEST_DOCKER=1 asks for it"),
    pytest.mark.timeout(1800),
]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    """What `docker compose up` makes of new passwords and nothing else."""
    environment = tmp_path_factory.mktemp("compose") / "env"
    port = free_port()
    lines = [f"MICRONET_{name}_PASSWORD={secrets.token_hex(24)}" for name in ("POSTGRES", "REDIS")]
    lines += [f"MICRONET_PORT=127.0.0.1:{port}", "MICRONET_TEAM=first", "MICRONET_IMAGE_TAG=test"]
    environment.write_text("\n".join(lines) + "\n")
    composed = Composed(environment, port)
    try:
        composed.compose("up", "--detach", "--build")
        found = re.search(r"mn_\S+", composed.compose("logs", "--no-color", "setup"))
        assert found is not None
        composed.token = found[0]
        yield composed
    finally:
        composed.compose("down", "--volumes", "--timeout", "5")


def test_passwords_are_demanded(tmp_path: Path) -> None:
    empty = tmp_path / "env"
    empty.write_text("")
    with pytest.raises(AssertionError, match=r"needed in \.env"):
        Composed(empty, 0).compose("config")


def test_one_command_brings_everything_up(deployment: Composed) -> None:
    deployment.wait_until_healthy()
    counts = {name: len(deployment.containers(name)) for name in ("api", "worker", "redis", "postgres", "worker-gpu")}
    assert counts == {"api": 1, "worker": 2, "redis": 1, "postgres": 1, "worker-gpu": 0}


def test_containers_are_ordinary_users_without_capabilities_on_a_root_they_cannot_write(deployment: Composed) -> None:
    for container in deployment.containers():
        status = inside(container, "cat", "/proc/1/status")
        facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert "0" not in facts["Uid"].split()
        assert all(int(facts[f"Cap{kind}"], 16) == 0 for kind in ("Prm", "Eff", "Bnd", "Amb"))
        assert facts["NoNewPrivs"] == "1"
        with pytest.raises(AssertionError, match="Read-only file system"):
            inside(container, "touch", "/written")


def test_only_the_api_has_a_port(deployment: Composed) -> None:
    (api,) = deployment.containers("api")
    for container in deployment.containers():
        published = [ports for ports in inspected(container)["NetworkSettings"]["Ports"].values() if ports]
        assert bool(published) == (container == api)


def test_nobody_but_the_api_reaches_beyond_the_network_inside(deployment: Composed) -> None:
    (api,) = deployment.containers("api")
    addresses = deployment.addresses(api)
    assert set(addresses) == {"inside", "outside"}
    for worker in deployment.containers("worker"):
        assert set(deployment.addresses(worker)) == {"inside"}
        assert reaches(worker, addresses["inside"])
        assert not reaches(worker, addresses["outside"])  # the nearest address that is not on its own network


def test_redis_and_postgres_ask_for_their_passwords(deployment: Composed) -> None:
    (redis,), (postgres,) = deployment.containers("redis"), deployment.containers("postgres")
    assert "NOAUTH" in inside(redis, "env", "-u", "REDISCLI_AUTH", "redis-cli", "ping")
    with pytest.raises(AssertionError, match="password"):
        inside(
            postgres, "psql", "-h", deployment.addresses(postgres)["inside"], "-U", "micronet", "-w", "-c", "select 1"
        )


def test_redis_writes_down_what_it_holds_and_refuses_rather_than_forgets(deployment: Composed) -> None:
    (redis,) = deployment.containers("redis")
    for setting, value in {"appendonly": "yes", "maxmemory-policy": "noeviction"}.items():
        assert inside(redis, "redis-cli", "config", "get", setting).split() == [setting, value]


def test_gpu_workers_are_given_every_nvidia_device(deployment: Composed) -> None:
    services = yaml.safe_load(deployment.compose("--profile", "gpu", "config"))["services"]
    (devices,) = services["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert (devices["driver"], devices["capabilities"]) == ("nvidia", ["gpu"])
    assert devices["count"] in {"all", -1}  # one compose writes the word, another what the engine is told


def test_jobs_are_walled_in_there_too(deployment: Composed, tmp_path: Path) -> None:
    assert deployment.ended(deployment.submit(write_slow(tmp_path / "small.onnx", 1), UNQUANTIZED))["result"]
    doctor = "".join(inside(worker, "micronet", "doctor", "--worker") for worker in deployment.containers("worker"))
    assert "ILL" not in doctor
    assert "landlock" in deployment.compose("logs", "--no-color", "worker")


def test_strangers_are_refused(deployment: Composed) -> None:
    answer = httpx.post(f"http://127.0.0.1:{deployment.port}/score", data={"settings": "{}"})
    assert answer.status_code == httpx.codes.UNAUTHORIZED


def test_a_score_from_outside_is_the_librarys(deployment: Composed, tmp_path: Path) -> None:
    checkpoint = tmp_path / "digits.pth"
    settings = train_digits(checkpoint, Silence())
    job = deployment.ended(deployment.submit(checkpoint, settings.model_dump_json(exclude_unset=True)))
    assert job["status"] == "succeeded", job["error"]
    here = JOBS["score"].run(settings, checkpoint, Context(None, "cpu", Silence()))
    assert job["result"] == here.model_dump(mode="json")


def test_a_worker_killed_in_mid_job_loses_nothing(deployment: Composed, tmp_path: Path) -> None:
    job_id = deployment.submit(write_slow(tmp_path / "slow.onnx", 100), UNQUANTIZED)
    deployment.running(job_id)
    killed = deployment.worker_of(job_id)
    subprocess.run(["docker", "kill", killed], check=True, capture_output=True)
    job = deployment.ended(job_id)
    assert (job["status"], job["attempt"]) == ("succeeded", 2), job["error"]
    assert deployment.worker_of(job_id) != killed
    deployment.compose("up", "--detach")
    deployment.wait_until_healthy()
    left = inside(killed, "sh", "-c", "ls -A /var/lib/micronet/scratch /tmp")
    assert "job-" not in left


def test_a_worker_that_dies_by_itself_is_started_again_and_loses_nothing(deployment: Composed, tmp_path: Path) -> None:
    job_id = deployment.submit(write_slow(tmp_path / "slow.onnx", 100), UNQUANTIZED)
    deployment.running(job_id)
    dying = deployment.worker_of(job_id)
    subprocess.run(["docker", "exec", dying, "sh", "-c", "kill -9 -1"], check=False, capture_output=True)
    until(lambda: inspected(dying)["RestartCount"] == 1, 60, "the engine to start it again")
    job = deployment.ended(job_id)
    assert (job["status"], job["attempt"]) == ("succeeded", 2), job["error"]
    deployment.wait_until_healthy()


def test_a_stopped_worker_hands_its_job_back(deployment: Composed, tmp_path: Path) -> None:
    job_id = deployment.submit(write_slow(tmp_path / "slow.onnx", 100), UNQUANTIZED)
    deployment.running(job_id)
    stopped = deployment.worker_of(job_id)
    subprocess.run(["docker", "stop", stopped], check=True, capture_output=True)
    assert inspected(stopped)["State"]["ExitCode"] == 0
    job = deployment.ended(job_id)
    assert job["status"] == "succeeded", job["error"]
    assert deployment.worker_of(job_id) != stopped


def test_state_outlives_the_containers(deployment: Composed, tmp_path: Path) -> None:
    job_id = deployment.submit(write_slow(tmp_path / "small.onnx", 1), UNQUANTIZED)
    before = deployment.ended(job_id)
    inside(*deployment.containers("redis"), "redis-cli", "set", "kept", "yes")
    deployment.compose("down")
    deployment.compose("up", "--detach")
    deployment.wait_until_healthy()
    assert deployment.job(job_id)["result"] == before["result"]  # and with the same token
    assert inside(*deployment.containers("redis"), "redis-cli", "get", "kept") == "yes"
    assert "mn_" not in deployment.compose("logs", "--no-color", "setup")


def reaches(container: str, address: str) -> bool:
    """Whether the API can be connected to at `address` from inside the container."""
    program = "import socket, sys; s = socket.socket(); s.settimeout(3); print(s.connect_ex((sys.argv[1], 8000)))"
    return inside(container, "python", "-c", program, address) == "0"
