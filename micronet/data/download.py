"""Fetch an official archive into the data directory: checked first, then unpacked member by member."""

import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import httpx

from micronet.data.archives import ARCHIVES, OFFICIAL_SITE, Archive, how_to_get
from micronet.errors import DatasetCorrupt, DatasetMissing

# Called with the bytes that have come and the bytes there are.
Progress = Callable[[int, int], None]

_TIMEOUT = httpx.Timeout(30.0)


def no_progress(done: int, total: int) -> None:
    """A `Progress` that tells nobody."""


def download(dataset: str, data_dir: Path, progress: Progress = no_progress, base_url: str = OFFICIAL_SITE) -> Path:
    """Fetch `dataset` ("cifar100" or "cifar10") into `data_dir` and return its folder there.

    What is already complete is left as it is. Raises DatasetMissing, saying what to do by hand, for a data set that
    cannot be fetched (no network, no space, no archive of it), and DatasetCorrupt for an archive that is not the
    published one.
    """
    archive = ARCHIVES.get(dataset)
    if archive is None:
        raise DatasetMissing(
            f"{dataset!r} cannot be fetched, only {' and '.join(ARCHIVES)}; put its files in {data_dir}"
        )
    return fetch(archive, data_dir, progress, base_url)


def fetch(archive: Archive, data_dir: Path, progress: Progress = no_progress, base_url: str = OFFICIAL_SITE) -> Path:
    """`download`, of any archive.

    Everything happens in a temporary directory beside the folder. Files appear in the folder whole or not at all, and
    after an error nothing is left behind.
    """
    folder = data_dir / archive.folder
    if all((folder / name).is_file() for name in archive.members):
        return folder
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=data_dir) as temporary:
            packed = Path(temporary) / archive.filename
            _transfer(f"{base_url.rstrip('/')}/{archive.filename}", packed, archive, progress)
            unpacked = _unpack(packed, archive, Path(temporary))
            folder.mkdir(exist_ok=True)
            for name in archive.members:
                os.replace(unpacked / name, folder / name)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        reason = str(error) or type(error).__name__
        raise DatasetMissing(
            f"{archive.filename} could not be fetched ({reason}); {how_to_get(archive, data_dir)}"
        ) from error
    return folder


def _transfer(url: str, target: Path, archive: Archive, progress: Progress) -> None:
    """Stream `url` to `target`. Raises DatasetCorrupt unless size and MD5 are the archive's."""
    digest, done = hashlib.md5(usedforsecurity=False), 0
    with httpx.stream("GET", url, follow_redirects=True, timeout=_TIMEOUT) as response, target.open("wb") as file:
        response.raise_for_status()
        for block in response.iter_raw(1 << 20):
            done += len(block)
            if done > archive.size:
                raise DatasetCorrupt(f"{url} is longer than the {archive.size:,} bytes of the published archive")
            digest.update(block)
            file.write(block)
            progress(done, archive.size)
    if done != archive.size:
        raise DatasetCorrupt(f"{url} ended after {done:,} of {archive.size:,} bytes; try again")
    if digest.hexdigest() != archive.md5:
        raise DatasetCorrupt(f"{url} is not the published archive: its MD5 is {digest.hexdigest()}, not {archive.md5}")


def _unpack(packed: Path, archive: Archive, target: Path) -> Path:
    """Unpack the expected members into `target`, and no other. Raises DatasetCorrupt unless all are there as files."""
    wanted = {f"{archive.folder}/{name}" for name in archive.members}
    try:
        with tarfile.open(packed, "r:gz") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.name in wanted and member.isreg() else None
                if content is not None:
                    unpacked = target / member.name  # one of those that are wanted: nothing leaves `target`
                    unpacked.parent.mkdir(parents=True, exist_ok=True)
                    with content, unpacked.open("wb") as file:
                        shutil.copyfileobj(content, file)
                    wanted.discard(member.name)
    except (tarfile.TarError, EOFError) as error:
        raise DatasetCorrupt(f"{archive.filename} is not a readable archive: {error}") from error
    if wanted:
        raise DatasetCorrupt(f"{archive.filename} has no file {', '.join(sorted(wanted))}")
    return target / archive.folder
