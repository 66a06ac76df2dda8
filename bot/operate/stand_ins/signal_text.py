"""Pure: styled text as signal-cli-rest-api reads it: a message with marks → plain text and ranges.

`*italic*`, `**bold**`, `***both***`, `~struck~`, `` `monospace` ``, `||spoiler||`; a backslash
takes the meaning from what follows. A mark opens where it is not the one opened last, and closes
where it is. All marks go from the text, those without a partner too. Ranges are counted in UTF-16
code units.
Source: signal-cli-rest-api, utils/textstyleparser.go.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

STYLES = {
    "*": ("ITALIC",),
    "**": ("BOLD",),
    "***": ("BOLD", "ITALIC"),
    "||": ("SPOILER",),
    "~": ("STRIKETHROUGH",),
    "`": ("MONOSPACE",),
}
# In this order: a backslash before a mark's sign, a mark, and whatever else.
_PIECE = re.compile(r"\\(?=[*`|~])|\*{1,3}|\|\||~|`|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Styled:
    """Text without its marks, and the ranges as signal-cli takes them: `start:length:STYLE`."""

    text: str
    ranges: tuple[str, ...]


def styled(message: str) -> Styled:
    """Read a message sent with `text_mode` "styled"."""
    text: list[str] = []
    n_units = 0
    opened: list[tuple[str, int]] = []
    ranges: list[str] = []
    before = ""
    for found in _PIECE.finditer(message):
        piece = found.group()
        escaped, is_escape = before == "\\", piece == "\\" and found.end() < len(message)
        before = piece[-1]
        if is_escape and message[found.end()] in "*`|~":
            continue
        if piece in STYLES and not escaped:
            if opened and opened[-1][0] == piece:
                start = opened.pop()[1]
                ranges += [f"{start}:{n_units - start}:{style}" for style in STYLES[piece]]
            else:
                opened.append((piece, n_units))
            continue
        text.append(piece)
        n_units += utf16_units(piece)
    return Styled("".join(text), tuple(ranges))


def utf16_units(text: str) -> int:
    """How long a text is as Signal counts it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
