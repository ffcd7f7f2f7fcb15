"""Logs: JSON lines, or plain lines on a terminal. Newlines in data stay escaped.

Everything that the process writes after ``configure`` goes through one handler: the log of truecount, the loggers of
libraries, warnings, and exceptions that nobody caught in a thread, in a finalizer or in the event loop.
"""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any

import structlog

LIBRARIES = ("aiokafka", "kafka", "faust", "mode")
"""Their logs are turned off, except at DEBUG: truecount logs their problems itself, once and with the cause."""


class _Handler(logging.StreamHandler[Any]):
    """Writes to standard error. A record that cannot be formatted is dropped: its traceback would be plain text."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        """Do nothing."""


def configure(level: str = "INFO") -> None:
    """Set up structlog and the standard library's logging with one format."""
    renderer: structlog.types.Processor
    renderer = structlog.processors.JSONRenderer() if as_json() else structlog.dev.ConsoleRenderer()
    common: list[structlog.types.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*common, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
    _configure_libraries(level, [structlog.stdlib.add_logger_name, *common], renderer)
    threading.excepthook = _thread_failed
    sys.unraisablehook = _not_raised


def as_json() -> bool:
    """Whether lines are JSON: standard error is not a terminal."""
    return not sys.stderr.isatty()


def _configure_libraries(
    level: str, before: list[structlog.types.Processor], renderer: structlog.types.Processor
) -> None:
    handler = _Handler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING if level == "DEBUG" else logging.CRITICAL)


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    """Log an exception that ended a thread."""
    if failure.exc_type is SystemExit:
        return
    thread = failure.thread.name if failure.thread is not None else "unknown"
    logging.getLogger(__name__).error("a thread ended with an exception: %s", thread, exc_info=failure.exc_value)


def _not_raised(failure: Any) -> None:
    """Log an exception of a finalizer."""
    what = failure.err_msg or "an exception was ignored"
    logging.getLogger(__name__).error("%s: %r", what, failure.object, exc_info=failure.exc_value)
