"""bot/requests/reception.py over a real relay."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from secrets import token_bytes, token_hex

import pytest

from bot.requests.callers import Bridge, Console, Session
from bot.requests.methods import Asked, Method, table
from nips import nip44, nip46
from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.refusal import Prefix, Refused, refused
from relay_local.client import Caught, Delivery, Link, Unanswered, connect
from tests.unit.bot.requests.stage import House

GROUP = "00000000-0000-4000-8000-000000000002"


class Book:
    """A method that notes who asked what, and answers with the number of the request."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def note(self, asked: Asked) -> str:
        self.asked.append(asked)
        await self.gate.wait()
        return str(len(self.asked))

    async def refuse(self, asked: Asked) -> str:
        self.asked.append(asked)
        raise refused(Prefix.INVALID, "not like this")

    async def fail(self, asked: Asked) -> str:
        self.asked.append(asked)
        raise RuntimeError("a bug")


@pytest.fixture
def book() -> Book:
    return Book()


def methods(book: Book):  # type: ignore[no-untyped-def]  # a mapping, as `table` gives it
    return table(
        [
            Method("note", (Session,), book.note),
            Method("refuse", (Session,), book.refuse),
            Method("fail", (Session,), book.fail),
            Method("carry", (Bridge,), book.note),
            Method("command", (Console,), book.note),
        ]
    )


def sealed(key: SecretKey, to: str, request: nip46.Request, at_s: int | None = None) -> Event:
    payload = nip44.encrypt(
        request.to_json(), nip44.conversation_key(key, to), token_bytes(32), extended=True
    )
    template = nip46.envelope(key.public, to, payload, at_s or int(time.time()))
    return template.sign(key, token_bytes(32))


async def answers(link: Link, key: SecretKey, n: int, to_send: list[Event]) -> list[Event]:
    """Send events, and gather the first `n` that come back."""
    wanted = Filter(kinds=frozenset({int(Kind.REQUEST)}), tags={"p": frozenset({key.public})})
    found: list[Event] = []
    async with asyncio.timeout(20), link.subscribe([wanted]) as stream:
        async for item in stream:
            match item:
                case Caught():
                    for event in to_send:
                        await link.publish(event)
                case Delivery(event, _):
                    found.append(event)
            if len(found) == n:
                break
    return found


async def test_a_session_asks_and_is_answered_as_who_it_is(house: House, book: Book) -> None:
    key = house.session(GROUP)
    async with house.reception(methods(book)), house.asking(key) as caller:
        assert await caller.call("note", "a", "b") == "1"
    (asked,) = book.asked
    assert asked.params == ("a", "b")
    assert asked.caller == Session(key.public, house.sessions[key.public], is_main=False)


async def test_a_refusal_comes_in_words(house: House, book: Book) -> None:
    async with house.reception(methods(book)), house.asking(house.session(GROUP)) as caller:
        with pytest.raises(Refused, match="invalid: not like this"):
            await caller.call("refuse")


async def test_a_bug_is_an_answer_and_no_end(house: House, book: Book) -> None:
    async with house.reception(methods(book)), house.asking(house.session(GROUP)) as caller:
        with pytest.raises(Refused, match="error: something went wrong here"):
            await caller.call("fail")
        assert await caller.call("note") == "2"


async def test_each_calls_its_own_methods_and_no_others(house: House, book: Book) -> None:
    session, bridge, console = (
        house.session(GROUP),
        house.role("bridge-nostr"),
        house.role("console"),
    )
    theirs = {"note": session, "carry": bridge, "command": console}
    async with house.reception(methods(book)):
        for name, owner in theirs.items():
            for key in (session, bridge, console):
                async with house.asking(key) as caller:
                    if key is owner:
                        await caller.call(name, deadline_s=10)
                        continue
                    with pytest.raises(Refused, match=r"restricted: .* cannot ask for"):
                        await caller.call(name, deadline_s=10)
    assert len(book.asked) == len(theirs)


async def test_who_is_nobody_here_hears_nothing(house: House, book: Book) -> None:
    dead = house.session(GROUP)
    del house.sessions[dead.public]
    stranger = SecretKey.generate(token_bytes)
    async with house.reception(methods(book)):
        for key in (dead, stranger, house.owner, house.role("chat")):
            async with house.asking(key) as caller:
                with pytest.raises(Unanswered):
                    await caller.call("note", deadline_s=0.5)
    assert book.asked == []


async def test_the_same_id_gets_the_same_answer(house: House, book: Book) -> None:
    async with house.reception(methods(book)), house.asking(house.session(GROUP)) as caller:
        first = await caller.call("note", "x", request_id="once")
        assert await caller.call("note", "x", request_id="once") == first == "1"
        with pytest.raises(Refused, match="invalid: this id was used"):
            await caller.call("note", "y", request_id="once")
    assert len(book.asked) == 1


async def test_another_session_gets_nothing_by_an_id_that_was_used(
    house: House, book: Book
) -> None:
    async with (
        house.reception(methods(book)),
        house.asking(house.session(GROUP)) as one,
        house.asking(house.session(GROUP, "c" * 64)) as other,
    ):
        assert await one.call("note", "x", request_id="once") == "1"
        assert await other.call("note", "x", request_id="once") == "2"


async def test_asked_again_while_it_is_being_done_it_is_done_once(house: House, book: Book) -> None:
    key = house.session(GROUP)
    request = nip46.Request("twice", "note", ())
    book.gate.clear()
    async with house.reception(methods(book)), connect(house.url, [key]) as link:
        both = [sealed(key, house.roles.router, request) for _ in range(2)]
        asking = asyncio.create_task(answers(link, key, 1, both))
        async with asyncio.timeout(10):
            while not book.asked:
                await asyncio.sleep(0.01)
        book.gate.set()
        assert len(await asking) == 1
    assert len(book.asked) == 1


async def test_an_envelope_of_before_is_not_opened(house: House, book: Book) -> None:
    """Attack: whoever wrote down a request brings it again after a restart."""
    key = house.session(GROUP)
    old = sealed(key, house.roles.router, nip46.Request("old", "note"), int(time.time()) - 2)
    new = nip46.Request("new", "note")
    async with connect(house.url, [key]) as link, house.reception(methods(book)):
        sent = [old, sealed(key, house.roles.router, new)]
        assert len(await answers(link, key, 1, sent)) == 1
    assert [asked.id for asked in book.asked] == ["new"]


async def test_an_envelope_that_somebody_changed_is_not_opened(house: House, book: Book) -> None:
    """Attack: another key's request under a session's name; an old envelope with a new time,
    whose text is the session's own. The relay refuses both already."""
    key, thief = house.session(GROUP), SecretKey.generate(token_bytes)
    forged = sealed(thief, house.roles.router, nip46.Request("x", "note"))
    forged = replace(forged, pubkey=key.public)
    old = sealed(key, house.roles.router, nip46.Request("y", "note"), int(time.time()) - 9_000)
    fresh = replace(old, created_at=int(time.time()))
    template = Template(fresh.pubkey, fresh.created_at, fresh.kind, fresh.tags, fresh.content)
    async with house.reception(methods(book)) as reception:
        for event in (forged, fresh, replace(fresh, id=template.id)):
            assert reception._receive(event) is None
    assert book.asked == []


async def test_a_flood_is_refused_then_ignored_and_leaves_others_alone(
    house: House, book: Book
) -> None:
    key, other = house.session(GROUP), house.session(GROUP, "c" * 64)
    async with house.reception(methods(book)) as reception, house.asking(other) as caller:
        for _ in range(100):
            envelope = sealed(key, house.roles.router, nip46.Request(token_hex(8), "note"))
            if (work := reception._receive(envelope)) is not None:
                await reception._answer(*work)
        assert 30 <= len(book.asked) < 40
        assert await caller.call("note", deadline_s=10)


async def test_no_more_than_four_of_a_session_are_open(house: House, book: Book) -> None:
    book.gate.clear()
    async with house.reception(methods(book)), house.asking(house.session(GROUP)) as caller:
        open_ones = [asyncio.create_task(caller.call("note", str(n))) for n in range(4)]
        async with asyncio.timeout(10):
            while len(book.asked) < 4:
                await asyncio.sleep(0.01)
        with pytest.raises(Refused, match="rate-limited"):
            await caller.call("note", "one more", deadline_s=10)
        book.gate.set()
        assert sorted(await asyncio.gather(*open_ones)) == ["4"] * 4
        assert await caller.call("note", "later", deadline_s=10) == "5"


async def test_a_request_that_is_too_long_is_not_opened(house: House, book: Book) -> None:
    key = house.session(GROUP)
    long = sealed(key, house.roles.router, nip46.Request("long", "note", ("x" * 400_000,)))
    async with house.reception(methods(book)) as reception, house.asking(key) as caller:
        assert reception._receive(long) is None
        assert await caller.call("note", "x" * 60_000, deadline_s=10) == "1"
