"""signer/secret.py: the key in memory, with each form of memory forced."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from nips import nip44
from nips.key import SecretKey, verify
from nips.refusal import Malformed
from signer.secret import Memory, Secret
from tests.unit.signer.desks import secret_of
from tests.unit.signer.house import key


@pytest.mark.parametrize("memory", [None, *Memory])
def test_it_signs_and_derives_as_the_key_does(memory: Memory | None) -> None:
    own, peer = SecretKey.generate(secrets.token_bytes), key(9)
    secret = secret_of(own, memory)
    assert secret.memory in ([memory] if memory else list(Memory))
    assert secret.public == own.public
    message = secrets.token_bytes(32)
    aux = secrets.token_bytes(32)
    signature = secret.sign(message.hex(), aux)
    assert verify(own.public, message, signature)
    assert signature == own.sign(message, aux)
    assert secret.conversation_key(peer.public) == nip44.conversation_key(own, peer.public)


def test_the_best_memory_there_is_comes_first() -> None:
    assert secret_of(key(9)).memory is Memory.MEMFD_SECRET


@pytest.mark.parametrize("given", [b"", b"\x01" * 31, bytes(32), b"\xff" * 32])
def test_what_is_no_key_is_refused(given: bytes) -> None:
    reads, writes = os.pipe()
    os.write(writes, given)
    os.close(writes)
    try:
        with pytest.raises(Malformed, match="pipe"):
            Secret(reads)
    finally:
        os.close(reads)


def test_a_key_that_comes_in_pieces_is_whole() -> None:
    reads, writes = os.pipe()
    raw = key(9).raw
    child = os.fork()
    if child == 0:
        for byte in raw:
            os.write(writes, bytes([byte]))
        os._exit(0)
    os.close(writes)
    secret = Secret(reads)
    os.waitpid(child, 0)
    assert secret.public == key(9).public


def test_a_wiped_key_signs_nothing() -> None:
    secret = secret_of(key(9))
    secret.wipe()
    with pytest.raises(Malformed):
        secret.sign("ab" * 32, bytes(32))


# The process that holds a key, which it got by a pipe, uses it and then looks for it in all the
# memory it may read of itself. It knows the key only as its parts, so that it does not find its
# own question.
HOLDER = """
import ctypes, os, re, resource, sys
from pathlib import Path
from signer.secret import Memory, Secret, harden_process
harden_process()
memory = Memory(sys.argv[1])
secret = Secret(int(sys.argv[2]), memory)
for _ in range(20):
    secret.sign("ab" * 32, bytes(32))
    secret.conversation_key("{peer}")
half = bytes.fromhex(sys.argv[3])
found = unreadable = 0
with open("/proc/self/mem", "rb", 0) as mem:
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, last, mode = re.match(r"(\\w+)-(\\w+) (\\S+)", line).groups()
        if mode[0] != "r" or "[v" in line:
            continue
        try:
            mem.seek(int(first, 16))
            data = mem.read(int(last, 16) - int(first, 16))
        except OSError:
            unreadable += "secretmem" in line
            continue
        at = data.find(half)
        while at >= 0:
            found += data[at + 16 : at + 32] == bytes(b ^ 255 for b in bytes.fromhex(sys.argv[4]))
            at = data.find(half, at + 1)
no_core = resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
not_dumpable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0  # PR_GET_DUMPABLE
status = Path("/proc/self/status").read_text()
print(found, unreadable, no_core, not_dumpable, "NoNewPrivs:\\t1" in status)
"""


@pytest.mark.parametrize(
    ("memory", "copies", "hidden_pages"), [(Memory.MEMFD_SECRET, 0, 1), (Memory.MLOCK, 1, 0)]
)
def test_no_copy_of_the_key_is_in_readable_memory(
    memory: Memory, copies: int, hidden_pages: int, tmp_path: Path
) -> None:
    own = SecretKey.generate(secrets.token_bytes)
    reads, writes = os.pipe()
    os.write(writes, own.raw)
    os.close(writes)
    # A search that knew the second half would find itself, so it gets its complement.
    complement = bytes(byte ^ 255 for byte in own.raw[16:]).hex()
    done = subprocess.run(
        [sys.executable, "-c", HOLDER.replace("{peer}", key(9).public), memory, str(reads),
         own.raw[:16].hex(), complement],
        pass_fds=[reads], capture_output=True, text=True, check=True,
    )  # fmt: skip
    os.close(reads)
    # In locked memory the one copy is the page itself: nothing of Python's holds another.
    assert done.stdout.split() == [
        str(copies), str(hidden_pages), "True", "True", "True",
    ], done.stderr  # fmt: skip


def test_the_repr_shows_nothing() -> None:
    own = SecretKey.generate(secrets.token_bytes)
    shown = f"{secret_of(own)!r} {vars(secret_of(own))!r}"
    assert own.raw.hex() not in shown
    assert not re.search(re.escape(repr(own.raw)), shown)
