"""A conversation in direct messages with another maker's client: nostr-tools at one end, the
bridge with public relays, private relay and signer at the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from nips import nip49
from nips.event import Event, Template
from nips.filter import Filter
from relay_local.client import connect
from tests.interop.other_person import Came, OtherPerson, other_person
from tests.unit.bot.bridges.nostr.conftest import OWNER
from tests.unit.bot.bridges.nostr.conversation import registered
from tests.unit.bot.bridges.nostr.stage import Stage, a_stage


@pytest.fixture(scope="module")
async def there() -> AsyncIterator[Stage]:
    """The stage with the bridge running, which has told where it reads."""
    async with a_stage(OWNER.public) as stage:
        await stage.make_main(OWNER.public)
        await stage.start("bridge")
        lists = Filter(kinds=frozenset({10050}), authors=frozenset({stage.roles.bot}))
        async with connect(stage.public[0], []) as link, asyncio.timeout(30):
            while not await link.fetch([lists]):
                await asyncio.sleep(0.05)
        yield stage


@pytest.fixture(scope="module")
async def me(there: Stage, node: str) -> AsyncIterator[OtherPerson]:
    """The owner."""
    async with other_person(node, there.public, OWNER) as made:
        yield made


def tag_values(rumor: Template, name: str) -> list[str]:
    return [tag[1] for tag in rumor.tags if tag[0] == name]


async def test_each_says_what_it_answers(there: Stage, me: OtherPerson) -> None:
    bot = there.roles.bot
    hello = await me.write(14, "hello from nostr-tools", bot, tags=[["subject", "a beginning"]])
    event = await there.heard("hello from nostr-tools")
    assert event.tag("proxy") == hello

    said = await there.say("hello yourself", quote=event.id)
    answer = await me.hear()
    assert (answer.rumor.kind, answer.rumor.content) == (14, "hello yourself")
    assert answer.rumor.pubkey == bot
    assert tag_values(answer.rumor, "p") == [me.public]
    assert tag_values(answer.rumor, "e") == [hello]
    assert answer.wrapped_by not in (bot, me.public)

    await me.write(14, "and again", bot, tags=[["e", answer.id, there.public[0], "reply"]])
    assert (await there.heard("and again")).tag("q") == said.id


async def test_a_sign_and_a_deletion(there: Stage, me: OtherPerson) -> None:
    bot = there.roles.bot
    said = await there.say("look at this")
    shown = await me.hear()
    assert shown.rumor.content == "look at this"
    about = [["e", shown.id], ["k", "14"]]
    await me.write(7, "👍", bot, tags=about)
    assert (await about_it(there, said, 7)).content == "👍"

    mistaken = await me.write(14, "a mistake", bot)
    event = await there.heard("a mistake")
    await me.write(5, "", bot, tags=[["e", mistaken], ["k", "14"]])
    assert (await about_it(there, event, 5)).pubkey == event.pubkey
    assert "a mistake" not in [message.content for message in await there.messages()]


async def about_it(there: Stage, said: Event, kind: int) -> Event:
    """Wait for a reaction to an event, or its deletion."""
    wanted = Filter(kinds=frozenset({kind}), tags={"e": frozenset({said.id})})
    async with asyncio.timeout(30):
        while not (found := await there.link.fetch([wanted])):
            await asyncio.sleep(0.05)
    return found[0]


async def test_a_long_answer_comes_in_parts_that_another_client_opens(
    there: Stage, me: OtherPerson
) -> None:
    text = " ".join(f"word{number}" for number in range(9_000))
    await there.say(text)
    parts: list[Came] = []
    while len(" ".join(part.rumor.content for part in parts)) < len(text):
        parts.append(await me.hear())
    assert 2 <= len(parts) <= 4
    parts.sort(key=lambda part: part.rumor.created_at)
    assert " ".join(part.rumor.content for part in parts) == text
    assert len({part.rumor.created_at for part in parts}) == len(parts)
    # And as long as it may be, from the other side.
    long = "x" * 40_000
    await me.write(14, long, there.roles.bot)
    await there.heard(long)


async def test_a_room_of_three(there: Stage, me: OtherPerson, node: str) -> None:
    bot = there.roles.bot
    async with other_person(node, there.public) as friend:
        room = await registered(there, "room", me.public, friend.public, room=True)
        await me.write(14, "both of you", bot, friend.public)
        heard = await room.heard("both of you")
        assert (await friend.hear()).rumor.content == "both of you"
        await room.say("both of you too")
        mine, theirs = await me.hear(), await friend.hear()
        # NIP-17: one rumor, sealed for each.
        assert mine.id == theirs.id
        assert sorted(tag_values(mine.rumor, "p")) == sorted([me.public, friend.public])
        await friend.write(14, "yes", bot, me.public, tags=[["e", mine.id, "", "reply"]])
        yes = await room.heard("yes")
        assert yes.pubkey != heard.pubkey
        assert "yes" not in [event.content for event in await there.messages()]


async def test_what_we_say_can_be_read_by_ourselves(there: Stage, me: OtherPerson) -> None:
    own = await me.write(14, "a note of mine", there.roles.bot)
    while (copy := await me.hear_own()).id != own:
        pass
    assert copy.rumor.content == "a note of mine"


async def test_the_bots_own_key_shows_both_sides_in_another_client(
    there: Stage, me: OtherPerson, node: str
) -> None:
    """NIP-17: "to each receiver and the sender individually", so that whoever logs in with the
    bot's key reads the whole conversation."""
    asked = await me.write(14, "for your records", there.roles.bot)
    event = await there.heard("for your records")
    await there.say("noted", quote=event.id)
    while (answer := await me.hear()).rumor.content != "noted":
        pass
    signer = there.place.signer
    text, passphrase = (
        (signer / name).read_text().strip() for name in ("identity.ncryptsec", "passphrase")
    )
    identity = nip49.decrypt(text, passphrase)
    async with other_person(node, there.public, identity, announces=False) as bot:
        assert bot.public == there.roles.bot
        seen: dict[str, Came] = {}
        while not {asked, answer.id} <= seen.keys():
            came = await bot.came()
            seen[came.id] = came
    assert seen[answer.id].rumor == answer.rumor
    assert seen[answer.id].wrapped_by not in (answer.wrapped_by, identity.public)
    assert seen[asked].rumor.pubkey == me.public
