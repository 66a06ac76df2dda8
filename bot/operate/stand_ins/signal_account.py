"""Shell: what signal-cli knows: its accounts, what waits for them, what was sent, links.

One `SignalCli` is one installation with all its accounts; `signal_cli.py` is its command line and
`signal_daemon.py` its JSON-RPC. Nothing here speaks to Signal: what would be sent is noted in
`sent`, and what is pushed waits to be received. What waits and is taken is gone, as with Signal's
servers once it is acknowledged.
Source: signal-cli 0.14, storage/SignalAccount.java (the lock), ProvisioningManagerImpl.java.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.operate.stand_ins.signal_faults import Fault

LINK_S = 60.0
USER, IO, UNTRUSTED, RATE_LIMIT, CAPTCHA = 1, 3, 4, 5, 6  # exit codes; negative in JSON-RPC


class CommandError(Exception):
    """A command that failed: its code, what it says, and the result it gave nevertheless."""

    def __init__(self, code: int, text: str, result: object = None) -> None:
        super().__init__(text)
        self.code, self.result = code, result


@dataclass(slots=True)
class Account:
    """One account of ours: its person, its groups, its contacts, and what waits for it."""

    number: str
    aci: str
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    contacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    waiting: deque[str] = field(default_factory=deque)
    # signal-cli locks the account's file for as long as a command runs.
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True)
class Link:
    """A device that wants to be linked, until a phone has scanned its address."""

    uri: str
    scanned: asyncio.Future[str]
    name: str = ""


class SignalCli:
    """One installation; `changed` is told of everything that a watcher may wait for."""

    def __init__(self, attachments: Path) -> None:
        self.attachments = attachments
        self.accounts: dict[str, Account] = {}
        self.links: dict[str, Link] = {}
        self.sent: list[dict[str, Any]] = []
        self.faults: list[Fault] = []
        self.n_held = 0
        self.n_listening = 0  # on the service's websocket
        self.n_connected = 0  # to the daemon
        self._changes = asyncio.Condition()
        self._release = asyncio.Event()
        self._last_ms = 0

    def add(self, number: str, aci: str = "") -> Account:
        """An account as it is after registering or linking."""
        account = Account(number, aci or str(uuid.uuid4()))
        self.accounts[number] = account
        return account

    def account(self, number: str) -> Account:
        """Raises CommandError."""
        if (account := self.accounts.get(number)) is None:
            raise CommandError(USER, f"User {number} is not registered.")
        return account

    async def changed(self) -> None:
        """Wake everyone who waits for a change."""
        async with self._changes:
            self._changes.notify_all()

    async def until(self, holds: Callable[[], bool], timeout_s: float | None) -> bool:
        """Wait for something to become true; False where it did not in time."""
        try:
            async with asyncio.timeout(timeout_s), self._changes:
                await self._changes.wait_for(holds)
        except TimeoutError:
            return False
        return True

    # --- faults -------------------------------------------------------------------------------

    def take(self, kind: str, fits: Callable[[Fault], bool] = lambda _: True) -> Fault | None:
        """The first fault of a kind that fits, used once; None where there is none."""
        for at, fault in enumerate(self.faults):
            if fault.kind == kind and fits(fault):
                left = fault.used()
                self.faults[at : at + 1] = [left] if left else []
                return fault
        return None

    async def hold(self, command: str, *, late: bool) -> None:
        """Stand still where a fault says so, until `release`."""
        if self.take("held", lambda f: f.command in ("", command) and f.late == late) is None:
            return
        self.n_held += 1
        release = self._release
        try:
            await self.changed()
            await release.wait()
        finally:
            self.n_held -= 1

    def release(self) -> None:
        """Let everything go on that stands still."""
        self._release.set()
        self._release = asyncio.Event()

    # --- what comes ---------------------------------------------------------------------------

    async def next_line(self, account: Account, timeout_s: float | None) -> str | None:
        """The next waiting message, as the line it is printed as. It is gone then."""
        if not account.waiting and not await self.until(lambda: bool(account.waiting), timeout_s):
            return None
        return account.waiting.popleft()

    def now_ms(self) -> int:
        """The time in milliseconds, no two alike."""
        self._last_ms = max(self._last_ms + 1, time.time_ns() // 1_000_000)
        return self._last_ms

    # --- links --------------------------------------------------------------------------------

    def begin_link(self) -> Link:
        """An address to scan. Raises CommandError."""
        if fault := self.take("no_link"):
            raise CommandError(IO, fault.line)
        key = base64.b64encode(b"\x05" + secrets.token_bytes(32)).decode().rstrip("=")
        where = secrets.token_urlsafe(16)
        quoted = key.replace("+", "%2B").replace("/", "%2F")
        uri = f"sgnl://linkdevice?uuid={where}&pub_key={quoted}"
        link = Link(uri, asyncio.get_running_loop().create_future())
        self.links[uri] = link
        return link

    async def finish_link(self, link: Link, name: str) -> str:
        """Wait for the phone. Returns the number. Raises CommandError."""
        link.name = name
        await self.changed()
        try:
            async with asyncio.timeout(LINK_S):
                number = await link.scanned
        except (TimeoutError, asyncio.InvalidStateError):
            raise CommandError(USER, "Link request timed out, please try again.") from None
        finally:
            self.links.pop(link.uri, None)
        if number in self.accounts:
            raise CommandError(
                USER,
                f'The user {number} already exists\nDelete "{self.attachments.parent}/data/'
                f'{number}" before trying again.',
            )
        self.add(number)
        await self.changed()
        return number
