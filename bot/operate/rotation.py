"""Shell: `nostrclaw key rotate`: a new identity for a whole installation.

The signer makes it and keeps the one of before. What follows from it happens by itself at the next
start, after a crash in between too: `prepare` finds another identity in the signer's folder, names
it in roles.toml, and notes the one of before; the router puts the new key into the main group and
takes the old one out; the bridge announces the new profile and inbox. Grants, puppets and the
people's messages are not the identity's and stay.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bot.operate import assembly
from config import settings


def rotate(data: Path, given: Sequence[str]) -> int:
    """Rotate the identity of an installation that does not run; returns an exit status.

    given: further arguments of `python -m signer key rotate`. Raises AssemblyError.
    """
    if not (data.expanduser() / "signer").is_dir():
        raise assembly.AssemblyError(f"{data} holds no installation. Name its folder with --data.")
    place = assembly.installation(data)
    lock = assembly.claim(place)
    try:
        argv = [sys.executable, "-m", "signer", "key", "rotate", "--data", str(place.signer)]
        # Its descriptors, terminal and words are this command's.
        status = subprocess.run([*argv, *given], check=False, close_fds=False).returncode
        if status == 0 and place.roles_file.exists():
            assembly.prepare(place, settings.load(place.data), None)
        return status
    finally:
        os.close(lock)


def arguments_for_signer(data: Path, given: Sequence[str]) -> list[str]:
    """The arguments of `python -m signer` for `nostrclaw key …` in the data folder `data`."""
    if not given or given[0].startswith("-"):
        return ["key", *given]
    action, *rest = given
    return ["key", action, "--data", str(data.expanduser().resolve() / "signer"), *rest]
