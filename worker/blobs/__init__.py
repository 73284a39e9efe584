"""Where files lie: a directory, or an S3-compatible store."""

from pathlib import Path
from urllib.parse import urlsplit

from worker.blobs.directory import DirectoryBlobs
from worker.blobs.port import Blobs, Incoming

__all__ = ["Blobs", "Incoming", "open_blobs"]


def open_blobs(url: str, scratch: Path) -> Blobs:
    """The store at `url`: a path, file:///path, or s3://bucket/prefix?endpoint_url=http://host:port.

    `scratch` is where uploads to a remote store wait. Raises ValueError for any other URL.
    """
    parts = urlsplit(url)
    if parts.scheme in ("", "file"):
        return DirectoryBlobs(Path(parts.path))
    if parts.scheme == "s3":
        from worker.blobs.s3 import S3Blobs  # noqa: PLC0415  # boto3 is only there for those who use it

        return S3Blobs(url, scratch / "uploads")
    raise ValueError(f"blobs at {parts.scheme}://: a directory or s3://bucket/prefix is needed")
