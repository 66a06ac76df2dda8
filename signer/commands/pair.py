"""Shell: `python -m signer pair`: print a one-time code that names the owner."""

from __future__ import annotations

import argparse
import json
import secrets
import time

from nips import nip19
from signer import pairing
from signer.commands.terminal import Commands, command, say, tell
from signer.keystore import write_whole
from signer.ledger import Ledger

ALREADY_PAIRED = 3


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Register the command."""
    command(commands, "pair", _pair, summary="print a one-time code that names the owner")


def _pair(arguments: argparse.Namespace) -> int:
    owner = Ledger(arguments.data / "ledger.sqlite").get("owner")
    if owner is not None:
        tell(f"{nip19.encode_npub(owner)} has paired already; there is one owner.")
        return ALREADY_PAIRED
    code, offer = pairing.make(secrets.token_bytes, time.time())
    write_whole(arguments.data / "pairing.json", json.dumps(offer.to_json()) + "\n", mode=0o600)
    say(code)
    return 0
