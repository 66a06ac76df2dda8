"""Two people and the owner: let in, talked with, called otherwise, unbound, archived, deleted."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_bytes

import nostr_sdk as sdk
import pytest

from bot.operate.person import Person, person
from bot.strangers import MAX_SHOWN_A_DAY
from nips import nip59
from nips.event import Event
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.nip17 import message_template
from nips.own.stranger import TOPIC
from relay_local.client import Delivery, connect
from tests.e2e.conftest import Scene, a_scene
from tests.figures import figure

WAVE = 50
CODE = re.compile(r"/allow ([g-z]{6})")
SECRET = 'xyzzy-\u00fcber "quoted"'


@dataclass(frozen=True, slots=True)
class Party:
    """The scene, Ann and Bob."""

    scene: Scene
    ann: Person
    bob: Person

    @property
    def bot(self) -> str:
        return self.scene.house.roles.bot

    async def order(self, text: str) -> str:
        """A command of the owner's, and what came of it."""
        answer = await self.scene.ask(text)
        assert answer.startswith("✅"), answer
        return answer

    async def in_relay(self, *wanted: Filter) -> list[Event]:
        return await self.scene.own_client.fetch(wanted)

    async def restart(self, by: signal.Signals = signal.SIGKILL) -> None:
        """End the bot and wait until it has a successor."""
        house = self.scene.house
        before = house.pid("bot")
        assert before is not None
        os.kill(before, by)
        async with asyncio.timeout(60):
            while house.pid("bot") in (None, before):
                await asyncio.sleep(0.1)

    async def nothing_for(self, *people: Person) -> None:
        """Whatever these people would be told is told before the owner's next answer is."""
        assert "still here" in await self.scene.ask("/say still here")
        assert [one.unheard() for one in people] == [0] * len(people)


@asynccontextmanager
async def a_party(image: str) -> AsyncIterator[Party]:
    async with AsyncExitStack() as stack:
        scene = await stack.enter_async_context(a_scene(image))
        relays = scene.house.public_relays
        ann, bob = [await stack.enter_async_context(person(relays)) for _ in range(2)]
        await ann.publish(0, json.dumps({"name": "Ann"}))
        await bob.publish(0, json.dumps({"name": "Bob"}))
        yield Party(scene, ann, bob)


@pytest.fixture
async def party(agent_image: str) -> AsyncIterator[Party]:
    async with a_party(agent_image) as made:
        yield made


async def say_in_room(author: Person, others: Sequence[str], text: str, answers: str = "") -> str:
    """What NIP-17 calls a room: one rumor, whose id is returned, a wrap of it for each other."""
    tags = [["p", other] for other in others] + ([["e", answers]] if answers else [])
    rumor = (
        sdk.EventBuilder(sdk.Kind(14), text)
        .tags([sdk.Tag.parse(tag) for tag in tags])
        .finalize_unsigned(author.keys.public_key())
        .ensure_id()
    )
    for other in others:
        receiver = sdk.PublicKey.parse(other)
        await author.send(await sdk.nip59_make_gift_wrap_async(author.keys, receiver, rumor))
    rumor_id = rumor.id()
    assert rumor_id is not None
    return str(rumor_id.to_hex())


def files_that_hold(root: Path, text: str) -> list[Path]:
    """The files with these words, as they are or as JSON writes them."""
    forms = {text.encode(), json.dumps(text)[1:-1].encode()}
    return [
        path
        for path in root.rglob("*")
        if path.is_file()
        and not path.is_symlink()
        and any(form in path.read_bytes() for form in forms)
    ]


async def test_a_conversation_from_its_beginning_to_its_end(party: Party) -> None:
    scene, ann, bob, bot = party.scene, party.ann, party.bob, party.bot
    data = scene.house.place.data

    # Unregistered: no container, no answer, no stored text; the owner is told who, once.
    await ann.say(bot, f"/say {SECRET}")
    told = (await scene.owner.hear()).text
    found = CODE.search(told)
    assert found
    assert "Ann" in told
    assert SECRET not in told
    await ann.say(bot, f"/say {SECRET} again")
    await party.nothing_for(ann, scene.owner)
    main = scene.house.roles.main
    jobs = await party.in_relay(Filter(kinds=frozenset({int(Kind.JOB_REQUEST)})))
    assert {job.tag("h") for job in jobs} == {main}
    assert files_that_hold(data, SECRET) == []

    # Allowed: an own group, container and folder; the answer goes to them alone.
    await party.order(f"/allow {found[1]} Ann")
    await ann.say(bot, "/remember I am Ann")
    await ann.hear()
    await ann.say(bot, "/recall")
    assert "I am Ann" in (await ann.hear()).text
    await party.nothing_for(ann, bob, scene.owner)
    assert (data / "groups" / "ann").is_dir()
    wanted = Filter(kinds=frozenset({int(Kind.CHAT)}), tags={"h": frozenset({main})})
    assert not [e for e in await party.in_relay(wanted) if "I am Ann" in e.content]
    assert "I am Ann" not in await scene.ask("/recall")

    # Called otherwise, after a kill: folder and memory are the same.
    await party.order("/group Ann rename Anna Maria")
    await party.restart()
    await ann.say(bot, "/recall")
    assert "I am Ann" in (await ann.hear()).text
    assert "Anna Maria" in await scene.ask("/groups")

    # Unbound: ignored at once, and shown no second time.
    await party.order(f"/group Anna Maria unbind {ann.keys.public_key().to_bech32()}")
    await ann.say(bot, "/say am I here?")
    await party.nothing_for(ann, scene.owner)
    await party.order(f"/group Anna Maria bind {ann.keys.public_key().to_bech32()}")
    await ann.say(bot, "/say bound again")
    assert (await ann.hear()).text == "bound again"

    # Archived: nothing is taken, and it is all there when it is restored.
    await party.order("/group Anna Maria archive")
    await ann.say(bot, "/say archived?")
    await party.nothing_for(ann, scene.owner)
    await party.restart(signal.SIGTERM)
    await party.order("/group Anna Maria restore")
    await ann.say(bot, "/recall")
    assert "I am Ann" in (await ann.hear()).text

    # Deleted with a run under way: stopped; wiped, nothing is left; its id is never used again.
    await ann.say(bot, "/run sleep 30; echo too late")
    await _working(party, main)
    await party.order("/group Anna Maria delete wipe")
    assert not (data / "groups" / "ann").exists()
    assert not (data / "sessions" / "ann").exists()
    await ann.say(bot, "/say deleted?")
    await party.nothing_for(ann, scene.owner)
    await party.restart()
    await party.nothing_for(ann, scene.owner)


async def _working(party: Party, main: str) -> None:
    """Wait until a container of a group other than main works."""
    wanted = Filter(kinds=frozenset({int(Kind.JOB_ACCEPTED)}), since=int(time.time()) - 5)
    async with asyncio.timeout(30), party.scene.own_client.subscribe([wanted]) as stream:
        async for item in stream:
            if isinstance(item, Delivery) and item.event.tag("h") != main:
                return


async def test_a_room_of_three_and_the_assistant(party: Party) -> None:
    scene, ann, bob, bot = party.scene, party.ann, party.bob, party.bot
    owner = scene.owner
    await say_in_room(ann, [bot, bob.public_key, owner.public_key], "hello you all")
    heard = [(await one.hear()).text for one in (bob, owner)]
    assert heard == ["hello you all"] * 2
    told = (await owner.hear()).text
    assert "room of" in told
    assert "Ann" in told
    assert "Bob" in told
    assert "and you" in told
    found = CODE.search(told)
    assert found
    await party.order(f"/allow {found[1]} Trip")

    # Asked by its name, it answers all of them with one message; else it listens.
    await say_in_room(bob, [bot, ann.public_key, owner.public_key], "nothing for the assistant")
    await say_in_room(ann, [bot, bob.public_key, owner.public_key], "@nostrclaw what can you do?")
    ids = set()
    for one in (bob, owner):
        while (message := await one.hear()).sender != bot:
            pass
        ids.add(message.rumor_id)
    while (message := await ann.hear()).sender != bot:
        pass
    ids.add(message.rumor_id)
    assert len(ids) == 1

    # A reply to it needs no name; whoever answers, all of the room hear it.
    await say_in_room(bob, [bot, ann.public_key, owner.public_key], "really?", ids.pop())
    for one in (bob, ann, owner):
        while (message := await one.hear()).sender != bot:
            pass
    # Two of the three are another room, and Ann alone is a stranger.
    await ann.say(bot, "only me")
    assert "Ann" in (await owner.hear()).text


async def test_a_sign_under_their_message_ends_its_work(party: Party) -> None:
    scene, ann, bot = party.scene, party.ann, party.bot
    await ann.say(bot, "hello")
    found = CODE.search((await scene.owner.hear()).text)
    assert found
    await party.order(f"/allow {found[1]}")
    asked = await say_in_room(ann, [bot], "/run sleep 60; echo too late")
    await _working(party, scene.house.roles.main)
    began = time.monotonic()
    await ann.react(bot, asked, "❌")
    wanted = Filter(
        kinds=frozenset({int(Kind.JOB_CANCEL)}),
        authors=frozenset({scene.house.roles.router}),
        since=int(time.time()) - 60,
    )
    async with asyncio.timeout(20), scene.own_client.subscribe([wanted]) as stream:
        async for item in stream:
            if isinstance(item, Delivery) and item.event.tag("status") == "cancelled":
                break
    assert time.monotonic() - began < 15
    await ann.say(bot, "/say free again")
    assert (await ann.hear()).text == "free again"


async def test_a_denied_stranger_is_not_heard_of_again(party: Party) -> None:
    scene, bob, bot = party.scene, party.bob, party.bot
    await bob.say(bot, "buy my things")
    found = CODE.search((await scene.owner.hear()).text)
    assert found
    await party.order(f"/deny {found[1]}")
    await party.restart()
    await bob.say(bot, "buy more of my things")
    await party.nothing_for(bob, scene.owner)
    assert files_that_hold(scene.house.place.data, "my things") == []


async def test_a_crowd_of_strangers_leaves_little(
    party: Party, record_property: Callable[[str, object], None]
) -> None:
    scene, bot, crowd = party.scene, party.bot, figure("strangers")
    data, owner = scene.house.place.data, scene.owner
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        links = [
            await stack.enter_async_context(connect(url, [SecretKey.generate(token_bytes)]))
            for url in scene.house.public_relays
        ]
        for start in range(0, crowd, WAVE):
            wraps = [wrap_of_a_stranger(bot) for _ in range(min(WAVE, crowd - start))]
            oks = await asyncio.gather(*(link.publish(wrap) for wrap in wraps for link in links))
            assert all(ok.accepted for ok in oks)
    notices = [await owner.hear() for _ in range(MAX_SHOWN_A_DAY + 1)]
    assert sum(bool(CODE.search(notice.text)) for notice in notices) == MAX_SHOWN_A_DAY
    assert sum("More strangers" in notice.text for notice in notices) == 1
    # Behind all of them the owner is answered as ever, and hears of nobody else.
    assert "still here" in await scene.ask("/say still here", 60 + crowd / 50)
    record_property("seconds until all were passed over", round(time.monotonic() - began))
    assert owner.unheard() == 0
    assert len(await party.in_relay(shown_strangers(scene))) == MAX_SHOWN_A_DAY
    assert files_that_hold(data, "buy my things") == []


def wrap_of_a_stranger(bot: str) -> Event:
    """A direct message of somebody who has never been here."""
    key, now_s = SecretKey.generate(token_bytes), int(time.time())
    rumor = message_template(key.public, [bot], "buy my things", now_s)
    seal = nip59.seal(rumor, key, bot, now_s, token_bytes(32), token_bytes(32))
    hand = SecretKey.generate(token_bytes)
    return nip59.wrap(seal, hand, bot, now_s, token_bytes(32), token_bytes(32))


def shown_strangers(scene: Scene) -> Filter:
    return Filter(
        kinds=frozenset({int(Kind.APP_DATA)}),
        authors=frozenset({scene.house.roles.router}),
        tags={"t": frozenset({TOPIC})},
        limit=1_000,
    )
