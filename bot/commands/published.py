"""Pure: what is out in public, and where, as facts and as text."""

from __future__ import annotations

from collections.abc import Sequence

from bot.commands.amounts import ago
from bot.commands.facts import PublishedFacts, Reply, as_data
from bot.publication import HIGHLIGHT, REPOST, REPOST_OF_ANY, Publication
from nips.event import Event
from nips.kinds import Kind
from nips.nip19 import encode_naddr, encode_nevent
from nips.nip23 import parse as parse_article
from nips.own.delivery import RelayState, Status
from nips.refusal import Malformed

WORDS_CHARS = 60
MAX_HINTS = 3
MAX_REASON_CHARS = 100
_NAMES = {
    Kind.COMMENT: "comment", Kind.REACTION: "reaction", Kind.ARTICLE: "article",
    Kind.DRAFT: "draft", REPOST: "repost", REPOST_OF_ANY: "repost", HIGHLIGHT: "highlight",
}  # fmt: skip
_SIGNS = {"article": "📄", "draft": "✏️", "comment": "💬", "reply": "💬", "reaction": "👍"}


def facts_of(found: Publication) -> PublishedFacts:
    """One of them. Its link leads to relays that took it."""
    event = found.event
    relays = found.delivery.relays if found.delivery is not None else ()
    is_article = event.kind in (Kind.ARTICLE, Kind.DRAFT)
    article = parse_article(event) if is_article and event.tag("d") is not None else None
    return PublishedFacts(
        id=event.id,
        kind=event.kind,
        what=name_of(event),
        words=_line((article.title if article is not None else "") or event.content),
        slug=article.slug if article is not None else None,
        at=event.created_at,
        first_at=(article.published_at if article is not None else None) or event.created_at,
        draft=event.kind == Kind.DRAFT,
        link=f"nostr:{link(event, relays)}",
        relays=relays,
    )


def name_of(event: Event) -> str:
    """A kind as people call it."""
    if event.kind == Kind.NOTE:
        return "reply" if event.values("e") else "note"
    return _NAMES.get(event.kind, f"kind {event.kind}")


def link(event: Event, relays: Sequence[RelayState] = ()) -> str:
    """`naddr1…` of what may be edited, `nevent1…` of the rest."""
    took_it = [one.url for one in relays if one.status is Status.OK][:MAX_HINTS]
    try:
        return _link(event, took_it)
    except Malformed:  # an address that NIP-19 has no room for
        return _link(event, ())


def _link(event: Event, relays: Sequence[str]) -> str:
    name = event.tag("d")
    if event.kind in (Kind.ARTICLE, Kind.DRAFT) and name is not None:
        return encode_naddr(name, event.pubkey, event.kind, relays)
    return encode_nevent(event.id, relays, event.pubkey, event.kind)


def reply(facts: Sequence[PublishedFacts], now_s: int) -> Reply:
    """Each with where it is, the newest first."""
    if not facts:
        return Reply(True, "Nothing is published yet.", [])
    lines: list[str] = []
    for one in facts:
        named = f"{_SIGNS.get(one.what, '📝')} {one.what} “{one.words}”"
        lines.append(f"{named}, {ago(one.at, now_s)}: {where(one)}")
        lines += [
            f"not on {relay.url}: {_line(relay.reason, MAX_REASON_CHARS) or 'it did not say why'}"
            for relay in one.relays
            if relay.status is Status.FAILED
        ]
        lines.append(one.link)
    return Reply(True, "\n".join(["In public, the newest first:", *lines]), as_data(list(facts)))


def where(facts: PublishedFacts) -> str:
    """How far it has got."""
    if facts.draft:
        return "a draft, on your private relay alone"
    if not facts.relays:
        return "not sent yet"
    taken, pending = (
        sum(relay.status is status for relay in facts.relays)
        for status in (Status.OK, Status.PENDING)
    )
    more = f", {pending} pending" if pending else ""
    return f"on {taken} of {len(facts.relays)} relays{more}"


def _line(text: str, most: int = WORDS_CHARS) -> str:
    shown = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * most]).split())
    return shown if len(shown) <= most else shown[: most - 1] + "…"
