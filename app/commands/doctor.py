"""What is wrong with a deployment."""

import os
import platform
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import closing, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.options import DataDir, Home
from app.commands.serving import read_settings, unread_variables
from app.reporting import reported
from app.tables import show_rows, wide_console

if TYPE_CHECKING:
    from worker.records import Records
    from worker.records.values import WorkerSeen
    from worker.settings import Settings

GIBI = 1 << 30
Check = Callable[["Settings"], str]
Workers = list["WorkerSeen"]
_FOLDERS = {"cifar100": "cifar-100-python", "cifar10": "cifar-10-batches-py"}
"""Of data sets that are not in a directory of their own name."""
_EMBEDDED = "digits"
_ILL = "ILL"
_LANES = {"both": "short and long"}
_LOOK_SECONDS = 0.2  # between looks for signs of life


class Ailing(Exception):
    """What is wrong, and what would help."""


class Doubtful(Exception):
    """What works, and may be meant otherwise."""


def doctor(
    home: Home = None,
    data: DataDir = None,
    worker: Annotated[bool, typer.Option("--worker", help="Only: does a worker of this host live?")] = False,
) -> None:
    """Say what is wrong with a deployment, part by part. Exits with 1 if anything is."""
    with reported(as_json=False):
        settings = read_settings(home, data)
    checks = {"workers here": _workers_here} if worker else CHECKS
    with redirect_stdout(sys.stderr):  # what is asked may log, and that is no part of the answer
        rows = [(name, *_finding(check, settings)) for name, check in checks.items()]
    show_rows(("part", "", "finding"), iter(rows), wide_console())
    if any(state == _ILL for _, state, _ in rows):
        raise typer.Exit(1)


def _finding(check: Check, settings: "Settings") -> tuple[str, str]:
    try:
        return "well", check(settings)
    except Doubtful as doubt:
        return "WARN", str(doubt)
    except Exception as error:  # whatever it is, finding it is what this command is for
        return _ILL, str(error) or repr(error)


def _environment(settings: "Settings") -> str:
    unread = unread_variables()
    if unread:
        meant = (f"{name} is no setting" + (f" ({nearest} is)" if nearest else "") for name, nearest in unread.items())
        raise Doubtful("; ".join(meant))
    return f"state in {settings.home}"


def _records(settings: "Settings") -> "closing[Records]":
    """As they are: who asks makes no tables, and changes none."""
    from worker.records import Records
    from worker.records.migrate import check_version

    return closing(Records(settings.database, patience=2, prepare=check_version))


def _database(settings: "Settings") -> str:
    from worker.records import Records
    from worker.records.migrate import check_usable

    with closing(Records(settings.database, patience=2, prepare=check_usable)) as records:
        waiting = sum(n for (_, _, status), n in records.jobs.counts().items() if status == "queued")
        return f"{records.database.place}, {waiting} jobs waiting"


def _broker(settings: "Settings") -> str:
    from worker.celery_app import make_celery
    from worker.urls import directory_of

    directory = directory_of(settings.broker)
    if directory is not None and not directory.exists():
        return f"{directory}, which is made by who first uses it"
    connection = make_celery(settings.broker).connection_for_write()
    with connection:
        connection.ensure_connection(max_retries=1, timeout=3)
        if connection.transport.driver_type == "redis":
            check_policy(connection.default_channel.client)
        return str(directory or connection.as_uri())


def check_policy(client: Any) -> None:
    """Raise Ailing where this Redis may throw bells away, Doubtful where it does not say."""
    from redis.exceptions import ResponseError

    try:
        policy = client.config_get("maxmemory-policy").get("maxmemory-policy")
    except ResponseError as error:  # as of those that somebody else runs
        raise Doubtful("answers, but not what its maxmemory-policy is, which has to be noeviction") from error
    if policy != "noeviction":
        raise Ailing(f"maxmemory-policy is {policy}: set it to noeviction, or bells are thrown away")


def _blobs(settings: "Settings") -> str:
    from worker.belonging import are_together
    from worker.blobs import open_blobs
    from worker.urls import directory_of

    directory = directory_of(settings.blobs)
    if directory is not None and not directory.exists():
        raise Ailing(f"there is no {directory} yet: a server makes it when it starts")
    blobs = open_blobs(settings.blobs, settings.scratch)
    blobs.check()
    with _records(settings) as records:
        are_together(records, blobs)
    free = blobs.free_bytes() or 0
    if free < settings.min_free_bytes:
        raise Ailing(f"{free / GIBI:.1f} GiB free: uploads are refused below {settings.min_free_bytes / GIBI:.1f} GiB")
    said = f"written and read; {free / GIBI:.1f} GiB free"
    if directory is not None:
        _check_disk(settings, directory, said)
    return said


def _check_disk(settings: "Settings", directory: Path, said: str) -> None:
    """Files go by their age and their sum; neither does anything for a disk that is full before."""
    disk = shutil.disk_usage(directory).total
    if settings.blob_bytes + settings.min_free_bytes > disk:
        most = f"MICRONET_BLOB_BYTES is {settings.blob_bytes / GIBI:.1f} GiB, and the disk has {disk / GIBI:.1f} in all"
        raise Doubtful(f"{said}; {most}: it may be full, and uploads refused, before the oldest files go")


def _data(settings: "Settings") -> str:
    from micronet.tracks import tracks

    data = settings.data
    if data is None:
        raise Ailing("MICRONET_DATA is not set: only track digits can be measured; `micronet download cifar100`")
    if not data.is_dir():
        raise Ailing(f"{data}: there is no such directory, so only track digits can be measured")
    known = dict.fromkeys(track.dataset for track in tracks(data).values() if track.dataset != _EMBEDDED)
    here = [name for name in known if (data / _FOLDERS.get(name, name)).is_dir()]
    missing = [name for name in known if name not in here]
    if not here:
        raise Ailing(f"no data set in {data}: `micronet download cifar100` fetches one; missing: {', '.join(missing)}")
    return f"{data}: {', '.join(here)}" + (f"; missing: {', '.join(missing)}" if missing else "")


def _workers(settings: "Settings") -> str:
    from worker.devices import SILENT

    living, still = _told_apart(settings, lambda _: True, lambda _, still: not still)
    if still:
        names = ", ".join(worker.id for worker in still)
        raise Ailing(f"no sign of life in {_longest(settings):g} seconds of {names}; living: {len(living)}")
    if not living:
        raise Ailing("no worker lives: `micronet worker` starts one, `micronet serve` one with its API")
    lines = [
        f"{worker.id} ({_LANES.get(worker.lanes, worker.lanes)}; {', '.join(worker.devices)}; "
        f"{', '.join(worker.isolation) or 'NO ISOLATION'})"
        for worker in living
    ]
    said = "; ".join(lines)
    if any(device.endswith(SILENT) for worker in living for device in worker.devices):
        raise Ailing(f"jobs could not use a device: see that worker's log, and `micronet doctor` there; living: {said}")
    if waiting := _nobodys(settings, living):
        raise Ailing(
            f"no worker takes {' or '.join(waiting)} jobs, and some wait: start one with --kinds; living: {said}"
        )
    return said


def _nobodys(settings: "Settings", living: Workers) -> list[str]:
    """Lanes in which jobs wait, and that no worker takes."""
    with _records(settings) as records:
        waiting = {lane for (_, lane, status) in records.jobs.counts() if status == "queued"}
    return sorted(lane for lane in waiting if not any(worker.lanes in (lane, "both") for worker in living))


def _workers_here(settings: "Settings") -> str:
    host = platform.node()
    living, still = _told_apart(settings, lambda worker: worker.host == host, lambda living, _: bool(living))
    if not living:
        when = f" in {_longest(settings):g} seconds" if still else ""
        raise Ailing(f"no worker of {host} has given a sign of life{when}")
    return ", ".join(worker.id for worker in living)


def _told_apart(
    settings: "Settings", asked: Callable[["WorkerSeen"], bool], enough: Callable[[Workers, Workers], bool]
) -> tuple[Workers, Workers]:
    """Workers that give a sign of life while this looks, and those that do not: until that is `enough`, or longest."""
    with _records(settings) as records:
        before = frozenset((worker.id, worker.beat) for worker in records.workers.all())
        deadline = time.monotonic() + _longest(settings)
        while True:
            workers = [worker for worker in records.workers.all() if asked(worker)]
            living = [worker for worker in workers if (worker.id, worker.beat) not in before]
            still = [worker for worker in workers if (worker.id, worker.beat) in before]
            if not workers or enough(living, still) or time.monotonic() > deadline:
                return living, still
            time.sleep(_LOOK_SECONDS)


def _longest(settings: "Settings") -> float:
    """How long a sign of life is waited for: there is time for two."""
    return 2 * settings.reconcile_seconds


def _devices(settings: "Settings") -> str:
    from worker.devices import NoDriver, devices_found

    try:
        found = devices_found(settings.slots)
    except NoDriver as error:
        raise Ailing(f"{error}; a worker that is started here uses no GPU") from error
    return ", ".join(found) + f" ({os.cpu_count()} processors)"


CHECKS: dict[str, Check] = {
    "environment": _environment,
    "database": _database,
    "broker": _broker,
    "blobs": _blobs,
    "data sets": _data,
    "workers": _workers,
    "devices here": _devices,
}
