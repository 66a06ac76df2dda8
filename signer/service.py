"""Shell: the serving process: what comes from the relay goes to the desk, its replies go back.

Grants and requests come through one subscription, so that a request sent after a revocation is
judged after it. Requests wait until everything stored has been read, after each reconnection too.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import structlog

from nips import frames, nip44, nip46
from nips.event import Event
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import once
from nips.own.approval import ANSWERS
from nips.own.roles import Roles
from nips.refusal import Malformed, Prefix, Refusal
from relay_local.client import Caught, Delivery, Link, Lost, Unanswered
from signer.desk import Desk
from signer.grants import is_grant
from signer.presence import announce
from signer.reception import Reception
from signer.secret import Secret
from signer.work import Arrived, Asked, Outcome, Place, Publication, Reply, Settled, Work

MAX_BATCH = 256
MAX_WAITING = 1_024  # requests that came before we were ready; whoever sent more asks again
MARK_EVERY_S = 60.0  # how far the persisted time may lag behind while nothing happens
TIDY_EVERY_S = 3_600.0
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
        # What the relay has taken is noted with the next batch, since a note of its own would be
        # one more write to the disk before the next signature; after a kill it is offered again.
        self._settled: list[Work] = []
        self._head_due_s = self._tidy_due_s = 0.0
        # One thread: the ledger, the secret and the order of things are all its own.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="desk")
        self._reception = Reception(key)  # for answers; the desk's own belongs to its thread

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
            await self._take(self._settled)  # and the time seen last
            self._thread.shutdown()

    async def unlock(self, secret: Secret) -> None:
        """Serve with this key from now on; who waits is told."""
        await self._call(lambda: self._desk.unlock(secret))
        clients = await self._call(self._desk.clients)
        self._link.spawn(announce(self._link, self._key, clients))

    async def lock(self) -> None:
        """Refuse every request from now on; the key is overwritten."""
        await self._call(self._desk.lock)

    async def _read(self, ready: Callable[[], None]) -> None:
        epoch, seq = await self._call(self._desk.place)
        owner = await self._call(self._desk.owner)
        # Before the owner is known anybody's records are read; which are grants the desk decides.
        granters = frozenset({self._roles.router, owner}) if owner else None
        wanted = [
            Filter(kinds=frozenset({int(Kind.APP_DATA)}), authors=granters),
            Filter(kinds=frozenset({int(Kind.REQUEST)}), tags={"p": frozenset({self._key.public})}),
            # Whose they are the desk looks at: who the owner is may be known only later.
            Filter(kinds=ANSWERS),
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
                    case Delivery(event, number) if is_grant(event) or event.kind in ANSWERS:
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
                async with asyncio.timeout(min(MARK_EVERY_S, self._desk.due_in_s())):
                    batch.append(await self._queue.get())
            except TimeoutError:
                pass  # nothing happened; the time is noted
            while len(batch) < MAX_BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            batch += self._settled
            self._settled = []
            for outcome in await self._take(batch):
                match outcome:
                    case Reply():
                        self._link.spawn(self._send(outcome))
                    case Publication(events):
                        self._link.spawn(self._publish_all(events))
            await self._tell_head()
            await self._tidy()
            if any(isinstance(work, Place) for work in batch):
                # Every grant has been read: who asked while we were away may ask again.
                clients = await self._call(self._desk.clients)
                self._link.spawn(announce(self._link, self._key, clients))

    async def _tell_head(self) -> None:
        if (now_s := asyncio.get_running_loop().time()) < self._head_due_s:
            return
        self._head_due_s = now_s + MARK_EVERY_S  # whether a new day has begun
        if (head := await self._call(self._desk.todays_head)) is not None:
            self._link.spawn(self._publish_all([head]))

    async def _tidy(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s < self._tidy_due_s or not self._queue.empty():
            return  # while somebody waits it can wait
        pruned = await self._call(self._desk.tidy)
        self._tidy_due_s = now_s + (0 if pruned is not None and pruned.more else TIDY_EVERY_S)

    async def _take(self, batch: list[Work]) -> list[Outcome]:
        return await self._call(lambda: self._desk.take(batch))

    async def _call(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    async def _send(self, reply: Reply) -> None:
        if reply.publish is None:
            await self._answer(self._envelope(reply, reply.response))
            return
        # The signature is on the relay before its asker has it: none can be kept for later.
        async with self._link.publishing(reply.publish) as answered:
            answer = self._envelope(reply, reply.response)  # while the relay stores it
            refusal = self._taken(reply.publish, await answered)
        if refusal is not None:
            answer = self._envelope(reply, nip46.Response(reply.response.id, error=refusal))
        await self._answer(answer)

    async def _publish(self, event: Event) -> Refusal | None:
        return self._taken(event, await self._link.publish(event))

    def _taken(self, event: Event, ok: frames.Ok) -> Refusal | None:
        refusal = ok.refusal
        # Attack: an agent takes the once-key of what somebody else has published, which the relay
        # drops and says yes to, and has a signature of which nobody but itself knows.
        if ok.accepted and ok.message == f"{Prefix.DUPLICATE}: {once.DONE}":
            refusal = Refusal(Prefix.DUPLICATE, once.DONE)
        if refusal is not None:
            log.error("the relay refused what was signed", id=event.id, reason=str(refusal))
        if refusal is None or refusal.prefix not in _PASSING:
            self._settled.append(Settled(event.id, refusal))
        return refusal

    async def _publish_all(self, events: Sequence[Event]) -> None:
        for event in events:
            await self._publish(event)
        # What became of them is told now, not with whatever is asked next.
        for work in self._settled:
            self._queue.put_nowait(work)
        self._settled = []

    def _envelope(self, reply: Reply, response: nip46.Response) -> Event:
        key = self._reception.conversation_key(reply.client)
        try:
            payload = _sealed(response, key, reply.classic)
        except Malformed as error:
            refusal = Refusal(Prefix.INVALID, f"the answer is too long: {error}")
            payload = _sealed(nip46.Response(response.id, error=refusal), key, reply.classic)
        template = nip46.envelope(self._key.public, reply.client, payload, int(time.time()))
        return template.sign(self._key, secrets.token_bytes(32))

    async def _answer(self, answer: Event) -> None:
        try:
            ok = await self._link.publish(answer, deadline_s=REPLY_DEADLINE_S)
        except Unanswered:
            return  # whoever still waits asks again, and gets the same answer
        if ok.refusal:
            log.warning("an answer was refused", p=answer.tag("p"), reason=str(ok.refusal))


def _sealed(response: nip46.Response, conversation_key: bytes, classic: bool) -> str:
    return nip44.encrypt(
        response.to_json(), conversation_key, secrets.token_bytes(32), extended=not classic
    )
