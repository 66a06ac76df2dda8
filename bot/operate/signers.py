"""Shell: the signer's own commands, aimed at an installation: `nostrclaw bunker` and the like.

A person names the installation's folder; the signer wants its own folder in it, and what only the
installation knows, such as the address at which its relay is reached.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from pathlib import Path

from config import settings
from config.runtime import runtime_dir


def of_bunker(data: Path, given: Sequence[str]) -> list[str]:
    """The arguments of `python -m signer` for `nostrclaw bunker …` in the data folder `data`.

    Raises SettingsError.
    """
    data = data.expanduser().resolve()
    here = ["bunker", "--data", str(data / "signer"), "--roles", str(data / "roles.toml")]
    names_a_relay = any(one == "--relay" or one.startswith("--relay=") for one in given)
    if not names_a_relay and data.is_dir():
        here += ["--relay", f"ws://{_listening(data)}"]
    return [*here, *given]


def of_audit(data: Path, given: Sequence[str]) -> list[str]:
    """The arguments for `nostrclaw audit …`; the relay is asked too, where it runs."""
    data = data.expanduser().resolve()
    here = ["--data", str(data / "signer"), "--key", str(data / "keys" / "signer")]
    if data.is_dir() and is_listening(path := runtime_dir(data) / "relay.sock"):
        here += ["--relay", f"unix:{path}"]
    action = [] if not given or given[0].startswith("-") else [given[0]]
    return ["audit", *action, *here, *given[len(action) :]]


def is_listening(path: Path) -> bool:
    """Say whether somebody answers on a Unix socket; its file may outlive who made it."""
    with socket.socket(socket.AF_UNIX) as trying:
        try:
            trying.connect(str(path))
        except OSError:
            return False
    return True


def _listening(data: Path) -> str:
    """Where the relay answers: as it was started last, since `up` may have been told otherwise."""
    try:
        plan = json.loads((runtime_dir(data) / "plan.json").read_text())
        [argv] = (one["argv"] for one in plan["programs"] if one["name"] == "relay")
        return str(argv[argv.index("--listen") + 1])
    except (OSError, ValueError, KeyError):
        return settings.load(data).listen
