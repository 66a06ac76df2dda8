"""What a bridge cannot manage by itself is told to the owner once, over a real relay."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from secrets import token_bytes

import pytest

from bot.requests.trouble_requests import MAX_TOLD_A_DAY
from nips import nip29
from nips.event import Event, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.refusal import Refused
from relay_local.client import Caller, connect
from tests.unit.bot.requests.stage import House, a_house
from tests.unit.bot.requests.test_house import OTHERS
from tests.unit.nips.own.test_signal_id import ACI, GROUP


@pytest.fixture
async def fresh() -> AsyncIterator[House]:
    """A house of a day on which nothing was told yet."""
    async with a_house() as made:
        yield made


@asynccontextmanager
async def asked(house: House, name: str = "bridge-signal") -> AsyncIterator[Caller]:
    """A part of the house, while requests are answered."""
    made = await house.requests()
    async with house.reception(made.methods(OTHERS)), house.asking(house.role(name)) as caller:
        yield caller


async def told(house: House, last: int = 0) -> list[str]:
    """What the owner was told of troubles, in main: all of it, or the last ones."""
    said = await house.said(house.roles.main)
    return [event.content for event in said if "trouble/signal" in event.values("t")][-last:]


async def said(house: House, group: str, text: str) -> Event:
    """Something that the assistant says in a group."""
    author = house.author
    return await author.require(
        Template(author.pubkey, author.now_s(), Kind.CHAT, (("h", group),), text)
    )


async def test_a_trouble_is_told_once(house: House) -> None:
    async with asked(house) as bridge:
        for answer in ("told", "known"):
            assert await bridge.call("trouble", "signal", "challenge", "5f1c-a") == answer
    async with asked(house) as bridge:  # and after a start
        assert await bridge.call("trouble", "signal", "challenge", "5f1c-a") == "known"
        assert await bridge.call("trouble", "signal", "challenge", "5f1c-b") == "told"
    first, second = await told(house, 2)
    assert "nostrclaw signal challenge 5f1c-a 'CAPTCHA'" in first
    assert "nostrclaw signal challenge 5f1c-b 'CAPTCHA'" in second


async def test_asked_at_once_it_is_told_once(house: House) -> None:
    before = len(await told(house))
    async with asked(house) as bridge:
        answers = await asyncio.gather(
            *(bridge.call("trouble", "signal", "challenge", "at-once") for _ in range(5))
        )
    assert sorted(answers) == ["known"] * 4 + ["told"]
    assert len(await told(house)) == before + 1


async def test_a_message_that_is_not_known_to_be_there_is_shown(house: House) -> None:
    group = (await house.registry().register("Chess", [f"signal:{GROUP}"])).group
    one = await said(house, group, "Shall we meet at noon?")
    two = await said(house, group, "And\nbring the board.")
    async with asked(house) as bridge:
        assert await bridge.call("trouble", "signal", "uncertain", one.id) == "told"
        answer = await bridge.call("trouble", "signal", "failed", two.id, "Unregistered\nuser")
        assert answer == "told"
    uncertain, failed = await told(house, 2)
    assert uncertain.startswith("❔ In “Chess”: ")
    assert "“Shall we meet at noon?”" in uncertain
    assert "“And bring the board.” (Signal says “Unregistered user”)" in failed


async def test_what_went_nowhere_is_not_shown(house: House) -> None:
    """Attack: a bridge that was taken over has words of another conversation shown, or invented
    ones; and such requests use up what the owner is told in a day."""
    mine = (await house.registry().register("Mine")).group
    here = await said(house, mine, "In no network but this.")
    person = f"signal:{ACI[:-1]}1"
    made = await house.registry().register("Gone", [person])
    before = await told(house)
    async with asked(house) as bridge:
        for wrong in (here.id, "ab" * 32, (await said(house, house.roles.main, "x")).id):
            for topic in ("uncertain", "failed"):
                with pytest.raises(Refused, match="invalid: nothing of that id"):
                    await bridge.call("trouble", "signal", topic, wrong)
        await house.registry().unbind(made.group, person)
        late = await said(house, made.group, "Nobody is bound here any more.")
        with pytest.raises(Refused, match="invalid: nothing of that id"):
            await bridge.call("trouble", "signal", "failed", late.id)
    assert await told(house) == before


async def test_what_disappears_there_disappears_in_main(house: House) -> None:
    """Attack: words that were to be gone stay for good, as what has got lost."""
    group = (await house.registry().register("Soon", [f"signal:{ACI[:-1]}2"])).group
    ends = str(house.author.now_s() + 3_600)
    made = Template(
        house.author.pubkey,
        house.author.now_s(),
        Kind.CHAT,
        (("h", group), ("expiration", ends)),
        "soon gone",
    )
    lost = await house.author.require(made)
    async with asked(house) as bridge:
        assert await bridge.call("trouble", "signal", "uncertain", lost.id) == "told"
    said = await house.said(house.roles.main)
    (notice,) = [event for event in said if "“soon gone”" in event.content]
    assert notice.tag("expiration") == ends


async def test_what_somebody_else_said_is_not_shown_as_lost(house: House) -> None:
    """Attack: a bridge that was taken over has its own puppet's words repeated in main."""
    made = await house.registry().register("Brought", [f"signal:{ACI[:-1]}3"])
    bridge_key, puppet = house.role("bridge-signal"), SecretKey.generate(token_bytes)
    put = nip29.put_user(
        bridge_key.public, made.group, puppet.public, ("puppet",), house.author.now_s()
    )
    brought = Template(
        puppet.public, house.author.now_s(), Kind.CHAT, (("h", made.group),), "do as I say"
    )
    async with connect(house.place.relay_address, [bridge_key, puppet]) as link:
        assert (await link.publish(put.sign(bridge_key, token_bytes(32)))).accepted
        event = brought.sign(puppet, token_bytes(32))
        assert (await link.publish(event)).accepted
    await house.directory.load()
    before = await told(house)
    async with asked(house) as bridge:
        with pytest.raises(Refused, match="invalid: nothing of that id"):
            await bridge.call("trouble", "signal", "failed", event.id)
    assert await told(house) == before


async def test_that_it_is_back_is_told_to_whoever_knows_that_it_was_away(house: House) -> None:
    since, other = str(int(time.time()) - 50), str(int(time.time()) - 40)
    async with asked(house) as bridge:
        assert await bridge.call("trouble", "signal", "back", since) == "known"
        assert await bridge.call("trouble", "signal", "away", since, "connection refused") == "told"
        assert await bridge.call("trouble", "signal", "back", other) == "known"
        for answer in ("told", "known"):
            assert await bridge.call("trouble", "signal", "back", since) == answer
    away, back = await told(house, 2)
    assert "cannot reach Signal" in away
    assert "connection refused" in away
    assert "Signal is back" in back


async def test_a_flood_is_bounded(fresh: House) -> None:
    """Attack: a bridge that was taken over, or goes wrong, buries what the owner should read."""
    house = fresh
    since = str(int(time.time()) - 50)
    async with asked(house) as bridge:
        await bridge.call("trouble", "signal", "away", since)
        answers = [
            await bridge.call("trouble", "signal", "challenge", f"token-{n}")
            for n in range(MAX_TOLD_A_DAY + 5)
        ]
        assert answers == ["told"] * (MAX_TOLD_A_DAY - 1) + ["full"] * 6
    async with asked(house) as bridge:  # and after a start
        assert await bridge.call("trouble", "signal", "challenge", "token-x") == "full"
        # What the owner knows to be away does not stay so for them.
        assert await bridge.call("trouble", "signal", "back", since) == "told"
    assert len(await told(house)) == MAX_TOLD_A_DAY + 1
    everything = [event.content for event in await house.said(house.roles.main)]
    assert len([line for line in everything if "more trouble with Signal" in line]) == 1


async def test_what_is_no_trouble_is_said(house: House) -> None:
    async with asked(house) as bridge:
        for params in (
            ("signal", "challenge", "x", "y", "z"),
            ("signal", "challenge", "$(reboot)"),
            ("signal", "away", "soon"),
            ("signal", "✅ approved", ""),
            ("signal",),
        ):
            with pytest.raises(Refused, match="invalid: "):
                await bridge.call("trouble", *params)


async def test_a_bridge_tells_of_its_own_network_only(house: House) -> None:
    """Attack: one bridge makes up troubles of another, and commands to type against them."""
    before = await told(house)
    async with asked(house, "bridge-nostr") as bridge:
        with pytest.raises(Refused, match="own network"):
            await bridge.call("trouble", "signal", "challenge", "5f1c")
        with pytest.raises(Refused, match="no such trouble"):
            await bridge.call("trouble", "nostr", "away", str(int(time.time())))
    async with asked(house) as bridge:
        with pytest.raises(Refused, match="own network"):
            await bridge.call("stranger", "nostr", "ab" * 32, "Eve")
        with pytest.raises(Refused, match="own network"):
            await bridge.call("trouble", "nostr", "challenge", "5f1c")
    assert await told(house) == before


@pytest.mark.parametrize("name", ["console", "model"])
async def test_nobody_else_tells_of_troubles(house: House, name: str) -> None:
    async with asked(house, name) as caller:
        with pytest.raises(Refused, match="restricted"):
            await caller.call("trouble", "signal", "challenge", "5f1c")
    made = await house.requests()
    key = house.session(house.roles.main)
    async with house.reception(made.methods(OTHERS)), house.asking(key) as session:
        with pytest.raises(Refused, match="restricted"):
            await session.call("trouble", "signal", "challenge", "5f1c")


async def test_a_person_of_signal_is_told_of_by_name(house: House) -> None:
    one = await house.registry().register("Alice", [f"signal:{ACI}"], trigger=None)
    lost = await said(house, one.group, "Good morning")
    async with asked(house) as bridge:
        assert await bridge.call("trouble", "signal", "failed", lost.id) == "told"
    assert await told(house, 1) == ["❌ In “Alice”: this did not reach Signal: “Good morning”"]
