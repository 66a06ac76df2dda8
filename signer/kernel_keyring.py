"""Shell: a cache in the kernel, so that a restart within the same boot needs no passphrase.

What lies there is the key that scrypt made of the passphrase: of use only together with the
ncryptsec it was made for, so a changed passphrase makes it worthless. It lies in the keyring of
the signer's own user, is readable by that user alone, ends after a time limit and with the boot,
and is never on a disk. Source: keyrings(7), user-keyring(7), add_key(2), keyctl(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# add_key and keyctl; arm64 and riscv64 have the numbers of every newer architecture.
_SYSCALLS = {"x86_64": (248, 250), "aarch64": (217, 219), "riscv64": (217, 219)}
_USER_KEYRING = -4  # KEY_SPEC_USER_KEYRING
_SESSION_KEYRING = -3
_JOIN_SESSION, _LINK = 1, 8
_SETPERM, _UNLINK, _SEARCH, _READ, _SET_TIMEOUT = 5, 9, 10, 11, 15
# The user may do everything, whether or not a session of theirs holds the keyring; nobody else.
_USERS_ALONE = 0x3F3F0000
_TYPE = b"user"
MAX_BYTES = 64
_ABSENT = {errno.ENOKEY, errno.EKEYEXPIRED, errno.EKEYREVOKED}


class KeyringRefused(Exception):
    """The kernel has no keyring for us, as in most containers; the message says why."""


@dataclass(frozen=True, slots=True)
class KernelKeyring:
    """One entry. name: of the identity it belongs to; life_s: after which the kernel drops it."""

    name: str
    life_s: int

    def put(self, wrapping: bytes) -> None:
        """Keep it, in place of what was kept. Raises KeyringRefused."""
        serial = _add_key(self._description, wrapping)
        try:
            _keyctl(_SETPERM, serial, _USERS_ALONE)
            _keyctl(_SET_TIMEOUT, serial, self.life_s)
        except OSError as error:
            with suppress(OSError):
                _keyctl(_UNLINK, serial, _USER_KEYRING)
            raise KeyringRefused(_why(error)) from error

    def get(self) -> bytes | None:
        """What is kept; None where nothing is. Raises KeyringRefused."""
        serial = self._find()
        if serial is None:
            return None
        buffer = ctypes.create_string_buffer(MAX_BYTES)
        try:
            length = _keyctl(_READ, serial, ctypes.addressof(buffer), MAX_BYTES)
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise KeyringRefused(_why(error)) from error
        return buffer.raw[: min(length, MAX_BYTES)]

    def clear(self) -> bool:
        """Forget it; says whether there was something. Raises KeyringRefused."""
        serial = self._find()
        if serial is None:
            return False
        try:
            _keyctl(_UNLINK, serial, _USER_KEYRING)
        except OSError as error:
            raise KeyringRefused(_why(error)) from error
        return True

    @property
    def _description(self) -> bytes:
        return f"nostrclaw:{self.name}".encode()

    def _find(self) -> int | None:
        description = ctypes.create_string_buffer(self._description)
        kind = ctypes.create_string_buffer(_TYPE)
        try:
            return _keyctl(
                _SEARCH, _USER_KEYRING, ctypes.addressof(kind), ctypes.addressof(description)
            )
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise KeyringRefused(_why(error)) from error


def leave_session() -> None:
    """Possess nothing of what the session has that this process was started in.

    Attack: a keyring that root's session holds is read by whoever it started, whatever user that
    is now. Where the kernel has no keyrings for us there is nothing to leave.
    """
    with suppress(OSError, KeyringRefused):
        _keyctl(_JOIN_SESSION, 0)
        _keyctl(_LINK, _USER_KEYRING, _SESSION_KEYRING)  # else our own user's is not possessed


def forget(folder: Path, name: str) -> bool:
    """Forget what the user to whom `folder` belongs has kept; says whether there was something.

    A process of its own becomes that user, where root asks.
    """
    owner = folder.stat()
    child = os.fork()
    if child == 0:
        found = False
        try:
            if os.geteuid() == 0 and owner.st_uid != 0:
                os.setgroups([])
                os.setresgid(owner.st_gid, owner.st_gid, owner.st_gid)
                os.setresuid(owner.st_uid, owner.st_uid, owner.st_uid)
            found = KernelKeyring(name, 0).clear()
        except (OSError, KeyringRefused):
            pass  # then nothing of ours is there either
        finally:
            os._exit(0 if found else 1)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


def _add_key(description: bytes, payload: bytes) -> int:
    number, _ = _numbers()
    length, ring = ctypes.c_size_t(len(payload)), ctypes.c_long(_USER_KEYRING)
    try:
        return _checked(_libc().syscall(number, _TYPE, description, payload, length, ring))
    except OSError as error:
        raise KeyringRefused(_why(error)) from error


def _keyctl(operation: int, *arguments: int) -> int:
    _, number = _numbers()
    given = [ctypes.c_long(value) for value in (operation, *arguments, 0, 0, 0, 0)[:5]]
    return _checked(_libc().syscall(number, *given))


def _numbers() -> tuple[int, int]:
    numbers = _SYSCALLS.get(platform.machine()) if sys.platform == "linux" else None
    if numbers is None:
        raise KeyringRefused(f"it is not known how to ask for one on {platform.platform()}")
    return numbers


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _why(error: OSError) -> str:
    return f"the kernel refused its keyring: {error.strerror}"
