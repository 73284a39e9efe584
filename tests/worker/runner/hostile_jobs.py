"""Jobs as an attacker, or a mistake, would have them. Signature of every job: (settings, checkpoint, context)."""

import ctypes
import mmap
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

from micronet.contract import ScoreResult, ScoreSettings
from micronet.errors import CorruptFile, SettingsError
from micronet.jobs import Context

SECRET = "s3cr3t-of-a-traceback"

_LIBC = ctypes.CDLL(None)
_LIBC.mmap.restype = ctypes.c_void_p
_LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
_PR_SET_DUMPABLE = 4


def sleep(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    """Go on for ever and not be told to stop."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    context.progress.stage("sleep", 1, 1)
    time.sleep(600)
    raise AssertionError


def spin(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    while True:
        pass


def spin_on(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    """Spin, and ignore the kernel's warning."""
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    return spin(settings, checkpoint, context)


def eat_memory(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    context.progress.stage("eat", 1, 1)
    kept = []
    while True:
        kept.append(bytearray(16 << 20))


def eat_tensors(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    import torch

    return torch.ones(1 << 40)  # type: ignore[return-value]


def eat_shared_memory(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    """Memory that RLIMIT_DATA does not count."""
    shared = mmap.mmap(-1, 1 << 30)
    for position in range(0, 1 << 30, 4096):
        shared[position] = 1
    context.progress.stage("full", 1, 1)
    return sleep(settings, checkpoint, context)


def eat_threads(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    wait = threading.Event()
    while True:
        threading.Thread(target=wait.wait, daemon=True).start()


def fill_file(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    assert context.outputs is not None
    with (context.outputs / "big").open("wb") as file:
        while True:
            file.write(bytes(1 << 20))


def fill_scratch(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    assert context.outputs is not None
    for number in range(8):
        (context.outputs / f"part{number}").write_bytes(os.urandom(1 << 20))
    context.progress.stage("full", 1, 1)
    return sleep(settings, checkpoint, context)


def hold_unlinked(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    """Files that have no name any more."""
    for number in range(8):
        _unlinked(context, f"part{number}", 1 << 20)
    context.progress.stage("full", 1, 1)
    return sleep(settings, checkpoint, context)


def map_unlinked(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    """The same, of which only memory is left."""
    for number in range(8):
        descriptor = _unlinked(context, f"part{number}", 1 << 20)
        _LIBC.mmap(None, mmap.PAGESIZE, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)  # Python's own keeps it open
        os.close(descriptor)
    context.progress.stage("full", 1, 1)
    return sleep(settings, checkpoint, context)


def hide_unlinked(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    """The same, in a process that nobody may look into. (Root may.)"""
    _unlinked(context, "part", 8 << 20)
    assert _LIBC.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0
    context.progress.stage("full", 1, 1)
    return sleep(settings, checkpoint, context)


def hold_unlinked_without_first_thread(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    """The same, in a process whose first thread has ended."""
    _unlinked(context, "part", 8 << 20)

    def go_on() -> None:
        while _state(f"/proc/self/task/{os.getpid()}") != "Z":
            time.sleep(0.01)
        context.progress.stage("full", 1, 1)
        time.sleep(600)

    threading.Thread(target=go_on).start()
    _LIBC.syscall(60 if os.uname().machine == "x86_64" else 93, 0)  # exit, of this thread alone
    raise AssertionError


def few_threads_too_many(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    """Small ones, of which memory holds any number."""
    threading.stack_size(1 << 16)
    wait = threading.Event()
    for _ in range(50):
        threading.Thread(target=wait.wait, daemon=True).start()
    context.progress.stage("full", 1, 1)
    return sleep(settings, checkpoint, context)


def use_temporary_files(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    """As libraries do: without a name, in memory, and with their space taken in advance."""
    with tempfile.TemporaryFile() as file:
        os.posix_fallocate(file.fileno(), 0, 1 << 20)
        with mmap.mmap(file.fileno(), 1 << 20) as mapped:
            mapped[:5] = b"ready"
            context.progress.stage("full", 1, 1)
            return sleep(settings, checkpoint, context)


def segfault(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    ctypes.string_at(8)
    raise AssertionError


def abort(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    os.abort()


def bad_alloc(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    """What a thread of a C++ library does that finds no memory."""
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
    os.abort()


def leave(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    os._exit(0)


def fail(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    context.progress.stage("fail", 1, 1)
    raise RuntimeError(SECRET)


def refuse(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    context.progress.stage("read", 1, 1)
    raise SettingsError("x" * 1_000_000 + "\N{SNOWMAN}")


def blame_the_file(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    """What a reader does that takes any error for the file's."""
    try:
        return eat_tensors(settings, checkpoint, context)
    except RuntimeError as error:
        raise CorruptFile("the file is damaged") from error


def flood_log(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    for _ in range(1000):
        sys.stderr.write("noise " * 10_000)
    sys.stderr.write("end")
    return sleep(settings, checkpoint, context)


def flood_log_for_ever(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    while True:
        os.write(1, b"noise" * 1000)


def flood_progress(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    line = b'{"progressed": {"done": 1, "total": 2, "unit": "images"}}\n' * 1000
    while True:
        os.write(_message_pipe(), line)


def flood_stages(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    while True:
        os.write(_message_pipe(), b'{"stage": {"name": "x", "index": 1, "count": 1}}\n' * 100)


def endless_line(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    while True:
        os.write(_message_pipe(), b"x" * 10_000)


def babble(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    os.write(_message_pipe(), b'{"exited": {"status": 0, "max_rss": 0}}\n')
    return sleep(settings, checkpoint, context)


def claim_done(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    """Say Done with a result that is none."""
    assert context.outputs is not None
    (context.outputs / "result.json").write_text('{"score": {"total": 0.0}}')
    os.write(_message_pipe(), b'{"done": {}}\n')
    os._exit(0)


def look_around(settings: ScoreSettings, checkpoint: Path, context: Context) -> ScoreResult:
    """Print what a job sees of where it is."""
    print(sorted(os.environ.items()))
    print("initial", Path("/proc/self/environ").read_bytes())
    print("open", sorted(os.readlink(f"/proc/self/fd/{name}") for name in _descriptors()))
    print("cwd", os.getcwd(), "nice", os.nice(0), "group", os.getpgid(0) == os.getsid(0) == os.getpid())
    print("threads", len(os.listdir("/proc/self/task")), "oom", Path("/proc/self/oom_score_adj").read_text())
    return sleep(settings, checkpoint, context)


def _unlinked(context: Context, name: str, size: int) -> int:
    """A file of that size, open and without a name."""
    assert context.outputs is not None
    descriptor = os.open(context.outputs / name, os.O_RDWR | os.O_CREAT)
    os.unlink(context.outputs / name)
    assert os.write(descriptor, os.urandom(size)) == size
    return descriptor


def _state(process: str) -> str:
    return Path(process, "stat").read_text().rsplit(")", 1)[1].split()[0]


def _descriptors() -> list[str]:
    listed = []
    for name in os.listdir("/proc/self/fd"):
        try:
            os.fstat(int(name))
        except OSError:
            continue
        listed.append(name)
    return listed


def _message_pipe() -> int:
    """The only pipe beside standard output and error."""
    return next(
        int(name) for name in _descriptors() if int(name) > 2 and "pipe" in os.readlink(f"/proc/self/fd/{name}")
    )
