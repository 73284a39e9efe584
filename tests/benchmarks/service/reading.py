"""GET /jobs/{id} at a fixed rate while that job computes: does everybody get an answer, and what does the job lose?"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from pathlib import Path
from statistics import mean
from typing import Any

from tests.benchmarks.service.clients import Client
from tests.benchmarks.service.figures import Figure
from tests.benchmarks.service.processes import cpu_seconds
from tests.benchmarks.service.servers import KINDS
from tests.trips.deployment import Deployment
from tests.trips.networks import UNQUANTIZED, write_slow

RATE = 200
BOUND_SECONDS, BOUND_SLOWED = 0.05, 0.10
_LONGER = 1.5  # the job has to outlast the load, on a machine that does other things too
_FEW_LAYERS = 12
_TRIAL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Loaded:
    """A load, as it saw the server; what the API used meanwhile, and how long the job took in all. Seconds."""

    load: dict[str, Any]
    api_cpu: float
    job_seconds: float


def reading(directory: Path, seconds: float = 60) -> Iterator[Figure]:
    """The same job alone, under load, under load with ETags, and alone again."""
    for index, (kind, opened) in enumerate(KINDS.items()):
        with opened(directory / f"reading-{index}") as deployment:
            deployment.start_api()
            deployment.start_worker()
            with Client(deployment) as client:
                content = _network(directory, client, _LONGER * seconds)
                before = _alone(client, content)
                plain = _loaded(deployment, client, content, seconds, tagged=False)
                tagged = _loaded(deployment, client, content, seconds, tagged=True)
                alone = mean((before, _alone(client, content)))
        yield Figure(f"the job alone, {kind}, first and last", f"{before:.1f} s, {2 * alone - before:.1f} s")
        yield from _figures(kind, plain, alone, seconds)
        yield from _figures(f"{kind}, If-None-Match", tagged, alone, seconds)


def _network(directory: Path, client: Client, seconds: float) -> bytes:
    """One whose evaluation takes about so long, from the time of a smaller one, and of a small one before that."""
    layers = _FEW_LAYERS
    _alone(client, write_slow(directory / "few.onnx", layers).read_bytes())
    for wanted in (_TRIAL_SECONDS, seconds):
        content = write_slow(directory / "trial.onnx", layers).read_bytes()
        layers = ceil(layers * wanted / _alone(client, content))
    return write_slow(directory / "slow.onnx", layers).read_bytes()


def _alone(client: Client, content: bytes) -> float:
    return _seconds(client.succeeded(client.submit(content, UNQUANTIZED)))


def _loaded(deployment: Deployment, client: Client, content: bytes, seconds: float, tagged: bool) -> Loaded:
    job_id = client.submit(content, UNQUANTIZED)
    deployment.running(job_id)
    api = deployment.processes["api"].pid
    client.hang_up()
    used = cpu_seconds(api)
    answer = [str(deployment.port), f"/jobs/{job_id}", str(RATE), str(seconds), "yes" if tagged else "no"]
    command = [sys.executable, "-m", "tests.benchmarks.service.load", *answer]
    load = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    used = cpu_seconds(api) - used
    assert client.job(job_id)["status"] == "running", "the job has to outlast the load"
    return Loaded(load, used, _seconds(client.succeeded(job_id)))


def _seconds(job: dict[str, Any]) -> float:
    started, finished = (datetime.fromisoformat(job[name]) for name in ("started_at", "finished_at"))
    return (finished - started).total_seconds()


def _figures(kind: str, loaded: Loaded, alone: float, seconds: float) -> Iterator[Figure]:
    load, slowed = loaded.load, (loaded.job_seconds - alone) / seconds
    requests = load["requests"]
    times = ", ".join(f"{name} {1000 * load[name]:.1f} ms" for name in ("p50", "p99", "max"))
    what = f"{RATE} GET /jobs/{{id}} a second for {seconds:g} s, {kind}"
    yield Figure(what, f"{load['errors']} errors in {requests:,} ({load['statuses']})", "no error", load["errors"] == 0)
    yield Figure(f"time of an answer, {kind}", times, "p99 under 50 ms", load["p99"] < BOUND_SECONDS)
    yield Figure(f"the job lost of each loaded second, {kind}", f"{slowed:.1%}", "under 10 %", slowed < BOUND_SLOWED)
    yield Figure(
        f"CPU of a request, {kind}",
        f"{1000 * loaded.api_cpu / requests:.2f} ms in the API, "
        f"{1000 * load['cpu_seconds'] / requests:.2f} ms in the load itself ({load['cpu_seconds']:.1f} s)",
    )
