"""What a server logs is JSON, line by line, whoever logs it."""

import json
import subprocess
import sys


def test_libraries_and_warnings_log_lines_of_json_as_the_server_does() -> None:
    code = """
import logging, warnings, structlog
from app.logs import configure_logs
configure_logs()
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
