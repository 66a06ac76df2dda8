"""Shell: prepares an installation in its data folder and says which programs it consists of.

Everything here may be run again at any time: what is there is kept, what is missing is made.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from bot.operate.plan import Plan, Program
from config.roles import RolesError, ensure_key, load, save, write_whole
from config.runtime import runtime_dir
from config.settings import Settings
from nips.own.roles import Roles
from nips.refusal import Malformed

ROLE_KEYS = ("relay", "signer", "router", "bridge-nostr", "chat")
ALREADY_PAIRED = 3  # exit status of `python -m signer pair`
SOURCE_TREE = Path(__file__).resolve().parents[2]


class AssemblyError(Exception):
    """The installation cannot be prepared; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Installation:
    """The paths of one data folder."""

    data: Path
    run: Path

    @property
    def roles_file(self) -> Path:
        return self.data / "roles.toml"

    @property
    def signer(self) -> Path:
        return self.data / "signer"

    @property
    def logs(self) -> Path:
        return self.data / "logs"

    @property
    def relay_address(self) -> str:
        return f"unix:{self.run / 'relay.sock'}"

    @property
    def plan_file(self) -> Path:
        return self.run / "plan.json"

    @property
    def status_file(self) -> Path:
        return self.run / "status.json"

    def key(self, name: str) -> Path:
        return self.data / "keys" / name


def installation(data: Path) -> Installation:
    """Make the data folder, mode 0700, and find its folder for sockets.

    Raises AssemblyError when it lies inside the program's own folder, whose files an agent of
    the main group may be shown.
    """
    data = data.expanduser().resolve()
    if data.is_relative_to(SOURCE_TREE):
        raise AssemblyError(
            f"The data folder {data} lies inside the program's own folder {SOURCE_TREE}. Choose "
            "one outside it with --data."
        )
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        data.chmod(0o700)
    except OSError as error:
        raise AssemblyError(
            f"{data} cannot be made: {error.strerror}. Choose another with --data."
        ) from error
    return Installation(data, runtime_dir(data))


def claim(place: Installation) -> int:
    """Take the lock that lets one assembly run in a data folder; it is held while open.

    Raises AssemblyError when another one runs.
    """
    descriptor = os.open(place.data / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise AssemblyError(
            f"nostrclaw already runs with {place.data}. Stop that one first, or choose another "
            "folder with --data."
        ) from error
    os.set_inheritable(descriptor, True)  # the supervisor takes it over
    return descriptor


def prepare(place: Installation, settings: Settings, owner: str | None) -> Roles:
    """Make the role keys, the bot's identity and roles.toml. Raises AssemblyError.

    owner: hex, or None to keep what is there.
    """
    try:
        keys = {name: ensure_key(place.key(name)).public for name in ROLE_KEYS}
        known = load(place.roles_file) if place.roles_file.exists() else None
    except (RolesError, Malformed) as error:
        raise AssemblyError(str(error)) from error
    if known is not None and owner is not None and known.owner not in (None, owner):
        raise AssemblyError(
            f"This installation belongs to {known.owner}. To give it to another owner, start "
            "anew with another --data folder."
        )
    main = known.main if known else str(uuid4())
    bot = _identity(place, settings, main)
    roles = Roles(
        relay=keys["relay"],
        signer=keys["signer"],
        router=keys["router"],
        bot=bot,
        main=main,
        owner=owner or (known.owner if known else None),
        chat=keys["chat"],
        bridges={"nostr": keys["bridge-nostr"]},
    )
    if roles != known:
        save(place.roles_file, roles)
    return roles


def _identity(place: Installation, settings: Settings, main: str) -> str:
    argv = [sys.executable, "-m", "signer", "init", "--data", str(place.signer), "--main", main]
    argv += ["--name", settings.name, "--about", settings.about]
    for url in settings.relays:
        argv += ["--relay-url", url]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssemblyError(f"The signer could not make its identity: {done.stderr.strip()}")
    return done.stdout.strip().splitlines()[-1]


def pairing_code(place: Installation) -> str | None:
    """Have the signer make a one-time code, of which it keeps the hash only.

    Returns None when an owner has paired already. Raises AssemblyError.
    """
    argv = [sys.executable, "-m", "signer", "pair", "--data", str(place.signer)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode == ALREADY_PAIRED:
        return None
    if done.returncode != 0:
        raise AssemblyError(f"No pairing code: {done.stderr.strip()}")
    return done.stdout.strip().splitlines()[-1]


def plan(
    place: Installation, settings: Settings, roles: Roles, *, image: str, engine_root: Path
) -> Plan:
    """The programs of this installation, and what to do when they have ended."""
    python = sys.executable
    return Plan(
        programs=(
            Program("relay", relay_argv(place, settings), "relay: ready"),
            Program(
                "signer",
                (
                    python, "-m", "signer", "run",
                    "--data", str(place.signer),
                    "--key", str(place.key("signer")),
                    "--roles", str(place.roles_file),
                    "--relay", place.relay_address,
                ),
                "signer: ready",
            ),
            Program(
                "bot",
                (
                    python, "-m", "bot", "run",
                    "--data", str(place.data),
                    "--run", str(place.run),
                    "--image", image,
                    "--engine-root", str(engine_root),
                ),
                "bot: ready",
            ),
        ),
        log_dir=str(place.logs),
        status_file=str(place.status_file),
        afterwards=((python, "-m", "bot.engine", "release", str(engine_root)),),
    )  # fmt: skip


def relay_argv(place: Installation, settings: Settings) -> tuple[str, ...]:
    """The private relay's command."""
    return (
        sys.executable, "-m", "relay_local",
        "--data", str(place.data / "relay"),
        "--listen", settings.listen,
        "--unix", str(place.run / "relay.sock"),
        "--roles", str(place.roles_file),
        "--key", str(place.key("relay")),
        "--sessions", str(place.run / "s"),
    )  # fmt: skip


def write_plan(place: Installation, made: Plan, *, greeting: str) -> Path:
    """Store the plan where the supervisor reads it."""
    write_whole(place.plan_file, replace(made, greeting=greeting).to_json(), mode=0o600)
    return place.plan_file
