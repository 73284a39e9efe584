"""Stores of files: a directory, or an S3-compatible service."""

from pathlib import Path
from urllib.parse import urlsplit

from micronet.errors import SettingsError
from worker.blobs.directory import DirectoryBlobs
from worker.blobs.port import Blobs, Incoming
from worker.urls import directory_of

__all__ = ["Blobs", "Incoming", "open_blobs"]


def open_blobs(url: str, scratch: Path) -> Blobs:
    """The store at `url`: a path, file:///path, or s3://bucket/prefix?endpoint_url=http://host:port.

    `scratch` is where uploads to a remote store wait. Raises SettingsError for any other URL.
    """
    directory = directory_of(url)
    if directory is not None:
        return DirectoryBlobs(directory)
    scheme = urlsplit(url).scheme
    if scheme == "s3":
        from worker.blobs.s3 import S3Blobs  # noqa: PLC0415  # boto3 is only there for those who use it

        return S3Blobs(url, scratch / "uploads")
    raise SettingsError(f"blobs at {scheme}://: a directory or s3://bucket/prefix is needed")
