"""agent_image/agent/session.py and all that speaks: the program as a real process, against a real
relay and a real signer."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from agent_image.agent.allowance import Allowance
from agent_image.agent.asking import Asking
from agent_image.agent.backends import BackendFailed, Call, Character, Narrate, Ready, Steps, Task
from agent_image.agent.backends.builtin import EMPTY, NO_MODEL
from agent_image.agent.job import read_attempt, read_job, read_request
from agent_image.agent.narrate import Narrator
from agent_image.agent.observer import Observer
from agent_image.agent.preference import Preference
from agent_image.agent.session import STOPPED, _answer, _With
from agent_image.agent.speech import SignerAway, Speaker
from agent_image.agent.surroundings import Context
from agent_image.agent.tools import Toolbox
from nips import nip44
from nips.event import Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import handed
from nips.own.backend_name import BUILTIN
from nips.own.cause import Called, Said
from nips.own.frame import ENDINGS
from nips.refusal import Refused
from relay_local.client import Caller, Delivery, Stream, connect
from signer.live_view import KILLED
from tests.unit.agent_image.stage import Stage, a_stage

LONG = "word " * 8_000  # 40,000 characters


@pytest.fixture(scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with a_stage() as made:
        yield made


async def test_a_message_is_answered_once_and_the_job_ends(stage: Stage) -> None:
    asked = await stage.ask("/say héllo 🌅")
    request = await stage.job(asked)
    code, said = await stage.run(request)
    assert (code, said) == (0, "")
    (reply,) = await stage.published(request)
    reply.verify()
    assert (reply.kind, reply.content, reply.pubkey) == (9, "héllo 🌅", stage.roles.bot)
    assert reply.values("h") == [stage.group]
    assert reply.values("q") == [asked.id]
    assert reply.values("p") == [stage.owner.public]
    assert ("l", "ai", "agent") in reply.tags
    (done,) = await stage.progress(request)
    assert done.tag("status") == "done"


async def test_a_task_is_carried_out_by_its_prompt_as_it_stands_now(stage: Stage) -> None:
    task = str(uuid4())
    request = await stage.task_job("/say water them", "1767279600", task)
    code, said = await stage.run(request)
    assert (code, said) == (0, "")
    (reply,) = await stage.published(request)
    assert (reply.kind, reply.content, reply.tag("h")) == (9, "water them", stage.group)
    assert not reply.values("q") + reply.values("p"), "nobody has said it"
    (done,) = await stage.progress(request)
    assert done.tag("status") == "done"
    # Edited between the claim and the run.
    request = await stage.task_job("/say water them well", "1767366000", task)
    edited = await stage.task_job("/say not at all", "1767452400", task)
    assert (await stage.run(request))[0] == 0
    assert [event.content for event in await stage.published(request)] == ["not at all"]
    assert await stage.published(edited) == []


async def test_a_task_that_was_cancelled_is_not_carried_out(stage: Stage) -> None:
    task = str(uuid4())
    request = await stage.task_job("/say water them", "1767279600", task)
    address = request.tag("a") or ""
    deletion = Template(stage.router.public, stage.latest + 1, 5, (("a", address),), "")
    await stage.put(deletion, stage.router)
    assert (await stage.run(request))[0] == 0
    assert await stage.published(request) == []


async def test_a_gate_that_stays_shut_ends_the_run_in_silence(stage: Stage) -> None:
    request = await stage.task_job("/say wet", "1767279600", gate="test -e dry || exit 7")
    assert (await stage.run(request)) == (0, "")
    assert await stage.published(request) == []
    (done,) = await stage.progress(request)
    assert (done.tag("status"), done.tag("gate")) == ("done", "exit code 7")
    # In the conversation's folder, where an agent's commands run.
    (stage.group_folder / "dry").touch()
    request = await stage.task_job("/say dry", "1767366000", gate="test -e dry")
    assert (await stage.run(request)) == (0, "")
    assert [event.content for event in await stage.published(request)] == ["dry"]
    assert [e.values("gate") for e in await stage.progress(request)] == [[]]


async def test_what_is_handed_to_a_run_behind_a_shut_gate_is_answered(stage: Stage) -> None:
    request = await stage.task_job("/say wet", "1767452400", gate="false")
    asked = await stage.ask("/say here")
    given = handed.handed(stage.router.public, stage.group, request.id, asked.id, stage.latest)
    await stage.put(given, stage.router)
    assert (await stage.run(request)) == (0, "")
    assert [event.content for event in await stage.published(request)] == ["here"]


async def test_what_has_set_a_task_off_is_read_with_it(stage: Stage) -> None:
    asked = await stage.ask("it rains")
    for cause in (Said(asked.id), Called("text/plain", "/say from outside", "5e" * 32)):
        request = await stage.task_job("/say noted", secrets.token_hex(8), cause=cause)
        assert (await stage.run(request)) == (0, "")
        assert [event.content for event in await stage.published(request)] == ["noted"]


async def test_nothing_that_nobody_has_said_is_reacted_to(stage: Stage) -> None:
    request = await stage.task_job("/react 👍", "1767279600")
    assert (await stage.run(request))[0] == 0
    (reply,) = await stage.published(request)
    assert "name a message" in reply.content


async def test_what_is_handed_to_a_tasks_run_is_answered_after_it(stage: Stage) -> None:
    request = await stage.task_job("/say first", "1767279600")
    asked = await stage.ask("/say then")
    given = handed.handed(stage.router.public, stage.group, request.id, asked.id, stage.latest)
    await stage.put(given, stage.router)
    assert (await stage.run(request))[0] == 0
    replies = await stage.published(request)
    assert sorted(event.content for event in replies) == ["first", "then"]
    assert [event.values("q") for event in replies if event.content == "then"] == [[asked.id]]


async def test_a_note_is_public_and_a_reaction_names_its_message(stage: Stage) -> None:
    note, reply = await stage.answers("/note to everybody")
    assert (note.kind, note.content, note.values("h")) == (1, "to everybody", [])
    assert note.id in reply.content
    reaction, reply = await stage.answers("/react 👍")
    assert (reaction.kind, reaction.content) == (7, "👍")
    assert reaction.values("e") == reply.values("q")


@pytest.mark.parametrize("kind", [0, 3, 5, 1059, 9000, 10002, 24133, 30078, 43001])
async def test_what_the_grant_does_not_allow_is_refused_in_words(stage: Stage, kind: int) -> None:
    (reply,) = await stage.answers(f"/sign {kind} hello")
    assert reply.kind == 9
    assert reply.content.startswith("The signer refused: ")
    assert f"kind {kind}" in reply.content


async def test_what_needs_the_owners_yes_is_asked_and_the_job_goes_on(stage: Stage) -> None:
    (reply,) = await stage.answers('/sign 0 {"name":"Mallory"}', kinds=(0, 9))
    assert reply.content.startswith("I asked the owner: ")
    asked = await stage.link.fetch([Filter(kinds=frozenset({46_010}))])
    assert [event.values("p") for event in asked] == [[stage.owner.public]]
    assert "Mallory" in asked[0].content


async def test_a_refused_note_is_told(stage: Stage) -> None:
    (reply,) = await stage.answers("/note hello", kinds=(9,))
    assert reply.content.startswith("The signer refused: ")


async def test_what_may_be_signed_is_signed(stage: Stage) -> None:
    signed, reply = await stage.answers("/sign 1 by number")
    assert (signed.kind, signed.content) == (1, "by number")
    assert signed.id in reply.content


async def test_where_no_word_may_be_said_the_run_fails(stage: Stage) -> None:
    """Nobody would hear of it otherwise: the router tells the owner."""
    request = await stage.job(await stage.ask("/say hello"))
    code, said = await stage.run(request, kinds=(7,))
    assert code == 75
    assert said.count("\n") == 1
    assert "kind 9" in said
    assert await stage.published(request) == []
    assert await stage.progress(request) == []


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("", EMPTY),
        ("hello", f"Your message arrived. {NO_MODEL}"),
        (LONG, f"Your message of 40,000 characters arrived. {NO_MODEL}"),
        (f"/say {LONG}", LONG.strip()),
    ],
    ids=["empty", "plain", "40,000 characters", "40,000 characters back"],
)
async def test_every_message_gets_an_answer(stage: Stage, text: str, answer: str) -> None:
    (reply,) = await stage.answers(text)
    assert reply.content == answer


async def test_a_text_too_long_to_say_is_explained(stage: Stage) -> None:
    (reply,) = await stage.answers("/say " + "🌅" * 16_000)
    assert "has 64000" in reply.content


async def test_what_is_remembered_in_one_job_is_recalled_in_another(stage: Stage) -> None:
    await stage.answers("/remember the cat is called Mia")
    (reply,) = await stage.answers("/recall cat")
    assert "the cat is called Mia" in reply.content
    assert "Mia" in (stage.group_folder / "MEMORY.md").read_text()


async def test_a_command_runs_in_the_groups_folder_and_is_narrated(stage: Stage) -> None:
    request = await stage.job(await stage.ask("/run pwd; sleep 0.3; exit 3"))
    assert await stage.run(request) == (0, "")
    (reply,) = await stage.published(request)
    assert reply.content == f"exit code 3\n{stage.group_folder}"
    lines = {event.tag("status"): event.content for event in await stage.progress(request)}
    assert lines == {"running": "running a command", "done": ""}


async def test_a_second_attempt_does_not_speak_twice(stage: Stage) -> None:
    # Another second and another output: nothing but the once-key is the same.
    request = await stage.job(await stage.ask("/run sleep 1; date +%N"))
    assert await stage.run(request) == (0, "")
    assert await stage.run(request, number=2) == (0, "")
    assert len(await stage.published(request)) == 1


async def test_a_container_started_early_waits_for_its_attempt(stage: Stage) -> None:
    request = await stage.job(await stage.ask("/say waited"))
    session = SecretKey.generate(secrets.token_bytes)
    await stage.grant(session, request, (9,))
    agent = await stage.agent(session)
    # Its own connection cannot be seen from here; the socket's absence of an end can.
    with pytest.raises(TimeoutError):
        await agent.ended(timeout_s=1.5)
    await stage.attempt(session, request)
    assert await agent.ended() == (0, "")
    assert [event.content for event in await stage.published(request)] == ["waited"]


async def test_a_container_may_start_before_its_socket_is_there(stage: Stage) -> None:
    request = await stage.job(await stage.ask("/say early"))
    session = SecretKey.generate(secrets.token_bytes)
    agent = await stage.agent(session)
    await stage.grant(session, request, (9,))
    await stage.attempt(session, request)
    assert await agent.ended() == (0, "")
    assert [event.content for event in await stage.published(request)] == ["early"]


async def test_a_message_older_than_the_last_thirty_is_found(stage: Stage) -> None:
    asked = await stage.ask("/say found")
    await asyncio.gather(*(stage.ask(f"later {n}") for n in range(40)))
    request = await stage.job(asked)
    assert await stage.run(request) == (0, "")
    assert [event.content for event in await stage.published(request)] == ["found"]


async def test_a_relay_that_is_killed_meanwhile_is_waited_for(stage: Stage) -> None:
    request = await stage.job(await stage.ask("/run sleep 1; echo survived"))
    agent = await stage.agent_at_work(request)
    await stage.relay.kill()
    await stage.start_relay()
    assert await agent.ended(60) == (0, "")
    assert [e.content for e in await stage.published(request)] == ["exit code 0\nsurvived"]


async def test_the_session_key_is_in_no_argument_and_no_environment(stage: Stage) -> None:
    request = await stage.job(await stage.ask("/say hello"))
    session = SecretKey.generate(secrets.token_bytes)
    await stage.grant(session, request, (9,))
    agent = await stage.agent(session)
    try:
        for name in ("cmdline", "environ"):
            shown = Path(f"/proc/{agent.running.pid}/{name}").read_bytes()
            assert session.raw.hex().encode() not in shown
            assert session.raw not in shown
    finally:
        await agent.kill()


async def test_a_key_without_a_grant_is_not_served(stage: Stage) -> None:
    """Attack: a stranger's key on another session's socket reads and says nothing."""
    request = await stage.job(await stage.ask("/say stolen"))
    session, thief = (SecretKey.generate(secrets.token_bytes) for _ in range(2))
    await stage.grant(session, request, (9,))
    await stage.attempt(thief, request)
    agent = await stage.agent(session, stdin=thief.raw.hex().encode() + b"\n")
    code, said = await agent.ended()
    assert code == 75
    assert said.startswith("agent: refused: ")
    assert await stage.published(request) == []


# What the owner is shown of how a turn ended


class Watched:
    """What comes to the owner of a run while it goes on."""

    def __init__(self, stage: Stage, stream: Stream) -> None:
        self._stage, self._stream = stage, stream

    async def until(self, *kinds: str) -> list[dict[str, Any]]:
        """The frames up to the first of these kinds."""
        frames: list[dict[str, Any]] = []
        key = nip44.conversation_key(self._stage.owner, self._stage.roles.bot)
        async with asyncio.timeout(20):
            async for item in self._stream:
                if not isinstance(item, Delivery):
                    continue
                if item.event.kind != Kind.FRAME:
                    return frames
                frames.append(json.loads(nip44.decrypt(item.event.content, key)))
                if frames[-1]["kind"] in kinds:
                    break
        return frames

    async def rest(self) -> list[dict[str, Any]]:
        """Those that have come since, when the signer has done all that it was told."""
        signer = Caller(self._stage.link, self._stage.router, self._stage.roles.signer)
        await signer.call("ping")
        await self._stage.ask("that was all")
        return await self.until()


@asynccontextmanager
async def watched(stage: Stage) -> AsyncIterator[Watched]:
    owner, now = frozenset({stage.owner.public}), int(time.time())
    wanted = [
        Filter(kinds=frozenset({int(Kind.FRAME)}), tags={"p": owner}),
        Filter(kinds=frozenset({int(Kind.CHAT)}), authors=owner, since=now, limit=0),
    ]
    async with stage.link.subscribe(wanted) as stream:
        yield Watched(stage, stream)


@pytest.mark.parametrize(
    ("kinds", "status", "ending", "words"),
    [((9,), 0, "turn_completed", ""), ((7,), 75, "turn_error", "kind 9")],
    ids=["done", "it may not say a word"],
)
async def test_the_owner_is_shown_once_how_it_ended(
    stage: Stage, kinds: tuple[int, ...], status: int, ending: str, words: str
) -> None:
    request = await stage.job(await stage.ask("/run sleep 1; echo said"))
    session = SecretKey.generate(secrets.token_bytes)
    given = await stage.grant(session, request, kinds)
    await stage.attempt(session, request)
    async with watched(stage) as owner:
        code, _ = await (await stage.agent(session)).ended()
        assert code == status
        await stage.revoke(given)
        frames = await owner.until(*ENDINGS)
        assert await owner.rest() == []
    assert {frame["turnId"] for frame in frames} == {request.id}
    assert [frame["kind"] for frame in frames if frame["kind"].startswith("turn_")] == [
        "turn_started", ending
    ]  # fmt: skip
    assert words in frames[-1]["payload"].get("text", "")


async def test_of_one_that_was_killed_the_signer_shows_that_it_is_over(stage: Stage) -> None:
    """Cancelled, or its time was over: its container ends in mid-sentence."""
    request = await stage.job(await stage.ask("/run sleep 60"))
    session = SecretKey.generate(secrets.token_bytes)
    given = await stage.grant(session, request, (9,))
    await stage.attempt(session, request)
    async with watched(stage) as owner:
        agent = await stage.agent(session)
        frames = await owner.until("turn_started")
        await agent.kill()
        await stage.revoke(given)
        frames += await owner.until(*ENDINGS)
        assert await owner.rest() == []
    assert (frames[-1]["kind"], frames[-1]["payload"]) == ("turn_error", {"text": KILLED})
    assert [frame["seq"] for frame in frames] == sorted({frame["seq"] for frame in frames})


async def test_a_frame_that_is_under_way_at_the_end_is_followed_by_the_last(stage: Stage) -> None:
    request = await stage.job(await stage.ask("a question"))
    session, observer = SecretKey.generate(secrets.token_bytes), Observer()
    given = await stage.grant(session, request, (9,))
    async with (
        watched(stage) as owner,
        connect(f"unix:{stage.socket(session)}", [session]) as link,
    ):
        caller = Caller(link, session, stage.roles.signer)
        os.kill(stage.signer.running.pid, signal.SIGSTOP)
        try:
            observer.show("turn_started")
            running = asyncio.create_task(observer.run(caller))
            await asyncio.wait([running], timeout=1)
            assert not observer._waiting
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            observer.show("turn_completed")
            ending = asyncio.create_task(observer.end(caller))
            await asyncio.wait([ending], timeout=0.1)
        finally:
            os.kill(stage.signer.running.pid, signal.SIGCONT)
        await ending
        await stage.revoke(given)
        frames = await owner.until(*ENDINGS) + await owner.rest()
    assert [frame["kind"] for frame in frames] == ["turn_started", "turn_completed"]


SAYS = Call("send_message", {"text": "hello"})


async def says(_: Task) -> Steps:
    yield SAYS


async def says_and_fails(_: Task) -> Steps:
    yield SAYS
    raise BackendFailed("The model is away.")


async def fails(_: Task) -> Steps:
    yield Narrate("asking")
    raise BackendFailed("The model is away.")


async def breaks(_: Task) -> Steps:
    yield SAYS
    raise ZeroDivisionError


async def never_ends(_: Task) -> Steps:
    yield SAYS
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("work", "kinds", "patience_s", "raised", "words"),
    [
        (says, (9,), 60, None, None),
        (fails, (9,), 60, None, "The model is away."),
        (says_and_fails, (9,), 60, None, "The model is away."),
        (fails, (7,), 60, Refused, "The model is away."),
        (says, (7,), 60, Refused, "kind 9"),
        (says, (9,), 0, SignerAway, "until the time was over"),
        (breaks, (9,), 60, ZeroDivisionError, "ZeroDivisionError"),
        (never_ends, (9,), 60, asyncio.CancelledError, STOPPED),
    ],
)
async def test_every_end_of_a_turn_is_one_frame(
    stage: Stage,
    tmp_path: Path,
    work: Callable[[Task], Steps],
    kinds: tuple[int, ...],
    patience_s: float,
    raised: type[BaseException] | None,
    words: str | None,
) -> None:
    asked = await stage.ask("a question")
    request = await stage.job(asked)
    session, observer = SecretKey.generate(secrets.token_bytes), Observer()
    await stage.grant(session, request, kinds)
    started = await stage.attempt(session, request)
    turn = read_job(read_request(request, started, read_attempt(started, session.public)), [asked])
    async with (
        connect(f"unix:{stage.socket(session)}", [session]) as link,
        Preference([BUILTIN], lambda _: Ready(work), Character) as preferred,
    ):
        speaker = Speaker(Caller(link, session, stage.roles.signer), time.time, patience_s)
        asking = Asking(Caller(link, session, stage.router.public))
        with_ = _With(
            Context(),
            lambda of: Toolbox(of, speaker, asking, tmp_path),
            Character,
            Narrator(link, session, turn, time.time, observer),
            preferred,
            Allowance(60),
            observer,
        )
        answering = asyncio.create_task(_answer(turn, with_))
        if work is never_ends:
            await asyncio.wait([answering], timeout=1)
            answering.cancel()
        if raised is None:
            await answering
        else:
            with pytest.raises(raised):
                await answering
    ends = [(one.kind, one.payload) for one in observer._waiting if one.kind in ENDINGS]
    [(kind, payload)] = ends
    assert (observer._waiting[-1].kind, payload["message"]) == (kind, asked.id)
    assert (kind == "turn_completed") == (words is None)
    assert (words or "") in payload.get("text", "")
