"""People and rooms that are bound to groups of their own, through real relays and a real signer."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import replace
from secrets import token_bytes

import pytest

from bot.bridges.bindings import Bound
from bot.bridges.presence import Presence
from config.roles import read_key
from nips.event import Tag, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.nip17 import message_template
from nips.nip29 import put_user, remove_user
from nips.own.once import once_key
from relay_local.client import connect
from tests.unit.bot.bridges.nostr.conftest import OWNER
from tests.unit.bot.bridges.nostr.conversation import reaction, registered, sent
from tests.unit.bot.bridges.nostr.stage import Person, Stage


async def test_a_person_is_heard_in_their_own_group_and_nowhere_else(
    stage: Stage, owner: Person, ann: Person
) -> None:
    anns = await registered(stage, "ann-1", ann.public)
    await ann.say(stage.roles.bot, "from ann")
    event = await anns.heard("from ann")
    assert "from ann" not in [message.content for message in await stage.messages()]
    said = await anns.say("to ann")
    rumor = await ann.hear()
    assert rumor.content == "to ann"
    delivery = await stage.delivery(said.id)
    assert delivery.values("i") == [rumor.id]
    assert [tag[2] for tag in delivery.tags if tag[0] == "wrap"] == [ann.public]
    assert event.tag("q") is None


async def test_a_reply_names_what_it_answers(stage: Stage, owner: Person, ann: Person) -> None:
    bot = stage.roles.bot
    anns = await registered(stage, "ann-2", ann.public)
    said = await anns.say("a question")
    await stage.delivery(said.id)
    asked = await ann.hear()
    await sent(ann, bot, message_template(ann.public, [bot], "yes", int(time.time()), asked.id))
    yes = await anns.heard("yes")
    assert ("q", said.id, "", stage.router.public) in yes.tags
    # And by `q` to what they said themselves.
    first = yes.tag("proxy") or ""
    rumor = message_template(ann.public, [bot], "I mean", int(time.time()))
    await sent(ann, bot, replace(rumor, tags=(*rumor.tags, ("q", first))))
    assert (await anns.heard("I mean")).tag("q") == yes.id


async def test_nobody_answers_what_was_said_to_others(
    stage: Stage, owner: Person, ann: Person, bob: Person
) -> None:
    """Attack: a person who learnt the id of a message names it, to be taken into its group."""
    bot = stage.roles.bot
    anns = await registered(stage, "ann-3", ann.public)
    bobs = await registered(stage, "bob-3", bob.public)
    said = await anns.say("for ann alone")
    await stage.delivery(said.id)
    secret = await ann.hear()
    await sent(bob, bot, message_template(bob.public, [bot], "hm", int(time.time()), secret.id))
    assert (await bobs.heard("hm")).tag("q") is None
    wrap = await sent(bob, bot, reaction(bob, bot, secret.id, "❌"))
    assert "not known here" in await stage.logged(wrap.id)
    signs = Filter(kinds=frozenset({7}), tags={"e": frozenset({said.id})})
    assert await stage.link.fetch([signs]) == []


async def test_of_two_in_one_group_each_answers_what_was_said_to_them(
    stage: Stage, owner: Person, ann: Person, bob: Person
) -> None:
    """Attack: Bob names what was said to Ann alone, and the agent takes his yes for hers."""
    bot = stage.roles.bot
    group = await registered(stage, "two", ann.public, bob.public)
    await ann.say(bot, "may I?")
    asked = await group.heard("may I?")
    said = await group.say("shall I pay?", asked.pubkey)
    await stage.delivery(said.id)
    secret = await ann.hear()
    await sent(bob, bot, message_template(bob.public, [bot], "yes!", int(time.time()), secret.id))
    assert (await group.heard("yes!")).tag("q") is None
    await sent(ann, bot, message_template(ann.public, [bot], "no!", int(time.time()), secret.id))
    assert (await group.heard("no!")).tag("q") == said.id


async def test_nobody_takes_the_place_of_a_message(
    stage: Stage, owner: Person, ann: Person
) -> None:
    """Attack: a member writes a message with the once-key of Ann's, to be what she answers."""
    bot = stage.roles.bot
    group = await registered(stage, "place", ann.public)
    await ann.say(bot, "the true one")
    true = await group.heard("the true one")
    tags = (("h", group.binding.group), ("o", true.tag("o") or ""), ("proxy", "x", "nostr"))
    fake = Template(OWNER.public, int(time.time()) + 5, 9, tags, "the false one")
    async with connect(stage.place.relay_address, [OWNER]) as link:
        assert (await link.publish(fake.sign(OWNER, token_bytes(32)))).accepted
    about = true.tag("proxy") or ""
    await sent(ann, bot, message_template(ann.public, [bot], "that", int(time.time()), about))
    assert (await group.heard("that")).tag("q") == true.id


async def test_a_sign_under_a_message_is_the_puppets(
    stage: Stage, owner: Person, ann: Person
) -> None:
    bot = stage.roles.bot
    anns = await registered(stage, "ann-4", ann.public)
    await ann.say(bot, "do something long")
    asked = await anns.heard("do something long")
    wrap = await sent(ann, bot, reaction(ann, bot, asked.tag("proxy") or "", "❌"))
    found = await anns.heard("❌", 7)
    assert found.pubkey == asked.pubkey
    assert (found.tag("e"), found.tag("p"), found.tag("k")) == (asked.id, asked.pubkey, "9")
    assert found.tag("o") == once_key(found.tag("proxy") or "")
    assert ("-",) in found.tags
    # The same again, through the other relay: once.
    await ann.send(wrap, 1)
    said = await anns.say("and under mine")
    await stage.delivery(said.id)
    mine = await ann.hear()
    await sent(ann, bot, reaction(ann, bot, mine.id, "👍" * 500))
    under = await anns.heard("👍" * 64, 7)
    assert under.tag("e") == said.id
    signs = Filter(kinds=frozenset({7}), tags={"e": frozenset({asked.id})})
    assert len(await stage.link.fetch([signs])) == 1


async def test_a_room_hears_everybody_and_is_answered_as_one(
    stage: Stage, owner: Person, ann: Person, bob: Person
) -> None:
    bot = stage.roles.bot
    people = (ann.public, bob.public, owner.public)
    room = await registered(stage, "room", *people, room=True)
    await registered(stage, "ann-5", ann.public)
    for author in (ann, bob, owner):
        others = [key for key in people if key != author.public]
        text = f"said by {author.public[:8]}"
        await author.send(await author.wrap(bot, text, 14, *others))
        await room.heard(text)
    said = await room.say("to all of you")
    rumors = [await person.hear() for person in (ann, bob)]
    async with asyncio.timeout(20):
        while (own := await owner.hear()).content != "to all of you":
            pass
    assert {rumor.id for rumor in (*rumors, own)} == {own.id}
    assert own.values("p") == list(people)
    delivery = await stage.delivery(said.id)
    assert delivery.values("i") == [own.id]
    # Fewer, or more, are another conversation.
    for fewer_or_more in ((bob.public,), (*people[1:], SecretKey(b"\7" * 32).public)):
        wrap = await ann.wrap(bot, "not here", 14, *fewer_or_more)
        await ann.send(wrap)
        assert "bound to no group" in await stage.logged(wrap.id)
    assert "not here" not in await room.texts()


async def test_whoever_is_unbound_is_ignored_at_once_and_no_member(
    stage: Stage, owner: Person, ann: Person, bob: Person
) -> None:
    bot = stage.roles.bot
    group = await registered(stage, "both", ann.public, bob.public)
    await ann.say(bot, "bound")
    puppet = (await group.heard("bound")).pubkey
    await group.change(counterparts=(f"nostr:{bob.public}",))
    wrap = await ann.say(bot, "unbound")
    assert "bound to no group" in await stage.logged(wrap.id)
    assert puppet not in await group.puppets(1)
    await group.change(counterparts=(f"nostr:{bob.public}", f"nostr:{ann.public}"))
    assert puppet in await group.puppets(2)
    await ann.say(bot, "bound again")
    assert (await group.heard("bound again")).pubkey == puppet
    assert "unbound" not in await group.texts()


async def test_whoever_was_unbound_while_the_bridge_was_down_is_no_member(
    stage: Stage, owner: Person, ann: Person
) -> None:
    group = await registered(stage, "down", ann.public)
    await stage.stop("bridge")
    await group.change(counterparts=())
    await group.puppets(1)
    await stage.start("bridge")
    await group.puppets(0)


async def test_what_was_said_before_they_were_bound_stays_unheard(
    stage: Stage, owner: Person, ann: Person
) -> None:
    """Whoever is let in is not answered what they wrote as a stranger, nor told what was said
    before them, by a bridge that is killed right after."""
    group = await registered(stage, "before")
    seen = len(stage.log("bridge"))
    await group.say("to nobody")
    wrap = await ann.say(stage.roles.bot, "as a stranger")
    await stage.logged(f"id={wrap.id}", after=seen)
    await group.change(counterparts=(f"nostr:{ann.public}",))
    await group.puppets(1)
    await ann.say(stage.roles.bot, "as a friend")
    await group.heard("as a friend")
    await group.say("to a friend")
    assert (await ann.hear()).content == "to a friend"
    await stage.restart("bridge")
    await ann.say(stage.roles.bot, "after the kill")
    await group.heard("after the kill")
    await group.say("after it too")
    assert (await ann.hear()).content == "after it too"
    said = await group.texts()
    assert "as a stranger" not in said
    assert {"as a friend", "after the kill"} <= set(said)


async def test_the_first_words_to_who_was_let_in_reach_them(stage: Stage, ann: Person) -> None:
    """They come right behind the binding, which takes its time."""
    for number in range(10):
        group = await registered(stage, f"first-{number}")
        await group.say(f"to nobody {number}")
        await group.change(counterparts=(f"nostr:{ann.public}",))
        await group.say(f"welcome {number}")
        assert (await ann.hear()).content == f"welcome {number}"
        await group.change(counterparts=())


async def test_an_archived_group_takes_and_sends_nothing(
    stage: Stage, owner: Person, ann: Person
) -> None:
    bot = stage.roles.bot
    group = await registered(stage, "old", ann.public)
    await group.change(archived=True)
    wrap = await ann.say(bot, "into the archive")
    assert "archived" in await stage.logged(wrap.id)
    await group.say("out of the archive")
    await group.change(archived=False)
    await ann.say(bot, "restored")
    await group.heard("restored")
    await group.say("welcome back")
    assert (await ann.hear()).content == "welcome back"
    assert "into the archive" not in await group.texts()


async def test_whom_the_owner_removes_with_their_client_is_not_heard(
    stage: Stage, owner: Person, ann: Person
) -> None:
    """Removed by a 9001, as every NIP-29 client can: their words do not hold up anybody's."""
    bot = stage.roles.bot
    group = await registered(stage, "gone", ann.public)
    (puppet,) = await group.puppets(1)
    async with connect(stage.place.relay_address, [OWNER]) as link:
        template = remove_user(OWNER.public, group.binding.group, puppet, int(time.time()))
        assert (await link.publish(template.sign(OWNER, token_bytes(32)))).accepted
    await group.puppets(0)
    wrap = await ann.say(bot, "still here?")
    await stage.logged(f'id={wrap.id} reason="its author was removed')
    await owner.say(bot, "after a removal")
    await stage.heard("after a removal")
    # Bound anew, they are back.
    await group.change(paused=True)
    assert await group.puppets(1) == {puppet}


async def test_the_bridge_alone_can_put_its_puppets_out(stage: Stage) -> None:
    """Attack: a bridge that was taken over empties main of its owner."""
    key = read_key(stage.place.key("bridge-nostr"))
    async with connect(stage.place.relay_address, [key]) as link:
        template = remove_user(key.public, stage.roles.main, OWNER.public, int(time.time()))
        ok = await link.publish(template.sign(key, token_bytes(32)))
    assert not ok.accepted
    assert "puppets that it brought only" in ok.message


@pytest.mark.parametrize("about", ["x" * 38_000, "\0", "A" * 64, "nothing", "✅" * 9_000])
async def test_a_sign_under_no_message_holds_up_nobody(
    stage: Stage, owner: Person, ann: Person, about: str
) -> None:
    """Attack: a person bound to a group names, instead of a message, what no relay looks up."""
    bot = stage.roles.bot
    await registered(stage, f"hostile-{len(about)}", ann.public)
    wrap = await sent(ann, bot, reaction(ann, bot, about, "+"))
    assert "not known here" in await stage.logged(wrap.id)
    await owner.say(bot, f"after {len(about)} of {about[0]}")
    await stage.heard(f"after {len(about)} of {about[0]}")


async def test_what_an_agent_elsewhere_says_is_known_for_an_agents(
    stage: Stage, owner: Person, ann: Person
) -> None:
    """Attack: two assistants that write to each other, each bound to the other: without the label
    (NIP-32) every answer would be work, without end."""
    bot = stage.roles.bot
    anns = await registered(stage, "agents", ann.public)
    said = await anns.say("what an agent says")
    await stage.delivery(said.id)
    rumor = await ann.hear()
    assert [tag for tag in rumor.tags if tag[0] in ("L", "l")] == [
        ("L", "agent"),
        ("l", "ai", "agent"),
    ]
    template = message_template(ann.public, [bot], "so do I", int(time.time()))
    labels: tuple[Tag, ...] = (("L", "agent"), ("l", "x", "agent"), ("l", "en", "language"))
    await sent(ann, bot, replace(template, tags=(*template.tags, *labels)))
    heard = await anns.heard("so do I")
    assert [tag for tag in heard.tags if tag[0] in ("L", "l")] == [
        ("L", "agent"),
        ("l", "ai", "agent"),
    ]
    await ann.say(bot, "a person's")
    assert (await anns.heard("a person's")).tag("l") is None


async def test_a_puppet_is_not_taken_for_removed_while_the_group_changes(
    stage: Stage, owner: Person, ann: Person
) -> None:
    """What replaces a list of members is in neither half of an answer that is being given: then
    a message would be dropped, its author being taken for somebody who was put out."""
    group = await registered(stage, "busy", ann.public)
    router, key = stage.router, read_key(stage.place.key("bridge-nostr"))
    async with connect(stage.place.relay_address, [key]) as link, asyncio.TaskGroup() as tasks:
        presence = Presence(link, key, "nostr", lambda person: f"{person[:4]} (Nostr)")
        bound = Bound(group.binding, group.event.id, "nostr")

        async def come_and_go() -> None:
            for number in itertools.count():
                guest = SecretKey.generate(token_bytes).public
                await stage.put(
                    put_user(router.public, group.binding.group, guest, ["member"], number)
                )

        changing = tasks.create_task(come_and_go())
        for _ in range(60):
            presence.forget(bound, ann.public)
            assert await presence.ready(bound, ann.public) is not None
        changing.cancel()
