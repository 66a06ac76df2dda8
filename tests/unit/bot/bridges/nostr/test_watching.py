"""bot/bridges/nostr/watching.py: two real public relays watched by the real bridge for the router,
and what relays and others of bad will make of that."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from secrets import token_bytes
from typing import Any
from uuid import uuid4

import pytest
from websockets.asyncio.server import ServerConnection, serve

from bot.author import Author
from bot.bridges.nostr.watching import MAX_FILTERS, checked, is_wanted
from bot.groups import Group
from bot.place import Place
from bot.requests.callers import Bridge, who_calls
from bot.requests.methods import Asked, Method, table
from bot.requests.reception import Reception
from bot.scheduler import Doing
from bot.task_book import TaskBook
from bot.tasks.firing import Firing
from bot.tasks.watching import Watching as RouterWatching
from nips.event import Event, Tag, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.own.binding import Binding
from nips.own.cause import Cause, Published
from nips.own.schedule import Schedule
from nips.own.task import Task
from nips.own.task_run import TaskRun
from nips.refusal import Malformed, Prefix, Refused, refused
from relay_local.client import Caller, Unanswered, connect
from tests.unit.bot.bridges.nostr.foreign_relay import listening
from tests.unit.bot.bridges.nostr.stage import Person, Stage

ANN, BOT = (SecretKey(bytes([n]) * 32) for n in (1, 2))


def note(by: SecretKey, text: str, *tags: Tag, kind: int = 1, at: int = 0) -> Event:
    template = Template(by.public, at or int(time.time()), kind, tags, text)
    return template.sign(by, token_bytes(32))


class Router:
    """The router's side: what it is told of. refusals: how often it says no before."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self.told = stage, asyncio.Queue[Event]()
        self.refusals = 0
        self._bridge = Caller(stage.link, stage.router, stage.roles.bridges["nostr"])

    async def heard(self, asked: Asked) -> str:
        if self.refusals:
            self.refusals -= 1
            raise refused(Prefix.RATE_LIMITED, "ask again in a while")
        await self.told.put(Event.from_json(json.loads(asked.params[0])))
        return "noted"

    async def watch(self, *filters: Mapping[str, Any]) -> str:
        return await self._bridge.call("watch", json.dumps(filters), deadline_s=20)

    async def next(self) -> str:
        async with asyncio.timeout(20):
            return (await self.told.get()).content


@pytest.fixture
async def router(stage: Stage) -> AsyncIterator[Router]:
    made = Router(stage)
    reception = Reception(
        stage.link,
        stage.router,
        lambda key: who_calls(key, stage.roles, {}),
        table([Method("heard", (Bridge,), made.heard)]),
    )
    serving = asyncio.create_task(reception.serve())
    await asyncio.wait_for(reception.ready.wait(), 20)
    yield made
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def test_what_is_watched_for_is_told_once(
    stage: Stage, router: Router, stranger: Person
) -> None:
    now, me, bot = int(time.time()), stranger.secret, ("p", stage.roles.bot)
    await stranger.send(note(me, "before", bot, at=now - 60))
    await stranger.send(note(me, "long before", bot, at=now - 900))
    mention = {"kinds": [1], "#p": [stage.roles.bot], "since": now - 300}
    assert await router.watch(mention) == "watching"
    assert await router.next() == "before"
    router.refusals = 1
    await stranger.send(note(me, "to somebody else", ("p", ANN.public)))
    await stranger.send(note(me, "on each", bot))
    assert await router.next() == "on each"
    await stranger.send(note(me, "on one", bot), 1)
    assert await router.next() == "on one"
    # Something else in its place; then nothing.
    await router.watch({"kinds": [7], "#p": [stage.roles.bot]}, {"kinds": [1], "#t": ["bees"]})
    await stranger.send(note(me, "not any more", bot))
    await stranger.send(note(me, "bees", ("t", "bees")))
    assert await router.next() == "bees"
    await stranger.send(note(me, "+", bot, kind=7))
    assert await router.next() == "+"
    await router.watch()
    await stranger.send(note(me, "nobody hears", ("t", "bees")))
    await router.watch({"kinds": [1], "#t": ["end"]})
    await stranger.send(note(me, "end", ("t", "end")))
    assert await router.next() == "end"


async def test_a_bridge_that_starts_again_is_asked_again(
    stage: Stage, router: Router, stranger: Person
) -> None:
    wanted = {"kinds": [1], "#t": ["x"], "since": int(time.time()) - 300}
    await router.watch(wanted)
    await stranger.send(note(stranger.secret, "one", ("t", "x")))
    assert await router.next() == "one"
    await stage.restart("bridge")
    await stranger.send(note(stranger.secret, "meanwhile", ("t", "x")))
    await router.watch(wanted)
    assert {await router.next(), await router.next()} == {"one", "meanwhile"}


async def test_a_mention_sets_off_a_task(stage: Stage, stranger: Person) -> None:
    """Both sides, real: the router's watching, and the bridge's."""
    author, main, key = Author(stage.link, stage.router), stage.roles.main, stage.router
    binding = Binding(main, "main")
    group = Group(main, binding=binding)
    fired: asyncio.Queue[tuple[TaskRun, Cause | None]] = asyncio.Queue()

    async def perform(_group: str, run: TaskRun, cause: Cause | None = None) -> None:
        await fired.put((run, cause))

    async def tell(_group: str) -> None:
        raise AssertionError("nothing stands against it")

    book, owner = TaskBook(author), stranger.secret.public  # whose contact list matters not here
    doing = Doing(perform, lambda _group: group, lambda _group: None, tell, frozenset)
    watching = RouterWatching(
        author, stage.roles, owner, lambda: frozenset({owner}), book,
        Firing(author, stage.roles, book, doing),
        Caller(stage.link, key, stage.roles.bridges["nostr"]), Place(stage.link, key, "watch-test"),
        doing.groups,
    )  # fmt: skip

    async def heard(asked: Asked) -> str:
        return await watching.heard(asked.params[0])

    reception = Reception(
        stage.link, key, lambda who: who_calls(who, stage.roles, {}),
        table([Method("heard", (Bridge,), heard)]),
    )  # fmt: skip
    working = [asyncio.create_task(work) for work in (reception.serve(), watching.run())]
    await asyncio.wait_for(reception.ready.wait(), 20)
    schedule = Schedule("event", json.dumps({"kinds": [1], "#p": ["bot"], "#t": ["task"]}))
    task = Task(main, str(uuid4()), "T", "Do it.", schedule, "UTC", int(time.time()))
    await book.put(task, None)
    watching.changed()
    event = note(stranger.secret, "hello", ("p", stage.roles.bot), ("t", "task"))
    await stranger.send(event)
    async with asyncio.timeout(20):
        run, cause = await fired.get()
    assert (run.slot, cause) == (event.id, Published(event))
    assert book.all[task.name].task.fired == event.id
    for work in working:
        work.cancel()
    await asyncio.gather(*working, return_exceptions=True)


async def test_nobody_but_the_router_has_anything_watched(
    stage: Stage, router: Router, stranger: Person
) -> None:
    key = stranger.secret
    async with connect(stage.place.relay_address, [key]) as link:
        with pytest.raises(Unanswered):
            await Caller(link, key, stage.roles.bridges["nostr"]).call(
                "watch", '[{"kinds":[1]}]', deadline_s=1.5
            )
    for wrong in ({"kinds": [1059]}, {"authors": [ANN.public]}):
        with pytest.raises(Refused, match="names kinds, and no private one"):
            await router.watch(wrong)


@pytest.mark.parametrize(
    "given",
    [
        {}, [{}], [{"kinds": []}], [{"kinds": [4]}], [{"kinds": [1, 1059]}], [{"kinds": [24_133]}],
        [{"kinds": [1], "search": "x"}], [{"kinds": [1], "ids": [ANN.public]}], [5],
        [{"kinds": [1], "after_seq": 0}], [{"kinds": [1]}] * (MAX_FILTERS + 1),
    ],
)  # fmt: skip
def test_what_is_not_watched_for(given: object) -> None:
    with pytest.raises(Malformed):
        checked(given)


def test_a_relay_of_bad_will() -> None:
    wanted = checked([{"kinds": [1], "#t": ["x"]}])
    right = note(ANN, "hi", ("t", "x"))
    assert is_wanted(wanted, right)
    assert is_wanted((Filter(kinds=frozenset({7})), *wanted), right)
    forged = Event.from_json(
        right.to_json() | note(BOT, "hi", ("t", "x")).to_json() | {"sig": right.sig}
    )
    for wrong in (
        note(ANN, "hi", ("t", "y")),
        note(ANN, "hi", ("t", "x"), kind=7),
        note(ANN, "x" * 65_537, ("t", "x")),
        # Attack: what is short as it is counted, and too long to be told: the bridge would end.
        note(ANN, "", ("t", "x"), ("x", *[""] * 130_000)),
        note(ANN, "\x01" * 65_000, ("t", "x")),
        forged,
    ):
        assert not is_wanted(wanted, wrong)


def test_whom_somebody_follows_may_be_a_long_list() -> None:
    wanted = checked([{"kinds": [3], "authors": [ANN.public]}])
    names = [("p", f"{number:064x}") for number in range(2_000)]
    assert is_wanted(wanted, note(ANN, "", *names, kind=3))
    assert not is_wanted(wanted, note(ANN, "", *names * 2, kind=3))


async def test_a_relay_that_closes_it_is_asked_again() -> None:
    """What it closes is not missed until the next connection."""
    event = note(ANN, "hi", ("t", "x"))
    closed: list[str] = []

    async def answer(connection: ServerConnection) -> None:
        async for data in connection:
            match json.loads(data):
                case ["REQ", str(name), _] if name.startswith("watch-") and len(closed) < 2:
                    closed.append(name)
                    await connection.send(json.dumps(["CLOSED", name, "error: too many"]))
                case ["REQ", str(name), _]:
                    if name.startswith("watch-"):
                        await connection.send(json.dumps(["EVENT", name, event.to_json()]))
                    await connection.send(json.dumps(["EOSE", name]))

    async with serve(answer, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        wanted = json.dumps([{"kinds": [1], "#t": ["x"]}])
        async with listening(url, probe_s=0.4, watch=wanted) as said:
            assert await said() == event.id
    assert len(set(closed)) == 2
