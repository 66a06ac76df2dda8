"""Shell: signal-cli's commands: one command line run to its end, with what it prints.

A command of one account holds that account's lock from beginning to end, and waits for it while
another runs; `listAccounts` waits for all of them. Cancelled, it is killed: what it took is gone.
Source: signal-cli 0.14, App.java, commands/*.java, output/JsonWriterImpl.java, Main.java.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

from bot.operate.stand_ins import signal_sending
from bot.operate.stand_ins.signal_account import Account, CommandError, SignalCli
from bot.operate.stand_ins.signal_arguments import Options, UsageError, parsed

Print = Callable[[str, str], Awaitable[None]]  # the stream ("out" or "err") and a whole line


async def run(
    cli: SignalCli, arguments: Sequence[str], stdin: str, write: Print
) -> int:  # fmt: skip
    """Be one run of the program. Returns its exit code."""
    try:
        options = parsed(arguments)
    except UsageError as error:
        await write("err", str(error))
        return 1
    command = options.command
    try:
        if fault := cli.take("refuses", lambda f: f.command in ("", command)):
            raise CommandError(fault.code, fault.line)
        async with AsyncExitStack() as locks:
            for account in locked(cli, options):
                await locks.enter_async_context(account.lock)
            await cli.hold(command, late=False)
            await _COMMANDS[command](cli, options, stdin, write)
            await cli.hold(command, late=True)
        if fault := cli.take("exits", lambda f: f.command in ("", command)):
            raise CommandError(fault.code, fault.line)
    except CommandError as error:
        await write("err", str(error))
        return error.code
    if fault := cli.take("noise", lambda f: f.command in ("", command)):
        await write("err", fault.line)
    return 0


def locked(cli: SignalCli, options: Options) -> list[Account]:
    """Whose files a command locks. Raises CommandError."""
    if options.command == "listAccounts":
        return list(cli.accounts.values())
    return [] if options.command == "link" else [cli.account(options.account)]


async def _receive(cli: SignalCli, options: Options, stdin: str, write: Print) -> None:
    account = cli.account(options.account)
    timeout_s = float(options.one("timeout") or 3)
    most = options.one("max-messages")
    n_left = int(most) if most is not None else -1
    # A time of nothing takes nothing: it is over before the first message is asked for.
    while n_left != 0 and timeout_s != 0:
        line = await cli.next_line(account, timeout_s if timeout_s > 0 else None)
        if line is None:
            return
        await write("out", line)
        if options.has("send-read-receipts"):
            await _read(cli, account, line)
        n_left -= 1


async def _read(cli: SignalCli, account: Account, line: str) -> None:
    """Tell the sender of a message that it was read."""
    envelope = json.loads(line)["envelope"]
    if "dataMessage" in envelope:
        targets = [str(envelope["timestamp"])]
        values = {"recipient": [envelope["sourceUuid"]], "target-timestamp": targets}
        await signal_sending.receipt(cli, account, Options("sendReceipt", values=values))


async def _send(cli: SignalCli, options: Options, stdin: str, write: Print) -> None:
    text = stdin if options.has("message-from-stdin") else ""
    sending = signal_sending.send(cli, cli.account(options.account), options, text)
    await _delivered(sending, write, as_json)


async def _act(cli: SignalCli, options: Options, stdin: str, write: Print) -> None:
    act = signal_sending.ACTS[options.command]
    await _delivered(act(cli, cli.account(options.account), options), write, as_text)


async def _delivered(
    sending: Awaitable[dict[str, Any]], write: Print, form: Callable[[Any], str]
) -> None:
    try:
        await write("out", form(await sending))
    except CommandError as error:
        if error.result is not None:
            await write("out", form(error.result))
        raise


async def _link(cli: SignalCli, options: Options, stdin: str, write: Print) -> None:
    link = cli.begin_link()
    await write("out", link.uri)
    number = await cli.finish_link(link, options.one("name") or "cli")
    await write("out", f"Associated with: {number}")


async def _accounts(cli: SignalCli, options: Options, stdin: str, write: Print) -> None:
    await write("out", as_json(accounts(cli)))


async def _groups(cli: SignalCli, options: Options, stdin: str, write: Print) -> None:
    await write("out", as_json(list(cli.account(options.account).groups.values())))


async def _contacts(cli: SignalCli, options: Options, stdin: str, write: Print) -> None:
    await write("out", as_json(contacts(cli.account(options.account), options)))


async def _identities(cli: SignalCli, options: Options, stdin: str, write: Print) -> None:
    await write("out", as_json(identities(cli.account(options.account))))


async def _solve(cli: SignalCli, options: Options, stdin: str, write: Print) -> None:
    await signal_sending.solve(cli, cli.account(options.account), options)


_COMMANDS: Mapping[str, Callable[[SignalCli, Options, str, Print], Awaitable[None]]] = {
    "receive": _receive, "send": _send, "link": _link, "listAccounts": _accounts,
    "listGroups": _groups, "listContacts": _contacts, "listIdentities": _identities,
    "submitRateLimitChallenge": _solve, **dict.fromkeys(signal_sending.ACTS, _act),
}  # fmt: skip


def accounts(cli: SignalCli) -> list[dict[str, Any]]:
    """What `listAccounts` prints."""
    return [{"number": number} for number in cli.accounts]


def contacts(account: Account, options: Options) -> list[dict[str, Any]]:
    """What `listContacts` prints: our own account is known, but it is no contact."""
    own = {"number": account.number, "uuid": account.aci, "name": "", "isContact": False}
    known = [own, *account.contacts.values()]
    wanted = set(options.many("recipient"))
    return [
        {name: value for name, value in contact.items() if name != "isContact"}
        for contact in known
        if (contact.get("isContact", True) or options.has("all-recipients"))
        and (not wanted or {contact["number"], contact["uuid"]} & wanted)
    ]


def identities(account: Account) -> list[dict[str, Any]]:
    """What `listIdentities` prints: our own is among them, verified."""
    known = [
        (account.number, account.aci, "TRUSTED_VERIFIED"),
        *((c["number"], c["uuid"], "TRUSTED_UNVERIFIED") for c in account.contacts.values()),
    ]
    return [
        {
            "number": number, "uuid": aci, "fingerprint": "05" + aci.replace("-", "") * 2,
            "safetyNumber": "12345 " * 11 + "12345", "scannableSafetyNumber": None,
            "trustLevel": trust, "addedTimestamp": 1_700_000_000_000,
        }
        for number, aci, trust in known
    ]  # fmt: skip


def as_json(value: object) -> str:
    """A line of JSON, as signal-cli writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def as_text(outcome: Mapping[str, Any]) -> str:
    """What was sent, in words."""
    failed = [r for r in outcome["results"] if r["type"] != "SUCCESS"]
    lines = ["Failed to send (some) messages:"] if failed else []
    for result in failed:
        address = result["recipientAddress"]
        who = address["number"] or address["uuid"] or address["username"]
        what = {
            "NETWORK_FAILURE": f'Network failure for "{who}"',
            "UNREGISTERED_FAILURE": f'Unregistered user "{who}"',
            "IDENTITY_FAILURE": f'Untrusted Identity for "{who}"',
            "RATE_LIMIT_FAILURE": f'CAPTCHA proof required for sending to "{who}", available '
            f'options "CAPTCHA" with challenge token "{result.get("token", "")}"',
        }
        lines.append(what.get(result["type"], "null"))
    return "\n".join([*lines, str(outcome["timestamp"])])
