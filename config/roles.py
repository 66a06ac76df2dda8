"""Shell: the role keys and `roles.toml`, from which relay and signer take their trust.

Secret keys are files of 64 hex digits, mode 0600, each read by its own process; `roles.toml`
holds public keys only and is written before anything starts.
"""

from __future__ import annotations

import os
import secrets
import tomllib
from pathlib import Path

from nips.key import SecretKey
from nips.own.roles import Roles, parse
from nips.refusal import Malformed


class RolesError(Exception):
    """A key file or roles.toml cannot be used; the message says why and what to do."""


def read_key(path: Path) -> SecretKey:
    """Read a key file. Raises RolesError."""
    try:
        return SecretKey(bytes.fromhex(path.read_text().strip()))
    except OSError as error:
        raise RolesError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, Malformed) as error:
        raise RolesError(f"{path} does not hold a key of 64 hex digits") from error


def ensure_key(path: Path) -> SecretKey:
    """Read a key file, made first where there is none: whole or not at all, mode 0600."""
    if not path.exists():
        key = SecretKey.generate(secrets.token_bytes)
        write_whole(path, key.raw.hex() + "\n", mode=0o600)
    return read_key(path)


def write_whole(path: Path, text: str, *, mode: int) -> None:
    """Write a file so that a crash leaves the old one or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def load(path: Path) -> Roles:
    """Read roles.toml. Raises RolesError."""
    try:
        return parse(tomllib.loads(path.read_text()))
    except OSError as error:
        raise RolesError(f"{path} cannot be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise RolesError(f"{path} is not TOML: {error}") from error
    except Malformed as error:
        raise RolesError(f"{path}: {error}") from error


def save(path: Path, roles: Roles) -> None:
    """Write roles.toml; it is public, and readable by every process."""
    head = "# Public keys of the parts, hex. Written by `nostrclaw up`; trust starts here.\n"
    write_whole(path, head + roles.to_toml(), mode=0o644)
