"""Shell: `python -m signer bunker`: log in as the bot from any NIP-46 client, narrowly.

    bunker --kinds 1,30023 --ttl 8h --rate 10/h    print a one-time bunker:// address
    bunker list                                    invitations and logins
    bunker revoke ID|NPUB|all                      end them for good, at once

The address holds a secret. It goes to stdout alone; words for a person go to stderr.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import time
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import segno
from rich import box
from rich.console import Console
from rich.table import Table

from config.roles import load as load_roles
from nips import nip19, nip46
from nips.refusal import Malformed
from signer import ceiling_file, invitation, login_rows, typed_terms
from signer.chain import Entry
from signer.commands.terminal import Commands, command, say, tell
from signer.invitation import Terms
from signer.keystore import Keystore, KeystoreError
from signer.ledger import Ledger
from signer.login_rows import Row
from signer.logins import Logins

DEFAULT_TTL, DEFAULT_RATE, DEFAULT_USES = "8h", "60/h", 1_000
ALL = "all"


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = command(commands, "bunker", _bunker, summary="log in as the bot from any client")
    parser.add_argument(
        "action", nargs="?", choices=("invite", "list", "revoke"), default="invite",
        help="invite: print a one-time bunker:// address (the default)",
    )  # fmt: skip
    parser.add_argument("which", nargs="?", metavar="ID", help="revoke: an id, an npub, or all")
    parser.add_argument("--kinds", help="what it may have signed, such as 1,30023 or 30-40")
    parser.add_argument("--ttl", default=DEFAULT_TTL, help="how long: 30m, 8h, 2d (%(default)s)")
    parser.add_argument(
        "--rate", default=DEFAULT_RATE,
        help="of everything together: 10/h, 1/m (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--uses", type=int, default=DEFAULT_USES, help="signatures and texts in all (%(default)s)"
    )
    parser.add_argument("--encrypt", action="store_true", help="may encrypt texts as the bot")
    parser.add_argument(
        "--decrypt", action="store_true",
        help="may READ what is encrypted to the bot, sealed messages excepted",
    )  # fmt: skip
    parser.add_argument(
        "--publish", action="store_true",
        help="what it has signed goes to the private relay first, and from there to public ones",
    )  # fmt: skip
    parser.add_argument("--roles", type=Path, help="roles.toml of the installation")
    parser.add_argument(
        "--relay", action="append", default=[], metavar="URL", help="where the signer is reached"
    )
    parser.add_argument("--qr", action="store_true", help="show the QR code outside a terminal too")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _bunker(arguments: argparse.Namespace) -> int:
    if not Keystore(arguments.data).encrypted.exists():
        raise KeystoreError(
            f"There is no signer in {arguments.data}. Start the installation once with "
            "nostrclaw up, or name its folder with --data."
        )
    if (arguments.which is not None) != (arguments.action == "revoke"):
        raise Malformed(
            "say which: nostrclaw bunker revoke ID, NPUB or all (nostrclaw bunker list shows them)"
            if arguments.action == "revoke"
            else f"{arguments.action} takes no {arguments.which!r}"
        )
    ledger = Ledger(arguments.data / "ledger.sqlite")
    try:
        match arguments.action:
            case "list":
                return _list(arguments, ledger)
            case "revoke":
                return _revoke(arguments, ledger)
            case _:
                return _invite(arguments, ledger)
    finally:
        ledger.close()


def _invite(arguments: argparse.Namespace, ledger: Ledger) -> int:
    terms, ttl_s = _terms(arguments)
    limits = ceiling_file.load(arguments.data)
    typed_terms.within(limits, terms.kinds, ttl_s, publishes=terms.publishes)
    if arguments.roles is None or not arguments.relay:
        raise Malformed(
            "an address needs --roles FILE and --relay URL; nostrclaw bunker gives both"
        )
    for url in arguments.relay:
        if urlsplit(url).scheme not in ("ws", "wss") or not urlsplit(url).hostname:
            raise Malformed(f"--relay: {url!r} is no relay; type it as wss://relay.example")
    signer = load_roles(arguments.roles).signer
    now_s = time.time()
    secret, made = invitation.make(terms, ttl_s, now_s, secrets.token_bytes)
    allowed = ", ".join((*(f"kind {kind}" for kind in terms.kinds), *terms.methods[1:]))
    logins = Logins(ledger)  # makes its tables, which is a transaction of its own
    with ledger.transaction():
        logins.invite(made)
        ledger.chain.append(Entry(int(now_s), "", "invite", f"invitation {made.id}: {allowed}", ""))
    uri = nip46.bunker_uri(signer, arguments.relay, secret)
    if arguments.json:
        told = terms.to_json() | {
            "uri": uri,
            "id": made.id,
            "open_until": made.open_until_s,
            "expires_at": made.expires_s,
        }
        say(json.dumps(told))
        return 0
    if arguments.qr or sys.stdout.isatty():
        segno.make(uri, error="l").terminal(compact=True)
    say(uri)
    tell(
        f"Paste it into one Nostr client by {_when(made.open_until_s)}; it is good once. That "
        f"client then is the bot until {_when(made.expires_s)} for {allowed or 'nothing'}, at "
        f"{typed_terms.shown_rate(terms.rate)}."
    )
    if terms.publishes:
        tell("What it has signed is published by your assistant itself, before the client has it.")
    if "nip44_decrypt" in terms.methods:
        tell("It can READ what anybody encrypted to the bot, sealed messages excepted.")
    tell(f"To end it at once: nostrclaw bunker revoke {made.id}")
    return 0


def _terms(arguments: argparse.Namespace) -> tuple[Terms, int]:
    texts = tuple(f"nip44_{name}" for name in ("encrypt", "decrypt") if getattr(arguments, name))
    if arguments.kinds is None and not texts:
        raise Malformed("say which kinds it may have signed, such as --kinds 1,30023")
    kinds = typed_terms.kinds(arguments.kinds) if arguments.kinds is not None else ()
    if not 1 <= arguments.uses <= typed_terms.MAX_CAPACITY:
        raise Malformed(f"--uses: from 1 to {typed_terms.MAX_CAPACITY}")
    rate = typed_terms.rate(arguments.rate)
    terms = Terms(kinds, ("sign_event", *texts), rate, arguments.uses, arguments.publish)
    return terms, typed_terms.seconds(arguments.ttl)


def _list(arguments: argparse.Namespace, ledger: Ledger) -> int:
    found = _rows(arguments, Logins(ledger), time.time())
    if arguments.json:
        say(json.dumps([row.to_json() for row in found]))
        return 0
    found = [row for row in found if not row.is_past]
    if not found:
        tell("No invitations and no logins. Make one: nostrclaw bunker --kinds 1 --ttl 8h")
        return 0
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("id", "state", "client", "allowed", "rate", "used", "until"):
        table.add_column(title, no_wrap=title in ("id", "state", "rate", "until"))
    for row in found:
        table.add_row(
            row.id or "–",
            f"[{'green' if row.lives else 'dim'}]{row.state}[/]",
            _client(row),
            row.allowed,
            typed_terms.shown_rate(row.rate) if row.rate else "–",
            f"{row.used}/{row.max_uses}",
            _when(row.expires_s),
        )
    Console(highlight=False, width=None if sys.stdout.isatty() else 140).print(table)
    return 0


def _client(row: Row) -> str:
    if row.client is None:
        return "–"
    npub = nip19.encode_npub(row.client)
    short = f"{npub[:12]}…{npub[-4:]}"
    # A name is the client's own claim: no markup, and the key stands first.
    return f"{short} {row.name}".strip().replace("[", "\\[")


def _revoke(arguments: argparse.Namespace, ledger: Ledger) -> int:
    now_s = time.time()
    logins = Logins(ledger)
    with ledger.transaction():
        found = _rows(arguments, logins, now_s)
        if arguments.which != ALL:
            found = login_rows.matching(found, arguments.which)
        ended = [row for row in found if _end(row, logins)]
        for row in ended:
            what = f"invitation {row.id}" if row.id else "the owner's grant"
            ledger.chain.append(
                Entry(int(now_s), row.client or "", "revoke", f"revoked {what}", "")
            )
    if arguments.json:
        say(json.dumps([row.to_json() | {"state": "revoked"} for row in ended]))
    elif ended:
        tell(f"Revoked for good: {', '.join(row.id or _client(row) for row in ended)}.")
    else:
        tell("Nothing was left to revoke.")
    return 0


def _rows(arguments: argparse.Namespace, logins: Logins, now_s: float) -> list[Row]:
    limits = ceiling_file.load(arguments.data)
    return login_rows.of(logins.invitations(), logins.logins(), limits, now_s)


def _end(row: Row, logins: Logins) -> bool:
    if row.ended:
        return False
    if row.client is not None:
        return logins.end(row.client, "revoked")
    return row.id is not None and logins.withdraw(row.id, "revoked")


def _when(at_s: float) -> str:
    return datetime.fromtimestamp(at_s).astimezone().strftime("%Y-%m-%d %H:%M %Z")
