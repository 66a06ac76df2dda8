"""Shell: what signal-cli sends: messages, reactions, typing, receipts, and what became of each.

Source: signal-cli 0.14, commands/Send*.java, RemoteDeleteCommand.java,
util/SendMessageResultUtils.java, json/JsonSendMessageResult.java.
"""

from __future__ import annotations

import base64
import mimetypes
import re
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from bot.operate.stand_ins.signal_account import (
    CAPTCHA,
    RATE_LIMIT,
    UNTRUSTED,
    USER,
    Account,
    CommandError,
    SignalCli,
)
from bot.operate.stand_ins.signal_arguments import Options
from bot.operate.stand_ins.signal_faults import Fault

# The text of a send before its marks were read, known only where the service is in this process.
RAW: ContextVar[str | None] = ContextVar("RAW", default=None)
_RANGE = re.compile(r"(\d+):(\d+):(.+)", re.DOTALL)
_PERSON = re.compile(r"\+[0-9 ]{3,}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|u:.+")


async def send(cli: SignalCli, account: Account, options: Options, text: str) -> dict[str, Any]:
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
    return await _deliver(
        cli, account, options, "message",
        message=text,
        raw=RAW.get(),
        styles=[style(value) for value in options.many("text-style")],
        attachments=attachments,
        mentions=mentions(options.many("mention")),
        quote=quote or None,
        edit=edit and int(edit),
        view_once=options.has("view-once"),
    )  # fmt: skip


async def react(cli: SignalCli, account: Account, options: Options) -> dict[str, Any]:
    """A reaction, or the end of one. Raises CommandError."""
    return await _deliver(
        cli, account, options, "reaction",
        emoji=options.one("emoji"), author=options.one("target-author"),
        target=int(options.one("target-timestamp") or 0), remove=options.has("remove"),
    )  # fmt: skip


async def typing(cli: SignalCli, account: Account, options: Options) -> dict[str, Any]:
    """The beginning or the end of typing. Raises CommandError."""
    return await _deliver(cli, account, options, "typing", on=not options.has("stop"))


async def receipt(cli: SignalCli, account: Account, options: Options) -> dict[str, Any]:
    """That messages were read, or viewed. Raises CommandError."""
    targets = [int(value) for value in options.many("target-timestamp")]
    kind = options.one("type") or "read"
    return await _deliver(cli, account, options, "receipt", type=kind, targets=targets)


async def delete(cli: SignalCli, account: Account, options: Options) -> dict[str, Any]:
    """A message of ours taken back. Raises CommandError."""
    target = int(options.one("target-timestamp") or 0)
    return await _deliver(cli, account, options, "delete", target=target)


Act = Callable[[SignalCli, Account, Options], Awaitable[dict[str, Any]]]  # raises CommandError
ACTS: Mapping[str, Act] = {
    "sendReaction": react, "sendTyping": typing, "sendReceipt": receipt, "remoteDelete": delete
}  # fmt: skip


async def solve(cli: SignalCli, account: Account, options: Options) -> None:
    """A captcha for a challenge. Raises CommandError."""
    token, captcha = options.one("challenge"), options.one("captcha")
    cli.sent.append({
        "kind": "captcha", "account": account.number, "token": token, "captcha": captcha
    })  # fmt: skip
    if cli.take("rejects_captcha"):
        raise CommandError(
            CAPTCHA,
            "Captcha rejected, it may be outdated, already used or solved from a different "
            "IP address.",
        )
    cli.faults = [f for f in cli.faults if f.kind != "challenge" or f.token != token]
    await cli.changed()


async def _deliver(
    cli: SignalCli, account: Account, options: Options, kind: str, **what: Any
) -> dict[str, Any]:
    groups, people = options.many("group-id"), options.many("recipient")
    names = options.many("username")
    if not (groups or people or names):
        raise CommandError(USER, "No recipients given")
    results = []
    challenge = cli.take("challenge") if kind in ("message", "reaction") else None
    for group in groups:
        members = _group(account, group)["members"]
        results += [
            _result(cli, member, challenge, groupId=group)
            for member in members
            if member["uuid"] != account.aci
        ]
    results += [_result(cli, _address(account, person), challenge) for person in people]
    results += [
        _result(cli, {"uuid": None, "number": None, "username": name}, challenge) for name in names
    ]
    outcome = {"timestamp": cli.now_ms(), "results": results}
    if results and all(result["type"] != "SUCCESS" for result in results):
        raise _failure(outcome)
    cli.sent.append({
        "kind": kind, "account": account.number, "timestamp": outcome["timestamp"],
        "group": groups[0] if groups else None, "recipients": [*people, *names], **what,
    })  # fmt: skip
    await cli.changed()
    return outcome


def _group(account: Account, group: str) -> dict[str, Any]:
    try:
        base64.b64decode(group, validate=True)
    except ValueError:
        raise CommandError(USER, "Invalid group id: Failed to decode groupId") from None
    if (known := account.groups.get(group)) is None:
        raise CommandError(USER, f"Group not found: {group}")
    return known


def _address(account: Account, person: str) -> dict[str, Any]:
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
    cli: SignalCli, address: Mapping[str, Any], challenge: Fault | None, **more: Any
) -> dict[str, Any]:
    address = {name: address.get(name) for name in ("uuid", "number", "username")}
    known = {value for value in address.values() if value}
    result: dict[str, Any] = {"recipientAddress": address, **more}
    if challenge is not None:
        token = challenge.token
        return result | {
            "type": "RATE_LIMIT_FAILURE", "token": token, "retryAfterSeconds": 86_400
        }  # fmt: skip
    failing = cli.take("failing", lambda fault: fault.recipient in known)
    return result | {"type": failing.reason if failing else "SUCCESS"}


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
    if (found := _RANGE.fullmatch(value)) is None:
        text = f"Invalid {what} syntax ({value}) expected 'start:length:{last}'"
        raise CommandError(USER, text)
    return int(found[1]), int(found[2]), found[3]
