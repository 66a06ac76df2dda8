"""Shell: from root down to a user that nobody else is, for good.

The folder's owner says which user it is, so the signer is the same one after each start. What is
needed of places that this user cannot reach, such as anything below a home of mode 0700, is
opened before: a folder as a descriptor, whose name then is /proc/self/fd/N.

Source: setresuid(2), capabilities(7), prctl(2) PR_SET_PDEATHSIG; systemd "Users, Groups, UIDs and
GIDs on systemd Systems", whose table leaves the range below to nobody.
"""

from __future__ import annotations

import ctypes
import grp
import os
import pwd
import random
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from signer.kernel_keyring import leave_session
from signer.keystore import KeystoreError
from signer.secret import harden_process

FIRST_UID, LAST_UID = 60_578, 61_183
_NEEDED = {"CAP_CHOWN": 0, "CAP_SETGID": 6, "CAP_SETUID": 7}
_PR_SET_PDEATHSIG, _PR_GET_PDEATHSIG = 1, 2
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_DEPTH = 8  # ours has two


class CannotDescend(Exception):
    """This process stays the user it is; the message says why."""


def settle(folder: Path) -> int:
    """Give the signer's folder, and what is in it, to a user that nobody else is.

    Returns its uid, the same at each call. Raises CannotDescend where we are not root, or root of
    a namespace that has no other user.
    """
    _require_power()
    owner = folder.stat().st_uid
    uid = owner if FIRST_UID <= owner <= LAST_UID else _unused_uid()
    if not (_is_mapped("uid", uid) and _is_mapped("gid", uid)):
        raise CannotDescend(f"this namespace has no user {uid}")
    descriptor = os.open(folder, _OPEN_FOLDER)
    try:
        _give(descriptor, uid, depth=0)
    finally:
        os.close(descriptor)
    return uid


def _give(folder: int, uid: int, depth: int) -> None:
    """Give an open folder to a user, and what is in it.

    Attack: a process that a taken-over signer left swaps names meanwhile. So each step is opened
    from the one above, and it is what was opened that is given away.
    """
    os.fchown(folder, uid, uid)
    for name in os.listdir(folder):
        with suppress(FileNotFoundError, NotADirectoryError):
            descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                _give_one(descriptor, uid, depth)
            finally:
                os.close(descriptor)


def _give_one(descriptor: int, uid: int, depth: int) -> None:
    found, itself = os.fstat(descriptor), f"/proc/self/fd/{descriptor}"
    if stat.S_ISDIR(found.st_mode):
        if depth < _MAX_DEPTH:
            folder = os.open(itself, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                _give(folder, uid, depth + 1)
            finally:
                os.close(folder)
    # Attack: a signer that was taken over leaves a second name of somebody else's file here.
    elif found.st_uid != uid and found.st_nlink == 1 and not stat.S_ISLNK(found.st_mode):
        os.chown(itself, uid, uid)


def reachable(folder: Path) -> Path:
    """A name of the folder that holds for this process whatever it may reach by path."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    return Path(f"/proc/self/fd/{descriptor}")


def descend(uid: int) -> None:
    """Be this user from now on, and nobody else. Raises KeystoreError when a way back is left."""
    parent = os.getppid()
    on_death = _death_signal()
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    leave_session()
    _require_no_way_back(uid)
    # The kernel forgets both when a process becomes another user.
    harden_process()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(on_death))
    if on_death and os.getppid() != parent:
        raise KeystoreError("What had started the signer ended meanwhile.")


def _require_power() -> None:
    if sys.platform != "linux":
        raise CannotDescend("only on Linux")
    if os.geteuid() != 0:
        raise CannotDescend("it was not started as root")
    held = _capabilities("CapEff")
    for name, bit in _NEEDED.items():
        if not held >> bit & 1:
            raise CannotDescend(f"this root has no {name}")


def _require_no_way_back(uid: int) -> None:
    left = {name: _capabilities(name) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")}
    same = (uid, uid, uid)
    if os.getresuid() != same or os.getresgid() != same or os.getgroups() or any(left.values()):
        raise KeystoreError(f"The signer did not become user {uid} altogether: {left}.")
    for back in (os.setuid, os.setgid):
        try:
            back(0)
        except PermissionError:
            continue
        raise KeystoreError("The signer could become root again.")


def _capabilities(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        field, _, value = line.partition(":")
        if field == name:
            return int(value, 16)
    return 0


def _unused_uid() -> int:
    used = set(_users_of_processes())
    every = range(FIRST_UID, LAST_UID + 1)
    for uid in random.SystemRandom().sample(every, len(every)):
        if uid not in used and not _has_name(uid) and _is_mapped("uid", uid):
            return uid
    raise CannotDescend(f"this namespace has no user from {FIRST_UID} to {LAST_UID}")


def _users_of_processes() -> Iterator[int]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                yield folder.stat().st_uid
            except FileNotFoundError:
                continue


def _has_name(uid: int) -> bool:
    for look_up in (pwd.getpwuid, grp.getgrgid):
        try:
            look_up(uid)
        except KeyError:
            continue
        return True
    return False


def _is_mapped(kind: str, number: int) -> bool:
    for line in Path(f"/proc/self/{kind}_map").read_text().splitlines():
        inside, _, count = (int(part) for part in line.split())
        if inside <= number < inside + count:
            return True
    return False


def _death_signal() -> int:
    number = ctypes.c_int(0)
    ctypes.CDLL(None).prctl(_PR_GET_PDEATHSIG, ctypes.byref(number))
    return number.value
