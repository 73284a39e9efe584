"""What a server logs is JSON, line by line, whoever logs it."""

import json
import os
import subprocess
import sys

import pytest


def test_libraries_and_warnings_log_lines_of_json_as_the_server_does() -> None:
    code = """
import logging, warnings, structlog
from app.logs import configure_logs
configure_logs("info")
structlog.get_logger().info("ours", job="a")
logging.getLogger("kombu").warning("lost %s,\\nof two lines", "the broker")
logging.getLogger("kombu").info("nobody wants to know")
warnings.warn("will go", DeprecationWarning)
warnings.warn("careful")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("celery").exception("failed")
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == ""
    ours, lost, going, careful, failed = map(json.loads, done.stderr.splitlines())
    assert (ours["event"], ours["level"], ours["job"]) == ("ours", "info", "a")
    assert (lost["event"], lost["level"], lost["logger"]) == ("lost the broker,\nof two lines", "warning", "kombu")
    assert (going["logger"], "will go" in going["event"]) == ("py.warnings", True)
    assert (careful["logger"], "careful" in careful["event"]) == ("py.warnings", True)
    assert (failed["event"], failed["level"], failed["logger"]) == ("failed", "error", "celery")
    assert "ZeroDivisionError" in failed["exception"]
    assert {entry["timestamp"][-1] for entry in (ours, lost, going, careful, failed)} == {"Z"}


@pytest.mark.parametrize(
    ("level", "logged"),
    [
        ("info", ["ours", "request", "careful", "failed"]),
        ("warning", ["ours", "careful", "failed"]),
        ("error", ["failed"]),
    ],
)
def test_a_server_that_is_told_to_be_quiet_logs_what_matters_alone(level: str, logged: list[str]) -> None:
    """By the variable, as each of its processes has it."""
    code = """
import logging, structlog
from unittest import mock
from app.commands.program import app
def start(*_):
    structlog.get_logger().warning("ours")
    structlog.get_logger().info("request")
    logging.getLogger("kombu").info("nobody wants to know")
    logging.getLogger("kombu").warning("careful")
    structlog.get_logger().error("failed")
with mock.patch("worker.main.run_worker", start):
    app(["worker"])
"""
    environment = {**os.environ, "MICRONET_LOG_LEVEL": level, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    assert [json.loads(line)["event"] for line in done.stderr.splitlines()] == logged
