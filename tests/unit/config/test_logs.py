"""One event, one line, whatever its values hold."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bot.operate.assembly import SOURCE_TREE

PROGRAM = """
import structlog
from config import logs
logs.to_stderr()
log = structlog.get_logger()
log.info("refused", method="a\\rlevel=error event=gone\\x1b[2J\\x9b31m\\u202e", reason="x\\ny=1")
log.debug("not shown")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed", count=3)
"""


def test_a_value_begins_no_line_and_commands_no_terminal() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=SOURCE_TREE, capture_output=True, check=True
    )
    assert done.stdout == b""
    text = done.stderr.decode()
    assert all(char.isprintable() or char == "\n" for char in text)
    first, second = text.removesuffix("\n").split("\n")
    assert 'event=refused method="a\ufffdlevel=error event=gone\ufffd[2J\ufffd31m\ufffd"' in first
    assert 'reason="x\\ny=1"' in first
    assert "event=failed" in second
    assert "count=3" in second
    assert "ZeroDivisionError" in second


def test_a_full_disk_ends_nobody_who_says_so() -> None:
    program = PROGRAM + "for _ in range(1_000): log.error('not stored', reason='x' * 100)\n"
    program += "print('still here')\n"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=SOURCE_TREE,
            stdout=subprocess.PIPE,
            stderr=full,
            check=False,
        )
    assert done.stdout == b"still here\n"
