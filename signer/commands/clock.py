"""Shell: `python -m signer clock`: believe this machine's clock again."""

from __future__ import annotations

import argparse
import time

from signer.commands.terminal import Commands, command, tell
from signer.ledger import Ledger


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Register the command."""
    command(commands, "clock", _clock, summary="believe this machine's clock again")


def _clock(arguments: argparse.Namespace) -> int:
    ledger = Ledger(arguments.data / "ledger.sqlite")
    with ledger.transaction():
        ledger.set_clock(time.time())
    tell("This machine's clock is taken for right. Restart the signer.")
    return 0
