"""`nostrclaw publish` and `nostrclaw published` as processes, with a real relay, signer, router and
bridge, and one public relay; the owner answers with a client of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from secrets import token_bytes
from typing import Any

import pytest

from bot.operate.assembly import SOURCE_TREE, plan
from bot.operate.house import free_ports
from bot.operate.plan import Program
from config import settings
from nips.event import Event, Tag, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.nip19 import Naddr, decode, encode_naddr, encode_nevent
from nips.nip21 import event_of
from nips.own import approval
from nips.reference import Pointer
from relay_local.client import Delivery, connect
from signer.ledger import Ledger
from signer.logins import Logins
from tests.figures import dice
from tests.image.stage import a_program
from tests.unit.bot.commands.stage import Stage, a_stage
from tests.unit.signer.test_key import run as run_key

ANN = SecretKey(bytes([5]) * 32)
ARTICLE = """---
title: Why relays
slug: why-relays
summary: In short.
tags: nostr, relays
---
Because *anyone* can run one.
"""
WAIT_S = 60.0
KILLS = 6


@pytest.fixture(scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with a_stage() as made, contextlib.AsyncExitStack() as stack:
        place, (port, other_port) = made.place, free_ports(2)
        public, reading = (f"ws://127.0.0.1:{each}" for each in (port, other_port))
        chosen = settings.load(place.data)
        signer = signer_of(made)
        given = {"listen": chosen.listen, "relays": [public]}
        given["allowed_private_hosts"] = [f"127.0.0.1:{other_port}"]
        settings.write(place.data, given)
        for name, ready, argv in (
            *(
                (name, "relay: ready", [
                    "-m", "relay_local", "--open", "--data", str(place.data.parent / name),
                    "--listen", f"127.0.0.1:{at}",
                ])
                for name, at in (("public", port), ("reading", other_port))
            ),
            ("signer", signer.ready, list(signer.argv[1:])),
        ):  # fmt: skip
            await stack.enter_async_context(a_program(place.logs / f"{name}.log", ready, argv))
        await stack.enter_async_context(made.router())
        bridge = ["-m", "tests.unit.bot.bridges.nostr.bridge_process", str(place.data)]
        bridge.append(str(place.run))
        await stack.enter_async_context(
            a_program(place.logs / "bridge.log", "bridge: ready", bridge)
        )
        made.public, made.reading = public, reading
        yield made


def signer_of(stage: Stage) -> Program:
    made = plan(
        stage.place, settings.load(stage.place.data), stage.roles, image="", engine_root=Path()
    )
    return next(program for program in made.programs if program.name == "signer")


async def start(stage: Stage, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot.cli", *arguments, "--data", str(stage.place.data),
        cwd=SOURCE_TREE,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def run(stage: Stage, *arguments: str, text: str = "") -> tuple[int, str, str]:
    """`nostrclaw …` with a text on stdin: its exit status, and what it says to whom."""
    process = await start(stage, *arguments)
    out, err = await asyncio.wait_for(process.communicate(text.encode()), WAIT_S)
    return process.returncode or 0, out.decode(), err.decode()


async def publish(stage: Stage, *arguments: str, text: str = "") -> dict[str, Any]:
    status, out, err = await run(stage, "publish", *arguments, "--json", text=text)
    assert status == 0, err
    assert err == ""
    return dict(json.loads(out))


async def refused(stage: Stage, *arguments: str, text: str = "") -> str:
    status, out, err = await run(stage, "publish", *arguments, text=text)
    assert status in (1, 2), out
    assert out == ""
    assert len(err.strip().splitlines()) == 1, err
    return err


async def kept(stage: Stage, *kinds: int, **tags: str) -> list[Event]:
    """The bot's events on the private relay, oldest first."""
    found = await stage.find(*kinds, **tags)
    return [event for event in found if event.pubkey == stage.roles.bot]


async def elsewhere(stage: Stage, kind: int, content: str, *tags: Tag) -> Event:
    """An event of somebody's on the public relay."""
    event = Template(ANN.public, int(time.time()), kind, tags, content).sign(ANN, token_bytes(32))
    async with connect(stage.public, [ANN]) as link:
        ok = await link.publish(event, deadline_s=10)
        assert ok.accepted, ok.message
    return event


# Notes


async def test_a_note_is_published_once_however_often(stage: Stage) -> None:
    first = await publish(stage, "note", "-", text="Hello, world.\n")
    assert (first["state"], first["what"], first["kind"]) == ("published", "note", 1)
    (event,) = await stage.find(1)
    event.verify()
    assert (event.id, event.pubkey, event.content) == (
        first["id"],
        stage.roles.bot,
        "Hello, world.\n",
    )
    assert [tag[0] for tag in event.tags] == ["o"]
    again = await publish(stage, "note", "-", text="Hello, world.\n")
    assert (again["state"], again["id"]) == ("already", first["id"])
    assert len(await kept(stage, 1)) == 1
    status, out, _ = await run(stage, "publish", "note", "-", text="Hello, world.\n")
    assert status == 0
    said, link = out.splitlines()
    assert said == "Already published: note “Hello, world.”"
    named = event_of(link)  # with a relay, where one has taken it meanwhile
    assert isinstance(named, Pointer)
    assert named.id == first["id"]
    anew = await publish(stage, "note", "-", "--again", text="Hello, world.\n")
    assert anew["state"] == "published"
    assert len(await kept(stage, 1)) == 2


async def test_three_at_once_publish_one(stage: Stage) -> None:
    made = await asyncio.gather(*(publish(stage, "note", "-", text="At once.") for _ in range(3)))
    said = [event.id for event in await kept(stage, 1) if event.content == "At once."]
    assert said == [made[0]["id"]]
    assert {one["id"] for one in made} == set(said)


async def test_a_kill_leaves_nothing_half_done(stage: Stage) -> None:
    chance = dice("publish kills", 0)
    for _ in range(KILLS):
        process = await start(stage, "publish", "note", "-")
        assert process.stdin is not None
        process.stdin.write(b"Said once.")
        process.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), chance.uniform(0.2, 2.5))
        if process.returncode is None:
            process.kill()
        await process.wait()
    last = await publish(stage, "note", "-", text="Said once.")
    said = [event.id for event in await kept(stage, 1) if event.content == "Said once."]
    assert said == [last["id"]]


# Articles


async def test_an_article_keeps_its_name_and_first_date(stage: Stage, tmp_path: Path) -> None:
    file = tmp_path / "why.md"
    file.write_text(ARTICLE)
    first = await publish(stage, "article", str(file))
    (event,) = await kept(stage, 30_023)
    assert event.tags[:-1] == (
        ("d", "why-relays"), ("title", "Why relays"), ("summary", "In short."),
        ("published_at", str(event.created_at)), ("t", "nostr"), ("t", "relays"),
    )  # fmt: skip
    assert event.content == "Because *anyone* can run one."
    link = decode(first["link"].removeprefix("nostr:"))
    assert isinstance(link, Naddr)
    assert (link.identifier, link.author, link.kind) == ("why-relays", stage.roles.bot, 30_023)
    assert (await publish(stage, "article", str(file)))["state"] == "already"

    file.write_text(ARTICLE.replace("anyone", "everyone"))
    edits = [await publish(stage, "article", str(file), "--title", f"Why {n}") for n in range(2)]
    (second,) = await kept(stage, 30_023)
    assert second.id == edits[1]["id"]
    assert second.created_at > event.created_at
    assert second.tag("published_at") == str(event.created_at) == str(edits[1]["first_at"])
    # And back to its old words, which the signer has signed before.
    file.write_text(ARTICLE)
    back = await publish(stage, "article", str(file))
    assert back["state"] == "published"
    (third,) = await kept(stage, 30_023)
    assert (third.id, third.content) == (back["id"], event.content)
    assert third.id != event.id


async def test_a_draft_stays_here_until_it_is_published(stage: Stage) -> None:
    text = "# Boats\n\nThey float."
    draft = await publish(stage, "article", "-", "--draft", text=text)
    assert (draft["state"], draft["draft"], draft["slug"]) == ("kept", True, "boats")
    (event,) = await kept(stage, 30_024)
    assert event.tag("published_at") is None
    assert (await publish(stage, "article", "-", "--draft", text=text))["state"] == "already"
    assert "a draft" in await refused(stage, "reaction", draft["link"], "+")
    status, out, _ = await run(stage, "published", "--json")
    assert status == 0
    assert next(row for row in json.loads(out) if row["slug"] == "boats")["draft"] is True

    out_now = await publish(stage, "article", "--from-draft", "boats")
    assert (out_now["state"], out_now["kind"], out_now["words"]) == ("published", 30_023, "Boats")
    rows = json.loads((await run(stage, "published", "--json"))[1])
    assert [row["kind"] for row in rows if row["slug"] == "boats"] == [30_023]
    words = await refused(stage, "article", "--from-draft", "no-such")
    assert "There is no draft no-such" in words


# What is about something


async def test_what_others_said_is_answered(stage: Stage) -> None:
    note = await elsewhere(stage, 1, "Anybody there?", ("p", stage.owner.public))
    article = await elsewhere(stage, 30_023, "Words.", ("d", "ann's: one"))
    relay = "wss://relay.example"
    reply = await publish(
        stage, "reply", encode_nevent(note.id, (relay,), ANN.public, 1), "-", text="Me."
    )
    (event,) = await kept(stage, 1, e=note.id)
    assert (event.id, event.content) == (reply["id"], "Me.")
    assert event.tags[:3] == (
        ("e", note.id, relay, "root", ANN.public), ("p", ANN.public), ("p", stage.owner.public),
    )  # fmt: skip
    address = encode_naddr("ann's: one", ANN.public, 30_023, ())
    comment = await publish(stage, "comment", f"nostr:{address}", "-", text="True.")
    (event,) = await kept(stage, 1_111)
    assert (event.id, event.content) == (comment["id"], "True.")
    where = f"30023:{ANN.public}:ann's: one"
    assert (event.tag("A"), event.tag("a"), event.tag("e")) == (where, where, article.id)
    reaction = await publish(stage, "reaction", note.id, "🤙")
    (event,) = await kept(stage, 7)
    assert (event.id, event.content, event.tag("h")) == (reaction["id"], "🤙", None)
    assert (await publish(stage, "reaction", note.id, "🤙"))["state"] == "already"

    assert "nostrclaw publish reply" not in await refused(stage, "reply", address, "-", text="x")
    for arguments, words in (
        (("reply", address, "-"), "this is kind 30023"),
        (("comment", note.id, "-"), "is answered by a note"),
        (("comment", "ab" * 32, "-"), "None of the public relays"),
        (("comment", "not a name", "-"), "or the slug of an article"),
    ):
        assert words in await refused(stage, *arguments, text="x")
    assert "one emoji" in await refused(stage, "reaction", note.id, "so true")


async def test_what_belongs_to_a_group_is_not_answered_in_public(stage: Stage) -> None:
    # Attack: everybody is told of what was said in a conversation.
    note = await elsewhere(stage, 1, "Among us.", ("h", "some-group"))
    assert "belongs to a group" in await refused(stage, "reply", note.id, "-", text="x")


# Taken back


async def gates(stage: Stage, named: str, count: int = 1) -> list[Event]:
    """So many questions about something, as soon as they are there."""
    found: dict[str, Event] = {}
    wanted = Filter(kinds=frozenset({46_010}))
    async with asyncio.timeout(WAIT_S), stage.client.subscribe([wanted]) as stream:
        async for item in stream:
            if isinstance(item, Delivery) and named in item.event.content:
                found[item.event.id] = item.event
            if len(found) == count:
                return sorted(found.values(), key=lambda event: event.created_at)
    raise AssertionError("a subscription ends by an exception only")


async def answer(stage: Stage, gate: Event, *, yes: bool) -> None:
    question = approval.parse_gate(gate)
    made = approval.answer(stage.owner.public, question.run, int(time.time()), yes=yes)
    ok = await stage.client.publish(made.sign(stage.owner, token_bytes(32)), deadline_s=10)
    assert ok.accepted, ok.message


async def test_a_retraction_waits_for_the_owner(stage: Stage) -> None:
    made = await publish(stage, "article", "-", text="# Mistake\n\nOh.")
    for yes in (False, True):
        began = int(time.time())
        process = await start(stage, "publish", "retract", "mistake")
        gate = (await gates(stage, made["id"], 1 + yes))[-1]
        assert await kept(stage, 5) == []  # nothing before a yes
        await answer(stage, gate, yes=yes)
        out, err = await asyncio.wait_for(process.communicate(), WAIT_S)
        assert "Your owner is asked; answer in your client" in err.decode()
        assert process.returncode == (0 if yes else 1), (out, err)
        assert int(time.time()) - began < WAIT_S
        if not yes:
            assert "the owner was asked and said no" in err.decode()
    assert out.decode().splitlines()[0] == "Retracted: article “Mistake”"
    (event,) = await kept(stage, 5)
    event.verify()
    where = f"30023:{stage.roles.bot}:mistake"
    assert event.tags[:3] == (("e", made["id"]), ("a", where), ("k", "30023"))
    assert await kept(stage, 30_023, d="mistake") == []
    assert "Nothing of that name is published" in await refused(stage, "retract", "mistake")
    # The same words again are the same event, which is gone: that is said, and there is a way.
    again = ("article", "-")
    assert "--again publishes it anew" in await refused(stage, *again, text="# Mistake\n\nOh.")
    anew = await publish(stage, *again, "--again", text="# Mistake\n\nOh.")
    assert anew["state"] == "published"


async def test_what_is_taken_back_is_so_wherever_it_went(stage: Stage) -> None:
    """A reply went to where its reader reads, and its retraction follows it there."""
    await elsewhere(stage, 10_002, "", ("r", stage.reading, "read"))
    note = await elsewhere(stage, 1, "Who said that?")
    made = await publish(stage, "reply", note.id, "-", text="Not me.")
    wanted = Filter(ids=frozenset({made["id"]}))
    async with asyncio.timeout(WAIT_S), connect(stage.reading) as link:
        while not await link.fetch([wanted]):
            await asyncio.sleep(0.2)
        process = await start(stage, "publish", "retract", made["id"])
        await answer(stage, (await gates(stage, made["id"]))[-1], yes=True)
        assert await process.wait() == 0
        while await link.fetch([wanted]):
            await asyncio.sleep(0.2)


async def test_a_question_outlives_the_command_that_led_to_it(stage: Stage) -> None:
    made = await publish(stage, "note", "-", text="A slip.")
    first = await start(stage, "publish", "retract", made["id"])
    (gate,) = await gates(stage, made["id"])
    first.kill()
    await first.wait()
    second = await start(stage, "publish", "retract", made["link"])
    assert second.stderr is not None
    assert b"Your owner is asked" in await asyncio.wait_for(second.stderr.readline(), WAIT_S)
    named = [event for event in await stage.find(46_010) if made["id"] in event.content]
    assert named == [gate]  # and not asked a second time
    await answer(stage, gate, yes=True)
    assert await asyncio.wait_for(second.wait(), WAIT_S) == 0
    assert len(await kept(stage, 5, e=made["id"])) == 1
    assert made["id"] not in {event.id for event in await kept(stage, 1)}


async def test_a_signer_that_starts_again_still_has_the_question() -> None:
    async with a_stage() as stage, stage.router():
        signer, log = signer_of(stage), stage.place.logs / "signer.log"
        async with a_program(log, signer.ready, list(signer.argv[1:])):
            made = await publish(stage, "note", "-", text="A slip.")
            waiting = await start(stage, "publish", "retract", made["id"])
            (gate,) = await gates(stage, made["id"])
        async with a_program(log, signer.ready, list(signer.argv[1:])):
            await answer(stage, gate, yes=True)
            assert await asyncio.wait_for(waiting.wait(), WAIT_S) == 0
        assert len(await kept(stage, 5, e=made["id"])) == 1


async def test_somebody_elses_event_is_not_retracted(stage: Stage) -> None:
    note = await elsewhere(stage, 1, "Mine.")
    for what in (note.id, encode_naddr("x", ANN.public, 30_023, ())):
        assert "Nothing of that name is published" in await refused(stage, "retract", what)


# What is out


async def test_what_is_out_and_where(stage: Stage) -> None:
    await publish(stage, "article", "-", "--draft", text="# For me\n\nAlone.")
    made = await publish(stage, "article", "-", text="# Where am I?\n\nOut.")
    async with asyncio.timeout(WAIT_S):
        while True:
            rows = json.loads((await run(stage, "published", "--json"))[1])
            row = next(row for row in rows if row["id"] == made["id"])
            if [relay["status"] for relay in row["relays"]] == ["ok"]:
                break
    # Its link leads to the relay that has it.
    assert decode(row["link"].removeprefix("nostr:")) == Naddr(
        "where-am-i", stage.roles.bot, 30_023, (stage.public,)
    )
    async with connect(stage.public, [ANN]) as link:
        found = await link.fetch([Filter(authors=frozenset({stage.roles.bot}))])
    assert made["id"] in {event.id for event in found}
    assert 30_024 not in {event.kind for event in found}
    status, out, err = await run(stage, "published", "3")
    assert (status, err) == (0, "")
    for words in ("Where am I?", f"✅ {stage.public.removeprefix('ws://')}", "naddr1", "For me"):
        assert words in out
    said = await stage.ask("/published 2")
    assert "article “Where am I?”, " in said
    assert "on 1 of 1 relays" in said
    status, _, err = await run(stage, "published", "999")
    assert status == 1


# The secret


async def test_the_secret_is_in_no_argument_environment_or_file(stage: Stage) -> None:
    process = await start(stage, "publish", "note", "-")
    assert process.stdin is not None
    process.stdin.write(b"Nothing to see.")
    process.stdin.close()
    seen: set[bytes] = set()
    while process.returncode is None:
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                seen |= {(folder / name).read_bytes() for name in ("cmdline", "environ")}
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 0.005)
    assert process.returncode == 0
    assert any(b"--publish" in one for one in seen), "its child was not seen"
    ledger = Ledger(stage.place.signer / "ledger.sqlite")
    made = Logins(ledger).invitations()[-1]
    ledger.close()
    assert made.terms.kinds == (1,)
    secret = f"{made.id}.".encode()
    files = [path for path in stage.place.data.rglob("*") if path.is_file()]
    for held in (*seen, *(path.read_bytes() for path in files)):
        assert secret not in held
        assert secret.replace(b".", b"%2E") not in held


async def test_its_login_is_over_with_the_command(stage: Stage) -> None:
    await publish(stage, "note", "-", text="One login.")
    ledger = Ledger(stage.place.signer / "ledger.sqlite")
    last = Logins(ledger).logins()[-1]
    ledger.close()
    assert last.invitation is not None
    assert (last.held.revoked, last.invitation.ended, last.used) == (True, "logged out", 1)
    assert last.held.grant.max_uses == 1
    assert last.invitation.expires_s - last.invitation.made_s == 120


# Mistakes


async def test_mistakes_are_one_sentence(stage: Stage, tmp_path: Path) -> None:
    binary = tmp_path / "x.bin"
    binary.write_bytes(b"\xff\xfe\x00")
    before = len(await kept(stage, 1, 30_023))
    for arguments, text, words in (
        (("note", str(tmp_path / "none.md")), "", "There is no file"),
        (("note", str(tmp_path)), "", "cannot be read: Is a directory"),
        (("note", str(binary)), "", "no text in UTF-8"),
        (("note", "-"), " \n", "stdin is empty"),
        (("note", "-"), "x" * 60_001, "60,001 bytes; at most 60,000"),
        (("note", "-"), "x" * (1 << 20) + "x", "is too long"),
        (("note", "-"), '"' * 59_000, "too long for one request"),
        (("article", "-"), "no title", "needs a title"),
        (("article", "-", "--slug", "Bad Slug"), "# X\n\ny", "A slug has 1 to 80"),
        (("article",), "", "say which"),
        (("article", "--from-draft", "x", "--draft"), "", "as it is"),
        (("article", "-"), "---\ntitel: x\n---\ny", "Line 2, above the text"),
        (("article", "-"), "---\ntitle: x\ndate: y\n---\ny", "Line 3, above the text"),
    ):
        assert words in await refused(stage, *arguments, text=text), arguments
    assert len(await kept(stage, 1, 30_023)) == before


async def test_a_locked_signer_says_so() -> None:
    async with a_stage() as stage, stage.router():
        folder = stage.place.signer
        done = await asyncio.to_thread(run_key, "passphrase", folder, new_passphrase_fd="tulips")
        assert done.returncode == 0, done.stderr
        signer = signer_of(stage)
        log = stage.place.logs / "signer.log"
        async with a_program(log, signer.ready, list(signer.argv[1:])):
            words = await refused(stage, "note", "-", text="hi")
            assert words == (
                "nostrclaw: Not done: the signer is locked; unlock it: nostrclaw key unlock.\n"
            )
            await asyncio.to_thread(run_key, "unlock", folder, passphrase_fd="tulips")
            assert (await publish(stage, "note", "-", text="hi"))["state"] == "published"


async def test_a_ceiling_of_before_has_no_drafts(stage: Stage) -> None:
    file = stage.place.signer / "ceiling.toml"
    text = file.read_text()
    assert text.count(", 30023, 30024]") == 1
    file.write_text(text.replace(", 30023, 30024]", ", 30023]"))
    try:
        words = await refused(stage, "article", "-", "--draft", text="# A draft\n\nOf before.")
    finally:
        file.write_text(text)
    assert "kind 30024 is above the ceiling; add it to bunker_kinds in the signer's" in words


async def test_nothing_runs(stage: Stage, tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    for arguments in (("publish", "note", "-"), ("published",)):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot.cli", *arguments, "--data", data, cwd=SOURCE_TREE,
            stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, err = await asyncio.wait_for(process.communicate(b"hi"), WAIT_S)
        assert process.returncode == 1
        assert err.decode() == (
            f"nostrclaw: Nothing runs with {data}. Start it first: nostrclaw up --data {data}\n"
        )


async def test_who_is_answered_finds_it_where_they_read(stage: Stage) -> None:
    """NIP-65. Attack: a list that names an address inside our network, which is not connected."""
    hits: list[int] = []
    trap = await asyncio.start_server(lambda *_: hits.append(1), "127.0.0.1", 0)
    inside = f"ws://127.0.0.1:{trap.sockets[0].getsockname()[1]}"
    await elsewhere(stage, 10_002, "", ("r", stage.reading, "read"), ("r", inside))
    note = await elsewhere(stage, 1, "Does anybody read this?")
    made = await publish(stage, "reply", note.id, "-", text="I do.")
    async with asyncio.timeout(WAIT_S), connect(stage.reading) as link:
        wanted = Filter(kinds=frozenset({1}), authors=frozenset({stage.roles.bot}))
        async with link.subscribe([wanted]) as stream:
            async for item in stream:
                if isinstance(item, Delivery) and item.event.id == made["id"]:
                    break
    trap.close()
    assert not hits
