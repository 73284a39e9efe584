"""What a process can and cannot do once it is in, tried out for real, as root where the tests are and as nobody."""

import ctypes
import fcntl
import mmap
import os
import platform
import resource
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.worker.sandbox.confined import NOBODY, confined, outcome, scratch_in
from worker.limits import MEBI, JobLimits
from worker.sandbox import Confinement, SandboxError, available, enter, landlock, rlimits, seccomp
from worker.sandbox.kernel import prctl, syscall
from worker.sandbox.landlock import READ, Rule
from worker.sandbox.privileges import drop_privileges

DENIED = ("EPERM", "EACCES")
FALLOC_FL_KEEP_SIZE = 1
X86 = platform.machine() == "x86_64"

needs_landlock = pytest.mark.skipif(available().landlock == 0, reason="this kernel has no Landlock")
needs_seccomp = pytest.mark.skipif(not available().seccomp, reason="this kernel has no seccomp filters")


@pytest.fixture(params=["self", "nobody"])
def user(request: pytest.FixtureRequest) -> int | None:
    if request.param == "self":
        return None
    if os.getuid() != 0:
        pytest.skip("only root can become nobody")
    return NOBODY


@pytest.fixture
def server() -> Iterator[Path]:
    """A server's home, open to all: database, blobs, another job's scratch, data sets."""
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        home.chmod(0o777)
        (home / "micronet.db").write_text("records")
        for name in ("blobs", "scratch", "scratch/other", "data"):
            (home / name).mkdir()
            (home / name / "file").write_text("private")
        for path in home.rglob("*"):
            path.chmod(0o777)
        yield home


@pytest.fixture
def confinement(server: Path) -> Confinement:
    return Confinement(scratch_in(server), server / "data", limits=JobLimits(memory_bytes=4096 * MEBI))


def test_this_kernel_says_what_it_has(confinement: Confinement) -> None:
    assert confined(lambda: None, confinement) is None
    assert outcome(lambda: enter(confinement) == available(), lambda: None) is True


def test_a_job_can_work(confinement: Confinement, server: Path, user: int | None) -> None:
    scratch = confinement.scratch

    def work() -> str:
        assert (scratch / "in" / "checkpoint").read_bytes() == b"weights"
        assert (server / "data" / "file").read_text() == "private"
        (scratch / "out" / "part").write_text("x" * 1000)
        (scratch / "out" / "part").rename(scratch / "out" / "result.json")
        with tempfile.TemporaryDirectory(dir=scratch / "tmp") as inner:
            Path(inner, "file").write_text("y")
        with open("/dev/null", "w") as nothing, open("/dev/urandom", "rb") as noise:
            nothing.write("z")
            assert len(noise.read(8)) == 8
        assert "VmRSS" in Path("/proc/self/status").read_text()
        assert Path("/proc/cpuinfo").read_text()
        heard: list[int] = []
        thread = threading.Thread(target=heard.append, args=(1,))
        thread.start()
        thread.join()
        os.kill(os.getpid(), 0)
        return f"{len(heard)} {len(mmap.mmap(-1, 4096))}"

    assert confined(work, confinement, user) == "1 4096"


def test_python_still_imports(confinement: Confinement) -> None:
    def modules() -> str:
        import colorsys
        import wave

        import mpmath

        return " ".join(module.__name__ for module in (wave, colorsys, mpmath))

    assert confined(modules, confinement) == "wave colorsys mpmath"


@needs_landlock
@pytest.mark.parametrize(
    "touch",
    [
        lambda home, scratch: (home / "micronet.db").read_text(),
        lambda home, scratch: (home / "blobs" / "file").read_text(),
        lambda home, scratch: os.listdir(home / "blobs"),
        lambda home, scratch: (home / "scratch" / "other" / "file").read_text(),
        lambda home, scratch: os.listdir(scratch),
        lambda home, scratch: Path("/etc/passwd").read_text(),
        lambda home, scratch: os.listdir("/"),
        lambda home, scratch: os.listdir("/proc"),
        lambda home, scratch: os.listdir(tempfile.gettempdir()),
        lambda home, scratch: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
        lambda home, scratch: Path(f"/proc/{os.getppid()}/cmdline").read_bytes(),
        lambda home, scratch: Path("/proc/1/cmdline").read_bytes(),
        lambda home, scratch: Path("/proc/self/root/etc/passwd").read_text(),
        lambda home, scratch: (scratch / "in" / "checkpoint").write_text("other weights"),
        lambda home, scratch: (scratch / "in" / "checkpoint").unlink(),
        lambda home, scratch: (scratch / "new").write_text(""),
        lambda home, scratch: (scratch / "out").rename(scratch / "away"),
        lambda home, scratch: (home / "new").write_text(""),
        lambda home, scratch: (home / "data" / "file").write_text("other images"),
        lambda home, scratch: (home / "data" / "file").unlink(),
        lambda home, scratch: (home / "data" / "new").mkdir(),
        lambda home, scratch: (home / "micronet.db").rename(scratch / "out" / "db"),
        lambda home, scratch: (scratch / "out" / "link").symlink_to(home / "micronet.db"),
        lambda home, scratch: os.mkfifo(scratch / "out" / "pipe"),
        lambda home, scratch: Path("/proc/self/oom_score_adj").write_text("-1000"),
        lambda home, scratch: Path("/dev/shm/leak").write_text(""),
    ],
)
def test_no_file_but_its_own(
    touch: Callable[[Path, Path], object], server: Path, confinement: Confinement, user: int | None
) -> None:
    assert confined(lambda: touch(server, confinement.scratch), confinement, user) in DENIED


@needs_landlock
def test_hard_links_to_others_files_cannot_be_made(server: Path, confinement: Confinement) -> None:
    link = lambda: os.link(server / "data" / "file", confinement.scratch / "out" / "mine")  # noqa: E731
    assert confined(link, confinement) in (*DENIED, "EXDEV")


@needs_seccomp
@pytest.mark.parametrize(
    "touch",
    [
        lambda file: os.chmod(file, 0),
        lambda file: os.chown(file, os.getuid(), -1),
        lambda file: os.utime(file, (0, 0)),
        lambda file: os.truncate(file, 0),
        lambda file: os.setxattr(file, "user.x", b"y"),
        lambda file: os.open(file, os.O_RDONLY | os.O_TRUNC),
    ],
)
def test_what_landlock_does_not_see_is_denied_too(touch: Callable[[Path], object], server: Path) -> None:
    confinement = Confinement(scratch_in(server), server / "data")
    assert confined(lambda: touch(server / "data" / "file"), confinement) in DENIED
    assert (server / "data" / "file").read_text() == "private"


@needs_seccomp
@pytest.mark.parametrize(
    "attempt",
    [
        lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
        lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
        lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
        lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
        socket.socketpair,
        os.fork,
        lambda: subprocess.run(["/bin/true"], check=True),
        lambda: os.posix_spawn("/bin/true", ["true"], {}),
        lambda: os.execv("/bin/true", ["true"]),
        os.setsid,
        lambda: os.setpgid(0, os.getppid()),
        lambda: os.kill(os.getppid(), 0),
        lambda: os.kill(os.getppid(), signal.SIGKILL),
        lambda: os.kill(-1, 0),
        lambda: os.pidfd_open(os.getppid()),
        lambda: os.setpriority(os.PRIO_PROCESS, os.getppid(), 19),
        lambda: os.sched_setaffinity(os.getppid(), {0}),
        lambda: resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (3, 3)),
        lambda: os.memfd_create("hidden"),
        lambda: fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, os.getppid()),
        lambda: prctl(1, 0),
        lambda: os.chroot("/"),
    ],
)
def test_nobody_else_is_reached(attempt: Callable[[], object], confinement: Confinement, user: int | None) -> None:
    assert confined(attempt, confinement, user) in DENIED


@needs_seccomp
@pytest.mark.skipif(not X86, reason="numbers of x86_64")
@pytest.mark.parametrize(
    ("number", "arguments"),
    [
        (101, (16, "parent", 0, 0)),  # ptrace(PTRACE_ATTACH)
        (310, ("parent", None, 0, None, 0, 0)),  # process_vm_readv
        (165, (None, None, None, 0, None)),  # mount
        (272, (0x10000000,)),  # unshare(CLONE_NEWUSER)
        (321, (0, None, 0)),  # bpf
        (323, (0,)),  # userfaultfd
        (425, (1, None)),  # io_uring_setup
        (298, (None, 0, -1, -1, 0)),  # perf_event_open
        (250, (0, 0)),  # keyctl
        (29, (0, 4096, 0o600)),  # shmget
        (62 | 0x40000000, (0, 0)),  # kill by the x32 ABI
    ],
)
def test_kernel_doors_are_shut(number: int, arguments: tuple[object, ...], confinement: Confinement) -> None:
    def call() -> int:
        return syscall(number, *(os.getppid() if each == "parent" else each for each in arguments))  # type: ignore[arg-type]

    assert confined(call, confinement) == "EPERM"


@needs_seccomp
def test_newer_ways_look_as_if_they_were_not_there(confinement: Confinement) -> None:
    for number in (435, 437, 600):  # clone3, openat2, one that is yet to come
        assert confined(lambda number=number: syscall(number, None, 0, 0, 0), confinement) == "ENOSYS"  # type: ignore[misc]


@needs_seccomp
@pytest.mark.skipif(not X86, reason="x86 machine code")
def test_32_bit_calls_are_denied(confinement: Confinement) -> None:
    def call() -> int:
        code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # mov eax, 20 (getpid); int 0x80; ret
        address = ctypes.addressof(ctypes.c_char.from_buffer(code))
        return int(ctypes.CFUNCTYPE(ctypes.c_int)(address)())

    assert confined(call, confinement) == -1  # -EPERM


@needs_seccomp
def test_cuda_has_local_sockets_that_connect_to_nothing(server: Path, confinement: Confinement) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(server / "service"))
    listener.listen()

    def connect() -> None:
        socket.socket(socket.AF_UNIX).connect(str(server / "service"))

    with listener:
        assert confined(connect, replace(confinement, gpu=True)) in DENIED
    assert confined(lambda: len(socket.socketpair()), replace(confinement, gpu=True)) == 2


@needs_landlock
def test_landlock_alone_holds(confinement: Confinement, server: Path) -> None:
    def restrict() -> None:
        drop_privileges()
        landlock.restrict([Rule(server / "data", READ), Rule(Path("/proc"), READ)])

    assert outcome((server / "data" / "file").read_text, restrict) == "private"
    assert outcome((server / "micronet.db").read_text, restrict) == "EACCES"
    assert outcome(lambda: os.truncate(server / "data" / "file", 0), restrict) == "EACCES"
    assert outcome(lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes(), restrict) in DENIED
    assert outcome(lambda: os.kill(os.getppid(), 0), restrict) in (*DENIED, None if landlock.abi() < 6 else "EPERM")
    if landlock.abi() >= 4:
        assert outcome(lambda: socket.create_connection(("127.0.0.1", 1), timeout=1), restrict) == "EACCES"


@needs_seccomp
def test_seccomp_alone_holds(confinement: Confinement) -> None:
    def install() -> None:
        drop_privileges()
        seccomp.install(gpu=False)

    assert outcome(socket.socket, install) == "EPERM"
    assert outcome(os.fork, install) == "EPERM"
    assert outcome(lambda: os.kill(os.getppid(), 0), install) == "EPERM"


def test_root_has_lost_its_powers(confinement: Confinement) -> None:
    def effective() -> str:
        lines = Path("/proc/self/status").read_text().splitlines()
        sets = {line.split()[1] for line in lines if line.startswith(("CapInh", "CapPrm", "CapEff", "CapAmb"))}
        return f"{sets} {next(line for line in lines if line.startswith('NoNewPrivs')).split()[1]}"

    assert confined(effective, confinement) == f"{ {'0' * 16} } 1"


def test_memory_is_bounded(confinement: Confinement, user: int | None) -> None:
    tight = replace(confinement, limits=replace(confinement.limits, memory_bytes=1024 * MEBI))
    assert confined(lambda: len(bytearray(2048 * MEBI)), tight, user) == "MemoryError"


def test_files_are_bounded(confinement: Confinement, user: int | None) -> None:
    tight = replace(confinement, limits=replace(confinement.limits, file_bytes=MEBI))
    write = lambda: (tight.scratch / "out" / "big").write_bytes(bytes(2 * MEBI))  # noqa: E731
    assert confined(write, tight, user) == "EFBIG"


def test_open_files_are_bounded(confinement: Confinement, user: int | None) -> None:
    assert confined(lambda: [os.pipe() for _ in range(confinement.limits.open_files)], confinement, user) == "EMFILE"


@needs_seccomp
def test_space_is_taken_only_by_files_as_long_as_it(confinement: Confinement, user: int | None) -> None:
    """For a limit of their size sees no other."""
    tight = replace(confinement, limits=replace(confinement.limits, file_bytes=MEBI))

    def allocate(mode: int, size: int) -> int:
        with (tight.scratch / "out" / "big").open("wb") as file:
            libc = ctypes.CDLL(None, use_errno=True)
            libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
            if libc.fallocate(file.fileno(), mode, 0, size) != 0:
                raise OSError(ctypes.get_errno(), "fallocate")
            return os.fstat(file.fileno()).st_blocks * 512

    assert confined(lambda: allocate(0, MEBI), tight, user) == MEBI
    assert confined(lambda: allocate(0, 2 * MEBI), tight, user) == "EFBIG"
    assert confined(lambda: allocate(FALLOC_FL_KEEP_SIZE, 2 * MEBI), tight, user) == "EPERM"


@needs_seccomp
def test_temporary_files_fall_back_to_those_that_had_a_name(confinement: Confinement, user: int | None) -> None:
    out = confinement.scratch / "out"

    def write() -> int:
        with tempfile.TemporaryFile(dir=out) as file:
            return file.write(b"text")

    assert confined(lambda: os.open(out, os.O_RDWR | os.O_TMPFILE), confinement, user) == "EPERM"
    assert confined(write, confinement, user) == 4


@pytest.mark.parametrize(("limit", "expected"), [(2, "RuntimeError"), (20, 100)])
def test_threads_are_bounded_far_above_what_the_supervisor_allows(limit: int, expected: object) -> None:
    """(Of root the kernel counts none.)"""
    if os.getuid() != 0:
        pytest.skip("only root can become nobody")
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o777)
        confinement = Confinement(scratch_in(Path(directory)), limits=JobLimits(processes=limit))
        assert confined(lambda: _threads(100), confinement, NOBODY) == expected


def test_a_neighbour_in_another_container_takes_no_thread_from_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel counts those of the user in all of them, and a job sees those of its own."""
    if os.getuid() != 0:
        pytest.skip("only root can become nobody")
    monkeypatch.setattr(rlimits, "_threads_of_this_user", lambda: 1)
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o777)
        confinement = Confinement(scratch_in(Path(directory)), limits=JobLimits(processes=20))

        def beside_a_neighbour() -> object:
            _threads(100)
            return confined(lambda: _threads(10), confinement)

        assert outcome(beside_a_neighbour, lambda: None, NOBODY) == 10


def _threads(number: int) -> int:
    """Start them; they stay."""
    threading.stack_size(1 << 16)
    wait = threading.Event()
    for _ in range(number):
        threading.Thread(target=wait.wait, daemon=True).start()
    return number


def test_no_core_is_left(confinement: Confinement) -> None:
    assert confined(lambda: resource.getrlimit(resource.RLIMIT_CORE), confinement) == (0, 0)


def test_limits_cannot_be_lifted(confinement: Confinement) -> None:
    lift = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))  # noqa: E731
    assert confined(lift, confinement) in (*DENIED, "ValueError")


@pytest.mark.parametrize("data", ["", "scratch"])
def test_a_data_directory_around_the_servers_files_is_refused(server: Path, data: str) -> None:
    confinement = Confinement(scratch_in(server), server / data)
    with pytest.raises(SandboxError, match="MICRONET_HOME"):
        confinement.rules()


def test_a_data_directory_that_is_not_there_keeps_no_job_from_working(tmp_path: Path) -> None:
    confinement = Confinement(scratch_in(tmp_path), tmp_path / "missing")
    assert confined((tmp_path / "missing").exists, confinement) is False


def test_several_threads_are_not_confined(confinement: Confinement) -> None:
    wait = threading.Event()

    def start() -> None:
        threading.Thread(target=wait.wait, daemon=True).start()

    refusal = outcome(lambda: None, lambda: (start(), enter(confinement)))
    assert isinstance(refusal, str)
    assert "SandboxError" in refusal
