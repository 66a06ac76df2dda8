"""Shell: what requests may take of the proxy's memory and patience."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from signer.model_http import BodyTooLarge, Exchange
from signer.model_refusal import HttpRefusal, NotServed, not_served
from signer.model_request import MAX_BODY_BYTES

MAX_AT_ONCE = 8  # of one session's requests; further ones wait
BODY_S = 30.0
MAX_BODIES_BYTES = 128 * 2**20  # of all requests that are being read or sent


class Room:
    """What there is for all sessions together, and for each."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[asyncio.Semaphore, int]] = {}
        self._bodies_bytes = 0

    @asynccontextmanager
    async def one_more(self, session: str) -> AsyncIterator[None]:
        """Have one more request of this session under way, as soon as there is a place for it.

        Its connections bound how many can wait.
        """
        places, n_users = self._places.get(session) or (asyncio.Semaphore(MAX_AT_ONCE), 0)
        self._places[session] = (places, n_users + 1)
        try:
            async with places:
                yield
        finally:
            n_users = self._places[session][1] - 1
            if n_users:
                self._places[session] = (places, n_users)
            else:
                del self._places[session]

    @asynccontextmanager
    async def body(self, exchange: Exchange) -> AsyncIterator[bytes]:
        """A request's body, for as long as it is needed. Raises NotServed, CallerGone."""
        n_bytes = exchange.declared_bytes()
        # RFC 9112, 6.3: "the Transfer-Encoding overrides the Content-Length". Attack: both.
        if exchange.header("transfer-encoding") is not None:
            n_bytes = MAX_BODY_BYTES
        if n_bytes > MAX_BODY_BYTES:
            raise _too_large()
        # Attack: many large bodies at once, from several containers, to exhaust our memory.
        if self._bodies_bytes + n_bytes > MAX_BODIES_BYTES:
            raise NotServed(HttpRefusal(503, "too many large requests are under way", 1))
        self._bodies_bytes += n_bytes
        try:
            yield await _read(exchange)
        finally:
            self._bodies_bytes -= n_bytes


def _too_large() -> NotServed:
    return not_served(413, f"a body has at most {MAX_BODY_BYTES >> 20} MiB")


async def _read(exchange: Exchange) -> bytes:
    try:
        # Attack: a body that trickles, to keep others out of what there is for bodies.
        async with asyncio.timeout(BODY_S):
            return await exchange.body(MAX_BODY_BYTES)
    except BodyTooLarge as error:
        raise _too_large() from error
    except TimeoutError as error:
        raise not_served(408, f"the body did not come within {BODY_S:g} s") from error
