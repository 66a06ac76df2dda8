"""What people get, and where it is said how far it got."""

import asyncio
import json
import signal
import time
from secrets import token_bytes

from bot.operate import assembly
from config.roles import read_key
from nips.event import Event, Template
from nips.filter import Filter
from nips.own import binding, pairing
from nips.own.binding import Binding
from relay_local.client import Delivery, connect
from tests.figures import dice, figure
from tests.unit.bot.bridges.nostr.stage import Person, Stage, a_person, a_stage


def relays_of(delivery: Event) -> dict[str, tuple[str, str]]:
    return {tag[1]: (tag[2], tag[3]) for tag in delivery.tags if tag[0] == "relay"}


async def drained(person: Person) -> None:
    while not person.inbox.empty():
        person.inbox.get_nowait()


async def heard(person: Person, text: str) -> None:
    """Wait for a message and let go of earlier ones, which other tests did not wait for."""
    while (await person.hear()).content != text:
        pass


async def mail_of_the_bot(stage: Stage) -> set[str]:
    """The ids of the wraps to the bot on the private relay, which a bridge may read."""
    mail = Filter(kinds=frozenset({1059}), tags={"p": frozenset({stage.roles.bot})}, limit=500)
    async with connect(
        stage.place.relay_address, [read_key(stage.place.key("bridge-nostr"))]
    ) as link:
        return {event.id for event in await link.fetch([mail])}


async def test_a_notice_becomes_a_direct_message_by_the_bot(stage: Stage, owner: Person) -> None:
    said = await stage.say("a job has failed")
    await heard(owner, "a job has failed")
    delivery = await stage.delivery(said.id)
    assert relays_of(delivery) == dict.fromkeys(stage.public, ("ok", ""))
    ((_, wrap_id, recipient),) = [tag for tag in delivery.tags if tag[0] == "wrap"]
    assert recipient == owner.public
    for number in (0, 1):
        assert wrap_id in [event.id for event in await owner.stored(number)]


async def test_a_copy_goes_to_the_bot_itself_and_is_no_work(stage: Stage, owner: Person) -> None:
    """It is delivered by itself: that our own relays have it tells nothing of the person."""
    before = await mail_of_the_bot(stage)
    await stage.say("something to keep")
    await heard(owner, "something to keep")
    (copy,) = await mail_of_the_bot(stage) - before
    delivery = await stage.delivery(copy)
    assert [tag for tag in delivery.tags if tag[0] == "wrap"] == [("wrap", copy, stage.roles.bot)]
    assert relays_of(delivery) == dict.fromkeys(stage.public, ("ok", ""))
    await owner.say(stage.roles.bot, "and on we go")
    await stage.heard("and on we go")
    assert f" id={copy}" not in stage.log("bridge")


async def test_a_reply_names_the_message_it_answers(stage: Stage, owner: Person) -> None:
    await owner.say(stage.roles.bot, "a question")
    question = await stage.heard("a question")
    await stage.say("an answer", question.pubkey, quote=question.id)
    while (rumor := await owner.hear()).content != "an answer":
        pass
    assert rumor.tag("e") == question.tag("proxy")
    assert rumor.values("p") == [owner.public]
    assert rumor.pubkey == stage.roles.bot


async def test_a_reply_to_what_is_no_id_goes_out(stage: Stage, owner: Person) -> None:
    """Attack: an agent's `q` that the relay refuses to look for, and the bridge ends, again and
    again."""
    await stage.say("an answer to nothing", quote="no id")
    await heard(owner, "an answer to nothing")


async def test_a_long_reply_comes_in_parts_and_in_order(stage: Stage, owner: Person) -> None:
    paragraphs = [f"{number} " + "lorem " * 700 for number in range(12)]
    said = await stage.say("\n\n".join(paragraphs))
    got: list[str] = []
    while not (got and got[-1].startswith("6 ")):
        rumor = await owner.hear()
        if "lorem" in rumor.content:
            got.append(rumor.content)
    assert " ".join(got).split() == " ".join(paragraphs).split()
    assert len([tag for tag in (await stage.delivery(said.id)).tags if tag[0] == "wrap"]) == 2


async def test_wraps_tell_nothing_by_their_time_or_author(stage: Stage, owner: Person) -> None:
    for text in ("one of two", "two of two"):
        await stage.say(text)
        await heard(owner, text)
    wraps = await owner.stored(0)
    assert len({wrap.pubkey for wrap in wraps}) == len(wraps)
    assert all(time.time() - 2 * 86_400 - 60 <= wrap.created_at <= time.time() for wrap in wraps)
    assert len({wrap.created_at for wrap in wraps}) > 1


async def test_a_relay_that_is_away_gets_the_same_bytes_later(stage: Stage, owner: Person) -> None:
    await stage.stop("public-1")
    said = await stage.say("one relay is away")
    await heard(owner, "one relay is away")
    waiting = await stage.delivery(said.id, settled=False)
    assert "pending" in [status for status, _ in relays_of(waiting).values()]
    await stage.start("public-1")
    settled = await stage.delivery(said.id, timeout_s=60)
    assert relays_of(settled) == dict.fromkeys(stage.public, ("ok", ""))
    assert [tag for tag in settled.tags if tag[0] == "wrap"] == [
        tag for tag in waiting.tags if tag[0] == "wrap"
    ]


async def test_killed_at_any_time_every_reply_arrives_once(stage: Stage, owner: Person) -> None:
    await drained(owner)
    kills, chance = figure("bridge-kills"), dice("bridge-kills", "out")
    texts = [f"reply {number}" for number in range(3 * kills)]
    for number in range(kills):
        for text in texts[3 * number : 3 * number + 3]:
            await stage.say(text)
        await asyncio.sleep(chance.uniform(0, 0.2))
        await stage.restart("bridge")
    got: dict[str, str] = {}
    while len(got) < len(texts):
        rumor = await owner.hear()
        if rumor.content.startswith("reply "):
            # A wrap that was made twice is the same rumor, which clients show once.
            assert got.setdefault(rumor.content, rumor.id) == rumor.id
    assert sorted(got) == sorted(texts)


async def test_what_is_pending_goes_on_after_a_restart(stage: Stage, owner: Person) -> None:
    await stage.stop("public-1")
    said = await stage.say("pending over a restart")
    waiting = await stage.delivery(said.id, settled=False)
    await stage.restart("bridge")
    await stage.start("public-1")
    settled = await stage.delivery(said.id, timeout_s=60)
    assert relays_of(settled)[stage.public[1]] == ("ok", "")
    assert [tag for tag in settled.tags if tag[0] == "wrap"] == [
        tag for tag in waiting.tags if tag[0] == "wrap"
    ]


async def test_a_person_without_an_inbox_list_is_waited_for(stage: Stage, owner: Person) -> None:
    async with a_person(stage.public) as friend:
        people = (f"nostr:{owner.public}", f"nostr:{friend.public}")
        await bind(stage, *people)
        try:
            await friend.say(stage.roles.bot, "hello from a friend")
            hello = await stage.heard("hello from a friend")
            said = await stage.say("hello, friend", hello.pubkey)
            waiting = await stage.delivery(said.id, settled=False)
            assert relays_of(waiting) == {"": ("pending", "no inbox list")}
            assert friend.inbox.empty()
            await friend.announce()
            assert (await friend.hear()).content == "hello, friend"
            assert set(relays_of(await stage.delivery(said.id))) == set(stage.public)
            # It was for the friend alone.
            wraps = [tag for tag in (await stage.delivery(said.id)).tags if tag[0] == "wrap"]
            assert [tag[2] for tag in wraps] == [friend.public]
        finally:
            await bind(stage, people[0])


async def test_a_list_of_private_addresses_is_not_followed(stage: Stage, owner: Person) -> None:
    async with a_person(stage.public) as friend:
        trap = await asyncio.start_server(lambda *_: hits.append(1), "127.0.0.1", 0)
        hits: list[int] = []
        port = trap.sockets[0].getsockname()[1]
        await friend.announce(f"wss://127.0.0.1:{port}", f"ws://127.0.0.1:{port}")
        people = (f"nostr:{owner.public}", f"nostr:{friend.public}")
        await bind(stage, *people)
        try:
            await friend.say(stage.roles.bot, "answer me inwards")
            hello = await stage.heard("answer me inwards")
            said = await stage.say("no", hello.pubkey)
            states = relays_of(await stage.delivery(said.id))
            assert [status for status, _ in states.values()] == ["failed", "failed"]
            assert all(reason.startswith("blocked:") for _, reason in states.values())
            assert not hits
        finally:
            trap.close()
            await bind(stage, people[0])


async def test_the_terminal_reads_on_the_private_relay(stage: Stage, owner: Person) -> None:
    chat = read_key(stage.place.key("chat"))
    await bind(stage, f"nostr:{chat.public}")
    wrap = await owner.say(stage.roles.bot, "unbound for now")
    assert "bound to no group" in await stage.logged(wrap.id)
    async with connect(f"ws://{stage.listen}", [chat]) as link:
        tags = (("relay", f"ws://{stage.listen}"),)
        list_ = Template(chat.public, int(time.time()), 10050, tags, "")
        assert (await link.publish(list_.sign(chat, token_bytes(32)), deadline_s=10)).accepted
        copies_before = await mail_of_the_bot(stage)
        said = await stage.say("to the terminal")
        delivery = await stage.delivery(said.id)
        assert list(relays_of(delivery).values()) == [("ok", "")]
        wanted = Filter(kinds=frozenset({1059}), tags={"p": frozenset({chat.public})})
        assert len(await link.fetch([wanted])) == 1
        # Attack: what is said on this machine is told, as a copy to oneself, to public relays.
        assert await mail_of_the_bot(stage) == copies_before
    await bind(stage, f"nostr:{owner.public}")


async def test_the_bots_own_lists_are_published_once(stage: Stage, owner: Person) -> None:
    wanted = Filter(kinds=frozenset({0, 10002, 10050}), authors=frozenset({stage.roles.bot}))
    before = await stage.link.fetch([wanted])
    assert sorted(event.kind for event in before) == [0, 10002, 10050]
    by_kind = {event.kind: event for event in before}
    assert by_kind[10050].tags == tuple(("relay", url) for url in stage.public)
    assert by_kind[10002].tags == tuple(("r", url) for url in stage.public)
    assert json.loads(by_kind[0].content)["name"] == "nostrclaw"
    await stage.restart("bridge", signal.SIGTERM)
    for event in before:
        await stage.delivery(event.id)
    ids = {event.id for event in before}
    assert {event.id for event in await stage.link.fetch([wanted])} == ids
    for link in owner.links:
        assert {event.id for event in await link.fetch([wanted])} == ids


async def test_it_ends_cleanly(stage: Stage) -> None:
    before = len(stage.log("bridge"))
    await stage.restart("bridge", signal.SIGTERM)
    for url in stage.public:  # else it was never healthy, and says so
        await stage.logged(f"relay={url} stored=", after=before)
    assert await stage.stop("bridge", signal.SIGTERM) == 0
    wanted = Filter(kinds=frozenset({30078}), tags={"d": frozenset({"health"})})
    (health,) = await stage.link.fetch([wanted])
    content = json.loads(health.content)
    assert set(content["relays"]) == set(stage.public)
    assert all(time.time() - relay["healthy_s"] < 300 for relay in content["relays"].values())
    assert content["wraps"].keys() >= {"forwarded", "strangers", "set_aside", "kept"}
    assert all(relay["state"] == "listening" for relay in content["relays"].values())
    await stage.start("bridge")


async def bind(stage: Stage, *counterparts: str) -> None:
    """Replace main's counterparts, stepping forward, and wait until the puppets are members."""
    wanted = Filter(kinds=frozenset({30078}), tags={"d": frozenset({f"group/{stage.roles.main}"})})
    former = await stage.link.fetch([wanted])
    created_at = max([int(time.time()), *(event.created_at + 1 for event in former)])
    made = Binding(stage.roles.main, "main", counterparts)
    await stage.put(binding.template(made, stage.router.public, created_at))


async def test_the_first_start_pairs_and_loses_no_word_of_the_owner() -> None:
    async with a_stage(None) as stage:
        code = stage_code(stage)
        await stage.restart("signer")
        await stage.start("bridge")
        async with a_person(stage.public) as person:
            await person.announce()
            await person.say(stage.roles.bot, "too early: nobody is the owner yet")
            await stage.logged("bound to no group")
            await person.say(stage.roles.bot, code)
            named = await owner_named(stage)
            assert named == person.public
            wrap = await person.say(stage.roles.bot, "my first words")
            await stage.logged(f"wrap={wrap.id}")  # it waits for the main group
            await stage.make_main(named)
            await stage.heard("my first words")
            # Neither the code nor what a stranger said reaches the agent.
            assert [event.content for event in await stage.messages()] == ["my first words"]
            await stage.say("welcome")
            await heard(person, "welcome")


def stage_code(stage: Stage) -> str:

    code = assembly.pairing_code(stage.place)
    assert code is not None
    return code


async def owner_named(stage: Stage) -> str:
    wanted = Filter(kinds=frozenset({30078}), tags={"d": frozenset({pairing.D})})
    async with asyncio.timeout(30), stage.link.subscribe([wanted]) as stream:
        async for item in stream:
            if isinstance(item, Delivery):
                return pairing.parse(item.event, stage.roles.signer)
    raise AssertionError("the stream ended")


async def test_a_lost_place_repeats_nothing(stage: Stage, owner: Person) -> None:
    await owner.say(stage.roles.bot, "said before the place was lost")
    await stage.heard("said before the place was lost")
    said = await stage.say("answered before the place was lost")
    await stage.delivery(said.id)
    wraps = await owner.stored(0)
    await stage.stop("bridge", signal.SIGTERM)
    key = read_key(stage.place.key("bridge-nostr"))
    async with connect(stage.place.relay_address, [key]) as link:
        for reader in ("nostr-inbox", "nostr-outbox"):
            d = frozenset({f"place/{reader}"})
            (former,) = await link.fetch([Filter(kinds=frozenset({30078}), tags={"d": d})])
            content = json.dumps(json.loads(former.content) | {"seq": 0})
            lost = Template(key.public, former.created_at + 1, 30078, former.tags, content)
            assert (await link.publish(lost.sign(key, token_bytes(32)))).accepted
    await stage.start("bridge")
    # What is said now comes after all that was read again.
    again = await stage.say("after the place was lost")
    await stage.delivery(again.id)
    await owner.say(stage.roles.bot, "and the other way")
    await stage.heard("and the other way")
    origins = [event.tag("proxy") for event in await stage.messages()]
    assert len(origins) == len(set(origins)) > 1
    assert len(await owner.stored(0)) == len(wraps) + 1
