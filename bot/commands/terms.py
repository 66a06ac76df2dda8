"""Pure: what stands in commands besides names: counts, codes, people, times of day, amounts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation

from bot.commands.words import Word
from nips.nip19 import public_key_of
from nips.own import signal_id
from nips.refusal import Malformed

CODE = re.compile(r"[g-z]{6}|[0-9a-f]{8,16}")
# What a limit is called by a person, and in a binding.
LIMITS = {
    "runs": "runs", "run": "runs",
    "tokens": "tokens", "token": "tokens",
    "usd": "microusd", "$": "microusd", "dollars": "microusd", "money": "microusd",
}  # fmt: skip
SCALES = {"": 1, "k": 1_000, "m": 1_000_000}
MICRO = 1_000_000
MAX_AMOUNT = 10**12
_AMOUNT = re.compile(r"(\+?)\$?([0-9]{1,15}(?:[.,][0-9]{1,6})?)([km]?)", re.IGNORECASE)
_HOURS = re.compile(
    r"([0-9]{1,2})(?:[:.]([0-9]{2}))?\s*(?:-|–|—|to)\s*([0-9]{1,2})(?:[:.]([0-9]{2}))?"
)


class WrongTerm(Exception):
    """A word is not what its place asks for; the message, without a full stop, says why."""


def count_in(words: Sequence[Word], most: int, what: str) -> tuple[int | None, tuple[Word, ...]]:
    """The number that ends the words, and the words before it."""
    if not words or not (words[-1].key.isascii() and words[-1].key.isdigit()):
        return None, tuple(words)
    number = int(words[-1].key[:9])
    if not 1 <= number <= most:
        raise WrongTerm(f"1 to {most} {what} can be shown, not {words[-1].text[:20]}")
    return number, tuple(words[:-1])


def code(word: Word) -> str:
    """A code as it was shown: six letters of ours, or the signer's digits."""
    given = word.text.strip(".,;:").lower()
    if not CODE.fullmatch(given):
        raise WrongTerm(f'"{word.text[:40]}" is no code; it stands in the message that asked')
    return given


def person(word: Word) -> str:
    """A key in hex, from an npub, nprofile, hex or `nostr:` address."""
    try:
        return public_key_of(word.text.strip(",;").removeprefix("@"))
    except Malformed as error:
        # Not quoted: it may be a secret key, pasted by mistake.
        raise WrongTerm(f"that is nobody's address: {error}") from None


def people(words: Sequence[Word]) -> tuple[str, ...]:
    """Keys in hex, each once, at least one."""
    if not words:
        raise WrongTerm("say who: one npub or more")
    return tuple(dict.fromkeys(person(word) for word in words))


def counterparts(words: Sequence[Word]) -> tuple[str, ...]:
    """The same as a binding names them; and people and groups of Signal as `signal:…`."""
    if not words:
        raise WrongTerm("say who: one npub or more, or signal:…")
    return tuple(dict.fromkeys(map(_counterpart, words)))


def _counterpart(word: Word) -> str:
    if not word.key.startswith(signal_id.PREFIX):
        return f"nostr:{person(word)}"
    try:
        return signal_id.PREFIX + signal_id.typed(word.text[len(signal_id.PREFIX) :].strip(",;"))
    except Malformed as error:
        raise WrongTerm(f"that is nobody's address: {error}") from None


def hours(given: str) -> tuple[str, str]:
    """`22:00-07:00`, `22-7`, `22 to 7` as two times of day, HH:MM."""
    found = _HOURS.fullmatch(given)
    if found is None:
        raise WrongTerm(f'"{given[:40]}" is no time; write it as 22:00-07:00')
    times = [(int(found[i]), int(found[i + 1] or 0)) for i in (1, 3)]
    if any(hour > 23 or minute > 59 for hour, minute in times):
        raise WrongTerm(f'"{given[:40]}" is no time of a day')
    start, end = (f"{hour:02}:{minute:02}" for hour, minute in times)
    if start == end:
        raise WrongTerm("quiet hours end at another time than they begin; /pause is for all day")
    return start, end


def switch(word: Word) -> bool:
    """`on` or `off`."""
    match word.key:
        case "on" | "yes":
            return True
        case "off" | "no":
            return False
    raise WrongTerm(f'"{word.text[:40]}" is neither on nor off')


def budget(words: Sequence[Word]) -> tuple[Mapping[str, int | None], Mapping[str, int]]:
    """Pairs such as `runs 50 usd 2.50 tokens off`: the limits, and what is more for today."""
    if len(words) % 2:
        raise WrongTerm(f'after "{words[-1].text[:20]}" comes an amount, or off')
    limits: dict[str, int | None] = {}
    more: dict[str, int] = {}
    for name, amount in zip(words[::2], words[1::2], strict=True):
        if name.key not in LIMITS:
            raise WrongTerm(f'"{name.text[:20]}" is none of runs, tokens, usd')
        field = LIMITS[name.key]
        if field in limits or field in more:
            raise WrongTerm(f"{name.text} is said twice")
        if amount.key in ("off", "none", "default"):
            limits[field] = None
            continue
        is_more, value = _amount(amount, field)
        if is_more:
            more[field] = value
        else:
            limits[field] = value
    return limits, more


def _amount(word: Word, field: str) -> tuple[bool, int]:
    found = _AMOUNT.fullmatch(word.text)
    try:
        value = Decimal(found[2].replace(",", ".")) if found else None
    except InvalidOperation:
        value = None
    if found is None or value is None:
        raise WrongTerm(f'"{word.text[:20]}" is no amount; write 50, +10, 200k or 2.50')
    whole = value * SCALES[found[3].lower()] * (MICRO if field == "microusd" else 1)
    if whole != int(whole):
        raise WrongTerm(f'"{word.text[:20]}" is no whole number')
    if whole > MAX_AMOUNT:
        raise WrongTerm(f'"{word.text[:20]}" is more than can be counted')
    if found[1] and not whole:
        raise WrongTerm("+0 changes nothing")
    return bool(found[1]), int(whole)
