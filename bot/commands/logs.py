"""Shell: the last warnings of the parts, from the ends of their log files.

A log holds no message's text and no key; still, what is repeated into a conversation is chosen:
which event, and a few fields about it, with anything that looks like a secret left out.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from bot.commands.facts import LogLine

TAIL_BYTES = 128 * 2**10  # of each file
LEVELS = frozenset({"warning", "error", "critical"})
FIELDS = ("reason", "error", "relay", "url", "program", "status", "count", "number", "job", "run")
MAX_FIELD_CHARS = 160
_PAIR = re.compile(r'([A-Za-z_][A-Za-z0-9_.]*)=("(?:[^"\\]|\\.)*"|\S*)')
_SECRET = re.compile(
    r"(?:nsec1|ncryptsec1|bunker://|sk-|xox[a-z]-|ghp_|AKIA)\S*|(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])"
    r"|(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_=-]{40,}",
    re.IGNORECASE,
)


def last_warnings(folder: Path, count: int) -> list[LogLine]:
    """The newest `count` warnings and errors in the `*.log` files of a folder, the newest last."""
    found = [line for path in sorted(folder.glob("*.log")) for line in _warnings(path)]
    return sorted(found, key=lambda line: line.at)[-count:]


def _warnings(path: Path) -> Iterator[LogLine]:
    for text in _tail(path).splitlines():
        fields = {name: _plain(value) for name, value in _PAIR.findall(text)}
        at, level = fields.get("timestamp", ""), fields.get("level", "")
        if not at or level not in LEVELS:
            continue
        more = [f"{name} {hidden(fields[name])}" for name in FIELDS if fields.get(name)]
        words = ", ".join([hidden(fields.get("event", "?")), *more])
        yield LogLine(at, path.stem, level, words)


def hidden(value: str) -> str:
    """A value without what looks like a key, and not longer than is read at a glance."""
    shown = "".join(c if c.isprintable() else " " for c in value)
    return _SECRET.sub(_shortened, shown)[:MAX_FIELD_CHARS]


def _shortened(found: re.Match[str]) -> str:
    # Attack: an error that quotes a key. An id is told by its beginning, a key not even by that.
    return "(left out)"


def _plain(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == '"':
        return value[1:-1].replace('\\"', '"').replace("\\n", " ").replace("\\\\", "\\")
    return value


def _tail(path: Path) -> str:
    try:
        # Our own folder; but whatever stands there as a pipe or a link is not waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            return ""
        size = found.st_size
        file.seek(max(0, size - TAIL_BYTES))
        return file.read(TAIL_BYTES).decode(errors="replace")
