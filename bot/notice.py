"""Pure: what the assistant itself has to say, mostly to its owner: never an agent's words."""

from __future__ import annotations

from collections.abc import Sequence

from nips.event import Tag, Template
from nips.kinds import Kind
from nips.own.once import once_key
from nips.own.roles import Roles

HERE_ONLY: Tag = ("delivery", "here")


def notice(
    roles: Roles,
    once: Sequence[str],
    words: str,
    about: Sequence[Tag] = (),
    *,
    now_s: int,
    here_only: bool = False,
    group: str | None = None,
) -> Template:
    """A kind 9 of the router's in main, or in `group` (UUID), said once for the parts `once`.

    about: the message that it answers (`q`) and whose that was (`p`); without them the bridge
    carries it to the owner. here_only: no bridge carries it. NIP-32 labels keep every part from
    taking it for a person's.
    """
    tags: list[Tag] = [("h", group or roles.main), ("o", once_key(*once)), *about]
    tags += [HERE_ONLY] if here_only else []
    tags += [("L", "agent"), ("l", "notice", "agent")]
    return Template(roles.router, now_s, Kind.CHAT, tuple(tags), words)
