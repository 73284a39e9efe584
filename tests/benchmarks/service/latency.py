"""From POST to succeeded on a job that only counts, against the library in a warm process."""

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter

from tests.benchmarks.service.clients import Client, published
from tests.benchmarks.service.figures import Figure, median_and_worst
from tests.benchmarks.service.servers import KINDS
from tests.benchmarks.service.warm_library import WarmLibrary

CHECKPOINT = "kaist_v2_pr45.onnx"
SETTINGS = json.dumps({"policy": "challenge", "bits": None, "evaluate": False})
BOUND_SECONDS = 0.5
_WARM_UPS = 3


def latency(directory: Path, times: int = 20) -> Iterator[Figure]:
    """Library and server in turns, so that whatever else the machine does falls on both."""
    file = published(CHECKPOINT)
    content = file.read_bytes()
    for index, (kind, opened) in enumerate(KINDS.items()):
        with opened(directory / f"latency-{index}") as deployment, WarmLibrary(file, SETTINGS) as library:
            deployment.start_api()
            deployment.start_worker()
            with Client(deployment) as client:
                for _ in range(_WARM_UPS):
                    _served_seconds(client, content)
                turns = [(library.seconds(), _served_seconds(client, content)) for _ in range(times)]
        yield from _figures(kind, turns)


def _served_seconds(client: Client, content: bytes) -> float:
    started = perf_counter()
    client.succeeded(client.submit(content, SETTINGS))
    return perf_counter() - started


def _figures(kind: str, turns: list[tuple[float, float]]) -> Iterator[Figure]:
    library, served = [turn[0] for turn in turns], [turn[1] for turn in turns]
    more = [ours - alone for alone, ours in turns]
    yield Figure(f"{CHECKPOINT}, counting, in a warm process of the library", median_and_worst(library))
    yield Figure(f"the same from POST to succeeded, {kind}, {len(turns)} times", median_and_worst(served))
    yield Figure(
        f"more than the library, {kind}", median_and_worst(more), f"{BOUND_SECONDS} s", median(more) <= BOUND_SECONDS
    )
