"""How the service reads styled text, sign by sign: what a reader sees, and where it has styles.

A dumb second telling of its rules, to hold ours against.
"""

from __future__ import annotations

import re

SIGN = re.compile(r"\*{1,3}|\|\||[`~]")
NAMES = {
    "*": ("ITALIC",), "**": ("BOLD",), "***": ("BOLD", "ITALIC"),
    "`": ("MONOSPACE",), "~": ("STRIKETHROUGH",), "||": ("SPOILER",),
}  # fmt: skip


def read(text: str) -> tuple[str, list[tuple[int, int, str]]]:
    """The visible text, and each style as (begin, length, name) in UTF-16 units."""
    seen, styles = "", []
    opened: list[tuple[str, int]] = []
    at, before = 0, ""
    while at < len(text):
        sign = SIGN.match(text, at)
        if sign is None:
            is_escape = text[at] == "\\" and text[at + 1 : at + 2] in ("*", "`", "|", "~")
            seen += "" if is_escape else text[at]
            before = text[at]
            at += 1
            continue
        at = sign.end()
        if before == "\\":
            seen += sign[0]
        elif opened and opened[-1][0] == sign[0]:
            begin = opened.pop()[1]
            styles += [(begin, units(seen) - begin, name) for name in NAMES[sign[0]]]
        else:
            opened.append((sign[0], units(seen)))
        before = sign[0][0]
    return seen, styles


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
