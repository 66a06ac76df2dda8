"""Shell: what signal-cli knows and does: accounts, what waits for them, what they send, links.

One `SignalCli` is one installation with all its accounts; `signal_cli.py` is its command line and
`signal_daemon.py` its JSON-RPC. Nothing here speaks to Signal: what would be sent is noted in
`sent`, and what is pushed waits to be received. What waits and is taken is gone, as with Signal's
servers once it is acknowledged.
Source: signal-cli 0.14, commands/*.java, json/*.java, storage/SignalAccount.java (the lock).
"""

from __future__ import annotations

import asyncio
import base64
import mimetypes
import re
import secrets
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.operate.stand_ins.signal_arguments import Options
from bot.operate.stand_ins.signal_faults import Fault

LINK_S = 60.0
_MENTION = re.compile(r"(\d+):(\d+):(.+)", re.DOTALL)
_PERSON = re.compile(r"\+[0-9 ]{3,}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|u:.+")
# The text of a send before its marks were read, known only where the service is in this process.
RAW: ContextVar[str | None] = ContextVar("RAW", default=None)
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

    # --- what goes ----------------------------------------------------------------------------

    async def send(self, account: Account, options: Options, text: str) -> dict[str, Any]:
        """A message. Raises CommandError."""
        attachments = [attachment(value) for value in options.many("attachment")]
        quoted = options.one("quote-timestamp")
        if quoted is not None and options.one("quote-author") is None:
            raise CommandError(USER, "Quote author parameter is missing")
        if not (text or attachments or options.has("sticker") or quoted):
            raise CommandError(
                USER,
                "Sending empty message is not allowed, either a message, attachment or sticker "
                "must be given.",
            )
        quote = quoted and {
            "timestamp": int(quoted),
            "author": options.one("quote-author"),
            "message": options.one("quote-message") or "",
            "mentions": mentions(options.many("quote-mention")),
        }
        edit = options.one("edit-timestamp")
        return await self._deliver(
            account, options, "message",
            message=text,
            raw=RAW.get(),
            styles=[style(value) for value in options.many("text-style")],
            attachments=attachments,
            mentions=mentions(options.many("mention")),
            quote=quote or None,
            edit=edit and int(edit),
            view_once=options.has("view-once"),
        )  # fmt: skip

    async def react(self, account: Account, options: Options) -> dict[str, Any]:
        """A reaction, or the end of one. Raises CommandError."""
        return await self._deliver(
            account, options, "reaction",
            emoji=options.one("emoji"), author=options.one("target-author"),
            target=int(options.one("target-timestamp") or 0), remove=options.has("remove"),
        )  # fmt: skip

    async def typing(self, account: Account, options: Options) -> dict[str, Any]:
        """The beginning or the end of typing. Raises CommandError."""
        return await self._deliver(account, options, "typing", on=not options.has("stop"))

    async def receipt(self, account: Account, options: Options) -> dict[str, Any]:
        """That messages were read, or viewed. Raises CommandError."""
        targets = [int(value) for value in options.many("target-timestamp")]
        kind = options.one("type") or "read"
        return await self._deliver(account, options, "receipt", type=kind, targets=targets)

    async def delete(self, account: Account, options: Options) -> dict[str, Any]:
        """A message of ours taken back. Raises CommandError."""
        target = int(options.one("target-timestamp") or 0)
        return await self._deliver(account, options, "delete", target=target)

    async def solve(self, account: Account, options: Options) -> None:
        """A captcha for a challenge. Raises CommandError."""
        token, captcha = options.one("challenge"), options.one("captcha")
        self.sent.append({
            "kind": "captcha", "account": account.number, "token": token, "captcha": captcha
        })  # fmt: skip
        if self.take("rejects_captcha"):
            raise CommandError(
                CAPTCHA,
                "Captcha rejected, it may be outdated, already used or solved from a different "
                "IP address.",
            )
        self.faults = [f for f in self.faults if f.kind != "challenge" or f.token != token]
        await self.changed()

    async def _deliver(
        self, account: Account, options: Options, kind: str, **what: Any
    ) -> dict[str, Any]:
        groups, people = options.many("group-id"), options.many("recipient")
        names = options.many("username")
        if not (groups or people or names):
            raise CommandError(USER, "No recipients given")
        results = []
        challenge = self.take("challenge") if kind in ("message", "reaction") else None
        for group in groups:
            members = self._group(account, group)["members"]
            results += [
                self._result(member, challenge, groupId=group)
                for member in members
                if member["uuid"] != account.aci
            ]
        results += [self._result(self._address(account, person), challenge) for person in people]
        results += [
            self._result({"uuid": None, "number": None, "username": name}, challenge)
            for name in names
        ]
        outcome = {"timestamp": self.now_ms(), "results": results}
        if results and all(result["type"] != "SUCCESS" for result in results):
            raise _failure(outcome)
        self.sent.append({
            "kind": kind, "account": account.number, "timestamp": outcome["timestamp"],
            "group": groups[0] if groups else None, "recipients": [*people, *names], **what,
        })  # fmt: skip
        await self.changed()
        return outcome

    def _group(self, account: Account, group: str) -> dict[str, Any]:
        try:
            base64.b64decode(group, validate=True)
        except ValueError:
            raise CommandError(USER, "Invalid group id: Failed to decode groupId") from None
        if (known := account.groups.get(group)) is None:
            raise CommandError(USER, f"Group not found: {group}")
        return known

    def _address(self, account: Account, person: str) -> dict[str, Any]:
        if not _PERSON.fullmatch(person):
            reason = "The string supplied did not seem to be a phone number."
            raise CommandError(USER, f"Invalid phone number '{person}': {reason}")
        known = account.contacts.get(person)
        if known is None:
            found = [c for c in account.contacts.values() if c["number"] == person]
            known = found[0] if found else {}
        is_number = person.startswith("+")
        return {
            "uuid": known.get("uuid") or (None if is_number else person),
            "number": known.get("number") or (person if is_number else None),
            "username": None,
        }

    def _result(
        self, address: Mapping[str, Any], challenge: Fault | None, **more: Any
    ) -> dict[str, Any]:
        address = {name: address.get(name) for name in ("uuid", "number", "username")}
        known = {value for value in address.values() if value}
        result: dict[str, Any] = {"recipientAddress": address, **more}
        if challenge is not None:
            token = challenge.token
            return result | {
                "type": "RATE_LIMIT_FAILURE", "token": token, "retryAfterSeconds": 86_400
            }  # fmt: skip
        failing = self.take("failing", lambda fault: fault.recipient in known)
        return result | {"type": failing.reason if failing else "SUCCESS"}

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


def _failure(outcome: dict[str, Any]) -> CommandError:
    """That nobody got it; the result is printed all the same."""
    reasons = {result["type"] for result in outcome["results"]}
    if reasons == {"IDENTITY_FAILURE"}:
        text = "Failed to send message due to untrusted identities"
        return CommandError(UNTRUSTED, text, outcome)
    if reasons == {"RATE_LIMIT_FAILURE"}:
        return CommandError(RATE_LIMIT, "Failed to send message due to rate limiting", outcome)
    return CommandError(USER, "Failed to send message", outcome)


def attachment(value: str) -> dict[str, Any]:
    """A file to send, from a path or a data URI. Raises CommandError."""
    if value.startswith("data:"):
        head, _, data = value.partition(";base64,")
        name = head.partition(";filename=")[2]
        content = base64.b64decode(data)
    else:
        try:
            content = Path(value).read_bytes()
        except OSError as error:
            raise CommandError(2, f"Failed to send message: {value}: {error.strerror}") from None
        name = Path(value).name
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return {
        "filename": name, "content_type": kind, "size": len(content),
        "base64": base64.b64encode(content).decode(),
    }  # fmt: skip


def style(value: str) -> dict[str, Any]:
    """A range of text. Raises CommandError."""
    start, length, kind = _parts(value, "textStyle", "STYLE")
    return {"start": start, "length": length, "style": kind}


def mentions(values: list[str]) -> list[dict[str, Any]]:
    """Mentions in a text. Raises CommandError."""
    found = [_parts(value, "mention", "recipientNumber") for value in values]
    return [{"start": start, "length": length, "author": who} for start, length, who in found]


def _parts(value: str, what: str, last: str) -> tuple[int, int, str]:
    if (found := _MENTION.fullmatch(value)) is None:
        text = f"Invalid {what} syntax ({value}) expected 'start:length:{last}'"
        raise CommandError(USER, text)
    return int(found[1]), int(found[2]), found[3]
