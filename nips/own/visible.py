"""Pure: somebody else's text, made fit to be quoted to a person who must decide about it.

What an agent wrote must not be able to play the question it is quoted in. So each line of it is
marked, everything that is not seen or that turns the reading order is shown by its number, long
blanks are counted instead of printed, and nothing in it is a link. Source: UTS #36 "Unicode
Security Considerations", section 3; UAX #9 (reordering).
"""

from __future__ import annotations

import re
import unicodedata

MARK = "│ "
MAX_BLANKS = 3  # in a row; a screen's width of them begins a line without a mark
MAX_INDENT = 40  # in a row, where a program's text is shown
MAX_COMBINING = 4  # on one letter; a pile of them covers the lines around it

# Letters, marks and symbols by name that show nothing at all.
_EMPTY_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0\u034f\u17b4\u17b5\U00016fe4\U0001d159")
# Attack: a text within the text, a byte to each variation selector behind some emoji.
_SELECTORS = frozenset(map(chr, (*range(0x180B, 0x1810), *range(0xFE00, 0xFE0F)))) | frozenset(
    map(chr, range(0xE0100, 0xE01F0))
)
_COLOURED = "\ufe0f"  # says that the emoji before it is to be coloured, once
_HIDDEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})
# Split where each of them would, so that none hides a line's end from us.
_LINE_ENDS = re.compile("\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")


def quoted(text: str) -> str:
    """The text with every line marked. An empty text is one marked empty line."""
    return "\n".join(MARK + visible(line) for line in _LINE_ENDS.split(text))


def exposed(text: str) -> str:
    """A program's text with every line marked, as it stands but for what is not seen.

    Attack: a line that reads otherwise than it runs, by marks of direction or letters that show
    nothing ("Trojan Source", CVE-2021-42574), or that begins beyond the screen's edge. Only a
    line feed ends a line, as for git: what looks like a line of its own is one.
    """
    return "\n".join(
        MARK + re.sub(f" {{{MAX_INDENT + 1},}}", _counted, _seen(line)) for line in text.split("\n")
    )


def visible(text: str) -> str:
    """One line in which everything is seen: what is not is shown as `⟨U+202E⟩`."""
    line = re.sub(f" {{{MAX_BLANKS + 1},}}", _counted, _seen(text))
    # Attack: a picture behind a link, which the reader's client loads and shows in the question.
    line = re.sub(":?//", r"⟨\g<0>⟩", line)
    # Clients look for the first of these within words too.
    return re.sub(r"(?i)(nostr|\b(?:data|javascript|magnet)):", r"\1⟨:⟩", line)


def _seen(text: str) -> str:
    out: list[str] = []
    n_combining = 0
    before = " "
    for char in text:
        n_combining = n_combining + 1 if unicodedata.category(char)[0] == "M" else 0
        says_nothing = char == _COLOURED and before in (" ", _COLOURED)
        fits = n_combining <= MAX_COMBINING and not says_nothing
        out.append(_shown(char) if fits else _number(char))
        before = char
    return "".join(out)


def _counted(run: re.Match[str]) -> str:
    return f"⟨{len(run[0])} blanks⟩"


def _shown(char: str) -> str:
    if char in (" ", _COLOURED):
        return char
    if char in _EMPTY_LETTERS or char in _SELECTORS or unicodedata.category(char) in _HIDDEN:
        return _number(char)
    if char in "⟨⟩":  # ours: else a text could print a number itself
        return _number(char)
    return char


def _number(char: str) -> str:
    return f"⟨U+{ord(char):04X}⟩"
