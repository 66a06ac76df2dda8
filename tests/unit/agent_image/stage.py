"""A real relay and a real signer for the agent, which is a real process too."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import uuid4

from bot import grants
from config.roles import ensure_key, save
from nips import nip29
from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.nip29 import GroupRole, Metadata
from nips.own import approval, frame, grant, job, task_run
from nips.own import task as tasks
from nips.own.cause import Cause
from nips.own.grant import Grant, Rule
from nips.own.roles import Roles
from nips.own.schedule import Schedule
from nips.own.task import Task
from nips.own.task_run import TaskRun
from relay_local.client import Delivery, Link, connect

ROOT = Path(__file__).parents[3]
READY_S = 30.0
MAIN_KINDS = (1, 7, 9)
IN_GROUP = (7, 9)


@dataclass
class Process:
    """A program of ours, its stderr in a file."""

    running: asyncio.subprocess.Process
    log: Path

    async def kill(self) -> None:
        if self.running.returncode is None:
            self.running.kill()
        await self.running.wait()

    async def ended(self, timeout_s: float = 30) -> tuple[int, str]:
        """Its exit code and what it said on stderr."""
        async with asyncio.timeout(timeout_s):
            return await self.running.wait(), self.log.read_text()


async def begin(log: Path, *argv: str, stdin: bytes = b"", ready: str | None = None) -> Process:
    """Start `python -m …` and, with `ready`, wait for that line's beginning on stdout."""
    with log.open("ab") as stderr:
        running = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", *argv),
            cwd=log.parent,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE if ready else asyncio.subprocess.DEVNULL,
            stderr=stderr,
        )
    assert running.stdin is not None
    running.stdin.write(stdin)
    running.stdin.close()
    if ready is not None:
        assert running.stdout is not None
        async with asyncio.timeout(READY_S):
            line = (await running.stdout.readline()).decode()
        assert line.startswith(ready), f"{argv[0]}: {line}{log.read_text()}"
    return Process(running, log)


@dataclass
class Stage:
    """A relay, a signer, one group with the bot and its owner in it, and the router's hands."""

    folder: Path
    roles: Roles
    router: SecretKey
    owner: SecretKey
    link: Link
    relay: Process
    signer: Process
    group_folder: Path
    latest: int = field(default_factory=lambda: int(time.time()))

    @property
    def group(self) -> str:
        return self.roles.main

    async def put(self, template: Template, key: SecretKey) -> Event:
        """Sign and publish; the relay has to take it."""
        event = template.sign(key, secrets.token_bytes(32))
        ok = await self.link.publish(event, deadline_s=30)
        assert ok.accepted, ok.message
        return event

    async def ask(self, text: str) -> Event:
        """The owner says something in the group; twice the same is two messages."""
        tags = (("h", self.group), ("nonce", secrets.token_hex(8)))
        template = Template(self.owner.public, int(time.time()), Kind.CHAT, tags, text)
        return await self.put(template, self.owner)

    async def job(self, asked: Event) -> Event:
        """The router makes a job of a message."""
        template = job.request(
            self.router.public, self.group, asked.id, self.roles.bot, int(time.time())
        )
        return await self.put(template, self.router)

    async def task_job(
        self,
        prompt: str,
        slot: str,
        task_id: str | None = None,
        *,
        gate: str = "",
        cause: Cause | None = None,
    ) -> Event:
        """The router makes a job of a slot of a task with this prompt."""
        now = int(time.time())
        task = Task(
            self.group, task_id or str(uuid4()), "Water the plants", prompt,
            Schedule("cron", "@daily"), "UTC", now, gate=gate,
        )  # fmt: skip
        self.latest = max(self.latest + 1, now)  # of two versions in a second the lower id wins
        await self.put(tasks.template(task, self.router.public, self.latest), self.router)
        run = TaskRun(task.address(self.router.public), slot)
        template = task_run.request(self.router.public, self.group, run, self.roles.bot, now, cause)
        return await self.put(template, self.router)

    async def grant(
        self, session: SecretKey, request: Event, kinds: tuple[int, ...] | None
    ) -> Grant:
        """The router lets a session say `kinds` for a job, or what main's may where they are None,
        and show its owner what it does; the relay opens its socket."""
        now = int(time.time())
        in_job, in_group = ("job", request.id), ("h", self.group)
        rules = tuple(
            Rule(kind, required=(in_group, in_job) if kind in IN_GROUP else (in_job,))
            for kind in kinds or ()
        )
        if kinds is None:
            rules = grants.of_session(
                session.public, self.group, request.id, is_main=True, now_s=now, wall_clock_s=150
            ).rules
        given = Grant(
            client=session.public,
            role="session",
            methods=("sign_event", frame.METHOD),
            rules=rules,
            not_before=now - 5,
            expires_at=now + 150,
            hard_expires_at=now + 150,
            max_uses=100,
            group=self.group,
            job=request.id,
        )
        await self.put(grant.template(given, self.router.public, now), self.router)
        return given

    async def revoke(self, given: Grant) -> None:
        """The router ends a session, whose container is gone."""
        later = given.not_before + 6  # than the grant
        template = grant.template(replace(given, revoked=True), self.router.public, later)
        await self.put(template, self.router)

    async def attempt(self, session: SecretKey, request: Event, number: int = 1) -> Event:
        """The router announces an attempt."""
        template = job.attempt(
            self.router.public, self.group, request.id, number, session.public, int(time.time())
        )
        return await self.put(template, self.router)

    def socket(self, session: SecretKey) -> Path:
        return self.folder / "s" / session.public[:16] / "relay.sock"

    async def agent(
        self, session: SecretKey, stdin: bytes | None = None, seconds: int = 600
    ) -> Process:
        """Start the agent with its key on stdin."""
        return await begin(
            self.folder / f"agent-{session.public[:8]}.log",
            "agent_image.agent",
            *("--signer", self.roles.signer),
            *("--socket", str(self.socket(session))),
            *("--folder", str(self.group_folder)),
            *("--seconds", str(seconds)),
            stdin=session.raw.hex().encode() + b"\n" if stdin is None else stdin,
        )

    async def agent_at_work(self, request: Event) -> Process:
        """Start an agent on a job, and wait until it has reported on it."""
        session = SecretKey.generate(secrets.token_bytes)
        await self.grant(session, request, (9,))
        await self.attempt(session, request)
        progress = frozenset({int(Kind.JOB_PROGRESS)})
        running = Filter(kinds=progress, tags={"e": frozenset({request.id})})
        async with self.link.subscribe([running]) as stream:
            agent = await self.agent(session)
            async with asyncio.timeout(20):
                async for item in stream:
                    if isinstance(item, Delivery):
                        break
        return agent

    async def run(
        self, request: Event, *, kinds: tuple[int, ...] | None = MAIN_KINDS, number: int = 1
    ) -> tuple[int, str]:
        """One attempt at a job, with a new session key, to its end."""
        session = SecretKey.generate(secrets.token_bytes)
        await self.grant(session, request, kinds)
        await self.attempt(session, request, number)
        return await (await self.agent(session)).ended()

    async def answers(
        self, text: str, *, kinds: tuple[int, ...] | None = MAIN_KINDS
    ) -> list[Event]:
        """What the bot published for a message with this text; the run must end well."""
        request = await self.job(await self.ask(text))
        code, said = await self.run(request, kinds=kinds)
        assert (code, said) == (0, "")
        return await self.published(request)

    async def published(self, request: Event) -> list[Event]:
        """The bot's events of a job, by time."""
        wanted = Filter(authors=frozenset({self.roles.bot}))
        found = [e for e in await self.link.fetch([wanted]) if e.tag("job") == request.id]
        return sorted(found, key=lambda event: event.created_at)

    async def approve(self, words: str) -> None:
        """The owner says yes to the question that holds these words."""
        async with (
            asyncio.timeout(30),
            self.link.subscribe([Filter(kinds=frozenset({int(Kind.APPROVAL_ASKED)}))]) as stream,
        ):
            async for item in stream:
                if isinstance(item, Delivery) and words in item.event.content:
                    run = approval.parse_gate(item.event).run
                    yes = approval.answer(self.owner.public, run, int(time.time()), yes=True)
                    await self.put(yes, self.owner)
                    return

    async def first(self, wanted: Filter) -> Event:
        """The first event that fits, stored or yet to come."""
        async with asyncio.timeout(30), self.link.subscribe([wanted]) as stream:
            async for item in stream:
                if isinstance(item, Delivery):
                    return item.event
        raise AssertionError("the subscription ended")

    async def progress(self, request: Event) -> list[Event]:
        """The 43003 of a job."""
        wanted = Filter(
            kinds=frozenset({int(Kind.JOB_PROGRESS)}), tags={"e": frozenset({request.id})}
        )
        return await self.link.fetch([wanted])

    async def start_relay(self) -> None:
        self.relay = await start_relay(self.folder)

    async def start_signer(self) -> None:
        self.signer = await start_signer(self.folder)


async def start_relay(folder: Path) -> Process:
    return await begin(
        folder / "relay.log",
        "relay_local",
        *("--data", str(folder / "relay"), "--listen", "127.0.0.1:0"),
        *("--unix", str(folder / "relay.sock"), "--unix", str(folder / "g" / "relay.sock")),
        *("--roles", str(folder / "roles.toml")),
        *("--sessions", str(folder / "s"), "--key", str(folder / "keys" / "relay")),
        ready="relay: ready",
    )


async def start_signer(folder: Path) -> Process:
    return await begin(
        folder / "signer.log",
        "signer",
        *("run", "--data", str(folder / "signer"), "--key", str(folder / "keys" / "signer")),
        *("--roles", str(folder / "roles.toml"), "--relay", f"unix:{folder}/g/relay.sock"),
        ready="signer: ready",
    )


@asynccontextmanager
async def a_stage() -> AsyncIterator[Stage]:
    """A stage with one group, `main`, of the owner and the bot."""
    async with AsyncExitStack() as stack:
        # Not pytest's folder: the path of a socket has at most 100 bytes.
        folder = Path(tempfile.mkdtemp(prefix="agent-"))
        stack.callback(shutil.rmtree, folder)
        keys = {n: ensure_key(folder / "keys" / n) for n in ("relay", "signer", "router", "owner")}
        main = str(uuid4())
        init = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "signer", "init", "--data", str(folder / "signer")),
            *("--main", main),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        bot = (await init.communicate())[0].decode().strip().splitlines()[-1]
        # A socket for the user that the signer becomes, where it was started as root.
        (folder / "g").mkdir(mode=0o700)
        kept = (folder / "signer").stat()
        os.chown(folder / "g", kept.st_uid, kept.st_gid)
        roles = Roles(
            relay=keys["relay"].public,
            signer=keys["signer"].public,
            router=keys["router"].public,
            bot=bot,
            main=main,
            owner=keys["owner"].public,
            chat=None,
            bridges={},
        )
        save(folder / "roles.toml", roles)
        relay = await start_relay(folder)
        (folder / "group").mkdir()
        signer = await start_signer(folder)
        both = [keys["router"], keys["owner"]]
        link = await stack.enter_async_context(connect(f"unix:{folder}/relay.sock", both))
        made = Stage(
            folder, roles, keys["router"], keys["owner"], link, relay, signer, folder / "group"
        )
        stack.push_async_callback(lambda: made.relay.kill())
        stack.push_async_callback(lambda: made.signer.kill())
        router, now = made.router.public, int(time.time())
        flags = frozenset({"private", "closed"})
        for template in (
            nip29.create_group(router, main, now),
            nip29.edit_metadata(router, main, Metadata("main", None, flags), now),
            nip29.put_user(router, main, made.owner.public, [GroupRole.OWNER], now),
            nip29.put_user(router, main, bot, [GroupRole.MEMBER], now),
        ):
            await made.put(template, made.router)
        yield made
