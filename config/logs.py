"""Shell: log lines of every process: one line an event, key=value, to stderr, never a text of a
message and never a key. A line that cannot be written is dropped."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress

import structlog
from structlog.typing import EventDict, WrappedLogger


def to_stderr() -> None:
    """Set up structlog for this process."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            _on_one_line,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: _Lines(sys.stderr),
    )


class _Lines(structlog.PrintLogger):
    """Attack: a disk is filled on which the log lies too. Saying that something could not be
    stored must not end whoever says it, or the disk's being full outlasts its being full."""

    def msg(self, message: str) -> None:
        with suppress(OSError):
            super().msg(message)

    log = debug = info = warn = warning = fatal = failure = err = error = critical = exception = msg


def _on_one_line(_logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
    """Attack: a value from outside, such as the name of a method, that begins a line of its own
    or commands the terminal in which somebody reads the log. Line ends are shown as such."""
    for key, value in line.items():
        if isinstance(value, str) and not value.isprintable():
            shown = (char if char.isprintable() or char == "\n" else "\ufffd" for char in value)
            line[key] = "".join(shown)
    return line
