"""Reconciliation over the wire: what it finds, what it bounds, whom it tells nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nips.filter import Filter
from nips.frames import NegErr, NegMsg, NegOpen
from nips.nip77 import Records, initiate, proceed
from relay_local import inquiries
from relay_local.access import Scope
from relay_local.negentropy import (
    MAX_NEGOTIATIONS,
    Gather,
    Negotiations,
    Reconcile,
    Step,
)
from relay_local.relay import RunningRelay
from tests.unit.relay_local.cast import MAIN, MEMBER, OTHER, OWNER, ROUTER, put_user
from tests.unit.relay_local.wire import Wire, signed, wire

SEEN = Scope(everything=True)
EMPTY = initiate(Records([]))


async def reconcile(
    client: Wire, wanted: dict[str, Any], mine: Records
) -> tuple[set[bytes], set[bytes]]:
    """Have and need, as the initiator learns them from the relay."""
    have: set[bytes] = set()
    need: set[bytes] = set()
    await client.say("NEG-OPEN", "n", wanted, initiate(mine).hex())
    while True:
        frame = await client.hear()
        assert frame[:2] == ["NEG-MSG", "n"], frame
        progress = proceed(mine, bytes.fromhex(frame[2]))
        have |= set(progress.have)
        need |= set(progress.need)
        if progress.message is None:
            await client.say("NEG-CLOSE", "n")
            return have, need
        await client.say("NEG-MSG", "n", progress.message.hex())


async def test_both_sides_of_a_difference(relay: RunningRelay) -> None:
    async with wire(relay.url, OWNER) as owner:
        there = [signed(OWNER, 1, content=str(number)) for number in range(300)]
        here = [signed(OWNER, 1, content=f"mine {number}") for number in range(40)]
        await owner.keep(*there)
        mine = Records((one.created_at, bytes.fromhex(one.id)) for one in [*there[:200], *here])
        have, need = await reconcile(owner, {"kinds": [1]}, mine)
        assert have == {bytes.fromhex(one.id) for one in here}
        assert need == {bytes.fromhex(one.id) for one in there[200:]}
        assert await reconcile(owner, {"kinds": [2]}, Records([])) == (set(), set())


async def test_a_member_reconciles_only_what_they_may_read(relay: RunningRelay) -> None:
    """Ids alone would tell of another group's life."""
    async with wire(relay.url, ROUTER) as router, wire(relay.url, OWNER) as owner:
        said = []
        for group in (MAIN, OTHER):
            await router.keep(signed(ROUTER, 9007, ("h", group)))
            said.append(signed(OWNER, 9, ("h", group)))
        await owner.keep(*said)
        await router.keep(put_user(MAIN, MEMBER, "member"))
        async with wire(relay.url, MEMBER) as member:
            _, need = await reconcile(member, {"kinds": [9]}, Records([]))
            assert need == {bytes.fromhex(said[0].id)}
            # Shut out in the middle, they are told nothing more.
            await member.say("NEG-OPEN", "n", {"kinds": [9]}, EMPTY.hex())
            assert (await member.hear())[0] == "NEG-MSG"
            await router.keep(signed(ROUTER, 9001, ("h", MAIN), ("p", MEMBER.public)))
            await member.say("NEG-MSG", "n", EMPTY.hex())
            frame = await member.hear()
            assert frame[:2] == ["NEG-ERR", "n"]
            assert frame[2].startswith("closed: ")


async def test_too_many_records(relay: RunningRelay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inquiries, "MAX_RECORDS", 5)
    async with wire(relay.url, OWNER) as owner:
        await owner.keep(*(signed(OWNER, 1, content=str(number)) for number in range(6)))
        await owner.say("NEG-OPEN", "n", {"kinds": [1]}, EMPTY.hex())
        assert await owner.hear() == ["NEG-ERR", "n", "blocked: this query is too big", 5]
        _, need = await reconcile(owner, {"kinds": [1], "limit": 5}, Records([]))
        assert len(need) == 5


async def test_the_bound_over_all_connections(
    relay: RunningRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many connections that each open a large one must not take the memory."""
    monkeypatch.setattr(inquiries, "MAX_HELD_RECORDS", 8)
    async with wire(relay.url, OWNER) as owner:
        await owner.keep(*(signed(OWNER, 1, content=str(number)) for number in range(6)))
        await owner.say("NEG-OPEN", "a", {"kinds": [1]}, EMPTY.hex())
        assert (await owner.hear())[0] == "NEG-MSG"
        async with wire(relay.url, OWNER) as other:
            await other.say("NEG-OPEN", "b", {"kinds": [1]}, EMPTY.hex())
            assert await other.hear() == ["NEG-ERR", "b", "blocked: this query is too big", 2]
            await owner.say("NEG-CLOSE", "a")
            await owner.say("NEG-MSG", "a", EMPTY.hex())  # answered once the close is done
            assert (await owner.hear())[2].startswith("closed: ")
            await other.say("NEG-OPEN", "b", {"kinds": [1]}, EMPTY.hex())
            assert (await other.hear())[0] == "NEG-MSG"


async def test_who_takes_too_long(relay: RunningRelay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inquiries, "IDLE_S", 0.05)
    async with wire(relay.url, OWNER) as owner:
        await owner.say("NEG-OPEN", "n", {}, EMPTY.hex())
        assert (await owner.hear())[0] == "NEG-MSG"
        assert await owner.hear() == ["NEG-ERR", "n", "closed: you took too long to respond!"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [("", "invalid: "), ("00", "invalid: "), ("61ff", "invalid: "), ("610000", "invalid: ")],
)
async def test_what_is_no_message(relay: RunningRelay, message: str, reason: str) -> None:
    async with wire(relay.url, OWNER) as owner:
        await owner.say("NEG-OPEN", "n", {}, message)
        frame = await owner.hear()
        assert frame[:2] == ["NEG-ERR", "n"]
        assert frame[2].startswith(reason)
        assert await owner.req("still", {"kinds": [1]}) == []


async def test_an_older_client_is_told_the_version(relay: RunningRelay) -> None:
    async with wire(relay.url, OWNER) as owner:
        await owner.say("NEG-OPEN", "n", {}, "62000200")
        assert await owner.hear() == ["NEG-MSG", "n", "61"]


def opened(own: Negotiations, name: str = "n") -> Gather:
    step = own.open(NegOpen(name, Filter(), EMPTY), None, SEEN, 1)
    assert isinstance(step, Gather)
    return step


def through(own: Negotiations, gather: Gather) -> Reconcile:
    (step,) = own.gathered(gather, Records([(1, bytes(32))]))
    assert isinstance(step, Reconcile)
    return step


def reason(*steps: Step) -> str:
    (step,) = steps
    assert isinstance(step, NegErr)
    return step.reason.partition(":")[0]


def test_an_open_one_is_replaced() -> None:
    """NIP-77: "the existing subscription is first closed"; its late answers go nowhere."""
    own = Negotiations()
    first = opened(own)
    second = opened(own)
    assert own.gathered(first, Records([])) == []
    assert through(own, second).turn == second.turn
    assert own.held == 1


def test_one_message_at_a_time() -> None:
    """Two in flight would be worked on twice for one client."""
    own = Negotiations()
    step = through(own, opened(own))
    assert reason(own.message(NegMsg("n", EMPTY), SEEN)) == "invalid"
    assert own.answered(step, b"\x61") == []
    assert own.held == 0


def test_only_so_many_at_a_time() -> None:
    own = Negotiations()
    for number in range(MAX_NEGOTIATIONS):
        opened(own, str(number))
    assert reason(own.open(NegOpen("x", Filter(), EMPTY), None, SEEN, 1)) == "blocked"
    own.close("0")
    opened(own, "x")


def test_an_answered_one_is_not_idle_after_its_next_message() -> None:
    own = Negotiations()
    step = through(own, opened(own))
    assert own.answered(step, b"\x61") == [NegMsg("n", b"\x61")]
    following = own.message(NegMsg("n", EMPTY), SEEN)
    assert isinstance(following, Reconcile)
    assert own.idle(step) == []
    assert own.answered(following, b"\x61") == [NegMsg("n", b"\x61")]
    assert reason(*own.idle(following)) == "closed"


@pytest.mark.parametrize("wanted", [{"search": "x"}, {"after_seq": 1}])
def test_what_cannot_be_reconciled(wanted: dict[str, Any]) -> None:
    frame = NegOpen("n", Filter.from_json(json.loads(json.dumps(wanted))), EMPTY)
    assert reason(Negotiations().open(frame, None, SEEN, 1)) == "invalid"
