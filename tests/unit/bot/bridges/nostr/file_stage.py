"""Files as people send them, and the process that serves them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_bytes

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from nips.event import Tag
from nips.nip17_files import EncryptedFile

SERVER = Path(__file__).with_name("file_server.py")
JPEG = b"\xff\xd8\xff\xe0 what a camera has seen"


@dataclass(frozen=True, slots=True)
class Parcel:
    """A file, encrypted, and the tags of the kind 15 that says so."""

    ciphertext: bytes
    key: bytes
    nonce: bytes
    tags: tuple[Tag, ...]

    def file(self, *urls: str, **changes: object) -> EncryptedFile:
        """As the bridge reads it from such a message."""
        named = {tag[0]: tag[1] for tag in self.tags}
        fields: dict[str, object] = {
            "key": self.key,
            "nonce": self.nonce,
            "media_type": named["file-type"],
            "sha256": named["x"],
            "plain_sha256": named["ox"],
            "n_bytes": int(named["size"]),
        }
        return EncryptedFile(urls, **(fields | changes))  # type: ignore[arg-type]


def a_parcel(plain: bytes, media_type: str = "image/jpeg", *more: Tag) -> Parcel:
    """Encrypted as clients do it: AES-256-GCM with a nonce of 16 bytes, both in hex."""
    key, nonce = token_bytes(32), token_bytes(16)
    ciphertext = AESGCM(key).encrypt(nonce, plain, None)
    tags = (
        ("file-type", media_type),
        ("encryption-algorithm", "aes-gcm"),
        ("decryption-key", key.hex()),
        ("decryption-nonce", nonce.hex()),
        ("x", sha256(ciphertext).hexdigest()),
        ("ox", sha256(plain).hexdigest()),
        ("size", str(len(ciphertext))),
        *more,
    )
    return Parcel(ciphertext, key, nonce, tags)


@dataclass(frozen=True, slots=True)
class FileServer:
    """A running `file_server.py`."""

    folder: Path
    port: int
    process: asyncio.subprocess.Process
    scheme: str = "http"

    def url(self, manner: str, name: str, host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}/{manner}/{name}"

    def put(self, name: str, content: bytes) -> str:
        (self.folder / name).write_bytes(content)
        return name

    def requests(self) -> list[str]:
        """What was asked for: path and host."""
        log = self.folder / "requests"
        return log.read_text().splitlines() if log.exists() else []

    async def was_asked(self, words: str, n_times: int = 1, timeout_s: float = 20.0) -> None:
        async with asyncio.timeout(timeout_s):
            while sum(words in line for line in self.requests()) < n_times:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def a_file_server(
    folder: Path, *certificate: Path, port: int = 0
) -> AsyncIterator[FileServer]:
    """Serve a folder on loopback; with TLS where a certificate and its key are given."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(SERVER),
        str(folder),
        str(port),
        *map(str, certificate),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            port = int(await process.stdout.readline())
        scheme = "https" if certificate else "http"
        yield FileServer(folder, port, process, scheme)
    finally:
        process.kill()
        await process.wait()
