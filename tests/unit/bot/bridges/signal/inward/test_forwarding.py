"""What people say on Signal, as it stands in the groups that they are bound to."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from bot.bridges import presence
from bot.bridges.signal.inward import record as records
from bot.bridges.signal.inward import references
from bot.bridges.signal.people import known_as, once
from bot.bridges.signal.received.envelope import Said, parse
from bot.operate.stand_ins.signal_envelopes import (
    Group,
    Person,
    data,
    deleted,
    edited,
    envelope,
    mention,
    quote,
    reacted,
    said,
)
from nips.event import Template
from nips.filter import Filter
from nips.nip29 import put_user, remove_user
from nips.own.binding import mark
from relay_local.client import connect
from tests.signal_service import ALICE, BOB, FRIENDS, NUMBER
from tests.unit.bot.bridges.signal.inbound_stage import Stage, Talk, at_ms, item

CAROL = Person("33333333-3333-4333-8333-333333333333", "Carol", "+4915100000033")
US = Person("99999999-9999-4999-8999-999999999999", "claw", NUMBER)


@pytest.fixture
async def alice(inward: Stage) -> Talk:
    """A conversation with Alice alone."""
    return await inward.alone_with(new(ALICE))


def new(person: Person) -> Person:
    """Somebody else of the same name: what is bound in one test is nothing in another."""
    number = at_ms()
    aci = f"{number % 2**32:08x}-abcd-4111-8111-{person.aci[-12:]}"
    return replace(person, aci=aci)


async def test_a_message_is_said_by_its_authors_puppet(inward: Stage, alice: Talk) -> None:
    at = at_ms()
    await inward.give(said(alice.who, "hello", at))
    event = await alice.heard("hello")
    assert event.pubkey == inward.puppet(alice.who)
    assert event.created_at == at // 1_000
    assert event.tag("i") == known_as(NUMBER, alice.who.aci, at)
    assert (event.tag("-"), ("-",) in event.tags) == (None, True)
    # Nothing tells who they are on Signal.
    text = json.dumps(event.to_json())
    assert alice.who.aci not in text
    assert alice.who.number not in text
    (profile,) = await inward.house.link.fetch(
        [Filter(authors=frozenset({event.pubkey}), kinds=frozenset({0}))]
    )
    assert json.loads(profile.content)["name"] == "Alice Example (Signal)"
    assert await alice.puppets() == {event.pubkey}


async def test_a_name_that_changes_is_the_puppets_too(inward: Stage, alice: Talk) -> None:
    for name in ("Alice", "Alice B.", "", alice.who.number):
        await inward.give(said(replace(alice.who, name=name), f"as {name}", at_ms()))
    event = await alice.heard(f"as {alice.who.number}")
    (profile,) = await inward.house.link.fetch(
        [Filter(authors=frozenset({event.pubkey}), kinds=frozenset({0}))]
    )
    assert json.loads(profile.content)["name"] == "Alice B. (Signal)"


async def in_a_group(inward: Stage) -> tuple[Talk, Group, Person, Person]:
    """A group of Signal's that is bound, and two people who write in it."""
    at = at_ms()
    group = replace(FRIENDS, id=FRIENDS.id[:20] + f"{at % 10**16:016d}" + FRIENDS.id[36:])
    talk = await inward.registered(f"friends-{at}", group.id)
    return talk, group, new(ALICE), new(BOB)


async def test_who_speaks_in_a_group_becomes_a_member(inward: Stage) -> None:
    talk, group, one, other = await in_a_group(inward)
    assert await talk.puppets() == set()
    await inward.give(said(one, "first", at_ms(), group=group))
    await talk.heard("first")
    assert await talk.puppets() == {inward.puppet(one)}
    await inward.give(said(other, "second", at_ms(), group=group))
    second = await talk.heard("second")
    assert second.pubkey == inward.puppet(other)
    assert await talk.puppets() == {inward.puppet(one), inward.puppet(other)}
    wanted = Filter(kinds=frozenset({9000}), tags={"p": frozenset({second.pubkey})})
    (put,) = await inward.house.link.fetch([wanted])
    assert put.tag("for") == mark(talk.group, f"signal:{other.aci}")


async def test_a_group_has_so_many_seats(inward: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: a service that makes up people without end, each of them a member for good."""
    monkeypatch.setattr(presence, "MAX_SEATS", 2)
    talk, group, one, other = await in_a_group(inward)
    for _ in range(2):
        await inward.give(
            said(one, "one", at_ms(), group=group),
            said(other, "other", at_ms(), group=group),
            said(new(CAROL), "one too many", at_ms(), group=group),
        )
    await inward.give(said(one, "end", at_ms(), group=group))
    await talk.heard("end")
    assert await talk.texts() == ["one", "other", "one", "other", "end"]
    assert await talk.puppets() == {inward.puppet(one), inward.puppet(other)}
    # And after a start, or with another version of the binding, they still have theirs.
    await inward.stop()
    await inward.start()
    await talk.change(trigger="hey")
    await known(inward)
    await inward.give(
        said(new(CAROL), "one too many", at_ms(), group=group),
        said(one, "the end", at_ms(), group=group),
    )
    await talk.heard("the end")
    assert "one too many" not in await talk.texts()
    alone = await inward.alone_with(new(CAROL))  # who is bound has a seat
    await inward.give(said(alone.who, "here", at_ms()))
    await alone.heard("here")


async def test_words_to_the_group_and_to_us_alone_are_kept_apart(inward: Stage) -> None:
    """Attack: somebody of the group is let in by the group alone, and writes to us."""
    talk, group, one, _ = await in_a_group(inward)
    await inward.give(said(one, "to us alone", at_ms()), said(one, "here", at_ms(), group=group))
    await talk.heard("here")
    await inward.settled()
    assert await talk.texts() == ["here"]
    assert not any("to us alone" in event.content for event in await inward.records())


async def test_one_time_on_two_devices_is_two_messages(inward: Stage, alice: Talk) -> None:
    at = at_ms()
    await inward.give(said(alice.who, "phone", at), said(replace(alice.who, device=2), "desk", at))
    await alice.heard("desk")
    assert await alice.texts() == ["phone", "desk"]


# What answers


async def test_a_quote_names_the_message_that_it_answers(inward: Stage) -> None:
    talk, group, one, other = await in_a_group(inward)
    first_at, second_at = at_ms(), at_ms()
    await inward.give(
        said(one, "first", first_at, group=group),
        said(other, "well", second_at, group=group, quote=quote(one, first_at, "first")),
    )
    first, second = await talk.heard("first"), await talk.heard("well")
    assert ("q", first.id, "", first.pubkey) in second.tags


@pytest.mark.parametrize("author", [US, replace(US, number=""), replace(US, aci="")])
async def test_a_quote_of_ours_names_what_we_said(
    inward: Stage, alice: Talk, author: Person
) -> None:
    """Whether it was sent before our own ACI was known or afterwards."""
    at = at_ms()
    by = US.aci if author.aci else NUMBER
    assert inward.inbound is not None
    ours = await alice.say(f"a question {at}", known_as(NUMBER, by, at))
    answer = {**quote(author, at, "a question"), "authorUuid": author.aci or None}
    await inward.give(said(alice.who, "an answer", at_ms(), quote=answer))
    assert ("q", ours.id, "", ours.pubkey) in (await alice.heard("an answer")).tags


async def test_what_is_not_known_is_quoted_in_words(inward: Stage, alice: Talk) -> None:
    old = quote(alice.who, at_ms(), "long ago\nyou said")
    await inward.give(said(alice.who, "well", at_ms(), quote=old))
    event = await alice.heard("> long ago you said\n\nwell")
    assert event.values("q") == []


async def test_a_quote_of_another_group_names_nothing(inward: Stage, alice: Talk) -> None:
    """Attack: a quote of what was said elsewhere, to have it read or answered here."""
    talk, group, one, _ = await in_a_group(inward)
    secret_at, ours_at = at_ms(), at_ms()
    await inward.give(said(one, "secret", secret_at, group=group))
    await talk.heard("secret")
    await talk.say(f"ours {ours_at}", known_as(NUMBER, NUMBER, ours_at))
    await inward.give(
        said(alice.who, "one", at_ms(), quote=quote(one, secret_at, "?")),
        said(alice.who, "two", at_ms(), quote=quote(replace(US, aci=CAROL.aci), ours_at, "?")),
    )
    for text in ("> ?\n\none", "> ?\n\ntwo"):
        assert (await alice.heard(text)).values("q") == []


async def test_a_name_on_signal_is_its_bridges_to_give(inward: Stage, alice: Talk) -> None:
    """Attack: a member's message, or another bridge's delivery, bears the name of what somebody
    said on Signal: what answers that answers this."""
    forged_at, carried_at = at_ms(), at_ms()
    owner, other = inward.house.owner, inward.house.role("bridge-nostr")
    name = known_as(NUMBER, alice.who.aci, forged_at)
    forged = Template(
        owner.public, int(time.time()), 9, (("h", alice.group), ("i", name)), "forged"
    )
    ours = await alice.say(f"ours {carried_at}")
    carried = Template(
        other.public,
        int(time.time()),
        30078,
        (("d", f"delivery/{ours.id}"), ("i", known_as(NUMBER, NUMBER, carried_at))),
        "",
    )
    for template, key in ((forged, owner), (carried, other)):
        async with connect(inward.house.place.relay_address, [key]) as link:
            assert (await link.publish(template.sign(key, bytes(32)))).accepted
    await inward.give(
        said(alice.who, "one", at_ms(), quote=quote(alice.who, forged_at, "?")),
        said(alice.who, "two", at_ms(), quote=quote(US, carried_at, "?")),
    )
    for text in ("> ?\n\none", "> ?\n\ntwo"):
        assert (await alice.heard(text)).values("q") == []


async def test_who_is_mentioned_is_called_by_name(inward: Stage) -> None:
    talk, group, one, other = await in_a_group(inward)
    await inward.give(said(other, "here", at_ms(), group=group))
    text = "🦀\ufffc, \ufffc and \ufffc"
    mentions = [mention(other, 2), mention(US, 5), mention(CAROL, 11)]
    await inward.give(said(one, text, at_ms(), group=group, mentions=mentions))
    event = await talk.heard("🦀@Bob, @claw and @33333333…")
    # The trigger may be another word: a mention of us calls us all the same.
    assert event.values("p") == [inward.house.roles.bot]
    await inward.give(said(one, "hey \ufffc", at_ms(), group=group, mentions=[mention(other, 4)]))
    assert (await talk.heard("hey @Bob")).values("p") == []


async def test_whoever_is_called_like_us_does_not_call_us(inward: Stage) -> None:
    """Attack: a member who calls themselves like the assistant: every mention of them calls it."""
    talk, group, one, other = await in_a_group(inward)
    for name in ("claw", "Claw the other"):
        liar = replace(other, name=name)
        await inward.give(
            said(liar, f"I am {name}", at_ms(), group=group),
            said(
                one,
                f"{name}: \ufffc",
                at_ms(),
                group=group,
                mentions=[mention(liar, len(name) + 2)],
            ),
        )
        event = await talk.heard(f"{name}: @{other.aci[:8]}…")
        assert event.values("p") == []


async def test_whoever_is_called_like_the_word_that_wakes_us_does_not_wake_us(
    inward: Stage,
) -> None:
    """Attack: the same, where the assistant answers to another word than its name."""
    talk, group, one, other = await in_a_group(inward)
    await talk.change(trigger="hey jarvis")
    liar = replace(other, name="Hey, hey Jarvis")
    await inward.give(said(liar, "here", at_ms(), group=group))
    await talk.heard("here")
    text, who = "\ufffc?", [mention(liar, 0)]
    await inward.give(said(one, text, at_ms(), group=group, mentions=who))
    await talk.heard(f"@{other.aci[:8]}…?")


# What is changed afterwards


async def test_an_edit_takes_the_place_of_the_message(inward: Stage, alice: Talk) -> None:
    at, edit_at = at_ms(), at_ms()
    await inward.give(said(alice.who, "helo", at))
    former = await alice.heard("helo")
    await inward.give(edited(alice.who, "hello", at, edit_at))
    event = await alice.heard("hello")
    assert event.tag("edits") == former.id
    assert event.values("i") == [known_as(NUMBER, alice.who.aci, one) for one in (edit_at, at)]
    await inward.settled()
    assert await alice.texts() == ["hello"]
    kinds = [one.kind for one in await alice.events()]
    assert kinds == [9, 5]  # first the new one, so that there is always one


@pytest.mark.parametrize("of_the_first", [True, False])
async def test_a_message_edited_twice_is_known_by_each_time(
    inward: Stage, alice: Talk, of_the_first: bool
) -> None:
    """Some name the time of the message, some that of its last version."""
    times = [at_ms() for _ in range(5)]
    await inward.give(
        said(alice.who, "one", times[0]),
        edited(alice.who, "two", times[0], times[1]),
        edited(alice.who, "three", times[0 if of_the_first else 1], times[2]),
    )
    three = await alice.heard("three")
    await inward.give(
        said(alice.who, "this", times[3], quote=quote(alice.who, times[0], "one")),
        said(alice.who, "that", times[4], quote=quote(alice.who, times[2], "three")),
    )
    for text in ("this", "that"):
        assert (await alice.heard(text)).values("q") == [three.id]
    await inward.give(deleted(alice.who, times[0], at_ms()), said(alice.who, "end", at_ms()))
    await alice.heard("end")
    assert await alice.texts() == ["this", "that", "end"]


async def test_a_message_becomes_nothing_after_its_edit_or_deletion(
    inward: Stage, alice: Talk
) -> None:
    """What is said on two devices may come in any order."""
    edited_at, deleted_at = at_ms(), at_ms()
    await inward.give(
        edited(alice.who, "hello", edited_at, at_ms()),
        deleted(alice.who, deleted_at, at_ms()),
        said(alice.who, "helo", edited_at),
        said(alice.who, "never mind", deleted_at),
        edited(alice.who, "hello again", edited_at, at_ms()),
        edited(alice.who, "never mind!", deleted_at, at_ms()),
        said(alice.who, "end", at_ms()),
    )
    await alice.heard("end")
    assert await alice.texts() == ["hello again", "end"]
    # And after a start, which knows it from the relay alone.
    await inward.stop()
    await inward.start()
    await inward.give(
        said(replace(alice.who, device=2), "helo", edited_at),
        said(replace(alice.who, device=2), "never mind", deleted_at),
        said(alice.who, "the end", at_ms()),
    )
    await alice.heard("the end")
    assert await alice.texts() == ["hello again", "end", "the end"]


async def test_nobody_changes_what_another_said(inward: Stage) -> None:
    """Attack: an edit, and a deletion, of somebody else's message and of ours."""
    talk, group, one, other = await in_a_group(inward)
    at, ours_at = at_ms(), at_ms()
    await inward.give(said(one, "mine", at, group=group))
    await talk.heard("mine")
    ours = await talk.say(f"ours {ours_at}", known_as(NUMBER, US.aci, ours_at))
    await inward.give(
        edited(other, "forged", at, at_ms(), group=group),
        deleted(other, at, at_ms(), group=group),
        deleted(other, ours_at, at_ms(), group=group),
        edited(other, "forged too", ours_at, at_ms(), group=group),
        said(other, "end", at_ms(), group=group),
    )
    await talk.heard("end")
    texts = await talk.texts()
    assert {"mine", ours.content} <= set(texts)
    forged = [event for event in await talk.events(9) if event.content.startswith("forged")]
    assert all(event.pubkey == inward.puppet(other) for event in forged)
    assert not any(event.tag("edits") for event in forged)


async def test_a_sign_is_shown_replaced_and_taken_back(inward: Stage, alice: Talk) -> None:
    at, ours_at = at_ms(), at_ms()
    await inward.give(said(alice.who, "hello", at))
    about = await alice.heard("hello")
    ours = await alice.say(f"ours {ours_at}", known_as(NUMBER, US.aci, ours_at))
    await inward.give(reacted(alice.who, "👍", alice.who, at, at_ms()))
    await alice.heard("👍", 7)
    await inward.give(
        reacted(alice.who, "🎉", alice.who, at, at_ms()),
        reacted(alice.who, "❤️", US, ours_at, at_ms()),
    )
    heart = await alice.heard("❤️", 7)
    assert [heart.tag(name) for name in "epk"] == [ours.id, ours.pubkey, "9"]
    await inward.settled()
    assert [one.content for one in await alice.events(7)] == ["🎉", "❤️"]
    assert (await alice.heard("🎉", 7)).tag("e") == about.id
    await inward.give(
        reacted(alice.who, "🎉", alice.who, at, at_ms(), remove=True),
        said(alice.who, "end", at_ms()),
    )
    await alice.heard("end")
    assert [one.content for one in await alice.events(7)] == ["❤️"]
    assert await alice.texts() == ["hello", ours.content, "end"]


async def test_a_sign_under_what_is_not_known_is_set_aside(inward: Stage, alice: Talk) -> None:
    """Attack: a sign under what was said in another group, whose people would see it."""
    talk, group, one, _ = await in_a_group(inward)
    elsewhere = at_ms()
    await inward.give(said(one, "elsewhere", elsewhere, group=group))
    await talk.heard("elsewhere")
    assert inward.inbound is not None
    before = inward.inbound.counts.set_aside
    await inward.give(
        reacted(alice.who, "👍", one, elsewhere, at_ms()),
        reacted(alice.who, "👍", CAROL, at_ms(), at_ms()),
        reacted(alice.who, "👍", alice.who, at_ms(), at_ms(), remove=True),
        said(alice.who, "end", at_ms()),
    )
    await alice.heard("end")
    assert inward.inbound.counts.set_aside == before + 3
    assert [one.kind for one in await alice.events()] == [9]
    assert await talk.events(7) == []


async def test_what_is_remembered_of_deletions_is_bounded(
    inward: Stage, alice: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: a group whose members each delete what was never said."""
    monkeypatch.setattr(references, "MAX_PEOPLE", 2)
    monkeypatch.setattr(references, "MAX_REMEMBERED", 3)
    others = [await inward.alone_with(new(BOB)) for _ in range(3)]
    for talk in (*others, alice):
        await inward.give(*(deleted(talk.who, at_ms(), at_ms()) for _ in range(5)))
    await inward.settled()
    assert inward.inbound is not None
    remembered = inward.inbound._references._deleted
    assert len(remembered) <= 2
    assert [len(names) for aci, names in remembered.items() if aci == alice.who.aci] == [3]


# What does not stay


async def test_a_timer_ends_the_message_and_all_about_it(inward: Stage, alice: Talk) -> None:
    now_s, at = int(time.time()), int(time.time() * 1_000) - 5
    await inward.give(said(alice.who, "soon gone", at, expires_s=3_600))
    event = await alice.heard("soon gone")
    assert event.tag("expiration") == str(at // 1_000 + 3_600)
    await inward.give(reacted(alice.who, "👍", alice.who, at, at_ms()))
    assert (await alice.heard("👍", 7)).tag("expiration") == event.tag("expiration")
    (record,) = [
        one for one in await inward.records() if one.tag("d") == f"signal/{event.tag('o')}"
    ]
    assert int(record.tag("expiration") or 0) <= now_s + 3_700


@pytest.mark.parametrize("expires_s", [7_200, 900, None])
async def test_an_edit_gives_a_message_no_more_time(
    inward: Stage, alice: Talk, expires_s: int | None
) -> None:
    """Attack: a message that is edited just before it is gone, or edited without a timer."""
    at = int(time.time() * 1_000) - 1_800_000
    await inward.give(said(alice.who, "soon gone", at, expires_s=3_600))
    former = await alice.heard("soon gone")
    again = data(at + 1_000_000, "soon", expires_s=expires_s or 0)
    edit = {"targetSentTimestamp": at, "dataMessage": again}
    await inward.give(envelope(alice.who, at + 1_000_000, editMessage=edit))
    event = await alice.heard("soon")
    assert event.tag("edits") == former.id
    ends = [at // 1_000 + 3_600, *([at // 1_000 + 1_000 + expires_s] if expires_s else [])]
    assert event.tag("expiration") == str(min(ends))


async def test_what_may_be_seen_once_is_not_kept(inward: Stage, alice: Talk) -> None:
    at = at_ms()
    photo = {"id": "once.jpg", "contentType": "image/jpeg", "size": 5}
    message = {**data(at, "look", attachments=[photo]), "viewOnce": True}
    await inward.give(envelope(alice.who, at, dataMessage=message))
    event = await alice.heard("look\n[view-once image/jpeg: not kept]")
    assert event.values("imeta") == []
    assert int(event.tag("expiration") or 0) <= time.time() + 3_600
    assert await inward.service.calls("/v1/attachments/once.jpg") == []


async def test_what_has_expired_while_it_waited_is_let_go(inward: Stage, alice: Talk) -> None:
    await known(inward)
    await inward.stop()
    photo = {"id": "expired.jpg", "contentType": "image/jpeg", "size": 5}
    at = int(time.time() * 1_000) - 90_000
    given = item(said(alice.who, "x", at, expires_s=5, attachments=[photo]))
    what = parse(given, NUMBER)
    assert isinstance(what, Said)
    then_s, ends_s = at // 1_000, int(time.time()) + 60
    record = records.template(given, what.identity, inward.bridge.public, then_s, ends_s)
    await inward.put(record, inward.bridge)
    inbound = await inward.start()
    await inward.give(said(alice.who, "end", at_ms()))
    await alice.heard("end")
    assert await alice.texts() == ["end"]
    assert (inbound.counts.gone, inbound.counts.set_aside) == (1, 0)
    assert await inward.service.calls("/v1/attachments/expired.jpg") == []


# Who may speak


@pytest.mark.parametrize("is_first", [True, False])
async def test_of_two_conversations_the_one_that_is_not_archived_counts(
    inward: Stage, is_first: bool
) -> None:
    """Who was put away may be let in anew."""
    who = new(ALICE)
    talks = [await inward.registered(f"twice-{at_ms()}", who.aci) for _ in range(2)]
    live, archived = talks if is_first else reversed(talks)
    await archived.change(archived=True)
    await known(inward)
    await inward.give(said(who, "hello", at_ms()))
    await live.heard("hello")
    assert await archived.texts() == []


async def test_an_archived_group_takes_nothing(inward: Stage, alice: Talk) -> None:
    await inward.give(said(alice.who, "before", at_ms()))
    await alice.heard("before")
    await alice.change(archived=True)
    await known(inward)
    while_archived = said(alice.who, "while archived", at_ms())
    await inward.give(while_archived)
    await alice.change(archived=False)
    await known(inward)
    await inward.give(said(alice.who, "after", at_ms()))
    await alice.heard("after")
    assert await alice.texts() == ["before", "after"]
    # Nothing is left of it, not even that it was there.
    what = parse(item(while_archived), NUMBER)
    assert isinstance(what, Said)
    d = f"signal/{once(what.identity)}"
    assert d not in [event.tag("d") for event in await inward.records()]


async def known(inward: Stage) -> None:
    """Wait until the bridge knows every binding: it makes a puppet for one that comes later."""
    probe = await inward.alone_with(new(CAROL))
    await probe.has({inward.puppet(probe.who)})


async def test_who_was_put_out_of_a_group_stays_out(inward: Stage) -> None:
    talk, group, one, other = await in_a_group(inward)
    await inward.give(
        said(one, "one", at_ms(), group=group), said(other, "two", at_ms(), group=group)
    )
    await talk.heard("two")
    key, now_s = inward.house.key, int(time.time())
    await inward.put(remove_user(key.public, talk.group, inward.puppet(one), now_s))
    await inward.give(
        said(one, "out", at_ms(), group=group),
        reacted(one, "👍", one, at_ms(), at_ms(), group=group),
        said(other, "in", at_ms(), group=group),
    )
    await talk.heard("in")
    # Neither a start nor another version of the binding lets them in again.
    await inward.stop()
    await inward.start()
    await talk.change(trigger="hey")
    await known(inward)
    await inward.give(
        said(one, "out", at_ms(), group=group), said(other, "still in", at_ms(), group=group)
    )
    await talk.heard("still in")
    assert await talk.texts() == ["one", "two", "in", "still in"]
    assert await talk.puppets() == {inward.puppet(other)}
    await inward.put(put_user(key.public, talk.group, inward.puppet(one), ["puppet"], now_s))
    await inward.give(said(one, "in again", at_ms(), group=group))
    await talk.heard("in again")


async def test_unbinding_a_group_removes_all_who_came_with_it(inward: Stage) -> None:
    talk, group, one, other = await in_a_group(inward)
    await inward.give(
        said(one, "one", at_ms(), group=group), said(other, "two", at_ms(), group=group)
    )
    await talk.heard("two")
    await talk.change(counterparts=())
    await known(inward)
    await talk.has(set())
    await inward.give(said(one, "unbound", at_ms(), group=group))
    await talk.change(counterparts=(f"signal:{group.id}",))
    await known(inward)
    await inward.give(said(one, "bound again", at_ms(), group=group))
    await talk.heard("bound again")
    assert await talk.puppets() == {inward.puppet(one)}
    assert "unbound" not in await talk.texts()


async def test_whose_puppet_it_is_is_known_after_a_start(inward: Stage) -> None:
    talk, group, one, other = await in_a_group(inward)
    await inward.give(said(one, "one", at_ms(), group=group))
    await talk.heard("one")
    await inward.stop()
    inbound = await inward.start()
    assert inbound.aci_of(inward.puppet(one)) == one.aci
    assert inbound.aci_of(inward.puppet(other)) is None
    # And what they are called, by whom they are mentioned and in their profile.
    await inward.give(said(other, "\ufffc?", at_ms(), group=group, mentions=[mention(one, 0)]))
    await talk.heard("@Alice Example?")
