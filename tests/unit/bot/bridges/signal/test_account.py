"""Our own account: its number is known, its ACI becomes so."""

from __future__ import annotations

import asyncio

import pytest

from bot.bridges.signal import account as module
from bot.bridges.signal.account import Account
from bot.bridges.signal.received.envelope import parse
from bot.bridges.signal.service.rest import Service
from bot.operate.stand_ins import signal_faults as faults
from bot.operate.stand_ins.signal_envelopes import Person, mention, quote, reacted, said, synced
from tests.signal_service import ALICE, BOB, NUMBER, a_service
from tests.unit.bot.bridges.signal.inbound_stage import Item, item

US = Person("99999999-9999-4999-8999-999999999999", "claw", NUMBER)
FORMER = Person("88888888-8888-4888-8888-888888888888", "claw", NUMBER)
AT = 1_700_000_000_000
HIDDEN = Person(US.aci, "claw")  # named without our number


def learnt(*envelopes: Item) -> Account:
    account = Account(NUMBER)
    for one in envelopes:
        account.learn(parse(item(one), NUMBER))
    return account


@pytest.mark.parametrize(
    ("envelopes", "aci"),
    [
        ([], None),
        ([synced(US, "hi", ALICE, AT)], US.aci),
        ([said(ALICE, "\ufffc", AT, mentions=[mention(US, 0)])], US.aci),
        ([said(ALICE, "hi", AT, quote=quote(US, AT, "ho"))], US.aci),
        ([reacted(ALICE, "👍", US, AT, AT)], US.aci),
        # Who is somebody else, or is named without our number, is not us.
        ([said(ALICE, "\ufffc", AT, mentions=[mention(BOB, 0)])], None),
        ([reacted(ALICE, "👍", HIDDEN, AT, AT)], None),
        # What another device of ours sent is surer than whom somebody means.
        ([synced(US, "hi", ALICE, AT), reacted(ALICE, "👍", FORMER, AT, AT)], US.aci),
        ([reacted(ALICE, "👍", FORMER, AT, AT), synced(US, "hi", ALICE, AT)], US.aci),
    ],
)
def test_what_comes_tells_who_we_are(envelopes: list[Item], aci: str | None) -> None:
    account = learnt(*envelopes)
    assert account.aci == aci
    assert account.is_us(None, NUMBER)
    assert account.is_us(US.aci, None) is (aci == US.aci)
    assert not account.is_us(None, None)
    assert not account.is_us(ALICE.aci, ALICE.number)


async def test_the_service_is_asked_until_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.01)
    async with a_service() as service, Service(service.url) as client:
        await service.faults(faults.answers("/v1/contacts", 503, times=2))
        account = Account(NUMBER)
        await account.ask(client)
        assert account.aci == await service.aci()
        # Known by what came meanwhile, it is asked no more.
        known = learnt(synced(US, "hi", ALICE, AT))
        await asyncio.wait_for(known.ask(client), 5)
        assert known.aci == US.aci


async def test_what_comes_meanwhile_ends_the_asking() -> None:
    async with Service("http://127.0.0.1:9") as nobody:
        account = Account(NUMBER)
        asking = asyncio.create_task(account.ask(nobody))
        await asyncio.sleep(0)
        account.learn(parse(item(synced(US, "hi", ALICE, AT)), NUMBER))
        await asyncio.wait_for(asking, 5)
