"""What people on Signal get of what is said in our groups, over a real relay and the stand-in."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from secrets import token_bytes
from typing import Any

import pytest

from bot.bridges.signal.outward.outbound import Outbound
from bot.bridges.signal.outward.outgoing import GONE, MAX_UNITS
from bot.bridges.signal.people import known_as
from bot.notice import HERE_ONLY
from bot.operate.stand_ins.signal_envelopes import Group, Person
from nips.event import Event, Tag
from nips.own.delivery import Status
from tests.signal_service import NUMBER
from tests.unit.bot.bridges.signal.outbound_stage import Stage, a_bridge, a_person, seen

AT_MS = 1_700_000_000_000


@pytest.fixture
async def bridge(stage: Stage) -> AsyncIterator[Outbound]:
    await stage.signal.faults()
    async with a_bridge(stage) as made:
        yield made


def a_group(*members: str) -> Group:
    people = tuple(Person(aci, aci[:4]) for aci in members)
    return Group(base64.b64encode(token_bytes(32)).decode(), "Friends", people)


def styles(sent: dict[str, Any]) -> list[str]:
    return [f"{it['start']}:{it['length']}:{it['style']}" for it in sent["styles"]]


async def settled(stage: Stage, event: Event) -> tuple[Status, str]:
    (state,) = (await stage.delivery(event.id)).relays
    return state.status, state.reason


async def test_a_notice_reaches_the_person(stage: Stage, bridge: Outbound) -> None:
    alice = a_person()
    group = (await stage.group(alice)).group
    said = await stage.say(group, "**hello** there")
    (got,) = await stage.got(alice, 1)
    assert (got["message"], styles(got)) == ("hello there", ["0:5:BOLD"])
    delivery = await stage.delivery(said.id)
    assert [(it.status, it.reason) for it in delivery.relays] == [(Status.OK, "")]
    assert delivery.to == (alice,)
    ((part, at_ms),) = [(one.part, one.timestamp_ms) for one in delivery.sent]
    assert (part, at_ms) == (1, got["timestamp"])
    assert delivery.known_as == (known_as(NUMBER, NUMBER, at_ms),)


async def test_what_the_bot_says_reaches_a_group_of_signal(stage: Stage, bridge: Outbound) -> None:
    friends = a_group()
    await stage.signal.add_group(friends)
    group = (await stage.group(friends.id)).group
    await stage.speak(group, "hello, all")
    (got,) = await stage.got(friends.id, 1)
    assert seen([got]) == ["hello, all"]


async def test_what_stays_here(stage: Stage, bridge: Outbound) -> None:
    """The last of them goes out: so all before it did not."""
    alice, bob = a_person(), a_person()
    binding = await stage.group(alice)
    group = binding.group
    archived = (await stage.group(bob, archived=True)).group
    unbound = (await stage.group()).group
    here = [
        await stage.say(group, "only here", HERE_ONLY),
        await stage.say(group, "\n"),
        await stage.say(archived, "in an archive"),
        await stage.say(unbound, "to nobody"),
        await stage.hears(binding, alice, "what she wrote herself", AT_MS),
        await stage.owner_says(group, "the owner's, who does not speak here"),
    ]
    await stage.say(group, "the last")
    assert seen(await stage.got(alice, 1)) == ["the last"]
    assert not [one for one in await stage.signal.sent() if bob in (one["recipients"] or ())]
    assert [await stage.has_delivery(event) for event in here] == [False] * len(here)


async def test_the_owner_speaks_where_the_group_says_so(stage: Stage, bridge: Outbound) -> None:
    alice = a_person()
    group = (await stage.group(alice, owner_speaks=True)).group
    await stage.owner_says(group, "_me_")
    (got,) = await stage.got(alice, 1)
    assert (got["message"], styles(got)) == ("Owner: me", ["0:6:BOLD", "7:2:ITALIC"])
    name = json.dumps({"name": "Ada"})
    await stage.owner_says(stage.house.roles.main, name, kind=0)
    said = await stage.owner_says(group, "me again", kind=40002)
    assert seen(await stage.got(alice, 2)) == ["Owner: me", "Ada: me again"]
    assert await settled(stage, said) == (Status.OK, "")


async def test_a_long_message_comes_in_parts_and_in_order(stage: Stage, bridge: Outbound) -> None:
    alice = a_person()
    group = (await stage.group(alice)).group
    paragraphs = [f"{number} **" + "lorem " * 300 + "x**" for number in range(5)]
    said = await stage.say(group, "\n\n".join(paragraphs))
    got = await stage.got(alice, 3)
    assert [text[:1] for text in seen(got)] == ["0", "2", "4"]
    assert all(len(one["raw"]) <= MAX_UNITS for one in got)
    assert "".join(seen(got)).count("lorem") == 1_500
    delivery = await stage.delivery(said.id)
    assert [one.part for one in delivery.sent] == [1, 2, 3]
    assert [one.timestamp_ms for one in delivery.sent] == [one["timestamp"] for one in got]
    assert len(set(delivery.known_as)) == 3


async def test_an_answer_quotes_what_it_answers(stage: Stage, bridge: Outbound) -> None:
    alice = a_person()
    binding = await stage.group(alice)
    asked = await stage.hears(binding, alice, "**why?**", AT_MS)
    answer = await stage.say(binding.group, "because. " * 700, ("q", asked.id))
    first, second = await stage.got(alice, 2)
    assert (first["quote"]["author"], first["quote"]["timestamp"]) == (alice, AT_MS)
    assert first["quote"]["message"] == "why?"
    assert second["quote"] is None
    await stage.say(binding.group, "what I meant", ("q", answer.id))
    third = (await stage.got(alice, 3))[2]
    assert (third["quote"]["author"], third["quote"]["timestamp"]) == (NUMBER, first["timestamp"])


async def test_what_is_not_known_there_is_not_quoted(stage: Stage, bridge: Outbound) -> None:
    """Attack: an agent shows these people what was said in another group."""
    alice, bob = a_person(), a_person()
    mine, other = await stage.group(alice), await stage.group(bob)
    elsewhere = await stage.hears(other, bob, "a secret of Bob's", AT_MS)
    typed = await stage.owner_says(mine.group, "typed here")
    for quoted in (elsewhere.id, typed.id, "ab" * 32, "no id"):
        await stage.say(mine.group, "an answer", ("q", quoted))
    got = await stage.got(alice, 4)
    assert [one["quote"] for one in got] == [None] * 4


async def test_whoever_is_addressed_gets_the_answer(stage: Stage, bridge: Outbound) -> None:
    """Attack: what one of a group's people said is quoted to another."""
    alice, bob = a_person(), a_person()
    binding = await stage.group(alice, bob)
    asked = await stage.hears(binding, bob, "for Bob alone", AT_MS)
    to_alice, to_bob = (("p", stage.puppet(one).public) for one in (alice, bob))
    await stage.say(binding.group, "to the first")
    await stage.say(binding.group, "to Bob", to_bob, ("q", asked.id))
    both = await stage.say(binding.group, "one. " * 1_000, to_bob, to_alice, ("q", asked.id))
    assert (await stage.delivery(both.id)).to == (alice, bob)
    first, *others = await stage.got(alice, 3)
    assert first["message"] == "to the first"
    assert [one["quote"] for one in others] == [None, None]
    first, *of_bob = await stage.got(bob, 3)
    assert (first["message"], first["quote"]["message"]) == ("to Bob", "for Bob alone")
    assert seen(of_bob) == seen(others)
    assert [(one["quote"] or {}).get("author") for one in of_bob] == [bob, None]
    sent = [one.timestamp_ms for one in (await stage.delivery(both.id)).sent]
    assert sent == [it["timestamp"] for two in zip(others, of_bob, strict=True) for it in two]


def handed_over(stage: Stage, folder: str, content: bytes, name: str) -> tuple[Path, Tag]:
    """A file as the router keeps it, and the tag that announces it."""
    digest = sha256(content).hexdigest()
    kept = stage.house.place.data / "files" / folder
    kept.mkdir(parents=True, exist_ok=True)
    (kept / digest).write_bytes(content)
    return kept / digest, ("imeta", "m text/plain", f"x {digest}", "size 5", f"name {name}")


async def test_a_file_that_an_agent_hands_over(stage: Stage, bridge: Outbound) -> None:
    alice = a_person()
    binding = await stage.group(alice)
    kept, tag = handed_over(stage, binding.folder, b"12345", "a plan.txt")
    words = f"📎 a plan.txt (5 B)\nIt is kept on my machine: {kept}"
    await stage.say(binding.group, words, tag)
    (got,) = await stage.got(alice, 1)
    assert got["message"] == "📎 a plan.txt (5 B)"
    (attachment,) = got["attachments"]
    assert attachment["filename"] == "a plan.txt"
    assert base64.b64decode(attachment["base64"]) == b"12345"


async def test_a_file_that_is_another_now(stage: Stage, bridge: Outbound) -> None:
    """Attack: other bytes, or a link, in the place of what was handed over."""
    alice = a_person()
    binding = await stage.group(alice)
    kept, tag = handed_over(stage, binding.folder, b"a first file", "a.txt")
    kept.write_bytes(b"other bytes!")
    await stage.say(binding.group, "📎 a.txt\nkept", tag)
    kept, tag = handed_over(stage, binding.folder, b"a second file", "b.txt")
    kept.unlink()
    kept.symlink_to(stage.house.place.key("router"))
    await stage.say(binding.group, "📎 b.txt\nkept", tag)
    got = await stage.got(alice, 2)
    assert [one["attachments"] for one in got] == [[], []]
    assert seen(got) == [
        "📎 a.txt\n(The file could not be sent: it is not what was handed over.)",
        "📎 b.txt\n(The file could not be sent: it is not kept any more.)",
    ]


async def test_a_reaction_of_the_bot_s(stage: Stage, bridge: Outbound) -> None:
    alice = a_person()
    binding = await stage.group(alice)
    asked = await stage.hears(binding, alice, "a question", AT_MS + 1)
    ours = await stage.say(binding.group, "an answer")
    (got,) = await stage.got(alice, 1)
    await stage.speak(binding.group, ":soapbox:", ("e", asked.id), kind=7)
    await stage.speak(binding.group, "🎉", ("e", "ab" * 32), kind=7)
    await stage.say(binding.group, "👀", ("e", asked.id), kind=7)  # the router's sign
    about = await stage.speak(binding.group, "+", ("e", asked.id), kind=7)
    await stage.speak(binding.group, "🎉", ("e", ours.id), kind=7)
    found = await stage.got(alice, 2, "reaction")
    assert [(it["emoji"], it["author"], it["target"], it["remove"]) for it in found] == [
        ("👍", alice, AT_MS + 1, False),
        ("🎉", NUMBER, got["timestamp"], False),
    ]
    assert await settled(stage, about) == (Status.OK, "")


async def test_what_is_retracted_is_taken_back(stage: Stage, bridge: Outbound) -> None:
    alice = a_person()
    group = (await stage.group(alice)).group
    first, second = await stage.speak(group, "wrong. " * 700), await stage.say(group, "wrong too")
    sent = await stage.got(alice, 3)
    retraction = await stage.speak(group, "", ("e", first.id), ("k", "9"), kind=5)
    await stage.owner_says(group, "", ("e", second.id), kind=9005)
    found = await stage.got(alice, 3, "delete")
    assert [it["target"] for it in found] == [one["timestamp"] for one in sent]
    assert await settled(stage, retraction) == (Status.OK, "")


async def test_only_what_is_taken_back_here_is_taken_back_there(
    stage: Stage, bridge: Outbound
) -> None:
    """Attack: anybody can write a 5 that names what another has said; of that nothing happens, and
    the relay keeps both. A member takes the bot's words from people, or an agent the router's."""
    alice = a_person()
    group = (await stage.group(alice)).group
    ours, notice = await stage.speak(group, "ours"), await stage.say(group, "a notice")
    _, noted = await stage.got(alice, 2)
    mine, taken = ("k", "9"), ("e", notice.id)
    by_owner = await stage.owner_says(group, "", ("e", ours.id), mine, kind=5)
    by_agent = await stage.speak(group, "", taken, mine, kind=5)
    by_router = await stage.say(group, "", ("e", ours.id), taken, mine, kind=5)
    assert await settled(stage, by_router) == (Status.OK, "")
    assert [it["target"] for it in await stage.got(alice, 1, "delete")] == [noted["timestamp"]]
    assert not await stage.has_delivery(by_owner)
    assert not await stage.has_delivery(by_agent)


async def test_nobody_takes_back_what_is_not_theirs(stage: Stage, bridge: Outbound) -> None:
    """Attack: a kind 5 that names somebody else's message, which the relay stores and does not
    follow."""
    alice = a_person()
    binding = await stage.group(alice, owner_speaks=True)
    ours = await stage.say(binding.group, "the router's")
    await stage.hears(binding, alice, "hello", AT_MS + 2)
    of_alice = await stage.retracts(alice, binding.group, ours)
    of_owner = await stage.owner_says(binding.group, "", ("e", ours.id), kind=5)
    theirs = await stage.owner_says(binding.group, "the owner's own")
    (_, sent) = await stage.got(alice, 2)
    await stage.owner_says(binding.group, "", ("e", theirs.id), ("e", "no id"), kind=5)
    (deleted,) = await stage.got(alice, 1, "delete")
    assert deleted["target"] == sent["timestamp"]
    assert not await stage.has_delivery(of_alice)
    assert not await stage.has_delivery(of_owner)


async def test_nothing_is_taken_back_where_nobody_is_bound_any_more(
    stage: Stage, bridge: Outbound
) -> None:
    """Attack: a deletion that reaches a conversation which is registered no more."""
    alice, bob = a_person(), a_person()
    binding = await stage.group(alice, bob, owner_speaks=True)
    said = await stage.owner_says(binding.group, "to both")
    await stage.got(alice, 1)
    (theirs,) = await stage.got(bob, 1)
    await settled(stage, said)
    await stage.house.registry().unbind(binding.group, f"signal:{alice}")
    taken = await stage.owner_says(binding.group, "", ("e", said.id), kind=9005)
    assert await settled(stage, taken) == (Status.OK, "")
    (deleted,) = await stage.got(bob, 1, "delete")
    assert deleted["target"] == theirs["timestamp"]
    assert await stage.got(alice, 0, "delete") == []


async def test_what_one_was_told_is_not_quoted_to_another(stage: Stage, bridge: Outbound) -> None:
    """Attack: an agent answers one of its people with what it told another."""
    alice, bob = a_person(), a_person()
    group = (await stage.group(alice, bob)).group
    to_bob = ("p", stage.puppet(bob).public)
    told = await stage.speak(group, "for Alice alone")
    await settled(stage, told)
    await stage.speak(group, "for Bob", to_bob, ("q", told.id))
    (got,) = await stage.got(bob, 1)
    assert got["quote"] is None


async def test_what_is_retracted_while_it_waits_is_never_said(
    stage: Stage, bridge: Outbound
) -> None:
    alice = a_person()
    group = (await stage.group(alice)).group
    await stage.away()
    said = await stage.speak(group, "wrong")
    await stage.delivery(said.id, lambda it: bool(it.relays[0].reason))
    await stage.speak(group, "", ("e", said.id), ("k", "9"), kind=5)
    await stage.speak(group, "right")
    await stage.back()
    assert seen(await stage.got(alice, 1)) == ["right"]
    assert await settled(stage, said) == (Status.FAILED, GONE)
