"""What is past its period goes, and nothing else; over a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import chain
from pathlib import Path

import orjson
import pytest

from nips.event import Event
from nips.kinds import Kind
from nips.own import delivery as deliveries
from nips.own import place as places
from nips.own.delivery import Delivery, RelayState, Status, Wrap
from nips.own.place import Place
from relay_local import periods, sweep
from relay_local.admission import Known
from relay_local.moderation import Stored
from relay_local.periods import DAY_S, Handled, dispensable
from relay_local.store import Store, open_store
from relay_local.sweep import Sweep
from relay_local.transaction import Transaction
from relay_local.world import World
from tests.unit.relay_local.cast import (
    BOT,
    BRIDGE,
    MAIN,
    MEMBER,
    NOW,
    OWNER,
    RELAY,
    ROUTER,
    SESSION,
    SIGNAL,
    STRANGER,
    WORLD,
    event,
)
from tests.unit.relay_local.test_admission import EVERYBODY, House

H = ("h", MAIN)


class Room:
    """A store on disk, an event put into it whatever the rules, and its sweep."""

    def __init__(self, store: Store, world: World) -> None:
        self.store = store
        self.now_s = NOW
        self.sweep = Sweep(store, lambda: world, lambda: self.now_s)

    async def keep(self, *events: Event) -> None:
        def put(transaction: Transaction) -> None:
            for one in events:
                transaction.insert(one, orjson.dumps(one.to_json()), None)

        await self.store.write(put)

    async def replace(self, old: Event, new: Event) -> None:
        await self.store.write(lambda transaction: transaction.remove(old))
        await self.keep(new)

    async def here(self, *events: Event) -> list[bool]:
        return await self.store.write(
            lambda transaction: [transaction.event(one.id) is not None for one in events]
        )


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    store = await open_store(tmp_path / "events.sqlite")
    yield Room(store, WORLD)
    await store.close()


def job(number: int, ended_s: int | None) -> list[Event]:
    """A job's events; `ended_s`: when, if it has."""
    begun_s = NOW - 200 * DAY_S + number
    request = event(ROUTER, Kind.JOB_REQUEST, H, ("e", "0" * 64), created_at=begun_s)
    e = ("e", request.id)
    out = [
        request,
        event(ROUTER, Kind.JOB_ACCEPTED, H, e, ("attempt", "1"), created_at=begun_s),
        event(SESSION, Kind.JOB_PROGRESS, H, e, content="…", created_at=begun_s),
        event(OWNER, Kind.JOB_CANCEL, H, e, created_at=begun_s),
    ]
    if ended_s is not None:
        kind = Kind.JOB_RESULT if number % 2 else Kind.JOB_ERROR
        out.append(event(ROUTER, kind, H, e, created_at=ended_s))
    return out


async def test_a_job_goes_as_a_whole_90_days_after_its_end(room: Room) -> None:
    gone = [job(n, NOW - 90 * DAY_S - 1) for n in range(100)]
    kept = [job(1_000, NOW - 90 * DAY_S), job(1_001, NOW), job(1_002, None)]
    message = event(MEMBER, 9, H, ("e", gone[0][0].id), created_at=NOW - 200 * DAY_S)
    await room.keep(*chain(*gone), *chain(*kept), message)
    assert await room.sweep.once() == 500
    assert not any(await room.here(*chain(*gone)))
    assert all(await room.here(*chain(*kept), message))
    assert await room.sweep.once() == 0


async def test_costs_go_after_a_year(room: Room) -> None:
    old = [event(BOT, 44_200, content=f"{n}", created_at=NOW - 365 * DAY_S - 1) for n in range(450)]
    young = event(BOT, 44_200, created_at=NOW - 365 * DAY_S)
    await room.keep(*old, young)
    assert await room.sweep.once() == 450
    assert await room.here(young) == [True]


def wrap(number: int, created_at: int, to: str = BOT.public, size: int = 0) -> Event:
    text = f"{number}" + "x" * size
    return event(STRANGER, Kind.GIFT_WRAP, ("p", to), content=text, created_at=created_at)


def reached(seq: int, epoch: str) -> Event:
    place = Place("nostr-inbox", epoch, seq)
    return places.template(place, BRIDGE.public, NOW).sign(BRIDGE, bytes(32))


async def test_wraps_go_30_days_after_they_were_handled(room: Room) -> None:
    past = NOW - 32 * DAY_S
    handled = [wrap(1, past - 1), wrap(2, past)]
    waiting = wrap(3, past - 1)
    outward = wrap(4, past - 1, OWNER.public)
    await room.keep(*handled, outward, waiting, reached(3, room.store.epoch))
    assert await room.sweep.once() == 1
    assert await room.here(*handled, waiting, outward) == [False, True, True, True]


@pytest.mark.parametrize("place", ["none", "of another store", "not understood"])
async def test_what_no_bridge_has_handled_stays(room: Room, place: str) -> None:
    """A bridge that was away for a month finds its mail."""
    old = wrap(1, NOW - 400 * DAY_S)
    await room.keep(old)
    if place == "of another store":
        await room.keep(reached(9, "another"))
    if place == "not understood":
        await room.keep(event(BRIDGE, Kind.APP_DATA, ("d", "place/nostr-inbox"), content="{}"))
    assert await room.sweep.once() == 0
    assert await room.here(old) == [True]


async def test_another_networks_bridge_has_no_wraps_removed(room: Room) -> None:
    """Attack: one that was taken over says that it has read on, or that the mail was a delivery of
    its own; while the bridge that carries mail is away for a month."""
    past = NOW - 400 * DAY_S
    mail = [wrap(1, past), wrap(2, past, OWNER.public)]
    claims = [
        places.template(Place(reader, room.store.epoch, 9), SIGNAL.public, NOW).sign(
            SIGNAL, bytes(32)
        )
        for reader in ("nostr-inbox", "signal-inbox")
    ]
    value = Delivery(
        "0" * 64,
        tuple(Wrap(one.id, OWNER.public) for one in mail),
        (RelayState("signal", Status.OK, "", NOW - 50 * DAY_S),),
    )
    lie = deliveries.template(value, SIGNAL.public, NOW - 50 * DAY_S).sign(SIGNAL, bytes(32))
    await room.keep(*mail, *claims, lie)
    assert await room.sweep.once() == 0
    assert await room.here(*mail, lie) == [True, True, True]


async def test_strangers_wraps_are_bounded(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: anybody writes to the bot, all day, through any public relay."""
    monkeypatch.setattr(periods, "MAX_HANDLED_WRAPS", 20)
    flood = [wrap(n, NOW) for n in range(50)]
    await room.keep(*flood, reached(45, room.store.epoch))
    assert await room.sweep.once() == 25
    assert await room.here(*flood) == [False] * 25 + [True] * 25
    monkeypatch.setattr(periods, "MAX_HANDLED_BYTES", 100_000)
    large = [wrap(n, NOW, size=30_000) for n in range(100, 110)]
    await room.keep(*large)
    place = Place("nostr-inbox", room.store.epoch, 99)
    later = places.template(place, BRIDGE.public, NOW + 1).sign(BRIDGE, bytes(32))
    await room.replace(reached(45, room.store.epoch), later)
    await room.sweep.once()
    assert sum(await room.here(*large)) == 3


def test_the_newest_wraps_stay() -> None:
    wraps = [Handled(n, f"{n}", NOW, 1_000) for n in range(periods.MAX_HANDLED_WRAPS + 2)]
    assert sorted(dispensable(wraps, NOW)) == ["0", "1"]


def delivery(number: int, at: int, status: Status = Status.OK) -> tuple[Event, Event]:
    """An outbound wrap, and the delivery that names it."""
    sealed = wrap(number, at - DAY_S, OWNER.public)
    value = Delivery(
        f"{number:064x}",
        (Wrap(sealed.id, OWNER.public),),
        (
            RelayState("wss://a.example", Status.OK, "", at - 500),
            RelayState("wss://b.example", status, "", at),
        ),
    )
    return sealed, deliveries.template(value, BRIDGE.public, at).sign(BRIDGE, bytes(32))


async def test_wraps_go_30_days_after_delivery_and_deliveries_after_90(room: Room) -> None:
    fresh = delivery(1, NOW - 30 * DAY_S)
    month = delivery(2, NOW - 30 * DAY_S - 1)
    quarter = delivery(3, NOW - 90 * DAY_S - 1)
    pending = delivery(4, NOW - 400 * DAY_S, Status.PENDING)
    # What may have gone out or not is never sent again.
    uncertain = delivery(5, NOW - 90 * DAY_S - 1, Status.UNCERTAIN)
    await room.keep(*fresh, *month, *quarter, *pending, *uncertain)
    assert await room.sweep.once() == 5
    assert await room.here(*fresh, *month, *quarter, *pending, *uncertain) == [
        True, True, False, True, False, False, True, True, False, False,
    ]  # fmt: skip


async def test_more_deliveries_than_one_transaction_looks_at(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "BATCH", 6)
    many = [delivery(n, NOW - 100 * DAY_S + n * 60) for n in range(40)]
    await room.keep(*(one for pair in many for one in pair))
    assert await room.sweep.once() == 80


async def test_a_delivery_removes_nothing_but_wraps(room: Room) -> None:
    """Attack: a taken-over bridge writes a delivery that names somebody's message as its wrap."""
    victim = event(MEMBER, 9, H)
    value = Delivery(
        "0" * 64,
        (Wrap(victim.id, OWNER.public),),
        (RelayState("wss://a.example", Status.OK, "", NOW - 50 * DAY_S),),
    )
    lie = deliveries.template(value, BRIDGE.public, NOW - 50 * DAY_S).sign(BRIDGE, bytes(32))
    await room.keep(victim, lie)
    assert await room.sweep.once() == 0
    assert await room.here(victim) == [True]


async def test_a_relay_without_roles_keeps_everything(room: Room) -> None:
    old = job(1, NOW - 1_000 * DAY_S)
    await room.keep(*old)
    for world in (World(RELAY.public, public=True), World(RELAY.public, None, OWNER.public)):
        assert await Room(room.store, world).sweep.once() == 0


def test_ids_and_once_keys_outlive_content() -> None:
    house = House()
    house.keep(event(ROUTER, Kind.CREATE_GROUP, H))
    request = event(ROUTER, Kind.JOB_REQUEST, H, ("o", "f" * 64), created_at=NOW - 200 * DAY_S)
    end = event(
        ROUTER, Kind.JOB_RESULT, H, ("e", request.id), ("o", "e" * 64), created_at=NOW - 91 * DAY_S
    )
    house.keep(request, end)
    assert sweep.end_jobs(house.transaction, NOW) == 2
    assert house.transaction.event(request.id) is None
    for again in (request, end, event(ROUTER, Kind.JOB_REQUEST, H, ("o", "f" * 64))):
        outcome = house.put(again, EVERYBODY).outcome
        assert isinstance(outcome, Known)
    assert isinstance(house.put(event(ROUTER, 9, H)).outcome, Stored)
