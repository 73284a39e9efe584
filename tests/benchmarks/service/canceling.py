"""Cancel of a running job: how long until its process is gone."""

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, sleep

from tests.benchmarks.service.clients import Client
from tests.benchmarks.service.figures import Figure, median_and_worst
from tests.benchmarks.service.servers import KINDS
from tests.trips.deployment import Deployment
from tests.trips.networks import UNQUANTIZED, write_slow
from tests.trips.processes import job_processes

BOUND_SECONDS = 3.0
_LAYERS = 200  # minutes, if nobody stopped it
_POLL_SECONDS = 0.01


def canceling(directory: Path, times: int = 5) -> Iterator[Figure]:
    """A job that computes is canceled, some times over."""
    content = write_slow(directory / "endless.onnx", _LAYERS).read_bytes()
    for index, (kind, opened) in enumerate(KINDS.items()):
        with opened(directory / f"canceling-{index}") as deployment:
            deployment.start_api()
            deployment.start_worker()
            with Client(deployment) as client:
                seen = [_seconds(deployment, client, content) for _ in range(times)]
        gone, told = [times[0] for times in seen], [times[1] for times in seen]
        yield Figure(
            f"from cancel to the process gone, {kind}, {len(seen)} times",
            median_and_worst(gone),
            f"{BOUND_SECONDS:g} s",
            max(gone) < BOUND_SECONDS,
        )
        yield Figure(f"from cancel to canceled, {kind}", median_and_worst(told))


def _seconds(deployment: Deployment, client: Client, content: bytes) -> tuple[float, float]:
    """Until the process is gone, and until the job says canceled."""
    job_id = client.submit(content, UNQUANTIZED)
    deployment.running(job_id)
    assert job_processes(deployment.home)
    started = perf_counter()
    client.cancel(job_id)
    while job_processes(deployment.home):
        sleep(_POLL_SECONDS)
    gone = perf_counter() - started
    assert client.ended(job_id)["status"] == "canceled"
    return gone, perf_counter() - started
