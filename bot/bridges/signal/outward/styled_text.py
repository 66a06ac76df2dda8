r"""Pure: text with styles, and how it is written for the service (`text_mode: "styled"`).

Source: the service's utils/textstyleparser.go. `*` is italic, `**` bold, `***` both, `~` strike, a
backtick monospace, `||` a spoiler; `\` before one of these makes it a character. A sign closes the
style that was opened last where it is the same one, and opens a style otherwise; what is never
closed is lost from the text. A backslash before a sign that was meant as one cannot be written, and
stars beside stars are read as one sign. So each such character of the text is escaped, and a style
is left out where it would be misread: the words matter more.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Flag, auto
from itertools import accumulate, groupby

from bot.bridges.splitting import end_of_part

_SIGNS = re.compile(r"[*`~|]")


class Style(Flag):
    """How text looks; a combination is several at once."""

    BOLD = auto()
    ITALIC = auto()
    STRIKE = auto()
    MONOSPACE = auto()


PLAIN = Style(0)
_STARS = Style.BOLD | Style.ITALIC
_STAR_SIGNS = {PLAIN: "", Style.ITALIC: "*", Style.BOLD: "**", _STARS: "***"}


@dataclass(frozen=True, slots=True)
class Run:
    """A piece of text that looks the same throughout."""

    text: str
    style: Style = PLAIN


def plain(runs: Iterable[Run]) -> str:
    """The text alone, as a reader sees it."""
    return "".join(run.text for run in runs)


def written(runs: Iterable[Run]) -> str:
    """The text in the service's form. It reads as exactly that text, each style on what had it,
    or on less."""
    beside = groupby(_writable(runs), lambda run: bool(run.style & _STARS))
    return "".join(
        _starred(list(group)) if is_starred else "".join(_unstarred(run) for run in group)
        for is_starred, group in beside
    )


def utf16_units(text: str) -> int:
    """The length of a text as Signal counts it."""
    return len(text) + sum(char > "\uffff" for char in text)


def parts(runs: Sequence[Run], most: int) -> list[tuple[Run, ...]]:
    """Cut a text into parts that are `written` in at most `most` UTF-16 units each, at paragraph
    ends where it can; a style that is cut goes on in the next part. Only blanks at the cuts are
    lost. most: far above the longest sign."""
    text, firsts = plain(runs), list(accumulate((len(run.text) for run in runs), initial=0))
    sizes = list(accumulate(_sizes(runs), initial=0))
    found, start = [], 0
    while sizes[-1] - sizes[start] > (room := most - 2 * len(_signs(_around(runs, firsts, start)))):
        fits = bisect_right(sizes, sizes[start] + room) - 1 - start
        end = start + end_of_part(text[start : start + fits], fits)
        found.append(_between(runs, firsts, start, start + len(text[start:end].rstrip())))
        start = end + len(text[end:]) - len(text[end:].lstrip())
    return [part for part in (*found, _between(runs, firsts, start, len(text))) if part]


def _around(runs: Sequence[Run], firsts: Sequence[int], at: int) -> Style:
    """The style that is opened once more by who cuts there."""
    index = bisect_right(firsts, at) - 1
    return PLAIN if firsts[index] == at else runs[index].style


def _sizes(runs: Iterable[Run]) -> Iterable[int]:
    """What each character adds; a run's first one its signs too."""
    for run in runs:
        signs = 2 * len(_signs(run.style))
        for char in run.text:
            yield utf16_units(char) + bool(_SIGNS.match(char)) + signs
            signs = 0


def _between(runs: Sequence[Run], firsts: Sequence[int], start: int, end: int) -> tuple[Run, ...]:
    # Attack: a hundred thousand runs, each looked at for each of a hundred parts.
    within = range(bisect_right(firsts, start) - 1, min(bisect_left(firsts, end), len(runs)))
    cut = (
        Run(run.text[max(start - at, 0) : max(end - at, 0)], run.style)
        for run, at in ((runs[i], firsts[i]) for i in within)
    )
    return tuple(run for run in cut if run.text)


def _writable(runs: Iterable[Run]) -> list[Run]:
    """The same text, without the styles that would begin or end where they cannot."""
    found: list[Run] = []
    for run in runs:
        # What is monospace is nothing else: that needs no signs within signs.
        style = Style.MONOSPACE if Style.MONOSPACE in run.style else run.style
        wrong = "\\" if style == Style.MONOSPACE else "\\*"
        if found and found[-1].style == PLAIN and found[-1].text.endswith(tuple(wrong)):
            style = PLAIN
        body = run.text.rstrip(wrong) if style else run.text
        _append(found, Run(body, style))
        _append(found, Run(run.text[len(body) :]))
    return found


def _append(runs: list[Run], run: Run) -> None:
    if runs and run.text and runs[-1].style == run.style:
        runs[-1] = Run(runs[-1].text + run.text, run.style)
    elif run.text:
        runs.append(run)


def _unstarred(run: Run) -> str:
    signs = _signs(run.style)
    return f"{signs}{_escaped(run.text)}{signs[::-1]}"


def _starred(runs: Sequence[Run]) -> str:
    """Runs beside each other that all have stars: one pair of signs around them, and another pair
    within only where characters stand between them."""
    shared = _STARS
    for run in runs:
        shared &= run.style
    signs = _STAR_SIGNS[shared or runs[0].style & _STARS]
    inner = [shared and run.style & _STARS & ~shared for run in runs]
    inner[0] = inner[-1] = PLAIN
    within = (
        _unstarred(Run(run.text, style | run.style & Style.STRIKE))
        for run, style in zip(runs, inner, strict=True)
    )
    return f"{signs}{''.join(within)}{signs}"


def _signs(style: Style) -> str:
    """What opens a style; read backwards it closes it."""
    if Style.MONOSPACE in style:
        return "`"
    return ("~" if Style.STRIKE in style else "") + _STAR_SIGNS[style & _STARS]


def _escaped(text: str) -> str:
    return _SIGNS.sub(r"\\\g<0>", text)
