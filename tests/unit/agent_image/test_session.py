"""agent_image/agent/session.py and all that speaks: the program as a real process, against a real
relay and a real signer."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent_image.agent.backends.builtin import EMPTY, NO_MODEL
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from relay_local.client import Delivery
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
    session = SecretKey.generate(secrets.token_bytes)
    await stage.grant(session, request, (9,))
    await stage.attempt(session, request)
    running = Filter(kinds=frozenset({int(Kind.JOB_PROGRESS)}), tags={"e": frozenset({request.id})})
    async with stage.link.subscribe([running]) as stream:
        agent = await stage.agent(session)
        async with asyncio.timeout(20):
            async for item in stream:
                if isinstance(item, Delivery):
                    break
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
