"""Many small jobs queued at once by many clients: how fast they are taken, and that each is done once."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import Any

from micronet.progress import Silence
from tests.benchmarks.service.clients import Client
from tests.benchmarks.service.figures import Figure
from tests.benchmarks.service.servers import KINDS
from tests.trips.deployment import FINAL, Deployment

JOBS, CLIENTS, WORKERS = 1000, 20, 2
BOUND_RATE = 100
_PATIENCE_SECONDS = 1800.0


def queueing(directory: Path, count: int = JOBS) -> Iterator[Figure]:
    """Every job comes with its file, as people send them, while the workers work."""
    content, settings = _digits(directory)
    for index, (kind, opened) in enumerate(KINDS.items()):
        with opened(directory / f"queueing-{index}") as deployment:
            deployment.start_api()
            for worker in range(WORKERS):
                deployment.start_worker(f"worker-{worker}")
            _wait_for_workers(deployment, content, settings)
            began = perf_counter()
            ids = _queued(deployment, content, settings, count)
            queued = perf_counter() - began
            jobs = _all_ended(deployment, ids)
            total = perf_counter() - began
            starts = sum(deployment.log(f"worker-{worker}").count('"job started"') for worker in range(WORKERS))
        yield _done_once(kind, ids, jobs, starts - WORKERS)
        rate = count / queued
        yield Figure(f"accepted, {kind}", f"{rate:.0f} a second", f"{BOUND_RATE} a second", rate >= BOUND_RATE)
        yield Figure(
            f"from the first POST to the last end, {kind}", f"{total:.1f} s, {count / total:.1f} jobs a second"
        )


def _digits(directory: Path) -> tuple[bytes, str]:
    """A small real network, and the settings that count it."""
    from micronet.training.demo import train_digits

    path = directory / "digits.pth"
    settings = train_digits(path, Silence()).model_copy(update={"evaluate": False})
    return path.read_bytes(), settings.model_dump_json(exclude_unset=True)


def _wait_for_workers(deployment: Deployment, content: bytes, settings: str) -> None:
    """A job for each, one after the other: then both are listening and their runners are warm."""
    with Client(deployment) as client:
        for _ in range(WORKERS):
            client.succeeded(client.submit(content, settings))
    for worker in range(WORKERS):
        deadline = monotonic() + 60
        while '"worker ready"' not in deployment.log(f"worker-{worker}"):
            assert monotonic() < deadline, deployment.log(f"worker-{worker}")
            sleep(0.1)


def _queued(deployment: Deployment, content: bytes, settings: str, count: int) -> list[str]:
    """Ids of the jobs, which came over CLIENTS connections at once."""

    def send(share: int) -> list[str]:
        with Client(deployment) as client:
            return [client.submit(content, settings) for _ in range(share)]

    with ThreadPoolExecutor(CLIENTS) as pool:
        return [job_id for ids in pool.map(send, [count // CLIENTS] * CLIENTS) for job_id in ids]


def _all_ended(deployment: Deployment, ids: list[str]) -> list[dict[str, Any]]:
    """The jobs of these ids, as the list of jobs tells them when the last has ended."""
    wanted, deadline = set(ids), monotonic() + _PATIENCE_SECONDS
    with Client(deployment) as client:
        while True:
            jobs = [job for job in client.jobs() if job["id"] in wanted]
            if all(job["status"] in FINAL for job in jobs):
                return jobs
            assert monotonic() < deadline, Counter(job["status"] for job in jobs)
            sleep(1.0)


def _done_once(kind: str, ids: list[str], jobs: list[dict[str, Any]], starts: int) -> Figure:
    """`starts`: how often the workers began a job, by their logs."""
    ends = Counter((job["status"], job["attempt"]) for job in jobs)
    once = ends == {("succeeded", 1): len(ids)} and len(set(ids)) == len(jobs) == starts == len(ids)
    said = ", ".join(f"{many} {status} at attempt {attempt}" for (status, attempt), many in ends.items())
    what = f"{len(ids):,} jobs by {CLIENTS} clients, {WORKERS} workers, {kind}"
    return Figure(what, f"{said}; {starts} starts", "all end, none twice", once)
