"""Commands in conversations: whose they are, what becomes of them, once whatever happens."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from secrets import token_bytes, token_hex
from time import time

import pytest

from bot.commands.authority import NO_ORDER, TOO_OLD
from bot.commands.hearing import Hearing
from bot.operate.assembly import SOURCE_TREE
from bot.place import Place
from nips import nip29
from nips.event import Event, Tag, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own.order import MAX_AGE_S
from relay_local.client import connect
from tests.figures import dice, figure
from tests.unit.bot.commands.stage import Stage, a_stage


async def answers(stage: Stage, message: Event) -> list[str]:
    """What the router answered to a message, up to now."""
    said = await stage.find(Kind.CHAT, q=message.id)
    return [event.content for event in said if event.pubkey == stage.roles.router]


async def settled(stage: Stage) -> None:
    """Wait until the router has dealt with all that was said before: it works in order."""
    await stage.ask("/status")


async def a_group(stage: Stage) -> str:
    name = f"g{token_hex(4)}"
    assert (await stage.ask(f"/group new {name} trigger none")).startswith("✅")
    return name


async def group_id(stage: Stage, name: str) -> str:
    shown = await stage.ask(f"/group {name}")
    return shown.partition("Its id: ")[2].strip()


async def test_the_owners_own_client_commands_and_reads_the_answer_there(stage: Stage) -> None:
    message = await stage.say("/status", kind=int(Kind.BUZZ_CHAT))
    assert "Groups: " in await stage.answer(message)
    [answer] = await stage.find(Kind.CHAT, q=message.id)
    assert answer.tag("p") == stage.owner.public
    assert ("delivery", "here") in answer.tags
    assert ("l", "notice", "agent") in answer.tags


async def test_a_direct_message_with_its_order_commands_and_is_answered(stage: Stage) -> None:
    puppet, rumor, name = await stage.puppet(), token_hex(32), await a_group(stage)
    text = f"/pause {name}"
    await stage.order(text, rumor)
    message = await stage.repeat(puppet, text, rumor)
    assert "paused" in await stage.answer(message)
    [answer] = await stage.find(Kind.CHAT, q=message.id)
    # The bridge carries it to whom it names.
    assert answer.tag("p") == puppet.public
    assert ("delivery", "here") not in answer.tags


async def test_a_direct_message_without_an_order_reads_and_changes_nothing(stage: Stage) -> None:
    puppet, name = await stage.puppet(), await a_group(stage)
    assert "Groups: " in await stage.answer(await stage.repeat(puppet, "/status", token_hex(32)))
    assert name in await stage.answer(await stage.repeat(puppet, f"/group {name}", token_hex(32)))
    message = await stage.repeat(puppet, f"/group {name} delete", token_hex(32))
    assert await stage.answer(message) == f"❌ {NO_ORDER}"
    assert (await stage.ask(f"/group {name}")).startswith("✅")
    assert await stage.jobs(message) == []


@pytest.mark.parametrize("attack", ["another text", "another message", "too old"])
async def test_an_order_that_does_not_fit_is_none(stage: Stage, attack: str) -> None:
    puppet, rumor, name = await stage.puppet(), token_hex(32), await a_group(stage)
    text = f"/group {name} archive"
    match attack:
        case "another text":
            await stage.order(f"/group {name} restore", rumor)
        case "another message":
            await stage.order(text, token_hex(32))
        case _:
            await stage.order(text, rumor, at=int(time()) - MAX_AGE_S - 60)
    why = TOO_OLD if attack == "too old" else NO_ORDER
    assert await stage.answer(await stage.repeat(puppet, text, rumor)) == f"❌ {why}"
    assert "Archived" not in await stage.ask(f"/group {name}")


async def test_what_was_refused_without_an_order_is_done_with_it(stage: Stage) -> None:
    # Attack: the bridge repeats other words under the message's id first, so that the owner's
    # own would count as answered.
    puppet, rumor, name = await stage.puppet(), token_hex(32), await a_group(stage)
    early = await stage.repeat(puppet, f"/pause {name}", rumor)
    assert (await stage.answer(early)).startswith("❌")
    await stage.order(f"/resume {name}", rumor)
    true = await stage.repeat(puppet, f"/resume {name}", rumor)
    assert (await stage.answer(true)).startswith("✅")


async def test_one_order_is_carried_out_once_in_whoevers_name_it_is_repeated(stage: Stage) -> None:
    first, second = await stage.puppet(), await stage.puppet()
    rumor, name = token_hex(32), await a_group(stage)
    text = f"/budget {name} runs +10"
    await stage.order(text, rumor)
    await stage.answer(await stage.repeat(first, text, rumor))
    again = await stage.repeat(second, text, rumor)
    await settled(stage)
    assert await answers(stage, again) == []
    await stage.ask(f"/budget {name} runs 5")
    assert "of 15 runs" in await stage.ask(f"/budget {name}")


async def test_another_group_is_no_place_for_commands(stage: Stage) -> None:
    name = await a_group(stage)
    there = await group_id(stage, name)
    message = await stage.say(f"/group {name} archive", group=there)
    await stage.job(message)  # it is words to the agent there, like any others
    assert await answers(stage, message) == []
    assert "archived" not in await stage.ask(f"/group {name}")
    stop = await stage.say("/stop", group=there)
    assert await stage.answer(stop) == "✅ Stopped."
    assert await stage.jobs(stop) == []


async def test_stop_in_a_group_stops_that_group_alone(stage: Stage) -> None:
    one, other = await a_group(stage), await a_group(stage)
    for name in (one, other):
        await stage.job(await stage.say("work", group=await group_id(stage, name)))
    there = await group_id(stage, one)
    puppet = await puppet_in(stage, there)
    assert await stage.answer(
        await stage.repeat(puppet, " /Stop ", token_hex(32), group=there)
    ) == ("✅ Stopped.")
    assert await stage.ask(f"/stop {other}") == "✅ Stopped."
    assert await stage.ask(f"/stop {one}") == "✅ Nothing was being worked on."


async def puppet_in(stage: Stage, group: str) -> SecretKey:
    """A person of another network in a group that is bound to them."""
    person = SecretKey.generate(token_bytes).public
    shown = await stage.ask(f"/group {group} bind {person}")
    assert shown.startswith("✅"), shown
    return await stage.puppet(group)


async def as_member(stage: Stage, role: str, texts: Sequence[str], *tags: Tag) -> list[Event]:
    """What a member of main with a role says there with a client of their own."""
    key = SecretKey.generate(token_bytes)
    put = nip29.put_user(
        stage.owner.public, stage.roles.main, key.public, (role,), int(time())
    ).sign(stage.owner, token_bytes(32))
    assert (await stage.client.publish(put, deadline_s=10)).accepted
    said = []
    async with connect(stage.url, [key]) as link:
        for text in texts:
            made = Template(
                key.public, int(time()), Kind.CHAT, (("h", stage.roles.main), *tags), text
            ).sign(key, token_bytes(32))
            ok = await link.publish(made, deadline_s=10)
            assert ok.accepted, ok.message
            said.append(made)
    gone = nip29.remove_user(stage.owner.public, stage.roles.main, key.public, int(time()))
    assert (
        await stage.client.publish(gone.sign(stage.owner, token_bytes(32)), deadline_s=10)
    ).accepted
    return said


async def test_an_admin_who_is_not_the_owner_commands_nothing(stage: Stage) -> None:
    name = await a_group(stage)
    for message in await as_member(stage, "admin", [f"/group {name} delete", "/status"]):
        assert await stage.answer(message) == "❌ Only my owner gives me commands."
        assert await stage.jobs(message) == []
    assert (await stage.ask(f"/group {name}")).startswith("✅")


async def test_a_member_is_not_even_answered(stage: Stage) -> None:
    said = await as_member(stage, "member", ["/status", "/allow kmpqrs"])
    await settled(stage)
    for message in said:
        assert await answers(stage, message) == []
        assert await stage.jobs(message) == []


async def test_an_agent_commands_nothing(stage: Stage) -> None:
    name = await a_group(stage)
    text = f"/group {name} delete"
    by_label = await as_member(stage, "admin", [text], ("L", "agent"), ("l", "ai", "agent"))
    by_role = await as_member(stage, "agent", [text])
    await settled(stage)
    for message in (*by_label, *by_role):
        assert await answers(stage, message) == []
    assert (await stage.ask(f"/group {name}")).startswith("✅")


async def test_words_that_look_like_a_command_are_work(stage: Stage) -> None:
    for text in ("/etc/passwd is odd", "say /status", "/say /pause", "/run date", "> /allow x"):
        message = await stage.say(text)
        await stage.job(message)
        assert await answers(stage, message) == []
        assert await stage.ask("/stop") == "✅ Stopped."


async def test_a_command_that_is_read_again_is_neither_done_nor_answered_twice() -> None:
    async with a_stage() as stage:
        async with stage.router():
            made = await stage.say("/group new Family trigger none")
            await stage.answer(made)
            more = await stage.say("/budget family runs +10")
            await stage.answer(more)
            gone = await stage.say("/group family delete")
            await stage.answer(gone)
            paused = await stage.say("/pause main")
            await stage.answer(paused)
            # Said otherwise since, and not in a message: what is read again must not undo it.
            assert '"ok": true' in await stage.console("/resume main")
        await forget_place(stage)
        async with stage.router():
            await settled(stage)
            assert "paused" not in await stage.ask("/group main")
            for message in (made, more, gone, paused):
                assert len(await answers(stage, message)) == 1
            assert "family" not in await stage.ask("/groups")


TEXTS = (
    "/group new Family trigger none",
    "/budget family runs +10",
    "/persona name Klaue",
    "/group family rename Kin",
    "/group kin delete wipe",
)


@pytest.mark.parametrize("cut_off", range(len(TEXTS)))
async def test_killed_between_effect_and_answer_it_is_one_effect_and_then_answered(
    cut_off: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_stage() as stage:
        async with stage.router():
            for text in TEXTS[:cut_off]:
                await stage.ask(text)
        reached = asyncio.Event()

        async def stall(*_: object) -> None:
            reached.set()
            await asyncio.Event().wait()

        with monkeypatch.context() as patch:
            patch.setattr(Hearing, "_reply", stall)
            async with stage.router():
                message = await stage.say(TEXTS[cut_off])
                await asyncio.wait_for(reached.wait(), 30)
        made, gone = await stage.find(Kind.CREATE_GROUP), await stage.find(Kind.DELETE_GROUP)
        assert await answers(stage, message) == []
        async with stage.router():
            assert (await stage.answer(message)).startswith("✅")
            assert await stage.find(Kind.CREATE_GROUP) == made
            assert await stage.find(Kind.DELETE_GROUP) == gone
            if cut_off == 1:
                await stage.ask("/budget family runs 5")
                assert "of 15 runs" in await stage.ask("/budget family")
            for text in TEXTS[cut_off + 1 :]:
                assert (await stage.ask(text)).startswith("✅"), text


async def test_a_router_killed_again_and_again_carries_each_command_out_once() -> None:
    chance, kills = dice("commands-kills"), figure("commands-kills")
    async with a_stage() as stage:
        messages: list[Event] = []
        names = [f"g{number}" for number in range(2 * kills)]
        for start in range(0, len(names), 2):
            process = await router_process(stage)
            for name in names[start : start + 2]:
                messages.append(await stage.say(f"/group new {name} trigger none"))
                messages.append(await stage.say(f"/budget {name} runs +10"))
            await asyncio.sleep(chance.uniform(0, 0.25))
            process.kill()
            await process.wait()
        async with stage.router():
            await settled(stage)
            for message in messages:
                assert [said[0] for said in await answers(stage, message)] == ["✅"]
            for name in names:
                await stage.ask(f"/budget {name} runs 5")
                assert "of 15 runs" in await stage.ask(f"/budget {name}")
            created = [event.tag("name") for event in await stage.find(Kind.CREATE_GROUP)]
            assert sorted(name for name in created if name and name[0] == "g") == sorted(names)


async def router_process(stage: Stage) -> asyncio.subprocess.Process:
    """A router as a process of its own, that reads messages."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.unit.bot.commands.router_process", str(stage.place.data),
        cwd=SOURCE_TREE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while (line := await process.stdout.readline()) != b"router: ready\n":
            assert line, "the router ended"
    return process


async def forget_place(stage: Stage) -> None:
    """Let the router read everything again."""
    key = stage.role("router")
    async with connect(stage.place.relay_address, [key]) as link:
        place = Place(link, key, "router")
        loaded = await place.load()
        assert loaded is not None
        place.advance(loaded[0], 0)
        await place.save()
