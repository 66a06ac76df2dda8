"""Pure: an agent's Markdown as text with styles, for a reader who has no Markdown.

Headings are bold, bullets are •, a link is `label (address)`, code is monospace, tables and quotes
stay lines. No word is lost but the name of a code block's language.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.bridges.signal.outward.inline import runs_of
from bot.bridges.signal.outward.styled_text import PLAIN, Run, Style

_FENCE = re.compile(r"([ \t]*)(`{3,}|~{3,})([^`]*)")
_LANGUAGE = re.compile(r"[\w+#.-]{0,20}")
_QUOTE = re.compile(r" {0,3}>(?: ?>)*[ \t]?")
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(?=\S)")
_BULLET = re.compile(r"([ \t]*)[-*+][ \t]+(?=\S)")
_RULE = re.compile(r"[ \t]*(?:[*][ \t]*){3,}|[ \t]*(?:-[ \t]*){3,}|[ \t]*(?:_[ \t]*){3,}")
_NUMBER = re.compile(r"[ \t]*[0-9]{1,9}[.)][ \t]")


def styled(markdown: str) -> list[Run]:
    """Read Markdown."""
    # A NUL is dropped on the way, and what stood around it would be one sign.
    text = markdown.replace("\0", "").replace("\r\n", "\n").strip("\n")
    lines = [line.rstrip() for line in text.split("\n")]
    runs: list[Run] = []
    at = 0
    while at < len(lines):
        block, at = _block(lines, at)
        runs += [Run("\n"), *block] if runs else block or [Run("")]
    return [run for run in runs if run.text]


def _block(lines: Sequence[str], at: int) -> tuple[list[Run], int]:
    """What begins in a line, and the line behind it."""
    if not lines[at]:
        return [], at + 1
    if fence := _FENCE.fullmatch(lines[at]):
        return _fenced(lines, at, fence)
    if _is_table(lines, at):
        return _table(lines, at)
    if _RULE.fullmatch(lines[at]):
        return [Run(lines[at])], at + 1
    start, words, style = _start(lines[at])
    end = at + 1
    while style == PLAIN and end < len(lines) and not _begins_block(lines, end):
        end += 1
    text = "\n".join([words, *lines[at + 1 : end]])
    return [Run(start), *runs_of(text, style)], end


def _start(line: str) -> tuple[str, str, Style]:
    """A line's quotation marks and bullet, its words, and how they look."""
    start, style = "", PLAIN
    if quote := _QUOTE.match(line):
        start, line = quote[0], line[quote.end() :]
    if heading := _HEADING.match(line):
        line, style = _without_closing(line[heading.end() :]), Style.BOLD
    elif bullet := _BULLET.match(line):
        start, line = f"{start}{bullet[1]}• ", line[bullet.end() :]
    return start, line, style


def _without_closing(heading: str) -> str:
    """`Title ##` is `Title`; `C#` is `C#`."""
    words = heading.rstrip("#")
    return words.rstrip() if words[-1:] in (" ", "\t") else heading


def _begins_block(lines: Sequence[str], at: int) -> bool:
    line = lines[at]
    begins = (_QUOTE, _HEADING, _BULLET, _NUMBER, _RULE)
    return (
        not line
        or any(begin.match(line) for begin in begins)
        or _FENCE.fullmatch(line) is not None
        or _is_table(lines, at)
    )


def _fenced(lines: Sequence[str], at: int, fence: re.Match[str]) -> tuple[list[Run], int]:
    indent, mark, info = fence[1], fence[2], fence[3].strip()
    end = at + 1
    while end < len(lines) and not _ends(lines[end].strip(), mark):
        end += 1
    # Words behind a mark that nothing closes may be anything.
    is_language = end < len(lines) and _LANGUAGE.fullmatch(info)
    first = [Run(f"{info}\n")] if info and not is_language else []
    code = "\n".join(line.removeprefix(indent) for line in lines[at + 1 : end])
    return [*first, Run(code, Style.MONOSPACE)], end + 1


def _ends(line: str, mark: str) -> bool:
    return line.startswith(mark) and not line.strip(mark[0])


def _is_table(lines: Sequence[str], at: int) -> bool:
    below = lines[at + 1] if at + 1 < len(lines) else ""
    return "|" in lines[at] and "|" in below and "-" in below and not below.strip("|:- \t")


def _table(lines: Sequence[str], at: int) -> tuple[list[Run], int]:
    """Its rows, the first one bold."""
    runs, end = runs_of(_row(lines[at]), Style.BOLD), at + 2
    while end < len(lines) and "|" in lines[end]:
        runs += [Run("\n"), *runs_of(_row(lines[end]))]
        end += 1
    return runs, end


def _row(line: str) -> str:
    row = line.strip().removeprefix("|")
    return (row if row.endswith("\\|") else row.removesuffix("|")).strip()
