"""Shell: what an attempt is, and how one is made: by the agent's own program, in its container.

An attempt that was stopped raises what stopped it; one that returns has got through. A *control*
is the same mechanism used for what the group may do, and has to get through: so an attempt is
never stopped only because the mechanism is broken.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from websockets.exceptions import ConnectionClosed

from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.refusal import Malformed, Refused
from relay_local.client import Caller, Link, Unanswered

SOCKET = "/run/nanoclaw/relay.sock"
PATIENCE_S = 20.0


class Stopped(Exception):
    """Nothing came of it; the words say what was seen instead."""


@dataclass(frozen=True, slots=True)
class Scene:
    """known: what it should not know: ids, keys and paths of the other group and the host."""

    link: Link
    key: SecretKey
    signer: Caller
    router: Caller
    known: dict[str, Any]

    @property
    def own(self) -> str:
        return str(self.known["own"])

    @property
    def other(self) -> str:
        return str(self.known["other"])

    async def read(self, **fields: object) -> str:
        """What a REQ finds; Stopped where it is nothing."""
        found = await asyncio.wait_for(self.link.fetch([Filter.from_json(fields)]), PATIENCE_S)
        if not found:
            raise Stopped("nothing found")
        return " / ".join(f"{event.kind} {event.id[:8]} {event.content[:80]}" for event in found)

    async def write(
        self, kind: int, *tags: list[str], content: str = "x", by: SecretKey | None = None
    ) -> str:
        """Publish with the session's own key, or with `by`; Refused with the relay's words."""
        key = by or self.key
        unsigned = Template(
            key.public, int(time.time()), kind, tuple(tuple(tag) for tag in tags), content
        )
        return await self.publish(unsigned.sign(key, secrets.token_bytes(32)))

    async def publish(self, event: Event) -> str:
        ok = await self.link.publish(event, deadline_s=PATIENCE_S)
        if ok.refusal is not None:
            raise Refused(ok.refusal)
        return f"accepted {event.id}"

    async def sign(self, kind: int, *tags: list[str], content: str = "x", **changes: object) -> str:
        """Have the signer sign in the bot's name, which publishes it too."""
        template = {
            "pubkey": self.known["bot"],
            "created_at": int(time.time()),
            "kind": kind,
            "tags": list(tags),
            "content": content,
        }
        return await self.ask("sign_event", json.dumps(template | changes))

    async def speak(self, *tags: list[str], content: str = "x") -> str:
        """A message in the own group, with whatever other tags."""
        return await self.sign(9, ["h", self.own], self.job, *tags, content=content)

    async def ask(self, method: str, *params: str) -> str:
        answer = await self.signer.call(method, *params, deadline_s=PATIENCE_S)
        return f"answered {answer}"

    @property
    def job(self) -> list[str]:
        return ["job", str(self.known["job"])]


CAUGHT = (Refused, Unanswered, Stopped, ConnectionClosed, OSError, TimeoutError, Malformed)
Act = Callable[[Scene], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Attempt:
    """guard: where it is stopped, as a path in the source. alone: it makes connections of its own,
    of which a session has one at a time, so the ordinary one is closed before."""

    name: str
    guard: str
    act: Act
    alone: bool = False


ATTEMPTS: list[Attempt] = []
CONTROLS: list[Attempt] = []


def attempt(name: str, guard: str, *, alone: bool = False) -> Callable[[Act], Act]:
    """Declare an attempt."""
    return _declare(ATTEMPTS, name, guard, alone)


def control(name: str) -> Callable[[Act], Act]:
    """Declare something that the group may do."""
    return _declare(CONTROLS, name, "", alone=False)


def _declare(among: list[Attempt], name: str, guard: str, alone: bool) -> Callable[[Act], Act]:
    if any(known.name == name for known in among):
        raise ValueError(f"two attempts are named {name!r}")

    def declare(act: Act) -> Act:
        among.append(Attempt(name, guard, act, alone))
        return act

    return declare


async def make(scene: Scene, one: Attempt) -> dict[str, str]:
    """Make one attempt; `got` is there where it got through, `stopped` where it did not."""
    try:
        async with asyncio.timeout(2 * PATIENCE_S):
            got = await one.act(scene)
    except CAUGHT as error:
        return {"guard": one.guard, "stopped": f"{type(error).__name__}: {error}"[:300]}
    return {"guard": one.guard, "got": str(got)[:300]}
