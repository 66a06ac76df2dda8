"""Shell: how many connections there may be: of all, from one address, of one session."""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from websockets.asyncio.server import ServerConnection

MAX_SESSION_CONNECTIONS = 4  # with those that have not said what they want
RESERVED_FILES = 256  # descriptors for the parts, the sessions and the store


class Crowd:
    """Who is here. max_connections: from one TCP address."""

    def __init__(self, max_connections: int) -> None:
        self._max_connections = max_connections
        self._addresses: Counter[str] = Counter()
        self._sessions: set[str] = set()

    @contextmanager
    def from_address(self, address: str | None) -> Iterator[bool]:
        """Whether one more may come from an address, counted in for the length of the block;
        None is a Unix socket, from which any number may.

        One neighbour must not take every descriptor there is.
        """
        if address is None or self._addresses[address] >= self._max_connections:
            yield address is None
            return
        self._addresses[address] += 1
        try:
            yield True
        finally:
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]

    @contextmanager
    def of_session(self, session: str) -> Iterator[bool]:
        """Whether a session may have this connection too: it has one at a time, since many of
        one container would be many readers' load."""
        if session in self._sessions:
            yield False
            return
        self._sessions.add(session)
        try:
            yield True
        finally:
            self._sessions.discard(session)


def at_most(most: int, kind: type[ServerConnection]) -> type[ServerConnection]:
    """A `kind` of connection of which a server has `most`; what comes beyond is ended at once.

    Attack: connections that are opened and left, until the process has no descriptor for
    anybody else. They count from the first byte, long before there is anyone to ask.
    """

    class Counted(kind):  # type: ignore[misc, valid-type]
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            if len(self.server.handler_tasks) > most:
                self.transport.abort()

    return Counted


def tcp_connections() -> int:
    """How many connections over TCP leave room for the house's own parts."""
    return max(RESERVED_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - RESERVED_FILES)
