"""The router with a real relay, a real signer and real containers, good ones and bad ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import docker
import pytest

from bot.engine.host import Engine
from nips.kinds import Kind
from tests.figures import dice, figure
from tests.image.stage import LIMITS, Stage, a_stage


@pytest.fixture(scope="module")
async def stage(
    engine: Engine, docker_client: docker.DockerClient, agent_image: str
) -> AsyncIterator[Stage]:
    async with a_stage(engine, docker_client, agent_image) as made:
        yield made


async def test_a_message_is_answered_and_nothing_is_left(stage: Stage) -> None:
    async with stage.router():
        message = await stage.say("/say good morning")
        end = await stage.end(message)
    assert end.kind == Kind.JOB_RESULT, end.content
    assert [reply.content for reply in await stage.replies(message)] == ["good morning"]
    kinds = [event.kind for event in await stage.job(message)]
    assert kinds == [Kind.JOB_REQUEST, Kind.JOB_ACCEPTED, Kind.JOB_RESULT]
    assert stage.containers() == []
    assert list((stage.place.data / "ipc").iterdir()) == []
    assert list((stage.place.run / "s").iterdir()) == []


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("while True: pass", "ran longer than 3 seconds"),
        ("x = []\nwhile True: x.append(bytearray(1 << 20))", "128 MiB of memory"),
        ("while True: print('flood ' * 10_000)", "4 MiB of output"),
        (
            "import time\nfor n in range(99):\n"
            " open(f'/workspace/group/{n}', 'wb').write(bytes(8 << 20)); time.sleep(0.1)",
            "grew beyond 32 MiB",
        ),
    ],
    ids=["hangs", "memory", "output", "disk"],
)
async def test_one_that_passes_a_limit_is_ended_at_once_and_the_owner_told(
    stage: Stage, program: str, words: str
) -> None:
    async with stage.router(program, replace(LIMITS, wall_clock_s=3)):
        message = await stage.say("do something")
        end = await stage.end(message)
    assert end.kind == Kind.JOB_ERROR
    assert words in end.content
    assert [notice.content for notice in await stage.notices(message)] == [end.content]
    assert len([e for e in await stage.job(message) if e.kind == Kind.JOB_ACCEPTED]) == 1
    assert await stage.replies(message) == []
    assert stage.containers() == []
    for left in (stage.place.data / "groups/main").iterdir():
        left.unlink()


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("exit(3)", "ended with status 3"),
        ("pass", "ended without an end to its work"),
        ("import os; os.kill(os.getpid(), 9)", "ended with status 137"),
    ],
    ids=["exits", "says nothing", "dies"],
)
async def test_one_that_fails_is_tried_three_times_and_the_owner_told(
    stage: Stage, program: str, words: str
) -> None:
    async with stage.router(program):
        message = await stage.say("do something")
        end = await stage.end(message)
    assert end.kind == Kind.JOB_ERROR
    assert "in 3 attempts" in end.content
    assert words in end.content
    attempts = [e for e in await stage.job(message) if e.kind == Kind.JOB_ACCEPTED]
    assert sorted(e.tag("attempt") or "" for e in attempts) == ["1", "2", "3"]
    assert len({e.tag("p") for e in attempts}) == 3, "a session key was used twice"
    assert len(await stage.notices(message)) == 1
    assert stage.containers() == []


AGENT = """
import os, pathlib
from agent_image.agent import narrate
from agent_image.agent.__main__ import main
finish, tried = narrate.Narrator.finish, pathlib.Path("/workspace/group/tried")
{}
exit(main(["--signer", {!r}]))
"""


async def test_one_that_fails_before_it_speaks_is_tried_again(stage: Stage) -> None:
    once = "if not tried.exists(): tried.touch(); os._exit(5)"
    async with stage.router(AGENT.format(once, stage.roles.signer)):
        message = await stage.say("/say at last")
        end = await stage.end(message)
    assert end.kind == Kind.JOB_RESULT
    assert [reply.content for reply in await stage.replies(message)] == ["at last"]
    assert len([e for e in await stage.job(message) if e.kind == Kind.JOB_ACCEPTED]) == 2
    assert await stage.notices(message) == []


async def test_one_that_dies_after_it_spoke_is_not_tried_again(stage: Stage) -> None:
    dies = "narrate.Narrator.finish = lambda self, *said: os._exit(9)"
    async with stage.router(AGENT.format(dies, stage.roles.signer)):
        message = await stage.say("/say only once")
        end = await stage.end(message)
    assert end.kind == Kind.JOB_ERROR
    assert "What I had said before stands" in end.content
    assert [reply.content for reply in await stage.replies(message)] == ["only once"]
    assert len([e for e in await stage.job(message) if e.kind == Kind.JOB_ACCEPTED]) == 1
    assert len(await stage.notices(message)) == 1


async def test_one_that_dies_after_it_was_done_was_done(stage: Stage) -> None:
    dies = """
async def finish_and_die(self, *said):
    await finish(self, *said)
    os._exit(9)
narrate.Narrator.finish = finish_and_die
"""
    async with stage.router(AGENT.format(dies, stage.roles.signer)):
        message = await stage.say("/say done")
        end = await stage.end(message)
    assert end.kind == Kind.JOB_RESULT
    assert await stage.notices(message) == []


async def test_a_session_that_claims_anothers_job_changes_nothing(stage: Stage) -> None:
    """Attack: a container signs a 43003 `done` for a job that is not its own."""
    async with stage.router():
        other = await stage.say("/say mine")
        await stage.end(other)
    (request,) = await stage.find(Kind.JOB_REQUEST, e=other.id)
    lies = f"""
from nips.own import job
real = job.progress
narrate.progress = lambda session, group, mine, *rest, **more: real(
    session, group, {request.id!r}, *rest, **more)
narrate.job_events = job
job.progress = narrate.progress
"""
    async with stage.router(AGENT.format(lies, stage.roles.signer)):
        message = await stage.say("/react +")
        end = await stage.end(message)
    assert end.kind == Kind.JOB_ERROR
    assert len(await stage.find(*(Kind.JOB_RESULT, Kind.JOB_ERROR), e=request.id)) == 1


async def test_the_grant_is_revoked_and_the_bridges_lives(stage: Stage) -> None:
    async with stage.router():
        message = await stage.say("/say hello")
        await stage.end(message)
        grants = await stage.grants()
    attempts = [e for e in await stage.job(message) if e.kind == Kind.JOB_ACCEPTED]
    session = attempts[0].tag("p")
    assert session is not None
    assert grants[session].revoked
    assert grants[session].group == stage.roles.main
    assert stage.roles.bridges["signal"] not in grants  # it has no use of the bot's key
    bridge = grants[stage.roles.bridges["nostr"]]
    assert not bridge.revoked
    assert set(bridge.methods) == {"unwrap", "seal", "sign_event"}


async def test_messages_are_answered_in_order_one_at_a_time(stage: Stage) -> None:
    async with stage.router():
        messages = [await stage.say(f"/say {n}") for n in range(4)]
        for message in messages:
            assert await stage.dealt_with(message) == "✅"
    replies = [reply for message in messages for reply in await stage.replies(message)]
    assert [reply.content for reply in replies] == ["0", "1", "2", "3"]


async def test_a_place_that_was_lost_repeats_nothing(stage: Stage) -> None:
    async with stage.router():
        message = await stage.say("/say once")
        await stage.end(message)
    await stage.forget_place("router")
    await stage.forget_place("router-jobs")
    async with stage.router():
        later = await stage.say("/say later")
        await stage.end(later)
    assert len(await stage.find(Kind.JOB_REQUEST, e=message.id)) == 1
    assert len(await stage.replies(message)) == 1
    assert len([e for e in await stage.job(message) if e.kind == Kind.JOB_RESULT]) == 1


async def test_what_the_house_says_is_no_work(stage: Stage) -> None:
    async with stage.router():
        message = await stage.say("/say /say again")
        await stage.end(message)
        (reply,) = await stage.replies(message)
        last = await stage.say("/say last")
        await stage.end(last)
    assert await stage.find(Kind.JOB_REQUEST, e=reply.id) == []


async def test_stopping_ends_the_container_and_the_next_start_goes_on(stage: Stage) -> None:
    async with stage.router("import time; time.sleep(60)"):
        message = await stage.say("/say after all")
        await stage.begun(message)
    assert stage.containers() == []
    async with stage.router():
        end = await stage.end(message)
    assert end.kind == Kind.JOB_RESULT
    assert [reply.content for reply in await stage.replies(message)] == ["after all"]


async def test_killed_at_any_time_it_answers_once(
    stage: Stage, record_property: Callable[[str, object], None]
) -> None:
    chance = dice("router-kills")
    messages = []
    for n in range(figure("router-kills")):
        process = await stage.router_process()
        messages.append(await stage.say(f"/say answer {n}"))
        await asyncio.sleep(chance.uniform(0.0, 1.5))
        process.kill()
        await process.wait()
    async with stage.router():
        signs = [await stage.dealt_with(message, 120) for message in messages]
        # A sign comes before its job's end: stopped in between, the next start writes that.
        for message in messages:
            if await stage.find(Kind.JOB_REQUEST, e=message.id):
                await stage.end(message)
    assert stage.containers() == []
    assert await stage.live_sessions() == []
    for n, (message, sign) in enumerate(zip(messages, signs, strict=True)):
        replies = [reply.content for reply in await stage.replies(message)]
        job = [event.kind for event in await stage.job(message)]
        handed = await stage.find(Kind.JOB_PROGRESS, q=message.id)
        by_router = [event for event in handed if event.pubkey == stage.roles.router]
        assert job.count(Kind.JOB_REQUEST) + len(by_router) >= 1
        assert job.count(Kind.JOB_REQUEST) <= 1
        assert job.count(Kind.JOB_RESULT) + job.count(Kind.JOB_ERROR) == job.count(43_001)
        if sign == "✅":
            assert replies == [f"answer {n}"]
        else:  # cut off between its answer and its end, or three times before
            assert len(replies) <= 1
            assert len(await stage.notices(message)) == 1
        record_property("answered" if sign == "✅" else "ended and told", 1)


async def test_a_killed_routers_session_is_revoked_at_the_next_start(stage: Stage) -> None:
    process = await stage.router_process()
    message = await stage.say("/run sleep 20")
    attempt = await stage.begun(message)
    process.kill()
    await process.wait()
    assert await stage.live_sessions() == [attempt.tag("p")]
    async with stage.router("exit(3)"):
        assert attempt.tag("p") not in await stage.live_sessions()
        end = await stage.end(message)
    assert end.kind == Kind.JOB_ERROR
    assert len([e for e in await stage.job(message) if e.kind == Kind.JOB_ACCEPTED]) == 3


async def test_leftover_containers_are_removed_at_the_start(stage: Stage) -> None:
    process = await stage.router_process()
    message = await stage.say("/run sleep 20")
    await stage.begun(message)
    async with asyncio.timeout(10):
        while not stage.containers():
            await asyncio.sleep(0.02)
    process.kill()
    await process.wait()
    (left,) = stage.containers()
    (ipc,) = (stage.place.data / "ipc").iterdir()
    async with stage.router("exit(3)"):
        assert left not in stage.containers()
        assert not ipc.exists()
        await stage.end(message)


async def test_what_a_run_leaves_cannot_end_the_router(stage: Stage) -> None:
    """Attack: a tree deeper than the stack of whoever removes it."""
    dig = (
        "import os\nos.chdir('/workspace/ipc/out')\n"
        "for _ in range(3000):\n os.mkdir('d')\n os.chdir('d')"
    )
    async with stage.router(dig):
        for _ in range(2):
            await stage.end(await stage.say("dig"))
    assert list((stage.place.data / "ipc").iterdir()) == []


async def test_nothing_happens_until_somebody_owns_it(
    engine: Engine, docker_client: docker.DockerClient, agent_image: str
) -> None:
    async with (
        a_stage(engine, docker_client, agent_image, owned=False) as stage,
        stage.router(),
    ):
        assert await stage.as_router([Kind.CREATE_GROUP]) == []
        await stage.pair()
        assert await stage.as_router([Kind.CREATE_GROUP]) != []
        await stage.begun(await stage.say("/say hello owner"))
