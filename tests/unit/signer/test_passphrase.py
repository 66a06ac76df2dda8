"""signer/passphrase.py: a passphrase that was handed over stays with nobody who serves."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from signer import custody
from signer.keystore import Keystore, KeystoreError
from signer.passphrase import CREDENTIAL, carried
from tests.unit.signer.house import House
from tests.unit.signer.processes import installation

ROOT = os.geteuid() == 0


def held(text: str) -> int:
    """A pipe that holds it."""
    reads, writes = os.pipe()
    os.write(writes, text.encode())
    os.close(writes)
    return reads


def test_it_is_carried_from_a_descriptor_or_a_credential(tmp_path: Path) -> None:
    (tmp_path / CREDENTIAL).write_text("from systemd\n")
    for given, text in ((held("typed\n"), b"typed"), (None, b"from systemd")):
        found = carried(given, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
        assert found is not None
        with os.fdopen(found, "rb") as pipe:
            assert pipe.read() == text
        if given is not None:
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(given)
    assert carried(None, {}) is None
    with pytest.raises(KeystoreError, match="is empty"):
        carried(held("\n"), {})


def memory_of(pid: int) -> bytes:
    """All that it holds in memory of its own."""
    found = bytearray()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            bounds, modes, *_ = line.split()
            if not modes.startswith("rw"):
                continue
            start, end = (int(one, 16) for one in bounds.split("-"))
            try:
                memory.seek(start)
                found += memory.read(end - start)
            except OSError:
                continue  # a secret page
    return bytes(found)


async def test_a_serving_signer_has_none_in_its_memory(house: House) -> None:
    """Attack: who reads the memory, but not the page of the key, opens the key's file with it."""
    if not ROOT:
        return  # nobody else may look
    with TemporaryDirectory(prefix="nc-") as folder:
        async with installation(Path(folder), house) as place:
            store = Keystore(place.folder / "s")
            mine = secrets.token_urlsafe(24)
            custody.change_passphrase(store, store.kept(), mine)
            await place.start_relay()
            reads = held(mine)
            await place.start_signer("--passphrase-fd", str(reads), descriptors=(reads,))
            os.close(reads)
            assert place.signer is not None
            memory = memory_of(place.signer.running.pid)
            assert b"is in protected memory" in place.signer.log.read_bytes()
            assert b"passphrase" in memory  # so it was its memory that was read
            assert mine.encode() not in memory
