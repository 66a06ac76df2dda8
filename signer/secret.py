"""Shell: the bot's secret key in memory. No other file of the project touches it there.

The key lies in one page of its own. `memfd_secret` takes that page out of the kernel's own map:
it cannot be read through /proc/self/mem or process_vm_readv and is in no core dump. Where it is
refused (Linux before 6.5, some seccomp profiles, macOS) the page is locked against swapping and
left out of core dumps. The key comes in through a pipe, straight into the page, and is used in
place: no Python object ever holds a copy of it, so there is none to leak.

What this claims is the boundary of process and uid. Root is the machine.
Source: memfd_secret(2), mlock(2), madvise(2), BIP-340.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import sys
from enum import StrEnum

from coincurve._libsecp256k1 import ffi, lib
from coincurve.context import GLOBAL_CONTEXT

from nips.nip44 import conversation_key_in_place
from nips.refusal import Malformed

KEY_BYTES = 32
_PAGE_BYTES = mmap.PAGESIZE
_KEYPAIR_AT = 64  # the page: 32 bytes of key, and at 64 libsecp256k1's key pair of 96 while signing

_SYS_MEMFD_SECRET = 447  # one number on every architecture of Linux that has it
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38


class Memory(StrEnum):
    """Where the key lies."""

    MEMFD_SECRET = "memfd_secret"  # noqa: S105 - a system call's name
    MLOCK = "mlock"


class MemoryUnavailable(Exception):
    """The protection that was asked for cannot be had here; the message says why."""


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def harden_process() -> None:
    """Refuse debuggers of the same uid, core dumps and new privileges, for good."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # An unsigned long each: the kernel refuses NO_NEW_PRIVS when the rest is not zero.
        zero = ctypes.c_ulong(0)
        for option, value in ((_PR_SET_DUMPABLE, 0), (_PR_SET_NO_NEW_PRIVS, 1)):
            if _libc().prctl(option, ctypes.c_ulong(value), zero, zero, zero):
                raise MemoryUnavailable(
                    f"prctl({option}) was refused: {os.strerror(ctypes.get_errno())}"
                )


def _secret_page() -> mmap.mmap:
    if sys.platform != "linux":
        raise MemoryUnavailable("memfd_secret exists on Linux only")
    descriptor = _libc().syscall(_SYS_MEMFD_SECRET, 0)
    if descriptor < 0:
        raise MemoryUnavailable(f"memfd_secret: {os.strerror(ctypes.get_errno())}")
    try:
        os.ftruncate(descriptor, _PAGE_BYTES)
        return mmap.mmap(descriptor, _PAGE_BYTES)
    except OSError as error:
        raise MemoryUnavailable(f"memfd_secret: {error.strerror}") from error
    finally:
        os.close(descriptor)


def _locked_page() -> mmap.mmap:
    page = mmap.mmap(-1, _PAGE_BYTES)
    address = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    if _libc().mlock(address, ctypes.c_size_t(_PAGE_BYTES)):
        raise MemoryUnavailable(
            f"mlock: {os.strerror(ctypes.get_errno())}. Raise the limit on locked memory "
            "(ulimit -l) by one page."
        )
    if sys.platform == "linux":
        page.madvise(mmap.MADV_DONTDUMP)
        page.madvise(mmap.MADV_DONTFORK)
    return page


def _page(wanted: Memory | None) -> tuple[mmap.mmap, Memory]:
    if wanted is not Memory.MLOCK:
        try:
            return _secret_page(), Memory.MEMFD_SECRET
        except MemoryUnavailable:
            if wanted is Memory.MEMFD_SECRET:
                raise
    return _locked_page(), Memory.MLOCK


class Secret:
    """The bot's key: it signs and derives conversation keys, and is never given out.

    Not safe for two threads at once; the desk uses it from one.
    """

    def __init__(self, descriptor: int, wanted: Memory | None = None) -> None:
        """Read 32 bytes from a pipe straight into the page.

        wanted: insist on one form of memory; None takes the best there is.
        Raises Malformed when the pipe does not hold a key, MemoryUnavailable.
        """
        self._page, self.memory = _page(wanted)
        self._key = memoryview(self._page)[:KEY_BYTES]
        self._pair_bytes = memoryview(self._page)[_KEYPAIR_AT : _KEYPAIR_AT + 96]
        self._pair = ffi.cast("secp256k1_keypair *", ffi.from_buffer(self._pair_bytes))
        read_bytes = 0
        while read_bytes < KEY_BYTES and (n := os.readv(descriptor, [self._key[read_bytes:]])):
            read_bytes += n
        if read_bytes < KEY_BYTES:
            raise Malformed("the bot's key did not come through the pipe")
        self.public = self._derive_public()

    def _derive_public(self) -> str:
        point = ffi.new("secp256k1_xonly_pubkey *")
        out = ffi.new("unsigned char[32]")
        try:
            self._make_pair()
            lib.secp256k1_keypair_xonly_pub(GLOBAL_CONTEXT.ctx, point, ffi.NULL, self._pair)
        finally:
            self._wipe_pair()
        lib.secp256k1_xonly_pubkey_serialize(GLOBAL_CONTEXT.ctx, out, point)
        return bytes(ffi.buffer(out, 32)).hex()

    def sign(self, event_id: str, aux: bytes) -> str:
        """BIP-340 signature in hex of an event's id, with 32 fresh random bytes `aux`."""
        signature = ffi.new("unsigned char[64]")
        try:
            self._make_pair()
            done = lib.secp256k1_schnorrsig_sign32(
                GLOBAL_CONTEXT.ctx, signature, bytes.fromhex(event_id), self._pair, aux
            )
        finally:
            self._wipe_pair()
        assert done == 1  # it fails for a key pair that was never made, and only then
        return bytes(ffi.buffer(signature, 64)).hex()

    def conversation_key(self, public: str) -> bytes:
        """NIP-44's key shared with one other person; it opens nothing else. Raises Malformed."""
        return conversation_key_in_place(self._key, public)

    def _make_pair(self) -> None:
        key = ffi.from_buffer("unsigned char[]", self._key)
        if not lib.secp256k1_keypair_create(GLOBAL_CONTEXT.ctx, self._pair, key):
            raise Malformed("the pipe did not hold a secp256k1 key")

    def _wipe_pair(self) -> None:
        self._pair_bytes[:] = bytes(96)

    def wipe(self) -> None:
        """Overwrite the key; nothing can be signed afterwards."""
        self._key[:] = bytes(KEY_BYTES)
        self._wipe_pair()
