"""Errors of the service: two branches of the one tree in `micronet.errors`.

MicronetError
├── ServiceError               the request cannot be served
│   ├── JobNotFound                no such job, or another team's
│   ├── JobNotEnded                what can only be done to one that has
│   ├── CheckpointNotFound         no such file, or another team's
│   ├── BlobNotFound
│   ├── BlobGone                   it was here, and was swept
│   ├── IdempotencyConflict        the same key with another body
│   ├── TeamQuota
│   │   ├── TooManyWaiting
│   │   └── StorageQuota
│   ├── StorageFull                the server's disk
│   ├── HashMismatch               the body is not what its address says
│   ├── Unavailable                database or blob store do not answer
│   ├── WrongStore                 the files are not those of the records
│   └── BlobCorrupt                a stored file is not what it was
└── JobEnded                   a job ended without a word of its own, or had to be ended
    ├── OutOfMemory
    ├── ThreadLimit
    ├── FileSizeLimit              of one file
    │   └── ScratchLimit               of all its files
    ├── TimeLimit
    ├── ProcessorTimeLimit
    ├── DiskFull                   the worker's
    ├── Killed                     from outside
    ├── Crashed
    ├── WorkerLost                 whoever had the job gave no sign of life
    ├── RunnerUnavailable          there was no process for it
    ├── DeviceUnavailable          there was, and not on the device of its worker
    ├── JournalRefused             what it wrote down to go on from
    └── InternalError              a fault of this program
        └── OutputRefused              what it left
"""

import errno

from micronet.errors import MicronetError

FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Numbers of an OSError which say that a disk, or somebody's share of it, is full."""


class ServiceError(MicronetError):
    """The request cannot be served."""

    code = "service"
    title = "The request cannot be served"


class JobNotFound(ServiceError):
    """No such job, or one of another team."""

    code = "job-not-found"
    title = "No such job"


class JobNotEnded(ServiceError):
    """A job that waits or runs cannot be deleted: cancel it first."""

    code = "job-not-ended"
    title = "The job has not ended"


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


class WrongStore(ServiceError):
    """The blob store is another deployment's, or not there: the records name files that it has not."""

    code = "wrong-store"
    title = "Records and files do not belong together"
    yours = False


class BlobCorrupt(ServiceError):
    """A stored file no longer has the hash it was stored under."""

    code = "blob-corrupt"
    title = "A stored file is damaged"
    yours = False


class JobEnded(MicronetError):
    """A job ended without an answer, through nothing that it said itself."""

    code = "job-ended"
    title = "The job ended without an answer"
    yours = False


class OutOfMemory(JobEnded):
    """The job wanted more memory than it may have, or than the GPU has."""

    code = "out-of-memory"
    title = "Out of memory"
    yours = True


class ThreadLimit(JobEnded):
    """The job could not start a thread: for their number, or for want of memory for a stack."""

    code = "thread-limit"
    title = "No room for another thread"
    yours = True


class FileSizeLimit(JobEnded):
    """The job wrote more into one file than it may."""

    code = "file-size-limit"
    title = "A file of the job grew too large"
    yours = True


class ScratchLimit(FileSizeLimit):
    """The job filled its directory."""

    title = "The job wrote too much"


class TimeLimit(JobEnded):
    """The job took longer than it may."""

    code = "time-limit"
    title = "The job took too long"
    yours = True


class ProcessorTimeLimit(JobEnded):
    """The job used up its processor time, that of all its threads together."""

    code = "cpu-time-limit"
    title = "The job used too much processor time"
    yours = True


class DiskFull(JobEnded):
    """There was no room left on the worker's disk for the job's files."""

    code = "disk-full"
    title = "The worker's disk is full"
    retryable = True


class Killed(JobEnded):
    """The job was ended from outside, through no fault that is known. It was tried again before this was said."""

    code = "killed"
    title = "The job was killed"
    retryable = True


class Crashed(JobEnded):
    """The job's process ended with a signal that says something in it went wrong, such as a forbidden memory access."""

    code = "crashed"
    title = "The job crashed"


class WorkerLost(JobEnded):
    """Every worker that had the job gave no sign of life any more: the job may be what ends them."""

    code = "worker-lost"
    title = "The workers of this job died"
    retryable = True


class RunnerUnavailable(JobEnded):
    """There is no spare to run the job, and none could be started in time. The job itself is unharmed."""

    code = "unavailable"
    title = "The worker could not start the job"
    retryable = True


class DeviceUnavailable(JobEnded):
    """The device that a worker has for its jobs does not answer, or is not there any more. The job is unharmed."""

    code = "device-unavailable"
    title = "The worker could not use its device"
    retryable = True


class JournalRefused(JobEnded):
    """What a job writes down is not what a job writes down; the message says what it is."""

    code = "journal-refused"
    title = "The job wrote down what cannot be kept"


class InternalError(JobEnded):
    """A fault of this program; the log of the worker has the details."""

    code = "internal-error"
    title = "The server failed"


class OutputRefused(InternalError):
    """What a job left is not what a job leaves; the message says what it is."""

    title = "The job's result cannot be used"
