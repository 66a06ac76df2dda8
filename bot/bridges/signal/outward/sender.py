"""Shell: what a delivery says is pending is handed to the service, each part at most once.

    written: sending part n ─► request ─► written: part n sent ─► … ─► written: ok

The service knows no way to ask for the same thing again with one effect. So a part that stands as
`sending` where nobody is sending it, since a bridge was killed there, may have gone or not: the
owner is told, it is not repeated, and what follows goes on. Source: PROTOCOL.md "Delivery".
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass

import structlog

from bot.bridges.bindings import Bindings
from bot.bridges.pauses import pause_s
from bot.bridges.signal.outward.book import Book, Page
from bot.bridges.signal.outward.gate import Gate
from bot.bridges.signal.outward.outgoing import (
    FIRST_PAUSE_S,
    GIVE_UP_S,
    GONE,
    LONGEST_PAUSE_S,
    TOO_LATE,
    UNBOUND,
    answered,
    begun,
    not_begun,
    settled,
)
from bot.bridges.signal.outward.steps import Post, Step, Steps
from bot.bridges.signal.people import known_as
from bot.bridges.signal.service.shapes import RateLimited, Rejected, Sent, ServiceError, Unreachable
from bot.bridges.signal.troubles import Topic, Troubles
from bot.bridges.waiting import first_of
from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from nips.own.delivery import Status
from relay_local.client import Link

MAX_REASON_CHARS = 300
MAX_REPEATED = 5  # times that something of which it is never known whether it has gone
GRACE_S = 8.0  # for a request on its way when the bridge is ended; more than connecting may take

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Failed:
    """A part that will not go, and why. told: whether the owner is to know."""

    reason: str
    told: bool = True


@dataclass(frozen=True, slots=True)
class InDoubt:
    """A part that may have gone."""


@dataclass(slots=True)
class Ended:
    """How many deliveries ended otherwise than well."""

    uncertain: int = 0
    failed: int = 0


class Sender:
    """account: our number. ourselves: what our messages have for an author on Signal. back: gives
    the event that is set when the service is next seen to be there; taken before looking.
    said: is called with a group (its UUID) when something has been said there."""

    def __init__(
        self,
        link: Link,
        book: Book,
        bindings: Bindings,
        steps: Steps,
        gate: Gate,
        troubles: Troubles,
        account: str,
        ourselves: Callable[[], str],
        back: Callable[[], asyncio.Event],
        said: Callable[[str], None],
    ) -> None:
        self._link, self._book, self._bindings, self._steps = link, book, bindings, steps
        self._gate, self._troubles, self._account = gate, troubles, account
        self._ourselves, self._back, self._said = ourselves, back, said
        self.ended = Ended()

    async def send(self, event_id: str) -> None:
        """See a pending delivery to its end."""
        page = await self._book.find(event_id)
        if page is None or not page.delivery.is_pending:
            return
        stored = await self._link.fetch([Filter(ids=frozenset({event_id}))])
        event = stored[0] if stored else None
        await self._bindings.steady()
        bound = self._bindings.groups().get(event.tag("h") or "") if event else None
        if event is None or bound is None:
            await self._end(page, Status.FAILED, UNBOUND if event else GONE)
            return
        await self._carry_out(page, event, await self._steps.of(event, page.delivery, bound))
        if event.kind in (Kind.CHAT, Kind.BUZZ_CHAT):
            self._said(bound.binding.group)

    async def _carry_out(self, page: Page, event: Event, steps: Sequence[Step]) -> None:
        gone, found = {one.part for one in page.delivery.sent}, set(page.delivery.sending)
        failed: dict[str, str] = {}
        missed: list[str] = []
        for part, step in enumerate(steps, start=1):
            # Of a message whose beginning is not there nobody gets the rest.
            if part in gone or (step.once and (part in found or step.conversation in failed)):
                continue
            match await self._part(page, event, part, step):
                case Failed(reason, told):
                    failed[step.conversation] = reason
                    if told and step.once:
                        await self._troubles.tell(Topic.FAILED, event.id, reason)
                case Sent(_, others):
                    missed += others
        if page.delivery.sending:
            await self._troubles.tell(Topic.UNCERTAIN, event.id)
            parts = ", ".join(map(str, sorted(page.delivery.sending)))
            reason = f"of {len(steps)} parts may have gone or not: {parts}"
            await self._end(page, Status.UNCERTAIN, reason)
        elif failed:
            await self._end(page, Status.FAILED, "; ".join(dict.fromkeys(failed.values())))
        else:
            await self._end(page, Status.OK, "; ".join(missed))

    async def _part(
        self, page: Page, event: Event, part: int, step: Step
    ) -> Sent | Failed | InDoubt | None:
        """Hand a part over, as soon as that can be done."""
        attempt = doubts = 0
        while True:
            await self._gate.wait()
            back = self._back()
            if (failed := await self._in_vain(page, event, step)) is not None:
                return failed
            post = await step.ready()
            try:
                return await _to_its_end(self._hand_over(page, part, step, post))
            except RateLimited as error:
                self._gate.shut()
                for token in error.tokens or ("",):
                    await self._troubles.tell(Topic.CHALLENGE, token)
                continue
            except Unreachable:
                pass
            except (Rejected, ValueError) as error:
                return Failed(str(error))
            except ServiceError as error:
                log.warning("not known whether it has gone", event_id=event.id, part=part)
                if step.once:
                    return InDoubt()
                doubts += 1
                if doubts > MAX_REPEATED:  # what follows in the conversation waits for it
                    return Failed(str(error))
            await first_of(back, timeout_s=pause_s(attempt, FIRST_PAUSE_S, LONGEST_PAUSE_S))
            attempt += 1

    async def _in_vain(self, page: Page, event: Event, step: Step) -> Failed | None:
        """Say why nothing more of it is to be sent there, as things stand now."""
        if not await self._link.fetch([Filter(ids=frozenset({event.id}))]):
            return Failed(GONE, told=False)
        await self._bindings.steady()
        bound = self._bindings.groups().get(event.tag("h") or "")
        if bound is None or step.conversation not in bound.people:
            # Only registered conversations, whatever was waiting for them.
            return Failed(UNBOUND, told=False)
        state = page.delivery.relays[0]
        if time.time() - state.at > GIVE_UP_S:
            return Failed(f"{TOO_LATE}: {state.reason}" if state.reason else TOO_LATE)
        return None

    async def _hand_over(self, page: Page, part: int, step: Step, post: Post) -> Sent | None:
        """Write that it is done, do it, and write what is certain of it then."""
        await self._book.write(page, begun(page.delivery, part))
        try:
            sent = await post()
        except (Unreachable, Rejected, ValueError) as error:
            await self._not_begun(page, part, error)
            raise
        except ServiceError as error:
            if not step.once:
                await self._not_begun(page, part, error)
            raise
        self._gate.passed()
        at_ms = sent.timestamp if sent else 0
        name = known_as(self._account, self._ourselves(), at_ms) if sent else None
        await self._book.write(page, answered(page.delivery, part, at_ms, name))
        return sent

    async def _not_begun(self, page: Page, part: int, why: Exception) -> None:
        reason = str(why)[:MAX_REASON_CHARS]
        await self._book.write(page, not_begun(page.delivery, part, reason))

    async def _end(self, page: Page, status: Status, reason: str) -> None:
        now_s = int(time.time())
        await self._book.write(
            page, settled(page.delivery, status, reason[:MAX_REASON_CHARS], now_s)
        )
        self.ended.uncertain += status is Status.UNCERTAIN
        self.ended.failed += status is Status.FAILED
        # The reason may name people, by their number even; the delivery has it.
        log.info("sent to Signal", event_id=page.delivery.event_id, status=status)


async def _to_its_end(work: Coroutine[None, None, Sent | None]) -> Sent | None:
    """Await it. Where the bridge is ended meanwhile, a request that is answered soon leaves no
    doubt behind, whatever the answer."""
    request = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(request)
    except asyncio.CancelledError:
        await asyncio.wait({request}, timeout=GRACE_S)
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        raise
