"""What reaches the group, and what does not. Each attack comes through a real public relay."""

import asyncio
import json
import time
from collections.abc import Callable
from secrets import token_bytes

import pytest

from config.roles import read_key
from nips import nip44, nip59
from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.nip17 import message_template
from nips.own.once import once_key
from relay_local.client import connect
from tests.figures import dice, figure
from tests.unit.bot.bridges.nostr.stage import Person, Stage

MALLORY = SecretKey.generate(token_bytes)


async def said_afterwards(stage: Stage, owner: Person, text: str) -> list[str]:
    """Send one more message, and return what all of main has heard once that is through.

    Wraps are handled in order of arrival, so whatever came before it has been dealt with.
    """
    await owner.say(stage.roles.bot, text)
    await stage.heard(text)
    return [event.content for event in await stage.messages()]


async def test_a_direct_message_is_said_by_the_senders_puppet(stage: Stage, owner: Person) -> None:
    await owner.say(stage.roles.bot, "good morning")
    event = await stage.heard("good morning")
    rumor_id = event.tag("proxy")
    assert rumor_id is not None
    assert event.tag("o") == once_key(rumor_id)
    assert ("-",) in event.tags
    assert event.pubkey not in (owner.public, stage.roles.bot, stage.roles.bridges["nostr"])
    wanted = Filter(kinds=frozenset({0}), authors=frozenset({event.pubkey}))
    (profile,) = await stage.link.fetch([wanted])
    assert json.loads(profile.content)["name"].endswith(" (Nostr)")


async def test_the_raw_wrap_is_kept_as_it_came(stage: Stage, owner: Person) -> None:
    wrap = await owner.say(stage.roles.bot, "keep me")
    await stage.heard("keep me")
    key = read_key(stage.place.key("bridge-nostr"))
    async with connect(stage.place.relay_address, [key]) as link:
        assert await link.fetch([Filter(ids=frozenset({wrap.id}))]) == [wrap]


async def test_one_wrap_from_two_relays_is_one_message(stage: Stage, owner: Person) -> None:
    wrap = await owner.wrap(stage.roles.bot, "twice?")
    await owner.send(wrap, 0)
    await owner.send(wrap, 1)
    heard = await said_afterwards(stage, owner, "after the same wrap twice")
    assert heard.count("twice?") == 1


async def test_one_rumor_in_two_wraps_is_one_message(stage: Stage, owner: Person) -> None:
    # Its time lies ahead, so each forwarding has another time and id: the once-key decides.
    rumor = message_template(owner.public, [stage.roles.bot], "sent again", 2_000_000_000)
    for _ in range(2):
        await owner.send(wrapped(sealed(rumor, owner.secret, stage.roles.bot), stage.roles.bot))
        event = await stage.heard("sent again")
        while int(time.time()) <= event.created_at:
            await asyncio.sleep(0.05)
    heard = await said_afterwards(stage, owner, "after the same rumor twice")
    assert heard.count("sent again") == 1


@pytest.mark.parametrize(
    "text",
    ["", "x" * 40_000, 'Grüße 👋\n\n\u2028 "quoted" \\ \x01', "😀" * 9_000],
    ids=["empty", "40000", "odd", "emoji"],
)
async def test_texts_arrive_as_they_were_written(stage: Stage, owner: Person, text: str) -> None:
    before = len(await stage.messages())
    await owner.say(stage.roles.bot, text)
    await said_afterwards(stage, owner, f"after {len(text)} {time.time_ns()}")
    assert (await stage.messages())[before].content == text


async def test_a_clock_that_is_ahead_gains_nothing(stage: Stage, owner: Person) -> None:
    rumor = message_template(owner.public, [stage.roles.bot], "from 2033", 2_000_000_000)
    await owner.send(wrapped(sealed(rumor, owner.secret, stage.roles.bot), stage.roles.bot))
    assert (await stage.heard("from 2033")).created_at <= time.time()


# Attacks


def sealed(rumor: Template, author: SecretKey, to: str) -> Event:
    return nip59.seal(rumor, author, to, int(time.time()), token_bytes(32), token_bytes(32))


def wrapped(seal: Event, to: str) -> Event:
    key = SecretKey.generate(token_bytes)
    return nip59.wrap(seal, key, to, int(time.time()), token_bytes(32), token_bytes(32))


def wrap_of(text: str, *receivers: str) -> Event:
    key = SecretKey.generate(token_bytes)
    payload = nip44.encrypt(text, nip44.conversation_key(key, receivers[-1]), token_bytes(32))
    tags = tuple(("p", receiver) for receiver in receivers)
    return Template(key.public, int(time.time()), 1059, tags, payload).sign(key, token_bytes(32))


def seal_of(rumor: dict[str, object], author: SecretKey, to: str, **fields: object) -> str:
    payload = nip44.encrypt(json.dumps(rumor), nip44.conversation_key(author, to), token_bytes(32))
    seal = Template(author.public, int(time.time()), 13, (), payload).sign(author, token_bytes(32))
    return json.dumps(seal.to_json() | fields)


def forged_author(owner: str, bot: str) -> Event:
    rumor = message_template(owner, [bot], "ATTACK", int(time.time()))
    return wrap_of(seal_of(rumor.to_json(), MALLORY, bot), bot)


def forged_seal(owner: str, bot: str) -> Event:
    rumor = message_template(owner, [bot], "ATTACK", int(time.time()))
    return wrap_of(seal_of(rumor.to_json(), MALLORY, bot, pubkey=owner), bot)


def forged_signature(owner: str, bot: str) -> Event:
    rumor = message_template(MALLORY.public, [bot], "ATTACK", int(time.time()))
    return wrap_of(seal_of(rumor.to_json(), MALLORY, bot, sig="00" * 64), bot)


def a_seal_with_tags(owner: str, bot: str) -> Event:
    rumor = message_template(MALLORY.public, [bot], "ATTACK", int(time.time()))
    return wrap_of(seal_of(rumor.to_json(), MALLORY, bot, tags=[["p", bot]]), bot)


def a_claimed_id(owner: str, bot: str) -> Event:
    rumor = message_template(MALLORY.public, [bot], "ATTACK", int(time.time()))
    return wrap_of(seal_of(rumor.to_json() | {"id": "ab" * 32}, MALLORY, bot), bot)


def for_two_at_once(owner: str, bot: str) -> Event:
    return wrap_of("{}", MALLORY.public, bot)


def encrypted_for_another(owner: str, bot: str) -> Event:
    key = SecretKey.generate(token_bytes)
    payload = nip44.encrypt("{}", nip44.conversation_key(key, MALLORY.public), token_bytes(32))
    return Template(key.public, int(time.time()), 1059, (("p", bot),), payload).sign(
        key, token_bytes(32)
    )


def no_ciphertext(owner: str, bot: str) -> Event:
    key = SecretKey.generate(token_bytes)
    return Template(key.public, int(time.time()), 1059, (("p", bot),), "A" * 100_000).sign(
        key, token_bytes(32)
    )


def no_json(owner: str, bot: str) -> Event:
    return wrap_of("ATTACK", bot)


@pytest.mark.parametrize(
    "attack",
    [
        forged_author,
        forged_seal,
        forged_signature,
        a_seal_with_tags,
        a_claimed_id,
        for_two_at_once,
        encrypted_for_another,
        no_ciphertext,
        no_json,
    ],
)
async def test_what_cannot_be_believed_is_set_aside(
    stage: Stage, owner: Person, attack: Callable[[str, str], Event]
) -> None:
    wrap = attack(owner.public, stage.roles.bot)
    await owner.send(wrap)
    line = await stage.logged(wrap.id)
    assert "set aside" in line, line
    heard = await said_afterwards(stage, owner, f"after {attack.__name__}")
    assert "ATTACK" not in heard


async def test_what_the_private_relay_will_never_take_holds_nothing_up(
    stage: Stage, owner: Person
) -> None:
    # NIP-70: a protected event is taken from its author only, and the bridge is not its author.
    # Asked for ever to take it, the relay would get no other wrap.
    key = SecretKey.generate(token_bytes)
    tags = (("p", stage.roles.bot), ("-",))
    poison = Template(key.public, int(time.time()), 1059, tags, "x").sign(key, token_bytes(32))
    async with connect(stage.public[0], [key]) as link:
        assert (await link.publish(poison, deadline_s=10)).accepted
    assert "wrap not stored" in await stage.logged(poison.id)
    await said_afterwards(stage, owner, "after a protected wrap")


async def test_a_stranger_is_dropped_and_gets_no_answer(
    stage: Stage, owner: Person, stranger: Person
) -> None:
    wrap = await stranger.say(stage.roles.bot, "who is there?")
    assert "bound to no group" in await stage.logged(wrap.id)
    assert "who is there?" not in await said_afterwards(stage, owner, "after a stranger")
    assert [await stranger.stored(number) for number in (0, 1)] == [[], []]


async def test_a_strangers_reaction_is_dropped_too(stage: Stage, stranger: Person) -> None:
    wrap = await stranger.wrap(stage.roles.bot, "+", 7)
    await stranger.send(wrap)
    assert "bound to no group" in await stage.logged(wrap.id)


@pytest.mark.parametrize("kind", [16, 1, 4444])
async def test_other_kinds_are_kept_for_later(stage: Stage, owner: Person, kind: int) -> None:
    wrap = await owner.wrap(stage.roles.bot, f"kind {kind}", kind)
    await owner.send(wrap)
    assert "not handled yet" in await stage.logged(wrap.id)
    assert f"kind {kind}" not in await said_afterwards(stage, owner, f"after kind {kind}")


async def test_a_room_that_is_bound_to_nothing_is_dropped(
    stage: Stage, owner: Person, stranger: Person
) -> None:
    wrap = await owner.wrap(stage.roles.bot, "to you both", 14, stranger.public)
    await owner.send(wrap)
    assert "bound to no group" in await stage.logged(wrap.id)
    assert "to you both" not in await said_afterwards(stage, owner, "after a room")


async def test_what_is_not_said_to_the_assistant_is_set_aside(
    stage: Stage, owner: Person, stranger: Person
) -> None:
    """A copy for the bot of what the owner said to somebody else."""
    rumor = message_template(owner.public, [stranger.public], "not for you", int(time.time()))
    wrap = wrapped(sealed(rumor, owner.secret, stage.roles.bot), stage.roles.bot)
    await owner.send(wrap)
    assert "set aside" in await stage.logged(wrap.id)
    assert "not for you" not in await said_afterwards(stage, owner, "after a copy")


# Parts that go away


async def test_messages_wait_for_the_signer_in_their_order(stage: Stage, owner: Person) -> None:
    await stage.stop("signer")
    for number in range(3):
        await owner.say(stage.roles.bot, f"while away {number}")
    await stage.start("signer")
    await stage.heard("while away 2")
    heard = [event.content for event in await stage.messages()]
    assert [text for text in heard if text.startswith("while away")] == [
        "while away 0",
        "while away 1",
        "while away 2",
    ]


async def test_a_restart_of_the_private_relay_loses_nothing(stage: Stage, owner: Person) -> None:
    await owner.say(stage.roles.bot, "before the relay fell")
    await stage.restart("relay")
    await owner.say(stage.roles.bot, "after the relay fell")
    await stage.heard("before the relay fell")
    await stage.heard("after the relay fell")


async def test_with_one_public_relay_down_messages_still_come(stage: Stage, owner: Person) -> None:
    await stage.stop("public-1")
    try:
        await owner.send(await owner.wrap(stage.roles.bot, "through the other"), 0)
        await stage.heard("through the other")
    finally:
        await stage.start("public-1")


async def test_killed_at_any_time_every_message_arrives_once(stage: Stage, owner: Person) -> None:
    expected, chance = [], dice("bridge-kills", "in")
    for number in range(figure("bridge-kills")):
        texts = [f"kill {number}.{index}" for index in range(4)]
        expected += texts
        for text in texts:
            await owner.say(stage.roles.bot, text)
        await asyncio.sleep(chance.uniform(0, 0.15))  # somewhere in the middle of them
        await stage.restart("bridge")
    # A relay gives what it has stored by date, and wraps are backdated: in no order of ours.
    for text in expected:
        await stage.heard(text)
    heard = await said_afterwards(stage, owner, "after the kills")
    assert sorted(text for text in heard if text.startswith("kill ")) == sorted(expected)


async def test_what_came_while_the_bridge_was_down_is_fetched(stage: Stage, owner: Person) -> None:
    await stage.stop("bridge")
    wraps = [await owner.wrap(stage.roles.bot, f"waiting {number}") for number in range(40)]
    # Half of them on each relay: neither alone has all.
    await asyncio.gather(*(owner.send(wrap, index % 2) for index, wrap in enumerate(wraps)))
    await stage.start("bridge")
    for number in range(40):
        await stage.heard(f"waiting {number}")
    heard = await said_afterwards(stage, owner, "after the wait")
    assert sum(text.startswith("waiting ") for text in heard) == 40


async def test_no_words_of_anybodys_are_in_the_log(stage: Stage, owner: Person) -> None:
    await owner.say(stage.roles.bot, "xyzzy-confidential")
    await stage.heard("xyzzy-confidential")
    said = await stage.say("plugh-confidential")
    await stage.delivery(said.id)
    assert "confidential" not in stage.log("bridge")
