"""Pure: whether a text calls the assistant: by its trigger, or by its key.

Nothing here is an expression of somebody else's making, and whatever could be made to go on for
long has a bound: 64 kB of anything are read in milliseconds.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from nips.nip19 import Nprofile, decode, encode_nprofile, encode_npub
from nips.refusal import Malformed

MAX_CHARS = 65_536  # of a message; what stands behind them calls nobody
MAX_LOOKS = 1_000  # at places where the word stands with something joined to it
# The first 54 characters of an nprofile that begins with its key hold 270 of that field's 272
# bits (type, length, 32 bytes); relays and checksum come after.
_NPROFILE_CHARS = len("nprofile1") + 54
# One that begins with something else has to be decoded, which costs a microsecond a character.
_OTHER_NPROFILE = re.compile(r"nprofile1(?!qqs)[02-9ac-hj-np-z]{58,1000}(?![0-9a-z])")
MAX_OTHER_NPROFILES = 4
# What clients put around a name to keep its direction, and what nobody sees.
_UNSEEN = "\u200b\u200e\u200f\u2068\u2069"
# Scripts that are written without spaces: beside them a word has no visible edge.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")


def says(text: str, trigger: str) -> bool:
    """Say whether the text holds the trigger as a word of its own.

    Case does not count, nor how much space stands between its words, nor whether its letters are
    composed. An empty trigger is said by nobody.
    """
    words = _words(trigger)
    read = _plain(text[:MAX_CHARS])
    return any(word.is_in(read) for word in words)


def names(text: str, public_key: str) -> bool:
    """Say whether the text names the key (hex) as an npub or nprofile, after `nostr:` or not."""
    text = text[:MAX_CHARS]
    # BIP-173: all in lower case, or all in upper case.
    if not any(prefix in text for prefix in ("npub1", "nprofile1", "NPUB1", "NPROFILE1")):
        return False
    lower = text.lower()
    npub, nprofile = _addresses(public_key)
    if npub.is_in(lower) or nprofile in lower:
        return True
    others = islice(_OTHER_NPROFILE.finditer(lower), MAX_OTHER_NPROFILES)
    return any(_is_of(other[0], public_key) for other in others)


@dataclass(frozen=True, slots=True)
class _Word:
    """A word as it is looked for, which may be several. `pattern` begins with its literal text
    and looks at the edges after it, so that the search runs from one place to the next; before
    several, whose width is not known, it cannot look: `first` does."""

    pattern: re.Pattern[str]
    first: re.Pattern[str] | None

    @classmethod
    def of(cls, text: str) -> _Word:
        words = [re.escape(word) for word in text.split()]
        # A letter, digit or _ of a script that is written with spaces.
        joining = rf"[^\W{_UNSPACED}]"
        before = "" if _IS_UNSPACED.match(text[0]) else joining
        after = "" if _IS_UNSPACED.match(text[-1]) else f"(?!{joining})"
        if len(words) == 1:
            behind = f"(?<!{before}{words[0]})" if before else ""
            return cls(re.compile(words[0] + behind + after), None)
        first = re.compile(f"(?<!{before})") if before else None
        return cls(re.compile(r"\s+".join(words) + after), first)

    def is_in(self, text: str) -> bool:
        """Say whether it stands somewhere in a folded text."""
        return any(
            not _is_accent(text[found.end() : found.end() + 1])
            and (self.first is None or self.first.match(text, found.start()))
            for found in islice(self.pattern.finditer(text), MAX_LOOKS)
        )


def _is_accent(character: str) -> bool:
    """Whether it belongs to the letter before it, which then is another letter; how an emoji is
    to look changes no letter."""
    if not character or character.isascii() or "\ufe00" <= character <= "\ufe0f":
        return False
    return unicodedata.category(character)[0] == "M"


def _plain(text: str) -> str:
    if not text.isascii():
        for unseen in _UNSEEN:
            text = text.replace(unseen, "")
    return text.casefold()


@lru_cache(maxsize=4096)
def _words(trigger: str) -> tuple[_Word, ...]:
    # The trigger is composed and decomposed, never the text: putting a long row of accents into
    # order, as that does, takes the square of its length.
    spellings = (trigger, *(unicodedata.normalize(form, trigger) for form in ("NFC", "NFD")))
    forms = dict.fromkeys(_plain(spelling).strip() for spelling in spellings)
    return tuple(_Word.of(form) for form in forms if form)


@lru_cache(maxsize=16)
def _addresses(public_key: str) -> tuple[_Word, str]:
    nprofile = encode_nprofile(public_key, ())
    return _Word.of(encode_npub(public_key)), nprofile[:_NPROFILE_CHARS]


def _is_of(text: str, public_key: str) -> bool:
    try:
        found = decode(text)
    except Malformed:
        return False
    return isinstance(found, Nprofile) and found.public_key == public_key
