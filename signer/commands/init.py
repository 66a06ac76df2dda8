"""Shell: `python -m signer init`: make the bot's identity and the ceiling."""

from __future__ import annotations

import argparse
from contextlib import suppress
from dataclasses import replace

from nips import nip19
from signer import ceiling_file
from signer.ceiling import Ceiling
from signer.commands.terminal import Commands, add_passphrase, command, passphrase, say, tell
from signer.descent import CannotDescend, settle
from signer.keystore import Keystore, read_text
from signer.secret import harden_process

# The owner's own assistant publishes notes and comments, and keeps drafts.
MAIN_GROUP_KINDS = frozenset({1, 1_111, 30_024})


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = command(commands, "init", _init, summary="make the bot's identity and the ceiling")
    parser.add_argument("--import-fd", type=int, metavar="N", help="read an nsec from descriptor N")
    parser.add_argument("--main", metavar="UUID", help="the main group, which may speak in public")
    parser.add_argument("--relay-url", action="append", default=[], help="a public relay (repeat)")
    parser.add_argument("--login-url", metavar="URL", help="a further relay it may log in at")
    parser.add_argument("--name", help="the name in the bot's profile")
    parser.add_argument("--about", help="what the bot's profile says about it")
    add_passphrase(parser)


def _init(arguments: argparse.Namespace) -> int:
    harden_process()
    given = passphrase(arguments)
    imported = None if arguments.import_fd is None else read_text(arguments.import_fd)
    store = Keystore(arguments.data)
    public, made = store.create(imported, given)
    _write_ceiling(arguments)
    with suppress(CannotDescend):  # then the signer stays who starts it, and says so
        settle(arguments.data)
    if made:
        kept = (
            f"Its passphrase is in {store.passphrase}, beside it: this protects a backup that "
            "leaves the passphrase out, not this machine. Keep a copy of both, apart from each "
            "other; without them the identity is lost."
            if given is None
            else "Its passphrase is yours alone to keep; without it the identity is lost."
        )
        tell(
            f"The bot's identity is {nip19.encode_npub(public)}, encrypted in {store.encrypted}. "
            f"{kept}"
        )
    say(public)
    return 0


def _write_ceiling(arguments: argparse.Namespace) -> None:
    path = ceiling_file.path_in(arguments.data)
    known = ceiling_file.load(arguments.data) if path.exists() else None
    # One that says nothing yet was written by an `init` that knew no main group, say an import.
    says_nothing = known in (None, Ceiling())
    fresh = Ceiling()
    if arguments.main:
        main = frozenset({arguments.main})
        fresh = Ceiling(groups={arguments.main: MAIN_GROUP_KINDS}, public_reactions=main)
    wanted = fresh if says_nothing or known is None else known
    if arguments.relay_url:
        wanted = replace(wanted, relays=tuple(arguments.relay_url))
    if arguments.login_url is not None:
        wanted = replace(wanted, login_relays=(arguments.login_url,) if arguments.login_url else ())
    told = {"name": arguments.name, "about": arguments.about}
    if profile := {name: value for name, value in told.items() if value is not None}:
        wanted = replace(wanted, profile=dict(wanted.profile) | profile)
    if wanted != known:
        ceiling_file.store(arguments.data, wanted)
        if known is not None:
            tell(f"{path} has the new relays and profile.")
