"""Shell: Signal's stand-in as a process, and everything that one does to it from outside.

async with running("json-rpc", "+4915…") as service:
    await service.push(said(alice, "hello", at_ms))
    (answer,) = await service.wait_sent(1)
"""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from bot.operate.assembly import SOURCE_TREE
from bot.operate.stand_ins import signal_envelopes
from bot.operate.stand_ins.signal_envelopes import Group, Person
from bot.operate.stand_ins.signal_faults import Fault

START_S = 20.0
WAIT_S = 10.0
Json = dict[str, Any]


class StandInError(Exception):
    """It did not start, or was asked for what it does not have; the message says why."""


class SignalService:
    """A service that runs, and one account of it; every `wait_…` raises TimeoutError at WAIT_S.

    url: where the service is. number: of the account; "" where no phone is linked.
    """

    def __init__(self, url: str, door: httpx.AsyncClient, number: str) -> None:
        self.url, self.number, self._door = url, number, door

    async def another(self, number: str, aci: str = "") -> SignalService:
        """The same service with another account, which is made where it is not there yet."""
        if number not in (await self._get("state"))["accounts"]:
            await self._post("accounts", {"number": number, "aci": aci})
        return SignalService(self.url, self._door, number)

    # --- what people do -----------------------------------------------------------------------

    async def push(self, *envelopes: Mapping[str, Any]) -> None:
        """Have envelopes wait to be received, in this order.

        Each is an envelope, or what signal-cli prints around one (`{"envelope": …}`), or a line
        of its output whatever it is (`{"line": "…"}`).
        """
        whole = [
            {**given} if "envelope" in given or "line" in given else {"envelope": given}
            for given in envelopes
        ]
        await self._post("messages", [{"account": self.number, **message} for message in whole])

    async def add_group(self, group: Group | Mapping[str, Any]) -> None:
        """Be a member of a group; a mapping is what `signal-cli listGroups` prints for it."""
        entry = group.entry() if isinstance(group, Group) else {**group}
        await self._post("groups", {"account": self.number, "group": entry})

    async def add_contact(self, person: Person | Mapping[str, Any]) -> None:
        """Know a person; a mapping is what `signal-cli listContacts` prints for them."""
        given = signal_envelopes.contact(person) if isinstance(person, Person) else {**person}
        await self._post("contacts", {"account": self.number, "contact": given})

    async def add_file(self, id_: str, content: bytes) -> None:
        """Have a file among those that were received."""
        await self._post("files", {"id": id_, "base64": base64.b64encode(content).decode()})

    async def scan(self, number: str, uri: str | None = None) -> str:
        """Scan the address that was given out last, or this one, with the phone of a number.

        Returns the name that the new device gave itself. Raises StandInError where no address
        waits for a phone.
        """
        return str((await self._post("scan", {"number": number, "uri": uri}))["name"])

    async def expire(self) -> None:
        """Have no address be good to scan any more; as after a minute."""
        await self._post("expire", {})

    async def aci(self) -> str:
        """The account's id."""
        return str((await self._get("state"))["accounts"][self.number])

    # --- what they see ------------------------------------------------------------------------

    async def sent(self, kind: str = "message") -> list[Json]:
        """What was sent, oldest first. kind: message, reaction, typing, receipt, delete, captcha.

        Each has `account`, `timestamp`, and where it went: `group` (signal-cli's id) or
        `recipients`. A message has `message`, `styles`, `quote`, `attachments` (with `base64`),
        `mentions`, `edit`, and `raw`, the text before its marks were read (of the stand-in only).
        """
        return list(await self._get("sent", kind=kind, account=self.number))

    async def wait_sent(
        self, n: int, kind: str = "message", timeout_s: float = WAIT_S
    ) -> list[Json]:
        """What was sent, once there are n of it."""
        return await self._until(n, "sent", timeout_s, kind=kind, account=self.number)

    async def calls(self, path: str = "") -> list[Json]:
        """What the service was asked: `method`, `path`, `query`, `body`, and once its
        answer is out `answered` (unix s) and its `n_bytes` (of the stand-in only)."""
        return list(await self._get("calls", path=path))

    async def wait_calls(self, n: int, path: str = "") -> list[Json]:
        """What the service was asked at addresses that begin so, once there are n of it."""
        return await self._until(n, "calls", path=path)

    async def waiting(self) -> int:
        """How many messages wait to be received."""
        return int((await self._get("state", account=self.number))["waiting"])

    async def wait_for(self, **state: int) -> None:
        """Wait until so many messages are `waiting`, commands `held`, addresses `links`.

        Or so many are `listening` on the websocket (of the stand-in only).
        """
        found = await self._get("state", timeout_s=WAIT_S, account=self.number, **state)
        if any(found[name] != n for name, n in state.items()):
            raise TimeoutError(f"{found} is not {state}")

    # --- what goes wrong ----------------------------------------------------------------------

    async def faults(self, *faults: Fault) -> None:
        """Have these go wrong from now on, and nothing else; see signal_faults."""
        await self._post("faults", [fault.written() for fault in faults])

    async def release(self) -> None:
        """Let go on what stands still."""
        await self._post("release", {})

    async def stop(self) -> None:
        """The service is away: its port refuses. The account, and what waits for it, stay."""
        await self._post("service", {"up": False})

    async def start(self) -> None:
        """It is back, on the same port."""
        await self._post("service", {"up": True})

    # --- the door -----------------------------------------------------------------------------

    async def _until(
        self, n: int, name: str, timeout_s: float = WAIT_S, **query: Any
    ) -> list[Json]:
        found: list[Json] = await self._get(name, at_least=n, timeout_s=timeout_s, **query)
        if len(found) < n:
            raise TimeoutError(f"{len(found)} of {n}: {found}")
        return found

    async def _get(self, name: str, **query: Any) -> Any:
        patience_s = float(query.get("timeout_s", 0)) + WAIT_S
        return self._value(await self._door.get(name, params=query, timeout=patience_s))

    async def _post(self, name: str, value: object) -> Any:
        return self._value(await self._door.post(name, json=value))

    @staticmethod
    def _value(response: httpx.Response) -> Any:
        if response.status_code != 200:
            raise StandInError(response.text)
        return response.json()


@asynccontextmanager
async def running(
    mode: str = "normal", number: str = "", *, command_timeout_s: float = 120.0,
    version: str = "", port: int = 0,
) -> AsyncIterator[SignalService]:  # fmt: skip
    """Run the stand-in for the length of the block. Raises StandInError."""
    more = [*(("--number", number) if number else ()), *(("--version", version) if version else ())]
    more += ["--command-timeout", str(command_timeout_s), "--port", str(port)]
    async with process("--mode", mode, *more) as (api, door, *_), entered(door) as client:
        yield SignalService(f"http://127.0.0.1:{api}", client, number)


@asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[list[int]]:
    """Run it for the length of the block; gives its ports. Raises StandInError."""
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot.operate.stand_ins.signal_api", *arguments,
        cwd=SOURCE_TREE, stdout=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert started.stdout is not None
    try:
        try:
            async with asyncio.timeout(START_S):
                line = await started.stdout.readline()
        except TimeoutError:
            line = b""
        if not line.startswith(b"signal: ready"):
            raise StandInError("The stand-in of Signal did not start.")
        yield [int(port) for port in line.split()[2:]]
    finally:
        if started.returncode is None:
            started.terminate()
        await started.wait()


@asynccontextmanager
async def entered(port: int) -> AsyncIterator[httpx.AsyncClient]:
    """The door of a process."""
    address = f"http://127.0.0.1:{port}/stand-in/"
    async with httpx.AsyncClient(base_url=address, timeout=WAIT_S * 2, trust_env=False) as client:
        yield client
