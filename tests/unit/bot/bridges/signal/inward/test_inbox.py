"""What the service gave out: written down first, done once, then erased."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from secrets import token_bytes
from typing import Any

import pytest
import structlog

from bot.bridges import pen
from bot.bridges.signal.inward import inbox as module
from bot.bridges.signal.inward import record as records
from bot.bridges.signal.inward.said import Origin, message_template
from bot.bridges.signal.people import known_as, proxy_id, pseudonyms
from bot.bridges.signal.received.envelope import Edited, Said, parse
from bot.operate.stand_ins.signal_envelopes import (
    Person,
    called,
    data,
    deleted,
    edited,
    envelope,
    group_update,
    mention,
    reacted,
    receipt,
    said,
    story,
    synced,
    timer,
    typing,
    undecryptable,
)
from bot.requests.house import Others
from nips.event import Event
from nips.filter import Filter
from relay_local.client import Delivery
from tests.signal_service import ALICE, BOB, FRIENDS, NUMBER
from tests.unit.bot.bridges.signal.inbound_stage import (
    WAIT_S,
    Item,
    Stage,
    Talk,
    a_stage,
    at_ms,
    item,
)
from tests.unit.bot.bridges.signal.inward.test_forwarding import known, new
from tests.unit.bot.test_full_disk import UNLIMITED, relay_of

US = Person("99999999-9999-4999-8999-999999999999", "claw", NUMBER)


@pytest.fixture
async def alice(inward: Stage) -> Talk:
    """A conversation with Alice alone."""
    return await inward.alone_with(new(ALICE))


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


# What is kept, and of whom nothing


async def test_what_is_dealt_with_is_erased(inward: Stage, alice: Talk) -> None:
    at = at_ms()
    await inward.give(said(alice.who, "xyzzy", at))
    event = await alice.heard("xyzzy")
    await inward.settled()
    d = f"signal/{event.tag('o')}"
    (left,) = [record for record in await inward.records() if record.tag("d") == d]
    assert (left.content, left.tag("t")) == ("", None)
    assert int(left.tag("expiration") or 0) < time.time() + records.SETTLED_KEPT_S + 60


@pytest.mark.parametrize("make", ["said", "edited"])
async def test_a_record_is_kept_no_longer_than_its_message(
    inward: Stage, alice: Talk, make: str
) -> None:
    """Attack: a bridge that ends before it has dealt with words, which outlive their timer."""
    at = int(time.time() * 1_000) - 5
    message = data(at, "soon gone", expires_s=600)
    edit = {"targetSentTimestamp": at_ms(), "dataMessage": message}
    given = {"said": {"dataMessage": message}, "edited": {"editMessage": edit}}[make]
    waiting = Filter(
        kinds=frozenset({30078}),
        authors=frozenset({inward.bridge.public}),
        tags={"t": frozenset({records.WAITING})},
    )
    async with asyncio.timeout(WAIT_S), inward.link.subscribe([waiting]) as stream:
        await inward.give(envelope(alice.who, at, **given))
        async for found in stream:
            if isinstance(found, Delivery) and "soon gone" in found.event.content:
                assert found.event.tag("expiration") == str(at // 1_000 + 600)
                break
    await alice.heard("soon gone")


async def test_of_who_is_bound_to_nothing_nothing_is_kept(
    inward: Stage, alice: Talk, logged: list[Any]
) -> None:
    """Attack: whoever reads our disk, or our logs, reads what strangers write."""
    assert inward.inbound is not None
    before = inward.inbound.intake.unbound.copy()
    stranger = new(BOB)
    await inward.give(
        said(stranger, "xyzzy-confidential", at_ms()),
        said(alice.who, "xyzzy-confidential", at_ms(), group=FRIENDS),
        edited(stranger, "xyzzy-confidential", at_ms(), at_ms()),
        reacted(stranger, "👍", US, at_ms(), at_ms()),
        deleted(stranger, at_ms(), at_ms()),
        said(alice.who, "heard", at_ms()),
    )
    await alice.heard("heard")
    counted = inward.inbound.intake.unbound - before
    assert counted == {"said": 2, "edited": 1, "reacted": 1, "deleted": 1}
    assert not any("confidential" in str(record.to_json()) for record in await inward.records())
    assert "confidential" not in str(logged)
    assert stranger.aci not in str(logged)


async def test_nobodys_words_are_in_the_log(inward: Stage, alice: Talk, logged: list[Any]) -> None:
    broken = item({**said(alice.who, "xyzzy-confidential", at_ms()), "sourceUuid": 7})
    await inward.give(said(alice.who, "xyzzy-confidential", at_ms()), broken)
    await alice.heard("xyzzy-confidential")
    await inward.settled()
    assert "confidential" not in str(logged)


async def test_much_that_is_not_understood_is_one_line(
    inward: Stage, alice: Talk, logged: list[Any]
) -> None:
    """Attack: a log that is filled."""
    assert inward.inbound is not None
    before = inward.inbound.intake.unread
    broken = item({**said(alice.who, "x", at_ms()), "sourceUuid": 7})
    await inward.give(*[broken] * 50, said(alice.who, "after", at_ms()))
    await alice.heard("after")
    assert inward.inbound.intake.unread == before + 50
    (line,) = [one for one in logged if one["event"] == "not understood"]
    assert (line["reason"], line["items"]) == ("item.envelope.sourceUuid is no text", 50)


async def test_what_is_for_nobody_is_counted(inward: Stage, alice: Talk) -> None:
    assert inward.inbound is not None
    before, who = inward.inbound.intake.ignored.copy(), alice.who
    await inward.give(
        receipt(who, [at_ms()], at_ms()),
        typing(who, at_ms()),
        called(who, at_ms()),
        story(who, "a story", at_ms()),
        timer(who, 60, at_ms()),
        group_update(who, at_ms(), FRIENDS),
        synced(US, "from our phone", who, at_ms()),
        said(US, "to ourselves", at_ms()),
        {**undecryptable(who, at_ms()), "account": NUMBER},
        said(who, "heard", at_ms()),
    )
    await alice.heard("heard")
    counted = inward.inbound.intake.ignored - before
    assert counted == {
        "receipt": 1, "typing": 1, "call": 1, "story": 1, "timer": 1, "group": 1, "sync": 1,
        "own": 1, "unreadable": 1,
    }  # fmt: skip
    assert await alice.texts() == ["heard"]


async def test_our_own_id_is_learnt_and_is_nobodys_who_writes(inward: Stage, alice: Talk) -> None:
    await inward.give(synced(US, "hello", alice.who, at_ms()))
    assert inward.inbound is not None
    assert inward.inbound.own_aci == US.aci
    by_id = {**mention(US, 0), "number": None, "name": US.aci}
    talk = await inward.registered(f"us-{at_ms()}", US.aci)
    hidden = {**said(US, "from us", at_ms()), "sourceNumber": None, "source": US.aci}
    await inward.give(hidden, said(alice.who, "\ufffc", at_ms(), mentions=[by_id]))
    event = await alice.heard("@claw")
    assert event.values("p") == [inward.house.roles.bot]
    assert await talk.texts() == []


def hostile(who: Person) -> dict[str, Item]:
    words = said(who, "hostile", at_ms())
    message = words["dataMessage"]
    return {
        "another account": item(words, "+4915100000009"),
        "no account": {"envelope": words, "account": None},
        "no envelope": {"envelope": [], "account": NUMBER},
        "a number for a person": item({**words, "sourceUuid": who.number, "source": who.number}),
        "capitals": item({**words, "sourceUuid": who.aci.upper(), "source": ""}),
        "a service's prefix": item({**words, "sourceUuid": f"PNI:{who.aci}", "source": ""}),
        "a line feed": item({**words, "sourceUuid": f"{who.aci}\n", "source": ""}),
        "nobody": item({**words, "sourceUuid": None, "source": None}),
        "1970": item({**words, "timestamp": 5, "dataMessage": {**message, "timestamp": 5}}),
        "9999": item({**words, "dataMessage": {**message, "timestamp": 253_402_300_799_000}}),
        "a person's id for a group": item(
            {**words, "dataMessage": {**message, "groupInfo": {"groupId": who.aci}}}
        ),
        "words that are none": item({**words, "dataMessage": {**message, "message": ["hostile"]}}),
    }


@pytest.mark.parametrize("what", hostile(ALICE))
async def test_what_has_no_form_that_is_known_is_passed_over(
    inward: Stage, alice: Talk, what: str
) -> None:
    """Attack: somebody stands in for somebody else, or stops all that comes after them."""
    assert inward.inbound is not None
    intake, before = inward.inbound.intake, inward.inbound.intake.unread
    given = hostile(alice.who)[what]
    await inward.feed.give(given, item(said(alice.who, "after", at_ms())))
    await alice.heard("after")
    assert await alice.texts() == ["after"]
    assert intake.unread == before + 1 or what == "no envelope"


# Once, and in order


async def test_what_is_given_out_twice_is_said_once(inward: Stage, alice: Talk) -> None:
    assert inward.inbound is not None
    intake, before = inward.inbound.intake, inward.inbound.intake.repeated
    twice = said(alice.who, "twice", at_ms())
    await inward.give(twice)
    await inward.give(twice, twice)
    await inward.settled()
    await inward.give(twice, said(alice.who, "after", at_ms()))
    await alice.heard("after")
    assert await alice.texts() == ["twice", "after"]
    assert intake.repeated >= before + 2  # two in one batch are one event, written once


async def written_down(stage: Stage, *items: Item) -> list[Event]:
    """As the bridge leaves it when it is killed before it has dealt with anything."""
    made = []
    for one in items:
        what = parse(one, NUMBER)
        assert isinstance(what, Said | Edited)
        template = records.template(
            one, what.identity, stage.bridge.public, int(time.time()), None
        )  # fmt: skip
        made.append(await stage.put(template, stage.bridge))
    return made


async def test_what_was_written_down_before_the_end_is_said_after_the_start(
    inward: Stage, alice: Talk
) -> None:
    gone = await inward.alone_with(new(BOB))
    await inward.stop()
    items = [item(said(alice.who, f"waiting {n}", at_ms())) for n in range(70)]
    await written_down(inward, *items, item(said(gone.who, "of nobody's now", at_ms())))
    await gone.change(counterparts=())
    await inward.start()
    await inward.give(said(alice.who, "new", at_ms()), items[0])
    await alice.heard("new")
    assert await alice.texts() == [*(f"waiting {n}" for n in range(70)), "new"]
    await inward.settled()
    assert await gone.texts() == []


@pytest.mark.parametrize("is_seen", [True, False])
async def test_killed_between_an_edit_and_the_end_of_what_it_replaces(
    inward: Stage, alice: Talk, is_seen: bool
) -> None:
    at, edited_at = at_ms(), at_ms()
    if is_seen:
        await inward.give(said(alice.who, "helo", at))
        await alice.heard("helo")
    await known(inward)
    former = (await alice.events(9))[:1]
    assert inward.inbound is not None
    puppet = inward.inbound.presence.key_of(alice.who.aci)
    await inward.stop()
    edit = item(edited(alice.who, "hello", at, edited_at))
    what = parse(edit, NUMBER)
    assert isinstance(what, Edited)
    origin = Origin(what.identity, proxy_id(pseudonyms(inward.bridge), what.identity))
    await inward.link.authenticate(puppet)
    said_already = message_template(
        puppet.public,
        alice.group,
        origin,
        "hello",
        int(time.time()),
        former=former[0] if former else None,
        also_known_as=[known_as(NUMBER, alice.who.aci, at)],
    )
    assert (await inward.link.publish(said_already.sign(puppet, bytes(32)))).accepted
    await written_down(inward, edit)
    await inward.start()
    # What it replaces may come only now, from another device.
    late = [] if is_seen else [said(alice.who, "helo", at)]
    await inward.give(*late, said(alice.who, "the end", at_ms()))
    await alice.heard("the end")
    assert await alice.texts() == ["hello", "the end"]
    assert [one.kind for one in await alice.events()] == [9, 5, 9]


async def test_a_record_that_is_none_is_set_aside(inward: Stage, alice: Talk) -> None:
    await inward.stop()
    given = item(said(alice.who, "x", at_ms()))
    what, now_s = parse(given, NUMBER), int(time.time())
    assert isinstance(what, Said)
    template = records.template(given, what.identity, inward.bridge.public, now_s, None)
    for content in ("no JSON", "[]", '{"account":"+4915100000009"}'):
        tags = (("d", f"signal/{token_bytes(4).hex()}"), *template.tags[2:])
        made = replace(template, tags=tags, content=content)
        await inward.put(made, inward.bridge)
    inbound = await inward.start()
    await inward.give(said(alice.who, "after", at_ms()))
    await alice.heard("after")
    assert inbound.counts.set_aside == 3
    await inward.settled()


async def test_what_a_full_disk_keeps_from_being_said_and_erased_is_done_after_a_start(
    inward: Stage, alice: Talk, logged: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pen, "MAX_ATTEMPTS", 1)
    monkeypatch.setattr(module, "MAX_ATTEMPTS", 1)
    await inward.give(said(alice.who, "before", at_ms()))
    await inward.settled()
    await inward.stop()
    await written_down(inward, item(said(alice.who, "late", at_ms())))
    relay = relay_of(inward.house.place.roles_file)
    resource.prlimit(relay, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    try:
        inbound = await inward.start()
        async with asyncio.timeout(WAIT_S):
            while "a message stays written down" not in str(logged):
                await asyncio.sleep(0.01)
    finally:
        resource.prlimit(relay, resource.RLIMIT_FSIZE, UNLIMITED)
    assert inbound.counts.set_aside == 1
    await inward.stop()
    await inward.start()
    await alice.heard("late")
    await inward.settled()


async def test_many_conversations_each_keep_their_order(inward: Stage) -> None:
    talks = [await inward.alone_with(new(ALICE)) for _ in range(3)]
    await known(inward)
    for batch in range(10):
        await inward.give(*(
            said(talks[n % 3].who, f"{n}", at_ms()) for n in range(20 * batch, 20 * batch + 20)
        ))  # fmt: skip
    for number, talk in enumerate(talks):
        expected = [str(n) for n in range(200) if n % 3 == number]
        await talk.heard(expected[-1])
        assert await talk.texts() == expected


# How much at a time, and the end


async def test_no_more_is_asked_for_than_can_be_dealt_with(
    inward: Stage, alice: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_OPEN", 5)
    for n in range(30):
        await inward.give(said(alice.who, f"{n}", at_ms()))
    await alice.heard("29")
    assert await alice.texts() == [str(n) for n in range(30)]


async def test_the_last_batch_is_written_down_at_the_end(inward: Stage, alice: Talk) -> None:
    """The service has given it out already, and forgets it."""
    await known(inward)
    last = item(said(alice.who, "the last", at_ms()))
    taken = asyncio.Event()

    async def ending() -> AsyncIterator[tuple[Item, ...]]:
        try:
            taken.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            yield (last,)
            raise

    await inward.stop()
    inward.batches = ending()
    await inward.start()
    await asyncio.wait_for(taken.wait(), WAIT_S)
    await inward.stop()
    inward.batches = None
    assert "the last" not in await alice.texts()
    await inward.start()
    await alice.heard("the last")


async def test_the_owner_is_told_who_wrote_and_not_what() -> None:
    async with a_stage() as stage:
        requests = await stage.house.requests()
        told: asyncio.Queue[tuple[str, ...]] = asyncio.Queue()

        async def report(*what: str) -> str:
            told.put_nowait(what)
            return "shown"

        async def never(*_: str) -> str:
            raise AssertionError("a bridge does not ask this")

        serving = asyncio.create_task(requests.serve(Others(report, never, never)))
        try:
            await stage.start()
            archived = await stage.alone_with(new(ALICE))
            await archived.change(archived=True)
            await known(stage)
            for _ in range(3):
                await stage.give(
                    # Neither who only reacts, nor whose conversation the owner has put away.
                    reacted(new(ALICE), "👍", US, at_ms(), at_ms()),
                    said(archived.who, "plugh", at_ms()),
                    said(BOB, "plugh", at_ms(), group=FRIENDS),
                    said(ALICE, "plugh", at_ms()),
                )
            async with asyncio.timeout(WAIT_S):
                heard = {await told.get(), await told.get()}
            assert heard == {
                ("signal", FRIENDS.id, "Friends (Signal)"),
                ("signal", ALICE.aci, "Alice Example (Signal)"),
            }
            assert told.empty()
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
