"""Pure: a unified diff read strictly, and applied to text.

Only what a person can read as the change of a text is understood: a file made, changed or removed,
line by line. Modes, links, renames, binary data and paths that lead anywhere but into our folders
are refused, not skipped: what was not shown to the reader is not done. Source: POSIX `diff -u`,
git's `diff-format` documentation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nips.refusal import Malformed

MAX_FILES = 50
MAX_PATH_CHARS = 200
ROOMS = (
    "nips", "relay_local", "signer", "bot", "agent_image", "config", "tests", "bench", "docs",
)  # fmt: skip
PROSE = frozenset(
    {"README.md", "ARCHITECTURE.md", "PROTOCOL.md", "CHANGELOG.md", "CONTRIBUTING.md"}
)
SUFFIXES = frozenset({".py", ".md", ".toml", ".txt", ".json", ".jsonl"})
# No part begins with a dot: .git and its hooks, .venv, .github, .. are none of these.
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_HUNK = re.compile(r"@@ -(\d{1,7})(?:,(\d{1,7}))? \+(\d{1,7})(?:,(\d{1,7}))? @@.*")
_INDEX = re.compile(r"index [0-9a-f]{4,64}\.\.[0-9a-f]{4,64}(?: 100644)?")
_PLAIN_MODE = "file mode 100644"
_NONE = "/dev/null"


@dataclass(frozen=True, slots=True)
class Hunk:
    """From the line `at` (from 1) of the old text on, `old` is replaced by `new`; each without
    its line's end."""

    at: int
    old: tuple[str, ...]
    new: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileChange:
    """What becomes of one file. is_new: it must not be there; is_removed: nothing is left."""

    path: str
    hunks: tuple[Hunk, ...]
    is_new: bool = False
    is_removed: bool = False


def parse(text: str) -> tuple[FileChange, ...]:
    """Read a whole diff. Raises Malformed with the line that is not understood."""
    if "\r" in text or "\0" in text:
        raise Malformed("a patch has plain lines, without carriage returns and zero bytes")
    lines, at = text.rstrip("\n").split("\n"), 0
    found: list[FileChange] = []
    while at < len(lines):
        change, at = _file(lines, at)
        found.append(change)
    if not found or len(found) > MAX_FILES:
        raise Malformed(f"a patch changes 1 to {MAX_FILES} files")
    if len({change.path for change in found}) < len(found):
        raise Malformed("a patch names each file once")
    return tuple(found)


def apply(change: FileChange, before: str | None) -> str | None:
    """The file's text after a change, None for no file. Raises Malformed where it does not fit."""
    if (before is None) is not change.is_new:
        raise Malformed(f"{change.path} is {'not ' if before is None else ''}there")
    lines = (before or "").split("\n")
    # A text ends with a line's end; what stands behind the last one is no line.
    if before and lines.pop() != "":
        raise Malformed(f"{change.path} does not end with a line's end")
    lines = lines if before else []
    out: list[str] = []
    done = 0
    for hunk in change.hunks:
        start = hunk.at - 1 if hunk.old else hunk.at
        if start < done or tuple(lines[start : start + len(hunk.old)]) != hunk.old:
            raise Malformed(f"{change.path} is another at line {hunk.at}")
        out += [*lines[done:start], *hunk.new]
        done = start + len(hunk.old)
    out += lines[done:]
    if change.is_removed:
        if out:
            raise Malformed(f"{change.path} is removed, and something of it is left")
        return None
    return "".join(f"{line}\n" for line in out)


def check_path(path: str) -> str:
    """The path, if it is one of a text of ours. Raises Malformed. Attack: `..`, an absolute path,
    `.git/hooks/…`, a name that a shell or a file system reads otherwise."""
    parts = path.split("/")
    if len(path) > MAX_PATH_CHARS or not all(_PART.fullmatch(part) for part in parts):
        raise Malformed(f"{path[:80]!r} is no path of this program")
    if not (path in PROSE or (len(parts) > 1 and parts[0] in ROOMS)):
        raise Malformed(f"{path!r} is not among this program's texts")
    if "." + path.rpartition(".")[2] not in SUFFIXES:
        raise Malformed(f"{path!r} is no text of this program")
    return path


def _file(lines: list[str], at: int) -> tuple[FileChange, int]:
    named = None
    if lines[at].startswith("diff --git "):
        named, at = lines[at].removeprefix("diff --git "), at + 1
    while at < len(lines) and not lines[at].startswith("--- "):
        header = lines[at]
        is_known = header in (f"new {_PLAIN_MODE}", f"deleted {_PLAIN_MODE}")
        if named is None or not (is_known or _INDEX.fullmatch(header)):
            raise Malformed(f"line {at + 1}: {header[:60]!r} is not understood")
        at += 1
    if at + 1 >= len(lines) or not lines[at + 1].startswith("+++ "):
        raise Malformed(f"line {at + 1}: here `--- a/FILE` and `+++ b/FILE` should be")
    old = _path(lines[at].removeprefix("--- "), "a/")
    new = _path(lines[at + 1].removeprefix("+++ "), "b/")
    path = new or old
    if path is None or (old and new and old != new):
        raise Malformed(f"line {at + 1}: both names must be of one file")
    if named is not None and named != f"a/{path} b/{path}":
        raise Malformed(f"line {at + 1}: another file than `diff --git` names")
    hunks, at = _hunks(lines, at + 2)
    change = FileChange(check_path(path), hunks, old is None, new is None)
    return change, at


def _path(given: str, prefix: str) -> str | None:
    if given == _NONE:
        return None
    if not given.startswith(prefix):
        raise Malformed(f"{given[:80]!r} must begin with {prefix}")
    return given.removeprefix(prefix)


def _hunks(lines: list[str], at: int) -> tuple[tuple[Hunk, ...], int]:
    hunks: list[Hunk] = []
    while at < len(lines) and lines[at].startswith("@@"):
        head = _HUNK.fullmatch(lines[at])
        if head is None:
            raise Malformed(f"line {at + 1}: a hunk begins with @@ -1,2 +1,2 @@")
        n_old, n_new = (int(head[n]) if head[n] is not None else 1 for n in (2, 4))
        old: list[str] = []
        new: list[str] = []
        at += 1
        while len(old) < n_old or len(new) < n_new:
            line = lines[at] if at < len(lines) else "?"
            match line[:1]:
                case " " | "":
                    old.append(line[1:])
                    new.append(line[1:])
                case "-":
                    old.append(line[1:])
                case "+":
                    new.append(line[1:])
                case _:
                    raise Malformed(f"line {at + 1}: not a line of a hunk")
            at += 1
        if len(old) != n_old or len(new) != n_new:
            raise Malformed(f"line {at}: this hunk is longer than it says")
        hunks.append(Hunk(int(head[1]), tuple(old), tuple(new)))
    if not hunks:
        raise Malformed(f"line {at + 1}: a file without a change")
    return tuple(hunks), at
