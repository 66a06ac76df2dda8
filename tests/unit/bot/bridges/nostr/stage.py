"""Shell: public relays, the private relay, the signer and the bridge, all real processes.

Between the bridge and each public relay there may be a `FaultProxy`; everybody else goes past it.
The router's part of the contract (grant, main group, binding) is published by the tests with the
router's key, so that the bridge is tested without containers.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_bytes

import nostr_sdk as sdk

from bot.grants import of_bridge
from bot.groups import Groups, missing_of_main
from bot.operate import assembly
from bot.operate.assembly import SOURCE_TREE, Installation
from bot.operate.house import free_ports
from config import settings
from config.roles import read_key
from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.own import grant as grants
from nips.own import once
from nips.own.roles import Roles
from relay_local.client import Delivery, Link, connect
from tests.fault_proxy import FaultProxy, fault_proxy

READY_S = 30.0
BRIDGE = Path(__file__).with_name("bridge_process.py")


@dataclass(slots=True)
class Stage:
    """The running processes by name, and a link with the router's key.

    public: the public relays. files_port: on loopback, where alone a private address may be asked
    for files. proxies: what the bridge has for each relay instead, or none. pace: how often the
    bridge looks at them, in seconds, where that is not as usual.
    """

    place: Installation
    roles: Roles
    public: tuple[str, ...]
    listen: str
    files_port: int
    router: SecretKey
    proxies: tuple[FaultProxy, ...] = ()
    pace: Mapping[str, float] = field(default_factory=dict)
    link: Link = field(init=False)
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    async def start(self, name: str) -> None:
        """Start a process and wait until it says that it is ready."""
        argv = self._argv(name)
        log = (self.place.data / f"{name}.log").open("ab")
        with log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *argv,
                cwd=SOURCE_TREE,
                env={
                    "PYTHONPATH": str(SOURCE_TREE),
                    "PATH": "/usr/bin:/bin",
                    "PACE": json.dumps(dict(self.pace)),
                },
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        self.processes[name] = process
        assert process.stdout is not None
        async with asyncio.timeout(READY_S):
            line = (await process.stdout.readline()).decode()
        assert "ready" in line, f"{name}: {line!r} {self.log(name)[-2000:]}"

    async def stop(self, name: str, by: signal.Signals = signal.SIGTERM) -> int:
        """End a process and return its exit status."""
        process = self.processes.pop(name)
        if process.returncode is None:
            process.send_signal(by)
        async with asyncio.timeout(READY_S):
            return await process.wait()

    async def restart(self, name: str, by: signal.Signals = signal.SIGKILL) -> None:
        await self.stop(name, by)
        await self.start(name)

    def log(self, name: str) -> str:
        return (self.place.data / f"{name}.log").read_text(errors="replace")

    async def put(self, template: Template, key: SecretKey | None = None) -> Event:
        """Publish on the private relay, as the router or with a key of the router's link."""
        event = template.sign(key or self.router, token_bytes(32))
        ok = await self.link.publish(event, deadline_s=10)
        assert ok.accepted, ok.message
        return event

    async def grant(self) -> None:
        grant = of_bridge(self.roles.bridges["nostr"], now_s=int(time.time()))
        await self.put(grants.template(grant, self.router.public, int(time.time())))

    async def make_main(self, owner: str) -> None:
        for template in missing_of_main(Groups(), self.roles, owner, int(time.time())):
            await self.put(template)

    async def say(self, text: str, *people: str, quote: str | None = None) -> Event:
        """A notice of the router's in main, to the puppets of these people or to the owner."""
        once_key = once.once_key("test", text, str(time.time_ns()))
        tags: list[tuple[str, ...]] = [("h", self.roles.main), ("o", once_key)]
        tags += [("p", person) for person in people]
        tags += [("q", quote)] if quote else []
        tags += [("alt", "a notice"), ("L", "agent"), ("l", "notice", "agent")]
        return await self.put(Template(self.router.public, int(time.time()), 9, tuple(tags), text))

    async def messages(self) -> list[Event]:
        """What people have said in main, in order of arrival."""
        wanted = Filter(kinds=frozenset({9}), tags={"h": frozenset({self.roles.main})})
        found: list[Event] = []
        async with self.link.subscribe([wanted], after_seq=0) as stream:
            async for item in stream:
                if not isinstance(item, Delivery):
                    break
                if item.event.pubkey != self.router.public:
                    found.append(item.event)
        return found

    async def heard(self, text: str, timeout_s: float = 30.0) -> Event:
        """Wait for a person's message with this text in main."""
        wanted = Filter(kinds=frozenset({9}), tags={"h": frozenset({self.roles.main})})
        async with asyncio.timeout(timeout_s), self.link.subscribe([wanted]) as stream:
            async for item in stream:
                if isinstance(item, Delivery) and item.event.content == text:
                    return item.event
        raise AssertionError("the stream ended")

    async def delivery(self, event_id: str, settled: bool = True, timeout_s: float = 30.0) -> Event:
        """Wait for a message's delivery; `settled`: until nothing is pending."""
        wanted = Filter(kinds=frozenset({30078}), tags={"d": frozenset({f"delivery/{event_id}"})})
        async with asyncio.timeout(timeout_s), self.link.subscribe([wanted]) as stream:
            async for item in stream:
                if isinstance(item, Delivery):
                    states = [tag[2] for tag in item.event.tags if tag[0] == "relay"]
                    if not settled or "pending" not in states:
                        return item.event
        raise AssertionError("the stream ended")

    async def logged(
        self, words: str, name: str = "bridge", timeout_s: float = 20.0, *, after: int = 0
    ) -> str:
        """Wait for a line of a process's log, `after` so many characters of it."""
        async with asyncio.timeout(timeout_s):
            while True:
                for line in self.log(name)[after:].splitlines():
                    if words in line:
                        return line
                await asyncio.sleep(0.05)

    def _argv(self, name: str) -> Iterable[str]:
        data, run = str(self.place.data), str(self.place.run)
        match name:
            case name if name.startswith("public-"):
                number = int(name.removeprefix("public-"))
                others = [f"--url={proxy.url}" for proxy in self.proxies[number : number + 1]]
                return (
                    "-m", "relay_local", "--open", "--data", f"{data}/{name}",
                    "--listen", self.public[number].removeprefix("ws://"), *others,
                )  # fmt: skip
            case "relay":
                return assembly.relay_argv(self.place, settings.load(self.place.data))[1:]
            case "signer":
                return (
                    "-m", "signer", "run", "--data", str(self.place.signer),
                    "--key", str(self.place.key("signer")),
                    "--roles", str(self.place.roles_file),
                    "--relay", f"unix:{self.place.signer_socket}",
                )  # fmt: skip
            case _:
                return (str(BRIDGE), data, run)


@asynccontextmanager
async def a_stage(
    owner: str | None,
    relays: int = 2,
    *,
    proxied: bool = False,
    pace: Mapping[str, float] | None = None,
) -> AsyncIterator[Stage]:
    """Everything but the bridge is running; the grant is there, main is not.

    relays: how many public ones. proxied: each behind a proxy of its own, for the bridge.
    """
    data = Path(tempfile.mkdtemp(prefix="nostrclaw-bridge-"))
    place = assembly.installation(data)
    try:
        ports = free_ports(relays + 2)
        public = tuple(f"ws://127.0.0.1:{port}" for port in ports[:relays])
        listen = f"127.0.0.1:{ports[relays]}"
        files_port = ports[relays + 1]
        async with AsyncExitStack() as stack:
            proxies = tuple([
                await stack.enter_async_context(fault_proxy(url)) for url in public if proxied
            ])  # fmt: skip
            configured = tuple(proxy.url for proxy in proxies) or public
            allowed = (f"127.0.0.1:{files_port}",)
            given = {"listen": listen, "relays": configured, "allowed_private_hosts": allowed}
            settings.write(data, given)
            roles = await asyncio.to_thread(
                assembly.prepare, place, settings.load(data), owner
            )  # fmt: skip
            stage = Stage(
                place,
                roles,
                public,
                listen,
                files_port,
                read_key(place.key("router")),
                proxies,
                pace or {},
            )
            try:
                for name in (*(f"public-{number}" for number in range(relays)), "relay"):
                    await stage.start(name)
                link = connect(place.relay_address, [stage.router])
                stage.link = await stack.enter_async_context(link)
                await stage.grant()
                await stage.start("signer")
                yield stage
            finally:
                for name in reversed(list(stage.processes)):
                    await stage.stop(name, signal.SIGKILL)
    finally:
        shutil.rmtree(data, ignore_errors=True)
        shutil.rmtree(place.run, ignore_errors=True)


@asynccontextmanager
async def behind_proxies(
    owner: SecretKey, relays: int, pace: Mapping[str, float]
) -> AsyncIterator[tuple[Stage, Person]]:
    """A stage whose bridge reaches each public relay through a proxy, and the owner, past them,
    who reads at all of those relays."""
    async with a_stage(owner.public, relays, proxied=True, pace=pace) as stage:
        await stage.make_main(owner.public)
        async with a_person(stage.public, owner, listens=relays) as person:
            await person.announce(*(proxy.url for proxy in stage.proxies))
            await stage.start("bridge")
            yield stage, person


@dataclass(slots=True)
class Person:
    """Somebody whose messages are made and opened by nostr-sdk alone."""

    keys: sdk.Keys
    secret: SecretKey
    links: tuple[Link, ...]
    relays: tuple[str, ...]
    inbox: asyncio.Queue[Template] = field(default_factory=asyncio.Queue)
    _seen: set[str] = field(default_factory=set)

    @property
    def public(self) -> str:
        return self.secret.public

    async def wrap(self, to: str, text: str, kind: int = 14, *others: str) -> Event:
        """A gift wrap of a rumor, p-tagged to `to` and `others`."""
        rumor = (
            sdk.EventBuilder(sdk.Kind(kind), text)
            .tags([sdk.Tag.parse(["p", key]) for key in (to, *others)])
            .finalize_unsigned(self.keys.public_key())
        )
        made = await sdk.nip59_make_gift_wrap_async(self.keys, sdk.PublicKey.parse(to), rumor)
        return Event.from_json(json.loads(made.as_json()))

    async def send(self, event: Event, *numbers: int) -> None:
        """Send to both public relays, or those named by number."""
        for number in numbers or range(len(self.links)):
            ok = await self.links[number].publish(event, deadline_s=10)
            assert ok.accepted, ok.message

    async def say(self, to: str, text: str) -> Event:
        wrap = await self.wrap(to, text)
        await self.send(wrap)
        return wrap

    async def announce(self, *relays: str) -> None:
        """Publish an inbox list; a later one replaces it even within a second."""
        tags = tuple(("relay", url) for url in relays or self.relays)
        former = await self.links[0].fetch([self._own_list()])
        created_at = max([int(time.time()), *(event.created_at + 1 for event in former)])
        list_ = Template(self.public, created_at, 10050, tags, "")
        await self.send(list_.sign(self.secret, token_bytes(32)))

    async def hear(self, timeout_s: float = 30.0) -> Template:
        """The next direct message: each wrap's, from whichever relay has it first."""
        return await asyncio.wait_for(self.inbox.get(), timeout_s)

    async def stored(self, number: int) -> list[Event]:
        """The wraps that a public relay holds for this person."""
        return await self.links[number].fetch([self._mail()])

    async def listen(self, number: int) -> None:
        async with self.links[number].subscribe([self._mail()]) as stream:
            async for item in stream:
                if isinstance(item, Delivery) and item.event.id not in self._seen:
                    self._seen.add(item.event.id)
                    event = sdk.Event.from_json(json.dumps(item.event.to_json()))
                    assert event.verify()
                    gift = await sdk.UnwrappedGift.from_gift_wrap_async(self.keys, event)
                    rumor = Template.from_json(json.loads(gift.rumor().as_json()))
                    assert gift.sender().to_hex() == rumor.pubkey
                    self.inbox.put_nowait(rumor)

    def _mail(self) -> Filter:
        return Filter(kinds=frozenset({1059}), tags={"p": frozenset({self.public})})

    def _own_list(self) -> Filter:
        return Filter(kinds=frozenset({10050}), authors=frozenset({self.public}))


@asynccontextmanager
async def a_person(
    relays: tuple[str, ...], secret: SecretKey | None = None, listens: int = 1
) -> AsyncIterator[Person]:
    """Somebody connected to the public relays, listening on the first few."""
    secret = secret or SecretKey.generate(token_bytes)
    keys = sdk.Keys.parse(secret.raw.hex())
    async with AsyncExitStack() as stack:
        links = [await stack.enter_async_context(connect(url, [secret])) for url in relays]
        person = Person(keys, secret, tuple(links), relays)
        listening = [asyncio.create_task(person.listen(number)) for number in range(listens)]
        try:
            yield person
        finally:
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)
