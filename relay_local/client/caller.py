"""Shell: asking a role key for something in NIP-46's form, over kind 24133.

24133 is ephemeral: a request vanishes while its reader is away. So the same request, same id and
same body, is sent again after a pause, and at once when the connection comes back or the peer
says that it serves again; the answering side keeps its answers and gives the first one again.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any

from nips import frames, nip44, nip46
from nips.event import Event
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own.serving import is_announcement
from nips.refusal import Malformed, Refused
from relay_local.client.link import Link, Unanswered
from relay_local.client.stream import Caught, Delivery, Lost

FIRST_RETRY_S = 5.0


class Caller:
    """Calls of one client key to one role key. May be used from many tasks."""

    def __init__(self, link: Link, key: SecretKey, peer: str) -> None:
        self._link, self._key, self._peer = link, key, peer
        self._conversation_key = nip44.conversation_key(key, peer)
        self._waiting: dict[str, asyncio.Future[nip46.Response]] = {}
        self._listening: asyncio.Task[None] | None = None
        self._caught = asyncio.Event()
        # Done when something makes asking again worth while.
        self._stirred: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._served = asyncio.Event()

    @property
    def served(self) -> asyncio.Event:
        """Set when the peer next says that it serves. Take it before asking, then wait: whatever
        it refused for the moment may be asked again at once."""
        return self._served

    def listen(self) -> None:
        """Be ready for an answer before anything is asked: the first call is a round trip
        shorter."""
        if self._listening is None or self._listening.done():
            self._caught.clear()
            self._listening = self._link.spawn(self._listen())

    async def call(
        self, method: str, *params: str, deadline_s: float = 120.0, request_id: str | None = None
    ) -> str:
        """Ask and return the result.

        request_id: of a request that may have been sent before, by a process that died; the
        answer is then the first one's. Raises Refused with the peer's refusal, Unanswered
        after `deadline_s`.
        """
        self.listen()
        request = nip46.Request(request_id or secrets.token_hex(16), method, params)
        future = self._waiting.setdefault(request.id, asyncio.get_running_loop().create_future())
        try:
            async with asyncio.timeout(deadline_s):
                response = await self._ask(request.to_json(), future)
        except TimeoutError:
            raise Unanswered(f"{method}: no answer within {deadline_s:g} s") from None
        finally:
            self._waiting.pop(request.id, None)
        if response.error is not None:
            raise Refused(response.error)
        return response.result or ""

    async def _ask(self, body: str, future: asyncio.Future[nip46.Response]) -> nip46.Response:
        def answered(ok: frames.Ok) -> None:
            awaited = future in self._waiting.values()  # else its deadline has passed
            if ok.refusal is not None and awaited and not future.done():
                future.set_exception(Refused(ok.refusal))

        pause_s = FIRST_RETRY_S
        while True:
            await self._caught.wait()  # else the answer could come before we listen
            stirred = self._stirred
            if not future.done():
                await self._link.offer(self._envelope(body), answered)
            waited: set[asyncio.Future[Any]] = {future, stirred}
            await asyncio.wait(waited, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
            if future.done():
                return future.result()
            # Where nobody answered, each time wait longer.
            pause_s = FIRST_RETRY_S if stirred.done() else 2 * pause_s

    def _envelope(self, body: str) -> Event:
        payload = nip44.encrypt(
            body, self._conversation_key, secrets.token_bytes(32), extended=True
        )
        template = nip46.envelope(self._key.public, self._peer, payload, int(time.time()))
        return template.sign(self._key, secrets.token_bytes(32))

    async def _listen(self) -> None:
        wanted = Filter(
            kinds=frozenset({int(Kind.REQUEST)}),
            tags={"p": frozenset({self._key.public})},
        )
        try:
            async with self._link.subscribe([wanted]) as stream:
                async for item in stream:
                    match item:
                        case Caught():
                            self._caught.set()
                        case Lost():
                            self._caught.clear()
                            self._stir()
                        case Delivery(event, _):
                            self._receive(event)
        except Refused as error:
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(error)
            self._caught.set()  # whoever waits to ask finds its future failed

    def _receive(self, event: Event) -> None:
        if event.pubkey != self._peer:
            return  # anyone may write a 24133 to us
        try:
            # The relay checked the signature; authorship is shown again by the decryption,
            # whose key only the peer and we can compute.
            text = nip44.decrypt(event.content, self._conversation_key, extended=True)
            if is_announcement(text):
                self._served.set()
                self._served = asyncio.Event()
                self._stir()
                return
            response = nip46.parse_response(text)
        except Malformed:
            return
        if (future := self._waiting.get(response.id)) and not future.done():
            future.set_result(response)

    def _stir(self) -> None:
        """Have everything that waits asked again, as soon as we listen."""
        self._stirred.set_result(None)
        self._stirred = asyncio.get_running_loop().create_future()
