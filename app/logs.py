"""Logs: readable on a terminal, JSON lines elsewhere, always on standard error."""

import logging
import sys

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import Processor

from worker.settings import LogLevel

_FACTS: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def configure_logs(level: LogLevel) -> None:
    """For entry points of servers. What libraries log, and warnings, have the same form: their text is the event.

    `level`: from which on things are logged; of libraries nothing that is less than a warning.
    """
    least = logging.getLevelNamesMapping()[level.upper()]
    ends: tuple[Processor, ...] = (
        structlog.processors.format_exc_info,
        structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer(),
    )
    structlog.configure(
        processors=[*_FACTS, *ends],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    of_libraries = logging.StreamHandler(sys.stderr)
    of_libraries.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[*_FACTS, structlog.stdlib.add_logger_name],
            processors=[ProcessorFormatter.remove_processors_meta, *ends],
        )
    )
    logging.basicConfig(level=max(least, logging.WARNING), handlers=[of_libraries])
    logging.captureWarnings(True)
