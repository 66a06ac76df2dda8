"""Pure: what the owner has ruled for this relay: whom and what it keeps out, how it is called.

Source: NIP-86. The rulings come on top of access, never instead of it: nothing is let in by them.
The house's own parts and its owner are out of their reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any

from nips.event import MAX_KIND, Event
from nips.key import is_hex
from nips.nip86 import Call
from nips.refusal import Malformed, Prefix, Refusal
from relay_local.world import World

MAX_TEXT_CHARS = 1_000
_NONE: Mapping[str, str] = MappingProxyType({})


class Book(StrEnum):
    """The lists that rulings are kept in."""

    PUBKEYS = "pubkey"
    EVENTS = "event"
    KINDS = "kind"
    ADDRESSES = "ip"
    FACE = "face"


@dataclass(frozen=True, slots=True)
class Ruling:
    """One change: something entered into a book, with a reason, or, with None, struck out."""

    book: Book
    subject: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Regulations:
    """All rulings: by book, what is entered there and why."""

    books: Mapping[Book, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, book: Book) -> Mapping[str, str]:
        """What stands in a book."""
        return self.books.get(book, _NONE)

    def after(self, ruling: Ruling) -> Regulations:
        """The regulations after a ruling."""
        entries = {key: why for key, why in self.of(ruling.book).items() if key != ruling.subject}
        if ruling.reason is not None:
            entries[ruling.subject] = ruling.reason
        return Regulations(MappingProxyType({**self.books, ruling.book: entries}))

    def objection(self, world: World, event: Event) -> Refusal | None:
        """Why an event is kept out; None when no ruling is against it."""
        if not self.books or world.is_named(event.pubkey):
            return None
        if event.pubkey in self.of(Book.PUBKEYS):
            return Refusal(Prefix.BLOCKED, "this key is banned here")
        if event.id in self.of(Book.EVENTS):
            return Refusal(Prefix.BLOCKED, "this event is banned here")
        if str(event.kind) in self.of(Book.KINDS):
            return Refusal(Prefix.BLOCKED, f"kind {event.kind} is not taken here")
        return None

    def shuts_out(self, keys: Iterable[str]) -> bool:
        """Say whether one of the keys is banned."""
        banned = self.of(Book.PUBKEYS)
        return bool(banned) and any(key in banned for key in keys)


def collect(rulings: Iterable[Ruling]) -> Regulations:
    """The regulations that rulings make."""
    regulations = Regulations()
    for ruling in rulings:
        regulations = regulations.after(ruling)
    return regulations


# Which method enters, strikes out and lists, by book.
_ENTERING = {
    "banpubkey": Book.PUBKEYS,
    "banevent": Book.EVENTS,
    "disallowkind": Book.KINDS,
    "blockip": Book.ADDRESSES,
}
_STRIKING = {
    "unbanpubkey": Book.PUBKEYS,
    "unbanevent": Book.EVENTS,
    "allowkind": Book.KINDS,
    "unblockip": Book.ADDRESSES,
}
_LISTING = {
    "listbannedpubkeys": Book.PUBKEYS,
    "listbannedevents": Book.EVENTS,
    "listdisallowedkinds": Book.KINDS,
    "listblockedips": Book.ADDRESSES,
}
_FACE = {
    "changerelayname": "name",
    "changerelaydescription": "description",
    "changerelayicon": "icon",
}
METHODS = tuple(sorted((*_ENTERING, *_STRIKING, *_LISTING, *_FACE)))
_OWN_ADDRESSES = ("127.0.0.1", "::1")
_NAMES = {Book.PUBKEYS: "pubkey", Book.EVENTS: "id", Book.ADDRESSES: "ip"}


def answer(world: World, regulations: Regulations, call: Call) -> Ruling | list[Any]:
    """What a call comes to: a ruling to be kept, or a list to be told. Raises Malformed."""
    method, params = call.method, call.params
    if method == "supportedmethods":
        return list(METHODS)
    if method in _LISTING:
        return _listed(_LISTING[method], regulations)
    if method in _FACE:
        return Ruling(Book.FACE, _FACE[method], _text(params, 0))
    if method in _STRIKING:
        book = _STRIKING[method]
        return Ruling(book, _subject(book, params), None)
    if method in _ENTERING:
        book = _ENTERING[method]
        subject = _subject(book, params)
        if book is Book.PUBKEYS and world.is_named(subject):
            raise Malformed("the owner and the parts of this house cannot be banned")
        if book is Book.ADDRESSES and subject in _OWN_ADDRESSES:
            raise Malformed("this machine's own parts and its owner come from that address")
        return Ruling(book, subject, _text(params, 1) if len(params) > 1 else "")
    raise Malformed(f"there is no method {method[:40]!r}; supportedmethods lists them")


def is_reading(call: Call) -> bool:
    """Say whether a call changes nothing."""
    return call.method == "supportedmethods" or call.method in _LISTING


def _listed(book: Book, regulations: Regulations) -> list[Any]:
    entries = regulations.of(book)
    if book is Book.KINDS:
        return sorted(int(kind) for kind in entries)
    return [{_NAMES[book]: subject, "reason": why} for subject, why in sorted(entries.items())]


def _subject(book: Book, params: tuple[Any, ...]) -> str:
    given = params[0] if params else None
    match book:
        case Book.KINDS if type(given) is int and 0 <= given <= MAX_KIND:
            return str(given)
        case Book.PUBKEYS | Book.EVENTS if is_hex(given, 32):
            return str(given)
        case Book.ADDRESSES if isinstance(given, str):
            try:
                return str(ip_address(given))
            except ValueError as error:
                raise Malformed("the first param must be an IP address") from error
    raise Malformed(f"the first param is no {book}")


def _text(params: tuple[Any, ...], place: int) -> str:
    given = params[place] if len(params) > place else None
    if not isinstance(given, str) or len(given) > MAX_TEXT_CHARS:
        raise Malformed(f"param {place + 1} must be a text of at most {MAX_TEXT_CHARS} characters")
    return given
