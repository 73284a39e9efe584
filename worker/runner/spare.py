"""The warm spare: waits for an order, forks, waits for the child's end. It opens no uploaded file and no GPU."""

import contextlib
import gc
import os
import select
import signal
import socket
import sys
from dataclasses import asdict
from typing import NoReturn

from worker.runner.child import run_job
from worker.runner.orders import Order, receive, send
from worker.runner.warm import warm_up
from worker.sandbox import available

_SECONDS_BETWEEN_LOOKS = 5.0


def serve(end: socket.socket) -> NoReturn:
    """Run the orders that come over `end`, one after the other, until the supervisor is gone."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a terminal and systemd tell all: the supervisor decides for jobs
        signal.signal(number, signal.SIG_IGN)
    supervisor = os.getppid()
    threads = warm_up()
    gc.collect()
    gc.freeze()  # children share what is here; their collector leaves it alone
    _tell(end, {"ready": {"isolation": asdict(available()), "threads": threads}})
    while True:
        _await(end, None, supervisor)
        received = receive(end)
        if received is None:
            os._exit(0)
        packet, descriptors = received
        if "order" in packet:
            _run(end, Order.decode(packet["order"]), descriptors, supervisor)
        # else: the wish to kill a job that ended by itself at the same moment


def _run(end: socket.socket, order: Order, descriptors: list[int], supervisor: int) -> None:
    child = _fork(order, *descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    _tell(end, {"started": child})
    watch = os.pidfd_open(child)
    while watch not in _await(end, watch, supervisor, child):
        if receive(end) is None:
            _kill(child)
            os._exit(0)
        _kill(child)  # the only thing a supervisor says during a job
    os.close(watch)
    _kill(child)  # while it is a zombie its number is its own, and so is its group's: whatever it left goes now
    _, status, used = os.wait4(child, 0)
    _tell(end, {"exited": os.waitstatus_to_exitcode(status), "max_rss": used.ru_maxrss * 1024})


def _fork(order: Order, messages: int, log: int) -> int:
    spare = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        run_job(order, messages, log, spare)
    return child


def _await(end: socket.socket, watch: int | None, supervisor: int, child: int | None = None) -> list[int]:
    """What is ready: `end`, or `watch`, the pidfd of `child`. A supervisor that died in silence ends this process.

    (Its death closes the socket, unless a process it forked still holds it.)
    """
    waited_for = [end.fileno()] if watch is None else [end.fileno(), watch]
    while not (ready := select.select(waited_for, [], [], _SECONDS_BETWEEN_LOOKS)[0]):
        if os.getppid() != supervisor:
            if child is not None:
                _kill(child)
            os._exit(0)
    return ready


def _kill(child: int) -> None:
    """Kill the child, and its group, which is there once it made one."""
    for kill in (os.kill, os.killpg):
        with contextlib.suppress(ProcessLookupError):
            kill(child, signal.SIGKILL)


def _tell(end: socket.socket, packet: dict[str, object]) -> None:
    try:
        send(end, packet)
    except OSError:  # the supervisor is gone; and with this process goes the child
        os._exit(0)
