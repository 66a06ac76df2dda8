"""Shell: events set tasks off: those of the groups, read in order of arrival, and public ones,
which the Nostr bridge hears on the public relays and tells of.

Nothing of it is only here. The reader's place in the groups is on the relay; what is public is
asked for again at each start, as far back as tasks make up for what they missed. What comes twice
has one effect (`firing`). Source: PROTOCOL.md "What sets a task off".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import orjson
import structlog

from bot.author import Author, of_kinds
from bot.groups import Group
from bot.place import Place, follow
from bot.routing import may_set_off
from bot.task_book import TaskBook
from bot.tasks import occasions
from bot.tasks.firing import Firing, Passed
from nips import nip02
from nips.event import Event
from nips.filter import Filter
from nips.kinds import Kind
from nips.own.cause import Cause, Published, Said
from nips.own.roles import Roles
from nips.own.task import Task
from nips.own.watch import People, sets_off
from nips.refusal import Malformed, Refused
from relay_local.client import Caller, Delivery, Unanswered

READER = "router-watch"
DEADLINE_S = 30.0
PAUSE_S = 5.0  # after a question that the bridge did not take

log = structlog.get_logger()


class Watching:
    """`run` until cancelled. book: the tasks, loaded. owners: the keys by which the owner speaks in
    groups. bridge: from the router's key to the Nostr bridge's; None where there is none. place:
    the reader's of the groups. groups: gives a group by its id."""

    def __init__(
        self,
        author: Author,
        roles: Roles,
        owner: str,
        owners: Callable[[], frozenset[str]],
        book: TaskBook,
        firing: Firing,
        bridge: Caller | None,
        place: Place,
        groups: Callable[[str], Group | None],
    ) -> None:
        self._author, self._roles, self._owner, self._owners = author, roles, owner, owners
        self._book, self._firing, self._bridge, self._place = book, firing, bridge, place
        self._groups = groups
        self._own = frozenset(
            {roles.bot, roles.router, roles.relay, roles.signer, *roles.bridges.values()}
        ).union(roles.former)
        self._contacts: Event | None = None
        self._change = asyncio.Event()

    def changed(self) -> None:
        """A task is new or another one: look what there is to watch for."""
        self._change.set()
        self._change = asyncio.Event()

    async def run(self) -> None:
        """Watch for what sets tasks off. Raises Refused when the relay denies the reading."""
        lists = Filter(authors=frozenset({self._owner}), kinds=frozenset({nip02.CONTACTS}))
        for event in await self._author.link.fetch([lists]):
            self._learn(event)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow_groups())
                if self._bridge is not None:
                    tasks.create_task(self._ask_bridge(self._bridge))
        finally:
            await self._place.save()

    async def heard(self, text: str) -> str:
        """The bridge tells of a public event, its JSON. Raises Malformed."""
        try:
            event = Event.from_json(orjson.loads(text))
        except orjson.JSONDecodeError as error:
            raise Malformed("an event is JSON") from error
        # Attack: a bridge that was taken over makes up what people have said.
        event.verify()
        if event.kind == nip02.CONTACTS and self._learn(event):
            self.changed()
        await self._offer(event, Published(event))
        return "noted"

    # What comes

    async def _offer(self, event: Event, cause: Cause) -> None:
        people, now_s = self._people(is_here := isinstance(cause, Said)), self._author.now_s()
        for task, watch in self._watched():
            if watch.here != is_here:
                continue
            wanted = watch.filter(people, task.group)
            if wanted and sets_off(wanted, event, self._own, task.start, now_s):
                await self._fire(task, event, cause)

    async def _fire(self, task: Task, event: Event, cause: Cause) -> None:
        try:
            done = await self._firing.fire(task.name, event.id, cause)
        except Refused as error:
            log.error("task not set off", task=task.id[:8], reason=str(error))
            return
        if isinstance(done, Passed):
            log.info("task not set off", task=task.id[:8], reason=done.why)

    def _watched(self) -> list[occasions.Waiting]:
        tasks = (planned.task for planned in self._book.all.values())
        return list(occasions.watched(tasks, self._roles.main))

    # In the groups

    async def _follow_groups(self) -> None:
        wanted: Filter | None = None
        reading: asyncio.Task[None] | None = None
        try:
            while True:
                change = self._change
                if (now := occasions.here(self._watched())) != wanted:
                    await self._end(reading)
                    wanted = now
                    reading = None if now is None else asyncio.create_task(self._read(now))
                waits: set[asyncio.Task[object]] = {asyncio.create_task(change.wait())}
                ends = waits if reading is None else {*waits, reading}
                done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                for wait in waits:
                    wait.cancel()
                if reading in done:
                    assert reading is not None
                    reading.result()  # it ends by being refused only
        finally:
            await self._end(reading)

    async def _end(self, reading: asyncio.Task[None] | None) -> None:
        if reading is not None:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await self._place.save()  # from there it is read on

    async def _read(self, wanted: Filter) -> None:
        async for item in follow(self._author.link, [wanted], self._place):
            if not isinstance(item, Delivery):
                continue
            if may_set_off(item.event, self._groups(item.event.tag("h") or "")):
                await self._offer(item.event, Said(item.event.id))

    # In public

    async def _ask_bridge(self, bridge: Caller) -> None:
        asked: tuple[Filter, ...] = ()
        while True:
            change = self._change
            wanted = occasions.public(self._watched(), self._people(is_here=False), {})
            if wanted == asked or await self._ask(bridge):
                asked = wanted
                await change.wait()

    async def _ask(self, bridge: Caller) -> bool:
        """Have the bridge watch; False, after a while, where it does not yet."""
        now_s, watched = self._author.now_s(), self._watched()
        since_s = {
            task.name: occasions.since(task, await self._last_run_s(task), now_s)
            for task, watch in watched
            if not watch.here
        }
        filters = occasions.public(watched, self._people(is_here=False), since_s)
        text = orjson.dumps([one.to_json() for one in filters]).decode()
        served = bridge.served
        try:
            await bridge.call("watch", text, deadline_s=DEADLINE_S)
        except (Refused, Unanswered) as error:
            log.warning("public events are not watched for yet", reason=str(error))
            try:
                async with asyncio.timeout(PAUSE_S):
                    await served.wait()
            except TimeoutError:
                pass
            return False
        return True

    async def _last_run_s(self, task: Task) -> int | None:
        jobs = Filter(
            authors=frozenset({self._author.pubkey}),
            kinds=of_kinds(Kind.JOB_REQUEST),
            tags={"a": frozenset({task.address(self._author.pubkey)})},
            limit=1,
        )
        found = await self._author.link.fetch([jobs])
        return max((event.created_at for event in found), default=None)

    # People

    def _people(self, is_here: bool) -> People:
        owner = self._owners() if is_here else frozenset({self._owner})
        followed = frozenset[str]() if self._contacts is None else nip02.followed(self._contacts)
        return People(self._roles.bot, owner, followed)

    def _learn(self, event: Event) -> bool:
        """Take a contact list of the owner's; True where it is a newer one."""
        if event.pubkey != self._owner:
            return False
        known = self._contacts
        # NIP-01: with the same created_at "the event with the lowest id" is kept.
        if known and (event.created_at, known.id) <= (known.created_at, event.id):
            return False
        self._contacts = event
        return True
