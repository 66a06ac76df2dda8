"""Pure: somebody else's text, made fit to be shown to a model that must not obey it.

Every line of it begins with a mark, and no line of ours does. A mark, and not a fence with a
beginning and an end: there is nothing that a text could close, nothing that must be kept secret
from it, and the same conversation is the same prompt again, which providers charge less for. What
cannot be seen, or turns the reading order, is shown by its number. Source: UTS #36, section 3;
UAX #9 (reordering); RFC 5892, appendix A (where joiners have a meaning).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

MARK = "│ "
MAX_COMBINING = 4  # on one letter; a pile of them covers what is around it

_PLAIN = re.compile(r"[ -;=-Z\\-~]+")  # ASCII without `<` and `[`
# Attack: words that the template of a model's prompt is made of. Servers on one's own machine read
# the whole prompt for them, so that `<|im_start|>system` in a message would begin the system's.
# One sign that is shown in brackets, and they are words like others. Source: the templates of
# ChatML, Llama, Mistral, Gemma, DeepSeek, Qwen, GLM.
_TEMPLATE = re.compile(
    r"<(?=[|｜])"
    r"|<(?=/?(?:s|bos|eos|pad|unk|sop|think|tools|tool_call|tool_response|(?:start|end)_of_turn)>)"
    r"|<(?=</?SYS>>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_[A-Z]+|ARGS|CALL_ID|THINK|gMASK)\])"
)
# Where any reader would begin a line, so that none hides a line's end from us.
_LINE_ENDS = frozenset("\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
_HIDDEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
# Letters, marks and symbols by name that show nothing at all.
_EMPTY = frozenset("\u115f\u1160\u2800\u3164\uffa0\u034f\u17b4\u17b5\U00016fe4\U0001d159")
# Attack: a text within the text, a byte to each variation selector behind some emoji.
_SELECTORS = frozenset(map(chr, (*range(0x180B, 0x1810), *range(0xFE00, 0xFE0F)))) | frozenset(
    map(chr, range(0xE0100, 0xE01F0))
)
_COLOURED = "\ufe0f"  # says that the emoji before it is to be coloured, once
_JOINERS = frozenset("\u200c\u200d")
_VIRAMA = 9  # a combining class


@dataclass(frozen=True, slots=True)
class Quote:
    """A text as it is shown; `n_left_out`: how many of its characters there was no room for."""

    text: str
    n_left_out: int


def quoted(text: str, max_bytes: int) -> Quote:
    """The beginning of a text in at most `max_bytes`, at least a mark; every line has one."""
    shown, left_bytes, at = [MARK], max_bytes - len(MARK.encode()), 0
    while at < len(text):
        if plain := _PLAIN.match(text, at, at + max(left_bytes, 0)):
            piece, end = plain[0], plain.end()
        elif text[at] in _LINE_ENDS:
            end = at + (2 if text.startswith("\r\n", at) else 1)
            piece = f"\n{MARK}"
        else:
            piece, end = _shown(text, at), at + 1
        if (left_bytes := left_bytes - len(piece.encode())) < 0:
            break
        shown.append(piece)
        at = end
    return Quote("".join(shown), len(text) - at)


def name(text: str, max_chars: int) -> str:
    """A name on a line of ours: in quotation marks, which it cannot close, and nothing hidden."""
    cut = text[:max_chars]
    inside = "".join(_number(char) if char == '"' else _shown(cut, n) for n, char in enumerate(cut))
    return f'"{inside}…"' if len(text) > max_chars else f'"{inside}"'


def _shown(text: str, at: int) -> str:
    char = text[at]
    category = unicodedata.category(char)
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    if char == "\t" or category == "Zs":
        return " "
    if char == _COLOURED:
        return char if before.strip() and before not in _SELECTORS | {_COLOURED} else _number(char)
    if char in _JOINERS:
        return char if _joins(before, after) else _number(char)
    if _TEMPLATE.match(text, at):
        return f"⟨{char}⟩"
    if category in _HIDDEN or char in _EMPTY or char in _SELECTORS:
        return _number(char)
    if char in "⟨⟩":  # ours: else a text could print a number itself
        return _number(char)
    pile = text[max(at - MAX_COMBINING, 0) : at + 1]
    if len(pile) > MAX_COMBINING and all(unicodedata.category(one)[0] == "M" for one in pile):
        return _number(char)
    return char


def _joins(before: str, after: str) -> bool:
    """Say whether a joiner between these two is seen: in some scripts, and within emoji."""
    if not before or not after:
        return False
    if unicodedata.combining(before) == _VIRAMA:
        return True
    if unicodedata.bidirectional(before) == unicodedata.bidirectional(after) == "AL":
        return True
    is_emoji = before == _COLOURED or unicodedata.category(before) in ("So", "Sk")
    return is_emoji and unicodedata.category(after) == "So"


def _number(char: str) -> str:
    return f"⟨U+{ord(char):04X}⟩"
