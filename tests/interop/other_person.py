"""Shell: a person with nostr-tools (node/person.mjs), as a process; a command a line each way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_bytes
from typing import Any

from nips.event import Template
from nips.key import SecretKey

NODE = Path(__file__).with_name("node")
ANSWER_S = 60.0
MAX_LINE_BYTES = 1 << 22


@dataclass(frozen=True, slots=True)
class Came:
    """A wrap that nostr-tools opened: seal and rumor are of one author, and say so themselves."""

    rumor: Template
    id: str
    wrapped_by: str


class OtherPerson:
    """secret: whose messages they are. Every method raises AssertionError for what went wrong."""

    def __init__(self, process: asyncio.subprocess.Process, secret: SecretKey) -> None:
        self._process, self.public = process, secret.public

    async def announce(self, *relays: str) -> None:
        """Publish an inbox list."""
        assert (await self.ask("announce", relays=relays))["accepted"] > 0

    async def write(
        self, kind: int, content: str, *to: str, tags: Sequence[Sequence[str]] = ()
    ) -> str:
        """Have a rumor go to these people, at the relays of their lists, and to oneself; its id."""
        told = await self.ask("write", kind=kind, content=content, to=to, tags=tags)
        assert [wrap["to"] for wrap in told["wraps"]] == [*to, self.public]
        assert all(wrap["relays"] for wrap in told["wraps"]), told
        return str(told["id"])

    async def hear(self, timeout_s: float = 30.0) -> Came:
        """The next message of somebody else's, and not one's own copies."""
        while (came := await self.came(timeout_s)).rumor.pubkey == self.public:
            pass
        return came

    async def hear_own(self, timeout_s: float = 30.0) -> Came:
        """The next copy to oneself."""
        while (came := await self.came(timeout_s)).rumor.pubkey != self.public:
            pass
        return came

    async def came(self, timeout_s: float = 30.0) -> Came:
        """The next wrap, whoever wrote what is in it."""
        told = await self.ask("hear", within_ms=round(timeout_s * 1000))
        assert "rumor" in told, told
        rumor = Template.from_json(told["rumor"])
        assert (rumor.id, rumor.pubkey) == (told["rumor"]["id"], told["sealed_by"])
        return Came(rumor, rumor.id, told["wrapped_by"])

    async def ask(self, do: str, **options: Any) -> dict[str, Any]:
        """One command and its answer."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"do": do, **options}).encode() + b"\n")
        async with asyncio.timeout(ANSWER_S):
            line = await stdout.readline()
        answer: dict[str, Any] = json.loads(line or b'{"error": "it ended"}')
        assert "error" not in answer, answer
        return answer


@asynccontextmanager
async def other_person(
    node: str,
    relays: Sequence[str],
    secret: SecretKey | None = None,
    *,
    announces: bool = True,
) -> AsyncIterator[OtherPerson]:
    """Somebody who reads, and unless `announces` is false is read, at these relays."""
    secret = secret or SecretKey.generate(token_bytes)
    process = await asyncio.create_subprocess_exec(
        node, "person.mjs",
        cwd=NODE, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        limit=MAX_LINE_BYTES,
    )  # fmt: skip
    try:
        person = OtherPerson(process, secret)
        told = await person.ask("begin", secret=secret.raw.hex(), relays=relays)
        assert told == {"public": secret.public}
        if announces:
            await person.announce(*relays)
        yield person
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
