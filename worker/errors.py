"""Errors of the service: a branch of the one tree in `micronet.errors`.

MicronetError
└── ServiceError               the request cannot be served
    ├── JobNotFound                no such job, or another team's
    ├── CheckpointNotFound         no such file, or another team's
    ├── BlobNotFound
    ├── BlobGone                   it was here, and was swept
    ├── IdempotencyConflict        the same key with another body
    ├── TeamQuota
    │   ├── TooManyWaiting
    │   └── StorageQuota
    ├── StorageFull                the server's disk
    ├── HashMismatch               the body is not what its address says
    ├── Unavailable                database or blob store do not answer
    └── BlobCorrupt                a stored file is not what it was
"""

from micronet.errors import MicronetError


class ServiceError(MicronetError):
    """The request cannot be served."""

    code = "service"
    title = "The request cannot be served"


class JobNotFound(ServiceError):
    """No such job, or one of another team."""

    code = "job-not-found"
    title = "No such job"


class CheckpointNotFound(ServiceError):
    """A job names a checkpoint that is not here, or is another team's."""

    code = "checkpoint-not-found"
    title = "No such checkpoint"


class BlobNotFound(ServiceError):
    """No such file, or one of another team."""

    code = "blob-not-found"
    title = "No such file"


class BlobGone(ServiceError):
    """The file was here and has been swept; its job's result stays."""

    code = "blob-gone"
    title = "The file is no longer kept"


class IdempotencyConflict(ServiceError):
    """An Idempotency-Key that was used with another body."""

    code = "idempotency-conflict"
    title = "The key was used for another request"


class TeamQuota(ServiceError):
    """A team is over one of its limits."""

    code = "team-quota"
    title = "The team is over its limit"
    retryable = True


class TooManyWaiting(TeamQuota):
    """A team has as many jobs waiting as it may."""

    code = "too-many-waiting"
    title = "Too many jobs are waiting"


class StorageQuota(TeamQuota):
    """A team stores as many bytes as it may."""

    code = "storage-quota"
    title = "The team's storage is full"


class StorageFull(ServiceError):
    """The server's own disk is full."""

    code = "storage-full"
    title = "The server's storage is full"
    yours = False
    retryable = True


class HashMismatch(ServiceError):
    """The bytes sent do not have the hash they were announced with."""

    code = "hash-mismatch"
    title = "The body has another hash"


class Unavailable(ServiceError):
    """Database or blob store do not answer at the moment."""

    code = "unavailable"
    title = "A part of the server does not answer"
    yours = False
    retryable = True


class BlobCorrupt(ServiceError):
    """A stored file no longer has the hash it was stored under."""

    code = "blob-corrupt"
    title = "A stored file is damaged"
    yours = False
