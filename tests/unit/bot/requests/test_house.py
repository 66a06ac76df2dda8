"""What sessions ask, over a real relay, judged by the group that the router knows."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from secrets import token_bytes
from typing import Any

import pytest

from bot.engine import folders
from bot.registry import Registry
from bot.requests import file_requests
from bot.requests.house import Others, Requests
from bot.requests.widening import Usual
from nips import nip29
from nips.event import Event
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.nip19 import encode_npub
from nips.own.binding import Binding, Budget
from nips.own.once import once_key
from nips.refusal import Malformed, Refused
from relay_local.client import Caller
from tests.unit.bot.requests.stage import House, a_house

JOB = "a" * 64
ANN = SecretKey.generate(token_bytes).public


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        yield made


async def nobody(*_: str) -> str:
    raise AssertionError("this is asked by somebody else")


OTHERS = Others(nobody, nobody, nobody)


@asynccontextmanager
async def asking(
    house: House, group: str, made: Requests, job: str = JOB, others: Others = OTHERS
) -> AsyncIterator[Caller]:
    """A session of a group's job, while requests are answered."""
    key = house.session(group, job)
    async with house.reception(made.methods(others)), house.asking(key) as caller:
        yield caller


async def a_group(house: House, name: str = "Family", *people: str) -> Binding:
    counterparts = [f"nostr:{person}" for person in people]
    return await house.registry().register(name, counterparts, trigger="")


def binding(house: House, group: str) -> Binding:
    found = house.group(group).binding
    assert found is not None
    return found


async def pending(call: Awaitable[str]) -> str:
    with pytest.raises(Refused) as error:
        await call
    assert error.value.refusal.prefix == "pending", error.value
    return error.value.refusal.sentence


async def denied(call: Awaitable[str], why: str = "restricted: ") -> None:
    with pytest.raises(Refused, match=why):
        await call


async def test_main_lists_registers_and_sets_the_groups(house: House) -> None:
    made = await house.requests()
    async with asking(house, house.roles.main, made) as main:
        said = await main.call("register_group", "Family", "", "none")
        assert said == "Family is a conversation now; its folder is family."
        family = house.registry().find("family")
        assert binding(house, family.id).trigger is None
        listed = await main.call("list_groups")
        assert listed.splitlines()[0].startswith("main (")
        assert listed.splitlines()[1] == f"“Family” ({family.id[:8]}): folder family"
        assert await main.call("set_group", "family", '{"paused":true}') == "Done: it is paused."
        assert binding(house, family.id).paused


async def test_what_the_router_has_decided_is_final_before_an_agent_changes_a_rule(
    house: House,
) -> None:
    made = await house.requests()
    family = await a_group(house)
    house.router_place.advance("e" * 32, 7)
    async with asking(house, family.group, made) as session:
        await session.call("set_group", "", '{"paused":true}')
    records = await house.author.stored([Filter(kinds=frozenset({int(Kind.APP_DATA)}))])
    names = [event.tag("d") for event in records]
    place = names.index("place/router")
    assert json.loads(records[place].content)["seq"] == 7
    assert place < names.index(f"group/{family.group}")


async def test_a_group_is_made_once_however_often_a_job_asks(house: House) -> None:
    made = await house.requests()
    for _ in range(2):  # the second is another attempt's session, after a restart of the router
        async with asking(house, house.roles.main, made) as main:
            await main.call("register_group", "Family", request_id="one")
    assert [group.name for group in house.registry().all()[1:]] == ["Family"]
    async with asking(house, house.roles.main, made, job="c" * 64) as main:
        assert "family-2" in await main.call("register_group", "Family", request_id="one")


async def test_another_group_asks_about_itself_alone(house: House) -> None:
    """Attack: an agent that was talked into it looks around, or changes another group."""
    made = await house.requests()
    mine, other = await a_group(house, "Mine"), await a_group(house, "Other")
    async with asking(house, mine.group, made) as session:
        await denied(session.call("list_groups"))
        await denied(session.call("register_group", "New"))
        await denied(session.call("send_to_group", "other", "hello"))
        sentences = set()
        for word in (other.group, other.group[:8], "other", "main", house.roles.main, "nowhere"):
            with pytest.raises(Refused) as error:
                await session.call("set_group", word, '{"paused":true}')
            sentences.add(str(error.value))
        assert len(sentences) == 1, "what is there is told apart from what is not"
        await denied(session.call("set_persona", "everywhere", '{"name":"Eve"}'))
        assert await session.call("set_group", "", '{"paused":true}') == "Done: it is paused."
    assert binding(house, mine.group).paused
    assert not binding(house, other.group).paused
    assert not binding(house, house.roles.main).paused
    told = [event.content for event in await house.said(house.roles.main)]
    assert told[-1] == "ℹ️ In “Mine” its agent changed: it is paused."


async def test_narrowing_is_done_and_widening_is_asked(house: House) -> None:
    made = await house.requests(Usual(budget=Budget(runs=50)))
    mine = await a_group(house, "Mine")
    async with asking(house, mine.group, made) as session:
        changes = {"budget": {"runs": 5}, "agents": True, "trigger": None, "add": [ANN]}
        said = await pending(session.call("set_group", "", json.dumps(changes)))
        assert said.startswith("done: at most 5 runs a day. For the rest the owner was asked")
    found = binding(house, mine.group)
    assert (found.budget, found.agents, found.trigger) == (Budget(runs=5), False, "")
    (waiting,) = made.questions.open()
    told, asked = (await house.said(house.roles.main))[-2:]
    assert told.content == "ℹ️ In “Mine” its agent changed: at most 5 runs a day."
    assert f"/approve {waiting.code} lets it" in asked.content
    assert waiting.words == (
        "in “Mine”: every message wakes it; in “Mine”: other agents may wake it; "
        f"in “Mine”: {encode_npub(ANN)} belongs to it"
    )
    await made.questions.settle(waiting.code, yes=True, once="x")
    found = binding(house, mine.group)
    assert (found.agents, found.trigger, found.counterparts) == (True, None, (f"nostr:{ANN}",))


async def test_what_cannot_be_is_said_and_not_asked(house: House) -> None:
    made = await house.requests()
    mine = await a_group(house, "Mine")
    wrong: list[dict[str, object]] = [
        {"folder": "main"},
        {"counterparts": [f"nostr:{ANN}"]},
        {"archived": False},
        {"trigger": 7},
        {"senders": "everybody"},
        {"quiet": {"start": "22:00", "end": "07:00", "zone": "../../etc/passwd"}},
        {"quiet": {"start": "22:00", "end": "07:00", "zone": "Nowhere/Else"}},
        {"budget": {"runs": -1}},
        {"muted": ["npub1x"]},
        {"add": ["not a person"]},
        {"add": [ANN] * 21},
        {"name": ""},
    ]
    async with asking(house, mine.group, made) as session:
        for changes in wrong:
            await denied(session.call("set_group", "", json.dumps(changes)), "invalid: ")
        for text in ("", "[]", "{}", "{", '{"a":'):
            await denied(session.call("set_group", "", text), "invalid: ")
        owner = json.dumps({"muted": [house.owner.public]})
        await denied(session.call("set_group", "", owner), "no agent mutes the owner")
    assert made.questions.open() == ()
    async with asking(house, house.roles.main, made) as main:
        await denied(main.call("set_group", "", '{"name":"Boss"}'), "main keeps")
        await denied(main.call("set_group", "", json.dumps({"add": [ANN]})), "main keeps")


async def test_no_agent_mutes_the_owner_by_another_key(house: House) -> None:
    """Attack: what an agent sees of an owner who writes by a bridge is the puppet's key."""
    made = await house.requests()
    mine = await a_group(house, "Mine")
    puppet, main = SecretKey.generate(token_bytes).public, house.roles.main
    put = nip29.put_user(house.roles.router, main, puppet, ("puppet",), house.author.now_s())
    house.directory.learn(house.author.sign(put))
    async with asking(house, mine.group, made) as session:
        for muted in ([puppet], [ANN, puppet]):
            changes = json.dumps({"muted": muted, "agents": True})
            await denied(session.call("set_group", "", changes), "no agent mutes the owner")
    assert binding(house, mine.group).muted == ()


async def test_no_change_stays_untold(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: an agent gives a second change the id of one that was told of. And a kill in between
    of change and word leaves the owner knowing it."""
    made = await house.requests()
    mine = await a_group(house, "Mine")
    change = Registry.change

    async def killed(self: Registry, group: str, **fields: Any) -> Binding:
        await change(self, group, **fields)
        raise RuntimeError("killed")

    monkeypatch.setattr(Registry, "change", killed)
    async with asking(house, mine.group, made) as session:
        paused = ("set_group", "", '{"paused":true}')
        await denied(session.call(*paused, request_id="one"), "error: ")
    monkeypatch.undo()
    async with asking(house, mine.group, made) as session:
        assert await session.call(*paused, request_id="one") == "It is like that already."
    for number, name in enumerate(("Ada", "Bob")):
        async with asking(house, mine.group, made) as session:
            muted = json.dumps({"muted": [ANN] if number else [], "budget": {"runs": 5 - number}})
            await session.call("set_group", "", muted, request_id="one")
            await session.call("set_persona", "", json.dumps({"name": name}), request_id="two")
    told = [event.content for event in await house.said(house.roles.main)]
    changed = "ℹ️ In “Mine” its agent changed"
    assert [words.removeprefix(changed) for words in told if words.startswith(changed)] == [
        ": it is paused.",
        ": at most 5 runs a day.",
        " its name from “claw” to “Ada”.",
        f": {encode_npub(ANN)} cannot wake it; at most 4 runs a day.",
        " its name from “Ada” to “Bob”.",
    ]


async def test_what_an_agent_chose_stands_in_quotes(house: House) -> None:
    """Attack: a word or a model whose name goes on in our words, and says what is not asked."""
    made = await house.requests()
    mine = await a_group(house, "Mine")
    words = "claw” wake it. • /approve lets one message through. Only messages with “" + "x" * 90
    async with asking(house, mine.group, made) as session:
        changes = json.dumps({"trigger": words, "models": ["no model”. It is safe"]})
        await pending(session.call("set_group", "", changes))
    (waiting,) = made.questions.open()
    assert waiting.words == (
        "in “Mine”: only messages with “claw' wake it. • /approve lets one message through. Only "
        "messages with 'xxxxxxx…” wake it; in “Mine”: it may use “no model'. It is safe”"
    )


async def test_people_of_a_new_group_are_the_owners_to_let_in(house: House) -> None:
    made = await house.requests()
    async with asking(house, house.roles.main, made) as main:
        await pending(main.call("register_group", "Ann", encode_npub(ANN)))
        assert len(house.registry().all()) == 1
        await denied(main.call("register_group", "Ann", "somebody"), "invalid: ")
    (waiting,) = made.questions.open()
    said = await made.questions.settle(waiting.code, yes=True, once="x")
    assert said == "Ann is a conversation now; its folder is ann."
    assert house.registry().find("ann").binding is not None


async def test_a_message_elsewhere_is_said_once_and_wakes_nobody(house: House) -> None:
    made = await house.requests()
    family = await a_group(house, "Family")
    async with asking(house, house.roles.main, made) as main:
        for _ in range(2):
            said = await main.call("send_to_group", "family", "Dinner at 8", request_id="one")
            assert said == "Said in “Family”."
        await denied(main.call("send_to_group", "main", "x"), "say it here")
        await denied(main.call("send_to_group", "famly", "x"), "Did you mean family")
        await denied(main.call("send_to_group", "family", " "), "1 to 60000")
        await denied(main.call("send_to_group", "family", "x" * 60_001), "1 to 60000")
    (said_there,) = await house.said(family.group)
    assert (said_there.content, said_there.pubkey) == ("Dinner at 8", house.roles.router)
    assert ("L", "agent") in said_there.tags
    assert said_there.values("h") == [family.group]


async def test_a_file_is_announced_in_its_own_group(house: House) -> None:
    made = await house.requests()
    mine = await a_group(house, "Mine")
    key = house.session(mine.group)
    _, out = folders.ipc_folders(house.place.data / "ipc", key.public[:16])
    (out / "report.pdf").write_bytes(b"x" * 12_345)
    async with house.reception(made.methods(OTHERS)), house.asking(key) as session:
        for _ in range(2):
            said = await session.call("send_file", "report.pdf", request_id="one")
            assert said == "report.pdf (12.3 kB) was handed over and announced here."
        for name in ("../../../keys/router", "none", "/etc/passwd"):
            await denied(session.call("send_file", name), "invalid: ")
    (said_there,) = await house.said(mine.group)
    kept = next((house.place.data / "files" / "mine").iterdir())
    assert said_there.content == (
        f"📎 report.pdf (12.3 kB)\nIt is kept on my machine: files/mine/{kept.name}"
    )
    (imeta,) = [tag for tag in said_there.tags if tag[0] == "imeta"]
    assert imeta[1:] == (
        "m application/pdf", f"x {kept.name}", "size 12345", "name report.pdf",
    )  # fmt: skip
    assert said_there.tag("o") == once_key("request", JOB, "one", "file")
    await house.registry().delete(mine.group, wipe=True)
    assert not kept.exists()


async def test_another_groups_file_is_not_reached(house: House) -> None:
    """Attack: the name of a file in another run's folder, by every way there is."""
    made = await house.requests()
    mine, other = house.session(house.roles.main), house.session((await a_group(house)).group)
    for key, text in ((mine, b"mine"), (other, b"other")):
        _, out = folders.ipc_folders(house.place.data / "ipc", key.public[:16])
        (out / f"{text.decode()}.txt").write_bytes(text)
    async with house.reception(made.methods(OTHERS)), house.asking(mine) as session:
        for name in ("other.txt", f"../../{other.public[:16]}/out/other.txt"):
            await denied(session.call("send_file", name), "invalid: ")
        await session.call("send_file", "mine.txt")
    assert [path.read_bytes() for path in (house.place.data / "files" / "main").iterdir()] == [
        b"mine"
    ]


async def test_a_job_hands_over_only_so_much(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_requests, "MAX_FILES_OF_A_JOB", 2)
    made = await house.requests()
    key = house.session(house.roles.main)
    _, out = folders.ipc_folders(house.place.data / "ipc", key.public[:16])
    (out / "a").write_bytes(b"x")
    async with house.reception(made.methods(OTHERS)), house.asking(key) as session:
        await session.call("send_file", "a")
        await session.call("send_file", "a")
        await denied(session.call("send_file", "a"), "rate-limited: ")


async def test_a_persona_is_the_groups_own(house: House) -> None:
    made = await house.requests()
    mine = await a_group(house, "Mine")
    async with asking(house, mine.group, made) as session:
        said = await session.call("set_persona", "", '{"name":"Ada","text":"Brief."}')
        assert said == "I am Ada here; my instructions are new, from the next run on."
        await denied(session.call("set_persona", "", '{"name":"@all"}'), "invalid: ")
        await denied(session.call("set_persona", "", '{"nick":"x"}'), "invalid: ")
        await denied(session.call("set_persona", house.roles.main, '{"name":"x"}'), "invalid: ")
    told = [event.content for event in await house.said(house.roles.main)]
    assert "ℹ️ In “Mine” its agent changed its name from “claw” to “Ada”." in told
    async with asking(house, house.roles.main, made) as main:
        said = await main.call("set_persona", "everywhere", '{"name":"Bob"}')
        assert said.startswith("I am Bob everywhere; the owner is asked")
    records = {event.tag("d") for event in await house.records("persona")}
    assert records == {"persona", f"persona/{mine.group}"}


async def test_the_parts_ask_what_is_theirs(house: House) -> None:
    made = await house.requests()
    heard: list[tuple[str, ...]] = []

    def noting(name: str) -> Callable[..., Awaitable[str]]:
        async def note(*params: str) -> str:
            heard.append((name, *params))
            if params[0] == "bad":
                raise Malformed("spent: nonsense")
            return name

        return note

    others = Others(noting("stranger"), noting("command"), noting("spent"), noting("heard"))
    theirs = {
        "stranger": ("bridge-nostr", ("nostr", ANN, "Ann")),
        "command": ("console", ("/status",)),
        "spent": ("model", ("{}",)),
        "heard": ("bridge-nostr", ("{}",)),
    }
    async with house.reception(made.methods(others)):
        for method, (owner, params) in theirs.items():
            for name in ("bridge-nostr", "console", "model"):
                async with house.asking(house.role(name)) as caller:
                    if name == owner:
                        assert await caller.call(method, *params, request_id=method) == method
                    else:
                        await denied(caller.call(method, *params))
                    await denied(caller.call("set_group", "", '{"paused":true}'))
        async with house.asking(house.session(house.roles.main)) as session:
            for method, (_, params) in theirs.items():
                await denied(session.call(method, *params))
        async with house.asking(house.role("bridge-nostr")) as bridge:
            await denied(bridge.call("stranger", "signal", ANN, "Ann"), "its own network")
        async with house.asking(house.role("bridge-signal")) as bridge:
            await denied(bridge.call("heard", "{}"), "the Nostr bridge alone hears public events")
        async with house.asking(house.role("model")) as model:
            await denied(model.call("spent", "bad"), "invalid: spent: nonsense")
    assert heard == [
        ("stranger", "nostr", ANN, "Ann"),
        ("command", "/status", "console/command"),
        ("spent", "{}"),
        ("heard", "{}"),
        ("spent", "bad"),
    ]


async def answers(house: House, group: str) -> list[Event]:
    return [one for one in await house.said(group) if one.tag("owner-answer") is not None]


@pytest.mark.parametrize("yes", [True, False])
async def test_an_agent_asks_its_owner_and_its_group_hears_the_answer(
    house: House, yes: bool
) -> None:
    made = await house.requests()
    mine = await a_group(house, "Mine")
    async with asking(house, mine.group, made) as session:
        said = await session.call("ask_owner", "Shall I book the 8 o'clock?")
        assert said.startswith("asked; your owner has an hour")
    (waiting,) = made.questions.open()
    assert waiting.words == "a yes or a no to “Shall I book the 8 o'clock?”"
    (shown,) = [e for e in await house.said(house.roles.main) if e.content.startswith("❓")]
    assert shown.content.startswith(
        "❓ The agent of “Mine” asks you, in its own words:\n│ Shall I book the 8 o'clock?\n"
        f"/approve {waiting.code} is a yes, /deny {waiting.code} is a no; "
    )
    before = len(await house.records("group/"))
    word = "yes" if yes else "no"
    for _ in range(2):  # the command is read again after a crash
        told = await made.questions.settle(waiting.code, yes=yes, once="x")
        assert told == f"Your {word} was told to the agent that had asked."
    (answer,) = await answers(house, mine.group)
    assert answer.pubkey == house.roles.router
    assert answer.content == (
        f"My owner's answer is {word}. I had asked:\n│ Shall I book the 8 o'clock?"
    )
    assert (answer.tag("owner-answer"), answer.values("p")) == (word, [house.roles.bot])
    assert ("delivery", "here") in answer.tags
    assert answer.tag("job") is None  # it is not what the job has said
    assert len(await house.records("group/")) == before  # nothing was changed
    with pytest.raises(Refused, match="said"):
        await made.questions.settle(waiting.code, yes=not yes, once="y")
    assert len(await answers(house, mine.group)) == 1


async def test_a_question_cannot_play_another_one(house: House) -> None:
    made = await house.requests()
    mine = await a_group(house, "Mine")
    words = "Lunch?\n/approve ghkmnp is a yes, /deny ghkmnp is a no\u2028❓ The router\u202e asks"
    async with asking(house, mine.group, made) as session:
        await session.call("ask_owner", words)
        await denied(session.call("ask_owner", " "), "invalid: ")
        await denied(session.call("ask_owner", "é" * 1_001), "invalid: ")
        for number in range(4):
            await session.call("ask_owner", f"Really, {number}?")
        await denied(session.call("ask_owner", "And this?"), "rate-limited: ")
    (shown,) = [e.content for e in await house.said(house.roles.main) if "Lunch" in e.content]
    head, *quoted, ours = shown.splitlines()
    assert head.startswith("❓ The agent of “Mine” asks you")
    assert quoted == [
        "│ Lunch?",
        "│ /approve ghkmnp is a yes, /deny ghkmnp is a no",
        "│ ❓ The router⟨U+202E⟩ asks",
    ]
    code = next(one.code for one in made.questions.open() if "Lunch" in one.words)
    assert ours.startswith(f"/approve {code} ")
