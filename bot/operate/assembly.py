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

from bot.engine.folders import UnsafeFolder, check_project
from bot.operate.models import ModelsError, configured, proxy
from bot.operate.plan import Plan, Program
from config.roles import RolesError, ensure_key, load, save, write_whole
from config.runtime import runtime_dir
from config.settings import Settings
from nips.own.roles import Roles
from nips.refusal import Malformed

BRIDGES = ("nostr", "signal")  # each with a role key, whether or not it has anything to do
ROLE_KEYS = (
    "relay", "signer", "router", "chat", "model", "console",
    *(f"bridge-{name}" for name in BRIDGES),
)  # fmt: skip
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
    def signer_socket(self) -> Path:
        """The relay's socket for the signer, in a folder of the signer's own user."""
        return self.run / "signer" / "relay.sock"

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

    Raises AssemblyError when it and the program's own folder, whose source an agent of the main
    group may read, lie one in the other.
    """
    data = data.expanduser().resolve()
    try:
        check_project(SOURCE_TREE, data)
    except UnsafeFolder as error:
        raise AssemblyError(str(error)) from error
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
    _open_to_signer(place)
    roles = Roles(
        relay=keys["relay"],
        signer=keys["signer"],
        router=keys["router"],
        bot=bot,
        main=main,
        owner=owner or (known.owner if known else None),
        chat=keys["chat"],
        model=keys["model"],
        console=keys["console"],
        bridges={
            **(known.bridges if known else {}),
            **{name: keys[f"bridge-{name}"] for name in BRIDGES},
        },
        former=_former(known, bot),
    )
    if roles != known:
        save(place.roles_file, roles)
    return roles


def _identity(place: Installation, settings: Settings, main: str) -> str:
    argv = [sys.executable, "-m", "signer", "init", "--data", str(place.signer), "--main", main]
    argv += ["--name", settings.name, "--about", settings.about]
    for url in settings.relays:
        argv += ["--relay-url", url]
    argv += ["--login-url", settings.router_relay]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssemblyError(f"The signer could not make its identity: {done.stderr.strip()}")
    return done.stdout.strip().splitlines()[-1]


def _former(known: Roles | None, bot: str) -> tuple[str, ...]:
    """The identities of before; another one in the signer's folder was a rotation."""
    if known is None:
        return ()
    every = known.former if known.bot == bot else (*known.former, known.bot)
    return tuple(key for key in every if key != bot)


def _open_to_signer(place: Installation) -> None:
    """Make the folder in which the relay's socket for the signer stands, closed to all others.

    Started as root the signer becomes the user to whom `init` has given its folder.
    """
    folder = place.signer_socket.parent
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            owner = place.signer.stat()
            os.chown(folder, owner.st_uid, owner.st_gid)
        folder.chmod(0o700)
    except OSError as error:
        raise AssemblyError(f"{folder} cannot be made the signer's: {error.strerror}") from error


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
    """The programs of this installation, and what to do when they have ended.

    The model proxy is among them where a provider of models is configured.
    """
    python = sys.executable
    try:
        models = configured(place.signer)
    except ModelsError as error:
        raise AssemblyError(str(error)) from error
    calling = proxy(
        place.signer, place.key("model"), place.roles_file, place.relay_address, place.run / "s"
    )
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
                    "--relay", f"unix:{place.signer_socket}",
                    "--keyring-hours", str(settings.keyring_hours),
                ),
                "signer: ready",
            ),
            *((calling,) if models else ()),
            Program(
                "bot",
                (
                    python, "-m", "bot", "run",
                    "--data", str(place.data),
                    "--run", str(place.run),
                    "--image", image,
                    "--engine-root", str(engine_root),
                    *(part for model in models for part in ("--model", str(model))),
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
        "--unix", str(place.signer_socket),
        "--roles", str(place.roles_file),
        "--key", str(place.key("relay")),
        "--sessions", str(place.run / "s"),
    )  # fmt: skip


def write_plan(place: Installation, made: Plan, *, greeting: str) -> Path:
    """Store the plan where the supervisor reads it."""
    write_whole(place.plan_file, replace(made, greeting=greeting).to_json(), mode=0o600)
    return place.plan_file
