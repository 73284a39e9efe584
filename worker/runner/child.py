"""The life of a job's process, from the fork to its end."""

import contextlib
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import NoReturn

from micronet.contract import JobSettings, files_named
from micronet.errors import SettingsError
from micronet.jobs import JOBS, Context, Job, prepare_process
from micronet.jobs.table import load
from worker.errors import DeviceUnavailable
from worker.runner.environment import enter_scratch
from worker.runner.failures import job_error_of
from worker.runner.messages import Done, Failed
from worker.runner.orders import CHECKPOINT, DEVICE_CHECK, FILES, JOURNAL, RESULT, SETTINGS, Order
from worker.runner.reporting import Reporter
from worker.sandbox import Confinement, enter
from worker.sandbox.confinement import gpu_devices
from worker.sandbox.privileges import die_with_parent
from worker.sandbox.rlimits import allow_last_words

_FIRST_TO_BE_KILLED = "1000"


def run_job(order: Order, messages: int, log: int, spare: int) -> NoReturn:
    """Run the order in this process, just forked by process `spare`, and end with it: 0 when done, 1 when failed."""
    status = 1
    try:
        _part_from(spare, messages, log)
        status = _run_reported(order, Reporter(messages))
    except BaseException:
        traceback.print_exc()
    finally:
        _flush()
        os._exit(status)


def _part_from(spare: int, messages: int, log: int) -> None:
    """Be a process of its own, that dies with the spare and shares no open file with it."""
    die_with_parent(signal.SIGKILL)
    if os.getppid() != spare:  # it died before that took hold
        os._exit(1)
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    for descriptor in {int(name) for name in os.listdir("/proc/self/fd")} - {0, 1, 2, messages}:
        with contextlib.suppress(OSError):  # the listing's own is closed already
            os.close(descriptor)


def _run_reported(order: Order, reporter: Reporter) -> int:
    try:
        _confine(order)
        _work(order, reporter)
    except BaseException as error:
        allow_last_words()
        reporter.send(Failed(job_error_of(error, reporter.current, order.limits)))
        traceback.print_exc()
        return 1
    reporter.send(Done())
    return 0


def _confine(order: Order) -> None:
    temporary = str(order.scratch / "tmp")
    os.nice(order.nice)
    with contextlib.suppress(OSError):  # a wish: where it may not be written, the kernel chooses by size
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_BE_KILLED)  # the job, and not the server beside it
    enter_scratch(temporary)
    tempfile.tempdir = temporary
    gpu = order.device != "cpu" and len(gpu_devices()) > 0
    enter(Confinement(order.scratch, order.data_dir, gpu, order.limits))


def _work(order: Order, reporter: Reporter) -> None:
    prepare_process()
    if order.kind == DEVICE_CHECK:
        _use(order.device)
        return
    job = JOBS[order.kind]
    settings = job.settings.model_validate_json((order.scratch / SETTINGS).read_bytes())
    checkpoint = order.scratch / CHECKPOINT
    context = _context(order, job, settings, reporter)
    try:
        result = job.run(settings, checkpoint if checkpoint.exists() else None, context)
    except SettingsError:  # not every kind needs the device, so it is asked for only by those that do
        _raise_without(order.device)
        raise
    (order.scratch / RESULT).write_text(result.model_dump_json())


def _raise_without(device: str) -> None:
    """Raises DeviceUnavailable for one that this process cannot use: its worker chose it, and not who sent the job."""
    try:
        load("micronet.evaluation.device:choose_device")(device)
    except SettingsError as error:
        raise DeviceUnavailable(str(error)) from error


def _use(device: str) -> None:
    """Compute something small. Raises DeviceUnavailable where that is not possible."""
    _raise_without(device)
    try:
        load("torch:ones")(1, device=device).sum().item()
    except RuntimeError as error:
        raise DeviceUnavailable(f"device {device!r}: {error}") from error


def _context(order: Order, job: Job, settings: JobSettings, reporter: Reporter) -> Context:
    return Context(
        order.data_dir,
        order.device,
        reporter,
        outputs=order.scratch / "out",
        journal=order.scratch / JOURNAL if job.lane_of(settings) == "long" else None,
        files={sha256: order.scratch / FILES / sha256 for sha256 in files_named(settings)},
    )


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # the log is gone; there is nobody left to tell
            continue
