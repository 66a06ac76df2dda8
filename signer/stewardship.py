"""Shell: root at work in a folder of somebody else's, with no more than reading in excess.

Attack: a signer that was taken over leaves a database in its folder whose journal has SQLite, when
root opens it for a command or the next start, write or remove files of root's. So whoever opens one
is meanwhile the user to whom the folder belongs, and keeps of root only that paths through closed
folders can be followed, which SQLite needs: it resolves them to the end.

Source: capabilities(7), "Effect of user ID changes on capabilities"; capset(2).
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_VERSION_3 = 0x20080522
_CAP_DAC_READ_SEARCH = 2


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Half(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


@contextmanager
def as_owner_of(folder: Path) -> Iterator[None]:
    """Be the folder's owner for the length of a block, where root calls and it is not root's.

    A root that may not look everywhere, as in most containers, stays what it is: it could not
    reach the folder otherwise. To be used before any thread is started. Raises OSError.
    """
    if sys.platform != "linux" or os.geteuid() != 0 or (owner := folder.stat()).st_uid == 0:
        yield
        return
    header, halves = _Header(_VERSION_3, 0), (_Half * 2)()
    libc = ctypes.CDLL(None, use_errno=True)
    _checked(libc.capget(ctypes.byref(header), halves))
    if not halves[0].permitted >> _CAP_DAC_READ_SEARCH & 1:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    os.setgroups([])
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)  # with it go the effective capabilities
    try:
        halves[0].effective, halves[1].effective = 1 << _CAP_DAC_READ_SEARCH, 0
        _checked(libc.capset(ctypes.byref(header), halves))
        yield
    finally:
        os.seteuid(0)  # and with it they return
        os.setegid(group)
        os.setgroups(groups)


def _checked(result: int) -> None:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), "capabilities")
