"""Pure: what one connection, and one address, may cost the relay. Others' bounds stand where
they are used; these are settings of whoever runs it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The settings.

    max_event_tags: of one event. max_failed_auths: after more wrong AUTH answers a connection is
    cut, since each costs a verification. unauthenticated_s: for how long a private relay keeps a
    connection that has neither authenticated nor listens for anything. max_connections: at a time
    from one TCP address; a house's own parts and a person's clients all come from loopback.
    """

    max_event_tags: int = 2_000
    max_failed_auths: int = 20
    unauthenticated_s: float = 120.0
    max_connections: int = 20_000
