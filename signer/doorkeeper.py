"""Shell: how a serving signer whose passphrase a person keeps is unlocked and locked.

A process of its own, forked before the first thread, listens on `unlock.sock` in the signer's
folder, which only the signer's user and root reach. For each caller it forks once more: that
process reads the passphrase, decrypts the key into a pipe and ends. So neither the passphrase nor
a copy of the key is ever in the memory of what stays.

    caller → {"do": "unlock", "passphrase": "…"} or {"do": "lock"}, one line of JSON
    caller ← {"done": true, "words": "…"}

Source: unix(7) SO_PEERCRED.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signer.kernel_keyring import KernelKeyring
from signer.keystore import Keystore, KeystoreError

SOCKET = "unlock.sock"
UNLOCKED, LOCK = b"u", b"l"
ANSWER_WAIT_S = 20.0
_MAX_LINE_BYTES = 8_192
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Door:
    """The serving process's ends.

    control: each byte says what is asked, UNLOCKED (the key waits in `keys`) or LOCK; the answer
    is a line of text, empty when it was done. At its end the doorkeeper is gone.
    """

    control: socket.socket
    keys: int


def open_door(store: Keystore, keyring: KernelKeyring | None) -> Door:
    """Start the doorkeeper. To be called before any thread is started. Raises OSError."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reads_key, writes_key = os.pipe()
    parent = os.getpid()
    if os.fork() == 0:
        try:
            _end_with(parent)
            os.chdir(store.data)  # a Unix socket's path has 107 bytes, a folder's may have more
            _close_all_but(theirs.fileno(), writes_key)
            _keep(Keystore(Path(), named=store.named), keyring, theirs, writes_key)
        except BaseException as error:  # noqa: BLE001 - nothing of the parent's may run here
            os.write(2, f"signer: the doorkeeper ended: {error!r}\n".encode())
        finally:
            os._exit(1)
    theirs.close()
    os.close(writes_key)
    return Door(ours, reads_key)


def ask(data: Path, request: dict[str, str]) -> str:
    """Ask a serving signer's doorkeeper; returns its words.

    Changes this process's working folder. Raises KeystoreError when it refuses or is not there.
    """
    os.chdir(data)
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(2 * ANSWER_WAIT_S)
        try:
            caller.connect(SOCKET)
        except OSError as error:
            raise NobodyThere(
                f"No signer waits in {data} to be asked: none runs, or its passphrase is kept "
                "beside the key, so that it needs none."
            ) from error
        try:
            caller.sendall(json.dumps(request).encode() + b"\n")
            answer = json.loads(_line(caller))
        except (OSError, ValueError) as error:
            raise KeystoreError(f"The signer in {data} gave no answer; see its log.") from error
    if not answer["done"]:
        raise KeystoreError(str(answer["words"]))
    return str(answer["words"])


class NobodyThere(KeystoreError):
    """No doorkeeper listens."""


def _keep(
    store: Keystore, keyring: KernelKeyring | None, control: socket.socket, keys: int
) -> None:
    Path(SOCKET).unlink(missing_ok=True)
    before = os.umask(0o177)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(SOCKET)
    os.umask(before)
    listening.listen(4)
    while True:
        caller, _ = listening.accept()
        child = os.fork()
        if child == 0:
            listening.close()
            with caller:
                answer = _served(caller, store, keyring, control, keys)
                with suppress(OSError):
                    caller.sendall(json.dumps(answer).encode() + b"\n")
            os._exit(0)
        caller.close()
        os.waitpid(child, 0)


def _served(
    caller: socket.socket,
    store: Keystore,
    keyring: KernelKeyring | None,
    control: socket.socket,
    keys: int,
) -> dict[str, Any]:
    caller.settimeout(ANSWER_WAIT_S)
    try:
        _require_ours(caller)
        request = json.loads(_line(caller))
        match request:
            case {"do": "unlock", "passphrase": str(passphrase)}:
                _tell = _unlock(store, keyring, passphrase, control, keys)
            case {"do": "lock"}:
                _tell = _lock(keyring, control)
            case _:
                raise KeystoreError("That is nothing to ask a signer.")
    except KeystoreError as error:
        return {"done": False, "words": str(error)}
    except (OSError, ValueError, UnicodeError) as error:
        return {"done": False, "words": f"The request could not be read: {type(error).__name__}"}
    return {"done": True, "words": _tell}


def _unlock(
    store: Keystore,
    keyring: KernelKeyring | None,
    passphrase: str,
    control: socket.socket,
    keys: int,
) -> str:
    key = store.open_cached(passphrase, keyring)
    os.write(keys, key.raw)
    _told(control, UNLOCKED)
    return "The signer is unlocked."


def _lock(keyring: KernelKeyring | None, control: socket.socket) -> str:
    if keyring is not None:
        keyring.clear()
    _told(control, LOCK)
    return "The signer is locked: nothing is signed until `nostrclaw key unlock`."


def _told(control: socket.socket, what: bytes) -> None:
    control.settimeout(ANSWER_WAIT_S)
    control.send(what)
    if words := control.recv(_MAX_LINE_BYTES).decode().strip():
        raise KeystoreError(words)


def _require_ours(caller: socket.socket) -> None:
    if sys.platform != "linux":
        return  # the folder's mode says it alone
    credentials = caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", credentials)
    # Attack: another user who got a descriptor of the folder tries passphrases, or locks us.
    if uid not in (0, os.geteuid()):
        raise KeystoreError(f"User {uid} is not whose signer this is.")


def _line(peer: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n") and len(line) < _MAX_LINE_BYTES:
        part = peer.recv(_MAX_LINE_BYTES)
        if not part:
            break
        line += part
    return line


def _end_with(parent: int) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
    if os.getppid() != parent:
        os._exit(0)


def _close_all_but(*kept: int) -> None:
    """Attack on ourselves: a lock or a database that stays open after its process has ended."""
    low = 3
    for descriptor in sorted(kept):
        os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))
