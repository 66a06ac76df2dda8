"""Pure: the unsigned public events that the command line has signed.

Each holds a once-key made of what it says, so that the same publication is the same event however
often it is asked for: after a kill, or by a person who pressed Enter twice. Where it takes the
place of an earlier version the key is that version's too, since an author may return to old words.
"""

from __future__ import annotations

from dataclasses import dataclass

from nips import nip09, nip10, nip22, nip23, nip25
from nips.event import Event, Tags, Template
from nips.kinds import Kind
from nips.nip23 import MAX_TEXT_BYTES, Article
from nips.own.once import once_key
from nips.refusal import Malformed


@dataclass(frozen=True, slots=True)
class Now:
    """bot: the author, hex. at: unix seconds. again: "", or at random where what was said before
    is said once more. salt: known to the command line alone."""

    bot: str
    at: int
    again: str = ""
    salt: str = ""


def note(now: Now, text: str) -> Template:
    """A kind 1. Raises Malformed."""
    once = _once(now, Kind.NOTE, "", checked_text(text))
    return Template(now.bot, now.at, Kind.NOTE, once, text)


def reply(now: Now, to: Event, text: str, relay: str = "") -> Template:
    """A kind 1 that answers one; relay: where that is, if known. Raises Malformed."""
    once = _once(now, Kind.NOTE, to.id, checked_text(text))
    return nip10.reply(to, text, now.bot, now.at, relay, once)


def comment(now: Now, on: Event, text: str, relay: str = "") -> Template:
    """A kind 1111 on anything but a note. Raises Malformed."""
    once = _once(now, Kind.COMMENT, on.id, checked_text(text))
    return nip22.comment(on, text, now.bot, now.at, relay, once)


def reaction(now: Now, to: Event, sign: str, relay: str = "") -> Template:
    """A kind 7. Raises Malformed."""
    once = _once(now, Kind.REACTION, to.id, sign.strip())
    return nip25.reaction(to, sign.strip(), now.bot, now.at, relay, once)


def retraction(now: Now, of: Event) -> Template:
    """A kind 5 that takes back an event of the bot's. Raises Malformed."""
    return nip09.retraction(of, now.at, _once(now, Kind.DELETION, of.id, ""))


def article(now: Now, given: Article, before: Event | None, *, draft: bool = False) -> Template:
    """A kind 30023, or as a draft 30024. before: the version that it replaces. Raises Malformed."""
    kind = Kind.DRAFT if draft else Kind.ARTICLE
    once = _once(now, kind, given.slug, *_said(given), before=before)
    # Two versions in one second tie, and the lower id wins.
    at = now.at if before is None else max(now.at, before.created_at + 1)
    return nip23.template(given, now.bot, at, once, draft=draft)


def is_same(given: Article, before: Event) -> bool:
    """Say whether this is what the version that stands there says already."""
    return _said(given) == _said(nip23.parse(before))


def checked_text(text: str) -> str:
    """The same text. Raises Malformed where it is empty or too long."""
    n_bytes = len(text.encode())
    if not text.strip():
        raise Malformed("the text is empty: there is nothing to publish")
    if n_bytes > MAX_TEXT_BYTES:
        raise Malformed(f"the text has {n_bytes:,} bytes; at most {MAX_TEXT_BYTES:,} are published")
    return text


def _said(given: Article) -> tuple[str, ...]:
    return (given.title, given.summary, given.image, given.text, *given.topics)


def _once(now: Now, kind: Kind, target: str, *said: str, before: Event | None = None) -> Tags:
    place = before.id if before is not None else ""
    # Attack: an agent uses up the key under which what it has published would be retracted: it
    # knows the id, but not the salt.
    what = once_key(*said)
    key = once_key("publish", str(int(kind)), target, what, place, now.again, now.salt)
    return (("o", key),)
