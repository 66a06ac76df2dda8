"""Pure: what the assistant itself has to say to its owner, in main: never an agent's words."""

from __future__ import annotations

from collections.abc import Sequence

from nips.event import Tag, Template
from nips.kinds import Kind
from nips.own.once import once_key
from nips.own.roles import Roles


def notice(
    roles: Roles, once: Sequence[str], words: str, about: Sequence[Tag] = (), *, now_s: int
) -> Template:
    """A kind 9 of the router's in main, said once for the parts `once`.

    about: the message that it answers (`q`) and whose that was (`p`); without them the bridge
    carries it to the owner. NIP-32 labels keep every part from taking it for a person's.
    """
    tags: list[Tag] = [("h", roles.main), ("o", once_key(*once)), *about]
    tags += [("L", "agent"), ("l", "notice", "agent")]
    return Template(roles.router, now_s, Kind.CHAT, tuple(tags), words)
