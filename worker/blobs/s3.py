"""Files in an S3-compatible store, so that workers may run on other hosts."""

import io
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import filterfalse
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import parse_qs, urlsplit

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from micronet.errors import SettingsError
from worker.blobs.locking import remove_abandoned, sweep_each
from worker.blobs.port import ABANDONED_AFTER, IDENTITY, Incoming, LockedFile, is_location, new_location
from worker.records.values import StoredBlob

_MARK = "unknown-to-records"
"""Metadata of an object that a sweep found no record to know: when it was last modified."""
_NEEDED = "s3://bucket/prefix?endpoint_url=http://host:port&region=name"


class S3Blobs:
    """Objects below s3://bucket/prefix. Access keys and region come from where boto3 looks for them.

    `endpoint_url` in the query names a store that is not Amazon's. Uploads wait in `spool` until they are complete and
    their hash is known; only then they are sent.
    """

    def __init__(self, url: str, spool: Path) -> None:
        parts = urlsplit(url)
        options = parse_qs(parts.query)
        unknown = sorted(set(options) - {"endpoint_url", "region"})
        if "@" in parts.netloc:
            unknown.append("user:password@ (keys are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)")
        if unknown or not parts.hostname:  # the URL itself is not shown, lest its secrets are
            without = f", without {' and '.join(unknown)}" if unknown else ""
            raise SettingsError(f"blobs at s3://: {_NEEDED} is needed{without}")
        self._bucket = parts.hostname
        self._prefix = parts.path.strip("/")
        self.spool = spool
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=options.get("endpoint_url", [None])[0],
            region_name=options.get("region", [None])[0],
            config=Config(connect_timeout=5, read_timeout=60, retries={"max_attempts": 5, "mode": "standard"}),
        )

    def create(self) -> Incoming:
        """Begin a file: in the spool."""
        return _IncomingObject(self, new_location())

    def open(self, location: str) -> BinaryIO:
        """The object, as a stream."""
        try:
            body = self._client.get_object(Bucket=self._bucket, Key=self.key(location))["Body"]
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                raise FileNotFoundError(location) from error
            raise OSError(f"the blob store says: {error}") from error
        except BotoCoreError as error:
            raise OSError(f"the blob store does not answer: {error}") from error
        return cast(BinaryIO, _ObjectStream(body))

    def identity(self) -> str | None:
        """As in the port: an object beside the files."""
        try:
            with self.open(IDENTITY) as stream:
                return stream.read().decode("ascii").strip()
        except FileNotFoundError:
            return None

    def claim(self, identity: str) -> None:
        """As in the port."""
        try:
            self._client.put_object(Bucket=self._bucket, Key=self.key(IDENTITY), Body=f"{identity}\n".encode("ascii"))
        except (ClientError, BotoCoreError) as error:
            raise OSError(f"the blob store does not take the file: {error}") from error

    def delete(self, location: str) -> None:
        """Delete the object. Raises OSError."""
        try:
            self._client.delete_object(Bucket=self._bucket, Key=self.key(location))
        except (ClientError, BotoCoreError) as error:
            raise OSError(f"the blob store does not delete the file: {error}") from error

    def sweep(self, is_known: Callable[[str], bool]) -> int:
        """As in the port, and parts of objects that were never completed. An object that no record knows is copied onto
        itself with a mark, which makes it new; what stays marked when records know it again, is at once old the next
        time."""
        yesterday = datetime.now(UTC) - ABANDONED_AFTER
        swept = self._abort_uploads(yesterday)
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self.key(""))
        items = (item for page in pages for item in page.get("Contents", ()) if item["LastModified"] < yesterday)
        locations = filter(is_location, (item["Key"].removeprefix(self.key("")) for item in items))
        return swept + sweep_each(filterfalse(is_known, locations), self._sweep_unknown)

    def _sweep_unknown(self, location: str) -> bool:
        """Delete the object if it has its mark, else mark it; whether it was deleted. Raises OSError."""
        key = self.key(location)
        try:
            marked = _MARK in self._client.head_object(Bucket=self._bucket, Key=key)["Metadata"]
            if not marked:
                changed = {"Metadata": {_MARK: "yes"}, "MetadataDirective": "REPLACE"}
                self._client.copy({"Bucket": self._bucket, "Key": key}, self._bucket, key, ExtraArgs=changed)
        except (ClientError, BotoCoreError) as error:
            raise OSError(f"the blob store does not mark the file: {error}") from error
        if marked:
            self.delete(location)
        return marked

    def sweep_spool(self) -> int:
        """As in the port."""
        return sweep_each(self.spool.glob("??/*"), lambda path: remove_abandoned(path, lambda: False))

    def _abort_uploads(self, before: datetime) -> int:
        """Those that began `before`; how many. Their parts are stored, though no listing of objects shows them."""
        pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket, Prefix=self.key(""))
        old = [
            (upload["Key"], upload["UploadId"])
            for page in pages
            for upload in page.get("Uploads", ())
            if upload["Initiated"] < before and is_location(upload["Key"].removeprefix(self.key("")))
        ]
        return sweep_each(old, self._abort_upload)

    def _abort_upload(self, upload: tuple[str, str]) -> bool:
        key, number = upload
        try:
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=number)
        except (ClientError, BotoCoreError) as error:
            raise OSError(f"the blob store does not end the upload: {error}") from error
        return True

    def free_bytes(self) -> int | None:
        """Space left in the spool: the store itself does not say."""
        self.spool.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.spool).free

    def check(self) -> None:
        """Write and delete an object."""
        with self.create() as incoming:
            incoming.write(b"check")
            incoming.keep()
            incoming.discard()

    def key(self, location: str) -> str:
        """The object's key."""
        return f"{self._prefix}/{location}" if self._prefix else location

    def send(self, path: Path, location: str) -> None:
        """Copy a complete file into the store. Raises OSError."""
        try:
            threads = TransferConfig(max_concurrency=2)
            self._client.upload_file(str(path), self._bucket, self.key(location), Config=threads)
        except (ClientError, BotoCoreError, boto3.exceptions.Boto3Error, RuntimeError) as error:  # the last: no thread
            raise OSError(f"the blob store does not take the file: {error}") from error


class _ObjectStream(io.BufferedIOBase):
    """An object's bytes. What the connection does wrong is an OSError, as with any other file."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        try:
            data: bytes = self._body.read(None if size is None or size < 0 else size)
        except (BotoCoreError, HTTPError) as error:
            raise OSError(f"the blob store breaks off: {error}") from error
        return data

    def close(self) -> None:
        self._body.close()
        super().close()


class _IncomingObject(Incoming):
    def __init__(self, store: S3Blobs, location: str) -> None:
        super().__init__()
        self._store, self._location, self._sent = store, location, False
        self._file = LockedFile(store.spool / location)

    def _append(self, data: bytes | bytearray | memoryview) -> None:
        self._file.append(data)

    def keep(self) -> StoredBlob:
        self._store.send(self._file.path, self._location)
        self._sent = True
        return StoredBlob(self.sha256, self.size, self._location)

    def discard(self) -> None:
        if self._sent:
            self._store.delete(self._location)

    def close(self) -> None:
        self._file.remove()
        self._file.close()
