"""Shell: a process that gives up most of the machine's files, for good. Source: landlock(7).

Attack: the model proxy reads what containers and providers send. Taken over, it could read, as the
same user, the bot's key and the passphrase beside it. After `confine` it cannot open them, nor can
what it starts: the kernel refuses, whatever the files' modes say. Linux since 5.13; where there is
none the caller learns of it and says so.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from signer.keystore import KeystoreError

# One number each on every architecture of Linux that has them.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH = 1, 1

_EXECUTE, _WRITE, _READ, _LIST = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE = 1 << 14  # since version 3
# What each version of the interface can forbid: 13 rights at first, then REFER, TRUNCATE and
# IOCTL_DEV.
_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_NEWEST = (1 << 16) - 1
_OF_FILES = _EXECUTE | _WRITE | _READ | _TRUNCATE | 1 << 15


class _Ruleset(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64),)


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def confine(readable: Iterable[Path], writable: Iterable[Path]) -> bool:
    """Open nothing but what lies below these from now on; what is open already stays so.

    To be called before any thread is started, in a process with no_new_privs. Returns False where
    the kernel has no Landlock, or has it switched off. Raises OSError.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION_FLAG)
    if version < 1:
        return False
    rights = _RIGHTS.get(version, _NEWEST)
    asked = _Ruleset(rights)
    ruleset = _checked(
        libc.syscall(_CREATE_RULESET, ctypes.byref(asked), ctypes.c_size_t(ctypes.sizeof(asked)), 0)
    )
    try:
        for paths, given in ((readable, _EXECUTE | _READ | _LIST), (writable, rights & ~_EXECUTE)):
            for path in paths:
                _allow(libc, ruleset, path, given & rights)
        _checked(libc.syscall(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)
    return True


def require_closed(paths: Iterable[Path]) -> None:
    """Prove that none of these can be read any more. Raises KeystoreError when one can."""
    for path in paths:
        try:
            os.close(os.open(path, os.O_RDONLY))
        except PermissionError:
            continue
        except FileNotFoundError:
            continue
        raise KeystoreError(f"{path} is still open to this process, which must not read it.")


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # another distribution has it elsewhere
    try:
        if not path.is_dir():
            rights &= _OF_FILES
        rule = _Beneath(rights, descriptor)
        _checked(libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0))
    finally:
        os.close(descriptor)


def _checked(result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), "landlock")
    return result
