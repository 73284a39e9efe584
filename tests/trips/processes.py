"""Finding the processes of a deployment, and what they left behind."""

import os
from contextlib import suppress
from pathlib import Path

import sqlalchemy

from tests.trips.deployment import Deployment, until


def job_processes(home: Path) -> list[int]:
    """Processes that run a job of this home: they work in its scratch directory."""
    scratch = str(home / "scratch") + "/"
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                directory = os.readlink(entry / "cwd")
            except OSError:
                continue
            if directory.removesuffix(" (deleted)").startswith(scratch):
                found.append(int(entry.name))
    return found


def children(pid: int) -> list[int]:
    """Direct children of a process."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                status = (entry / "stat").read_text()
            except OSError:
                continue
            if int(status.rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry.name))
    return found


def left_behind(deployment: Deployment) -> list[str]:
    """Files and directories of jobs and uploads that are over: everything in scratch, and blobs without a record."""
    url = deployment.environment.get("MICRONET_DATABASE_URL", f"sqlite:///{deployment.home}/micronet.db")
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        known = {row[0] for row in connection.execute(sqlalchemy.text("SELECT location FROM blobs"))}
    engine.dispose()
    blobs = deployment.home / "blobs"
    unknown = [str(path) for path in blobs.glob("??/*") if str(path.relative_to(blobs)) not in known]
    scratch = deployment.home / "scratch"
    return unknown + [str(path) for path in scratch.glob("**/*") if path != scratch / "partials"]


def nothing_stays(deployment: Deployment) -> None:
    """Every temporary file goes, and every job's process; within a few sweeps, and a day for files without a record."""
    for path in (deployment.home / "blobs").glob("??/*"):
        with suppress(FileNotFoundError):  # a sweep was faster
            if path.stat().st_mode & 0o777 == 0o440:
                path.chmod(0o400)  # as a sweep marks what no record knows
            os.utime(path, (0, 0))
    until(lambda: not left_behind(deployment), 20, lambda: f"sweep of {left_behind(deployment)}")
    until(lambda: not job_processes(deployment.home), 5, lambda: f"end of {job_processes(deployment.home)}")
