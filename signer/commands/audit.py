"""Shell: `python -m signer audit`: what was asked of the bot's key, and whether the log is whole.

audit show --since 2h --client npub1… --kind 9 --limit 100    the rows, newest last
audit verify --relay unix:… --key FILE                        the chain, and what was told of it
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from config.roles import read_key
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.nip19 import Npub, decode
from nips.own import audit_head
from nips.own.audit_head import AuditHead
from nips.refusal import Malformed
from relay_local.client import connect
from signer.chain import Entry
from signer.commands.terminal import Commands, command, say, tell
from signer.heads import Heads, contradictions
from signer.keystore import KeystoreError
from signer.ledger import Ledger

RELAY_WAIT_S = 10.0
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = command(commands, "audit", _audit, summary="the audit log: show it, verify it")
    parser.add_argument(
        "action", nargs="?", choices=("show", "verify"), default="verify",
        help="show the rows, or verify the chain (the default)",
    )  # fmt: skip
    parser.add_argument("--since", help="show: from then on: 2h, 7d, 2026-01-31, unix seconds")
    parser.add_argument("--client", help="show: of this key: npub, or the beginning of its hex")
    parser.add_argument("--kind", type=int, help="show: about events of this kind")
    parser.add_argument("--method", help="show: of this method, such as sign_event")
    parser.add_argument("--limit", type=int, default=50, help="show: the newest N (%(default)s)")
    parser.add_argument("--relay", help="verify: compare with what was published there as well")
    parser.add_argument("--key", type=Path, help="verify: the signer's role key, for the relay")
    parser.add_argument("--json", action="store_true", help="print JSON; show: one row a line")


def _audit(arguments: argparse.Namespace) -> int:
    path = arguments.data / "ledger.sqlite"
    if not path.exists():
        raise KeystoreError(
            f"There is no audit log at {path}. Start the installation once with nostrclaw up, or "
            "name its folder with --data."
        )
    ledger = Ledger(path)
    try:
        return (
            _show(arguments, ledger) if arguments.action == "show" else _verify(arguments, ledger)
        )
    finally:
        ledger.close()


# Showing


def _show(arguments: argparse.Namespace, ledger: Ledger) -> int:
    if arguments.limit < 1:
        raise Malformed("--limit: at least 1")
    since_s = 0 if arguments.since is None else since(arguments.since, time.time())
    client = arguments.client and _client(arguments.client)
    rows = [
        (n, entry)
        for n, entry in ledger.chain.entries(since_s)
        if (not client or entry.client.startswith(client))
        and (arguments.method in (None, entry.method))
        and (arguments.kind is None or re.search(rf"\bkind {arguments.kind}\b", entry.outcome))
    ][-arguments.limit :]
    if arguments.json:
        for n, entry in rows:
            say(json.dumps(_to_json(n, entry)))
    elif rows:
        Console(highlight=False).print(_table(rows, ledger))
    else:
        tell("No row of the audit log is like that.")
    return 0


def since(text: str, now_s: float) -> int:
    """The unix second that a person means. Raises Malformed."""
    if (ago := re.fullmatch(r"(\d{1,6})([smhdw])", text)) is not None:
        return int(now_s) - int(ago[1]) * _UNITS_S[ago[2]]
    if text.isascii() and text.isdigit() and len(text) <= 12:
        return int(text)
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise Malformed(
            f"--since: {text!r} is no time; write 2h, 7d, 2026-01-31 or unix seconds"
        ) from None
    return int((given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp())


def _client(text: str) -> str:
    if text.startswith("npub1"):
        match decode(text):
            case Npub(public):
                return public
    if not re.fullmatch(r"[0-9a-f]{1,64}", text):
        raise Malformed("--client: an npub, or the beginning of a key in hex")
    return text


def _to_json(n: int, entry: Entry) -> dict[str, object]:
    return {
        "n": n,
        "at": entry.at_s,
        "client": entry.client,
        "method": entry.method,
        "outcome": entry.outcome,
        "id": entry.event_id,
    }


def _table(rows: list[tuple[int, Entry]], ledger: Ledger) -> Table:
    table = Table(box=box.SIMPLE)
    table.add_column("row", justify="right", style="dim")
    for column in ("time (UTC)", "client", "method", "outcome", "id"):
        table.add_column(column, overflow="fold" if column == "outcome" else "ellipsis")
    for n, entry in rows:
        held = ledger.held(entry.client)
        refused = entry.outcome.startswith("refused")
        table.add_row(
            str(n),
            datetime.fromtimestamp(entry.at_s, UTC).strftime("%Y-%m-%d %H:%M:%S"),
            f"{held.grant.role} {entry.client[:8]}" if held else entry.client[:8],
            entry.method,
            f"[red]{_plain(entry.outcome)}[/]" if refused else _plain(entry.outcome),
            entry.event_id[:12],
        )
    return table


def _plain(text: str) -> str:
    # Attack: a refusal quotes what was asked; codes in it would act on the terminal.
    return escape("".join(one if one.isprintable() else "·" for one in text))


# Verifying


def _verify(arguments: argparse.Namespace, ledger: Ledger) -> int:
    chain = ledger.chain.verify()
    told = Heads(ledger).all()
    wrong = []
    published: list[AuditHead] | None = None
    if chain.broken_at is not None:
        wrong.append(f"The audit chain is broken at row {chain.broken_at}.")
    wrong += contradictions(ledger.chain, told, "the ledger")
    if arguments.relay is not None:
        if arguments.key is None:
            raise Malformed("--relay needs --key, the signer's role key")
        published = asyncio.run(_published(arguments.relay, read_key(arguments.key)))
        wrong += contradictions(ledger.chain, published, "the relay")
        known = {head.day for head in told}
        wrong += [
            f"The head of {head.day} is on the relay and the ledger does not know of it: it is an "
            "earlier copy."
            for head in published
            if head.day not in known
        ]
    if arguments.json:
        found = {
            "rows": chain.rows, "head": chain.head, "broken_at": chain.broken_at,
            "told": len(told), "published": None if published is None else len(published),
            "wrong": wrong,
        }  # fmt: skip
        say(json.dumps(found))
    elif not wrong:
        there = "" if published is None else f", {len(published)} on the relay"
        agree = f"; daily heads that agree: {len(told)} in the ledger{there}" if told else ""
        say(f"{chain.rows} rows, head {chain.head}{agree}")
    for sentence in wrong:
        tell(sentence)
    if published is None:
        tell("The heads on the relay were not compared: that needs it running.")
    return 1 if wrong else 0


async def _published(relay: str, key: SecretKey) -> list[AuditHead]:
    """The heads on the relay, each checked; what is no head of ours is passed over."""
    wanted = Filter(kinds=frozenset({int(Kind.APP_DATA)}), authors=frozenset({key.public}))
    try:
        async with asyncio.timeout(RELAY_WAIT_S), connect(relay, [key]) as link:
            events = await link.fetch([wanted])
    except TimeoutError:
        raise KeystoreError(
            f"The relay at {relay} does not answer. Start it with nostrclaw up, or leave out "
            "--relay: then the chain is compared with what the ledger remembers."
        ) from None
    heads = []
    for event in events:
        try:
            heads.append(audit_head.parse(event, key.public))
        except Malformed:
            continue  # another record of the signer's
    return sorted(heads, key=lambda head: head.day)
