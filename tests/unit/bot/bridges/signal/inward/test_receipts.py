"""Who wrote is shown that they were read, where that is wanted, and nobody waits for it."""

from __future__ import annotations

import asyncio

from bot.bridges.signal.inward.receipts import MAX_WAITING, Receipts
from bot.bridges.signal.received.envelope import Identity
from bot.bridges.signal.service.rest import Service
from bot.operate.stand_ins import signal_faults as faults
from bot.operate.stand_ins.signal_envelopes import edited, reacted, said
from tests.signal_service import ALICE, BOB, FRIENDS, NUMBER
from tests.unit.bot.bridges.signal.inbound_stage import Stage, at_ms
from tests.unit.bot.bridges.signal.inward.test_forwarding import new


async def test_what_was_said_is_shown_as_read(inward: Stage) -> None:
    talk, one, other = await inward.registered(f"r-{at_ms()}", FRIENDS.id), new(ALICE), new(BOB)
    inward.receipts = True
    await inward.stop()
    await inward.start()
    at, edited_at = at_ms(), at_ms()
    before = len(await inward.service.sent("receipt"))
    try:
        # The first fails, and holds up nothing.
        await inward.service.faults(faults.refuses("sendReceipt"))
        await inward.give(said(one, "never shown", at_ms(), group=FRIENDS))
        await talk.heard("never shown")
        await inward.service.wait_calls(1, "/v1/receipts")
        await inward.give(
            said(other, "one", at, group=FRIENDS),
            reacted(one, "👍", other, at, at_ms(), group=FRIENDS),
            edited(other, "two", at, edited_at, group=FRIENDS),
            said(new(ALICE), "a stranger's", at_ms()),
        )
        sent = (await inward.service.wait_sent(before + 2, "receipt"))[before:]
        assert [each["recipients"] for each in sent] == [[other.aci]] * 2
    finally:
        inward.receipts = False
        await inward.service.faults()
        await talk.change(counterparts=())
        await inward.stop()
        await inward.start()


async def test_where_it_is_not_wanted_nothing_is_shown() -> None:
    async with Service("http://127.0.0.1:9") as service:
        receipts = Receipts(service, NUMBER, enabled=False)
        receipts.show(Identity(NUMBER, ALICE.aci, 1, at_ms()))
        assert receipts._waiting.empty()


async def test_few_wait_to_be_shown() -> None:
    """A service that is away for a day, and ten thousand messages of before."""
    async with Service("http://127.0.0.1:9") as service:
        receipts = Receipts(service, NUMBER, enabled=True)
        for at in range(10_000):
            receipts.show(Identity(NUMBER, ALICE.aci, 1, at))
        assert receipts._waiting.qsize() == MAX_WAITING
        running = asyncio.create_task(receipts.run())
        async with asyncio.timeout(20):
            while not receipts._waiting.empty():
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
