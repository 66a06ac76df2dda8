"""Pure: an order: the signer's word that the owner has written a command that changes rights.

Kind 30078 by the signer's role key, `["d","order/<rumor id>"]`, `["p",<owner>]`; the content is
the text of the direct message as it was sealed, `created_at` the rumor's own. The bridge repeats
that message in a puppet's name, and a bridge that was taken over could repeat what nobody wrote.
So the router takes such a command from a puppet only with the order of the same rumor (the
message's `proxy` tag), of the same text, and not older than `MAX_AGE_S`.
Source: PROTOCOL.md "Order".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nips.event import Event, Template
from nips.key import is_hex
from nips.kinds import Kind
from nips.own.fields import hex32, of_kind, only_tag
from nips.refusal import Malformed

D_PREFIX = "order/"
MAX_CHARS = 12_000  # a task's prompt among them
# Attack: a relay, or a bot that was taken over, keeps an order of the owner's back, and delivers
# it when it does harm.
MAX_AGE_S = 15 * 60
MAX_AHEAD_S = 5 * 60  # of the owner's clock; below what the relay allows
WORDS = frozenset({
    "allow", "deny", "approve", "group", "budget", "model", "persona", "pause", "resume", "task",
})  # fmt: skip
_BEGINNING = re.compile(r"/([A-Za-z]+)(?:\s|$)")


@dataclass(frozen=True, slots=True)
class Order:
    """What the owner wrote and when, by their own clock in unix seconds. rumor_id: of the direct
    message, owner: its author, both hex."""

    rumor_id: str
    owner: str
    text: str
    created_at: int


def word_of(text: str) -> str | None:
    """The command of `WORDS` that a text is, in lower case; None: it is no order.

    >>> word_of("/Allow ghjkmn Bob")
    'allow'
    """
    if len(text) > MAX_CHARS:
        return None
    found = _BEGINNING.match(text.strip())
    word = found[1].lower() if found else ""
    return word if word in WORDS else None


def is_order(text: str) -> bool:
    """Say whether a text is a command that changes rights."""
    return word_of(text) is not None


def is_fresh(created_at: int, now_s: float) -> bool:
    """Say whether what was written then may still be carried out."""
    return now_s - MAX_AGE_S <= created_at <= now_s + MAX_AHEAD_S


def template(order: Order, signer: str) -> Template:
    """The unsigned event by the role key `signer`. The same order is the same event."""
    return Template(
        signer,
        order.created_at,
        Kind.APP_DATA,
        (
            ("d", D_PREFIX + order.rumor_id),
            ("p", order.owner),
            ("alt", f"The owner's order: /{word_of(order.text) or ''}"),
        ),
        order.text,
    )


def parse(event: Event, signer: str) -> Order:
    """Read an order. Id, signature and author are checked here: the relay is transport.

    Whose it is the caller compares with the owner, and its age with `is_fresh`. Raises Malformed.
    """
    what = "order"
    of_kind(what, event, Kind.APP_DATA)
    if event.pubkey != signer:
        # Attack: a bridge that invents the owner's words.
        raise Malformed(f"{what}: not signed by the signer's role key")
    event.verify()
    d = only_tag(what, event, "d")
    rumor_id = d.removeprefix(D_PREFIX)
    if not d.startswith(D_PREFIX) or not is_hex(rumor_id, 32):
        raise Malformed(f"{what}: d must be {D_PREFIX} and the rumor's id")
    if not is_order(event.content):
        raise Malformed(f"{what}: its text is no command that changes rights")
    owner = hex32(f"{what}: p", only_tag(what, event, "p"))
    return Order(rumor_id, owner, event.content, event.created_at)
