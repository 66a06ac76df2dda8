r"""Pure: Markdown within a line or a paragraph: emphasis, code, links.

Less than CommonMark on purpose: who writes `2*3*4`, `snake_case`, `~/path`, `C:\x` or `__init__`
means those characters, so a sign inside a word, a path or an address is none. What opens nothing or
closes nothing stands as it is. Attack: an agent's text made of a million openers that nothing
closes; so time grows with the length alone.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict, deque
from dataclasses import dataclass

from bot.bridges.signal.outward.styled_text import PLAIN, Run, Style

MAX_OPEN = 32  # signs that wait for what closes them
MAX_SIGN = 3  # `***` is bold and italic; of more than that nobody means a style

_ADDRESS = re.compile(r"https?://[^\s<>*`|\]]*[^\s<>*`|\].,;:!?)}'\"_~]", re.IGNORECASE)
_BRACKETED = re.compile(r"<((?:https?://|mailto:)[^\s<>]+)>", re.IGNORECASE)
_WINDOWS_PATH = re.compile(r"(?:[A-Za-z]:\\|\\\\[A-Za-z0-9])[^\s*`]*")
_ESCAPED = re.compile(r"\\([*_~`#|])")
_SIGN = re.compile(r"\*+|_+|~+")
_TICKS = re.compile(r"`+")
_TARGET = re.compile(
    r"\(\s*(?:<([^<>\n]{1,2000})>|((?:[^\s()<>]|\([^\s()]{0,200}\)){1,2000}))"
    r"(\s+(?:\"[^\"\n]{0,300}\"|'[^'\n]{0,300}'))?\s*\)"
)
# Where something other than a character may begin.
_BEGINNING = re.compile(r"[*_~`\[\]<\\!]|https?://|(?<![^\W_])[A-Za-z]:\\", re.IGNORECASE)
_IDENTIFIER = re.compile(r"\w+")
# A star behind or before one of these is a factor, or a part of a path.
_NO_OPENER_AFTER = frozenset(")]}/\\%°²³$€£")
_NO_CLOSER_BEFORE = frozenset("([{/\\$€£")


@dataclass(slots=True)
class _Piece:
    text: str
    style: Style = PLAIN


def runs_of(text: str, style: Style = PLAIN) -> list[Run]:
    """Read Markdown. style: that all of it has besides."""
    pieces = _Reader(text).read()
    return [Run(piece.text, piece.style | style) for piece in pieces if piece.text]


class _Reader:
    """Of one text, read once from its beginning to its end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._pieces: list[_Piece] = []
        self._open: deque[int] = deque(maxlen=MAX_OPEN)  # which pieces may be closed
        self._ticks: dict[int, list[int]] = defaultdict(list)  # where, by how many
        for found in _TICKS.finditer(text):
            self._ticks[len(found[0])].append(found.start())
        self._links = _links(text)
        self._labels = {label for label, _, _ in self._links.values()}

    def read(self) -> list[_Piece]:
        at, text = 0, self._text
        while found := _BEGINNING.search(text, at):
            self._put(text[at : found.start()])
            at = self._step(found.start())
        self._put(text[at:])
        return self._pieces

    def _step(self, at: int) -> int:
        """Read what begins here, and say where it ends."""
        match self._text[at]:
            case "*" | "_" | "~":
                return self._sign(at)
            case "`":
                return self._code(at)
            case "[" if at in self._labels:
                return at + 1
            case "!" if at + 1 in self._labels:
                return at + 2
            case "]" if at in self._links:
                _, end, shown = self._links[at]
                self._put(shown)
                return end
            case "<" if found := _BRACKETED.match(self._text, at):
                self._put(found[1])
                return found.end()
            case "\\" if found := _ESCAPED.match(self._text, at):
                self._put(found[1])
                return found.end()
            case _:
                for whole in (_ADDRESS, _WINDOWS_PATH):
                    if found := whole.match(self._text, at):
                        self._put(found[0])
                        return found.end()
                self._put(self._text[at])
                return at + 1

    def _put(self, text: str, style: Style = PLAIN) -> None:
        if text:
            self._pieces.append(_Piece(text, style))

    def _code(self, at: int) -> int:
        length = _length(_TICKS, self._text, at)
        places = self._ticks[length]
        index = bisect_right(places, at)
        if index == len(places):
            self._put("`" * length)
            return at + length
        code = self._text[at + length : places[index]]
        # CommonMark: one space on each side is there for the backticks' sake.
        if code.strip() and code[0] == code[-1] == " ":
            code = code[1:-1]
        self._put(code, Style.MONOSPACE)
        return places[index] + length

    def _sign(self, at: int) -> int:
        length = _length(_SIGN, self._text, at)
        end = at + length
        before = self._text[at - 1] if at else " "
        after = self._text[end] if end < len(self._text) else " "
        sign = self._text[at:end]
        self._put(sign)
        # Attack: a hundred thousand stars, of which each of as many others closes one.
        if length > MAX_SIGN or (sign[0] == "~" and length != 2):
            return end
        if _closes(sign, before, after):
            self._close(len(self._pieces) - 1)
        if _opens(sign, before, after) and self._pieces[-1].text:
            self._open.append(len(self._pieces) - 1)
        return end

    def _close(self, last: int) -> None:
        """Let this sign close what was opened before it, as far as it goes."""
        closer = self._pieces[last]
        while closer.text:
            first = next((i for i in reversed(self._open) if self._fits(i, closer)), None)
            if first is None:
                return
            while self._open[-1] != first:
                self._open.pop()  # opened within, closed by nothing
            opener, within = self._pieces[first], self._pieces[first + 1 : last]
            used = min(2, len(opener.text), len(closer.text))
            if _is_identifier(closer.text[:used], within):
                self._open.pop()
                return
            style = _style_of(closer.text[:used])
            for piece in within:
                piece.style |= style
            opener.text, closer.text = opener.text[used:], closer.text[used:]
            if not opener.text:
                self._open.pop()

    def _fits(self, opener: int, closer: _Piece) -> bool:
        return self._pieces[opener].text[0] == closer.text[0]


def _opens(sign: str, before: str, after: str) -> bool:
    return not (after.isspace() or before in _NO_OPENER_AFTER or _in_word(sign, before))


def _closes(sign: str, before: str, after: str) -> bool:
    if before.isspace() or after in _NO_CLOSER_BEFORE or _in_word(sign, after):
        return False
    return not (sign == "*" and before in "/\\")  # src/*.py


def _in_word(sign: str, beside: str) -> bool:
    """Say whether the character on its outer side makes it part of a word. In scripts that put
    no space between words, two stars there are meant as a sign."""
    return beside.isalnum() and (beside.isascii() or sign == "*" or sign[0] == "_")


def _is_identifier(sign: str, within: list[_Piece]) -> bool:
    """Say whether this is a name such as `__init__`."""
    inner = "".join(piece.text for piece in within) if len(within) < 3 else " "
    return sign == "__" and _IDENTIFIER.fullmatch(inner) is not None


def _style_of(sign: str) -> Style:
    if sign[0] == "~":
        return Style.STRIKE
    return Style.BOLD if len(sign) == 2 else Style.ITALIC


def _length(of: re.Pattern[str], text: str, at: int) -> int:
    found = of.match(text, at)
    return found.end() - at if found else 0


def _links(text: str) -> dict[int, tuple[int, int, str]]:
    """Each link by where its label ends: where the label begins, where the link ends, and what is
    shown behind the label."""
    found: dict[int, tuple[int, int, str]] = {}
    begun: list[int] = []
    for bracket in re.finditer(r"(?<!\\)[\[\]]", text):
        at = bracket.start()
        if bracket[0] == "[":
            begun.append(at)
        elif begun:
            label = begun.pop()
            if target := _TARGET.match(text, at + 1):
                address, title = target[1] or target[2], target[3] or ""
                shown = _behind(text[label + 1 : at], address + title)
                found[at] = (label, target.end(), shown)
    return found


def _behind(label: str, target: str) -> str:
    """What is shown behind a label: where it leads, unless the label says that itself."""
    if not label.strip():
        return target
    says_it = label.strip().rstrip("/") == target.removeprefix("mailto:").rstrip("/")
    return "" if says_it else f" ({target})"
