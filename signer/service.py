"""Shell: the serving process: what comes from the relay goes to the desk, its replies go back.

Grants and requests come through one subscription, so that a request sent after a revocation is
judged after it. Requests wait until everything stored has been read, after each reconnection too.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import structlog

from nips import nip44, nip46
from nips.event import Event
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own.roles import Roles
from nips.refusal import Malformed, Prefix, Refusal
from relay_local.client import Caught, Delivery, Link, Lost, Unanswered
from signer.desk import Desk
from signer.grants import is_grant
from signer.work import Arrived, Asked, Place, Reply, Settled, Work

MAX_BATCH = 256
MAX_WAITING = 1_024  # requests that came before we were ready; whoever sent more asks again
MARK_EVERY_S = 60.0  # how far the persisted time may lag behind while nothing happens
REPLY_DEADLINE_S = 60.0  # the asker asks again long before

# After these the relay may still take the event; it is offered again.
_PASSING = frozenset({Prefix.ERROR, Prefix.RATE_LIMITED, Prefix.AUTH_REQUIRED})

T = TypeVar("T")

log = structlog.get_logger()


class Service:
    """See above. `key`: the signer's role key, with which `link` is authenticated."""

    def __init__(self, link: Link, desk: Desk, key: SecretKey, roles: Roles) -> None:
        self._link, self._desk, self._key, self._roles = link, desk, key, roles
        self._queue: asyncio.Queue[Work] = asyncio.Queue()
        # One thread: the ledger, the secret and the order of things are all its own.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="desk")

    async def serve(self, ready: Callable[[], None], stop: asyncio.Event) -> None:
        """Serve until `stop`. `ready` is called once, after the first EOSE on the grants.

        Raises Refused when the relay does not let the signer's key read.
        """
        reading = asyncio.create_task(self._read(ready))
        working = asyncio.create_task(self._work())
        stopping = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait(
                {reading, working, stopping}, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done - {stopping}:
                task.result()
        finally:
            for task in (reading, working, stopping):
                task.cancel()
            await asyncio.gather(reading, working, stopping, return_exceptions=True)
            await self._take([])  # the time seen last
            self._thread.shutdown()

    async def _read(self, ready: Callable[[], None]) -> None:
        epoch, seq = await self._call(self._desk.place)
        wanted = [
            Filter(kinds=frozenset({int(Kind.APP_DATA)}), authors=frozenset({self._roles.router})),
            Filter(kinds=frozenset({int(Kind.REQUEST)}), tags={"p": frozenset({self._key.public})}),
        ]
        # What a process that died had signed goes out before anything new is.
        await asyncio.gather(
            *(self._publish(event) for event in await self._call(self._desk.unpublished))
        )
        waiting: list[Asked] = []
        caught = False
        announced = False
        async with self._link.subscribe(wanted, after_seq=seq, epoch=epoch) as stream:
            async for item in stream:
                match item:
                    case Delivery(event, _) if event.kind == Kind.REQUEST:
                        if caught:
                            self._queue.put_nowait(Asked(event))
                        elif len(waiting) < MAX_WAITING:
                            waiting.append(Asked(event))
                        else:
                            log.warning("too many requests before the grants were read")
                    case Delivery(event, number) if is_grant(event):
                        self._queue.put_nowait(Arrived(event, number))
                    case Lost():
                        caught = False
                    case Caught(at_epoch, at_seq):
                        caught = True
                        self._queue.put_nowait(Place(at_epoch, at_seq))
                        for asked in waiting:
                            self._queue.put_nowait(asked)
                        waiting.clear()
                        if not announced:
                            announced = True
                            ready()

    async def _work(self) -> None:
        while True:
            batch: list[Work] = []
            try:
                async with asyncio.timeout(MARK_EVERY_S):
                    batch.append(await self._queue.get())
            except TimeoutError:
                pass  # nothing happened; the time is noted
            while len(batch) < MAX_BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            for reply in await self._take(batch):
                self._link.spawn(self._send(reply))

    async def _take(self, batch: list[Work]) -> list[Reply]:
        return await self._call(lambda: self._desk.take(batch))

    async def _call(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    async def _send(self, reply: Reply) -> None:
        response = reply.response
        # The signature is on the relay before its asker has it: none can be kept for later.
        if reply.publish is not None and (refusal := await self._publish(reply.publish)):
            response = nip46.Response(response.id, error=refusal)
        key = await self._call(lambda: self._desk.conversation_key(reply.client))
        await self._answer(reply.client, response, key)

    async def _publish(self, event: Event) -> Refusal | None:
        refusal = (await self._link.publish(event)).refusal
        if refusal is not None:
            log.error("the relay refused what was signed", id=event.id, reason=str(refusal))
        if refusal is None or refusal.prefix not in _PASSING:
            self._queue.put_nowait(Settled(event.id))
        return refusal

    async def _answer(self, client: str, response: nip46.Response, conversation_key: bytes) -> None:
        try:
            payload = _sealed(response, conversation_key)
        except Malformed as error:
            refusal = Refusal(Prefix.INVALID, f"the answer is too long: {error}")
            payload = _sealed(nip46.Response(response.id, error=refusal), conversation_key)
        template = nip46.envelope(self._key.public, client, payload, int(time.time()))
        event = template.sign(self._key, secrets.token_bytes(32))
        try:
            ok = await self._link.publish(event, deadline_s=REPLY_DEADLINE_S)
        except Unanswered:
            return  # whoever still waits asks again, and gets the same answer
        if ok.refusal:
            log.warning("an answer was refused", client=client, reason=str(ok.refusal))


def _sealed(response: nip46.Response, conversation_key: bytes) -> str:
    return nip44.encrypt(
        response.to_json(), conversation_key, secrets.token_bytes(32), extended=True
    )
