"""Files fetched from a real server, honest or not; and what a stranger's address cannot reach."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bot.bridges.incoming import Incoming
from bot.bridges.nostr import files as module
from bot.bridges.nostr.destination import Destination
from bot.bridges.nostr.files import MAX_FILE_BYTES, Files, NotTaken
from nips.nip17_files import TAG_BYTES
from tests.unit.bot.bridges.nostr.file_stage import JPEG, FileServer, a_file_server, a_parcel

FOLDER = "anna"


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FileServer]:
    async with a_file_server(tmp_path_factory.mktemp("served")) as made:
        yield made


def taker(tmp_path: Path, server: FileServer | None, **fields: Any) -> Files:
    incoming = Incoming(tmp_path / "groups", 64 << 20)
    allowed = (f"127.0.0.1:{server.port}", f"localhost:{server.port}") if server else ()
    return Files(incoming, allowed, **({"pauses_s": (0.01, 0.01)} | fields))


def received(tmp_path: Path) -> Path:
    return tmp_path / "groups" / FOLDER / "received"


async def refused(files: Files, *urls: str, **changes: Any) -> str:
    with pytest.raises(NotTaken) as error:
        await files.take(a_parcel(JPEG).file(*urls, **changes), FOLDER)
    return str(error.value)


async def test_a_file_is_fetched_decrypted_and_laid_into_the_groups_folder(
    tmp_path: Path, server: FileServer
) -> None:
    parcel = a_parcel(JPEG)
    url = server.url("ok", server.put("a", parcel.ciphertext))
    file = parcel.file(url, name="../holiday photo.png", dimensions="800x600")
    kept, shown = await taker(tmp_path, server).take(file, FOLDER)
    digest = sha256(JPEG).hexdigest()
    assert kept.name == f"holiday-photo-{digest[:12]}.jpg"
    assert shown == "holiday photo.png"
    assert (kept.media_type, kept.sha256, kept.n_bytes) == ("image/jpeg", digest, len(JPEG))
    assert kept.dimensions == "800x600"
    assert (received(tmp_path) / kept.name).read_bytes() == JPEG


async def test_the_largest_file_is_taken_and_one_byte_more_is_not(
    tmp_path: Path, server: FileServer
) -> None:
    files = taker(tmp_path, server)
    parcel = a_parcel(bytes(MAX_FILE_BYTES), "application/octet-stream")
    url = server.url("ok", server.put("largest", parcel.ciphertext))
    kept, _ = await files.take(parcel.file(url), FOLDER)
    assert kept.n_bytes == MAX_FILE_BYTES
    url = server.url("ok", server.put("larger", parcel.ciphertext + b"\0"))
    assert "larger than 25 MiB" in await refused(files, url)
    n_asked = len(server.requests())
    too_many = MAX_FILE_BYTES + TAG_BYTES + 1
    assert "larger than 25 MiB" in await refused(files, url, n_bytes=too_many)
    assert len(server.requests()) == n_asked


async def test_what_fails_for_a_moment_is_asked_for_again(
    tmp_path: Path, server: FileServer
) -> None:
    parcel = a_parcel(JPEG)
    name = server.put("busy", parcel.ciphertext)
    await taker(tmp_path, server).take(parcel.file(server.url("busy-2", name)), FOLDER)
    n_asked = len(server.requests())
    url = server.url("busy-9", name)
    with pytest.raises(NotTaken, match="answers 503"):
        await taker(tmp_path, server).take(parcel.file(url), FOLDER)
    assert len(server.requests()) == n_asked + 3
    with pytest.raises(NotTaken, match="answers 403"):
        await taker(tmp_path, server).take(parcel.file(server.url("status-403", "x")), FOLDER)
    assert len(server.requests()) == n_asked + 4


async def test_another_address_gives_what_the_first_does_not(
    tmp_path: Path, server: FileServer
) -> None:
    parcel = a_parcel(JPEG)
    wrong = server.url("ok", server.put("wrong", b"another file"))
    right = server.url("ok", server.put("right", parcel.ciphertext))
    await taker(tmp_path, server).take(parcel.file("https://10.0.0.1/x", wrong, right), FOLDER)


async def test_a_redirect_is_followed_and_nothing_is_taken_along(
    tmp_path: Path, server: FileServer
) -> None:
    parcel = a_parcel(JPEG)
    name = server.put("moved", parcel.ciphertext)
    await taker(tmp_path, server).take(parcel.file(server.url("cookie", name)), FOLDER)
    assert server.requests()[-1] == f"/clean/{name} 127.0.0.1:{server.port}"
    files = taker(tmp_path, server)
    assert "without end" in await refused(files, server.url("round", name))


# Attacks


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/ok/secret",
        "https://127.0.0.1:{port}/ok/secret",
        "https://localhost:{port}/ok/secret",
        "https://[::1]:{port}/ok/secret",
        "https://[::ffff:127.0.0.1]:{port}/ok/secret",
        "https://2130706433:{port}/ok/secret",
        "https://0x7f.1:{port}/ok/secret",
        "https://10.0.0.1/ok/secret",
        "https://169.254.169.254/latest/meta-data",
        "https://93.184.216.34@127.0.0.1:{port}/ok/secret",
        "https://93.184.216.34\\@127.0.0.1:{port}/ok/secret",
        "file:///etc/passwd",
        "ftp://93.184.216.34/x",
        "//127.0.0.1:{port}/ok/secret",
        "",
        "x",
    ],
)
async def test_no_address_leads_inside(tmp_path: Path, server: FileServer, url: str) -> None:
    server.put("secret", b"of this house")
    n_asked = len(server.requests())
    started = time.monotonic()
    words = await refused(taker(tmp_path, None), url.format(port=server.port))
    assert "127.0.0.1" not in words
    assert time.monotonic() - started < 5
    assert len(server.requests()) == n_asked


async def test_no_redirect_leads_inside(
    tmp_path: Path, server: FileServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A server that may be asked sends us on to one that may not."""
    async with a_file_server(tmp_path_factory.mktemp("inside")) as inside:
        parcel = a_parcel(JPEG)
        there = inside.url("ok", inside.put("secret", parcel.ciphertext))
        name = server.put("away", there.encode())
        with pytest.raises(NotTaken, match="addresses are used"):
            await taker(tmp_path, server).take(parcel.file(server.url("to", name)), FOLDER)
        name = server.put("away", there.replace("http:", "https:").encode())
        with pytest.raises(NotTaken, match="not a public one"):
            await taker(tmp_path, server).take(parcel.file(server.url("to", name)), FOLDER)
        assert inside.requests() == []


async def test_what_is_announced_is_what_is_taken(tmp_path: Path, server: FileServer) -> None:
    files, parcel = taker(tmp_path, server), a_parcel(JPEG)
    url = server.url("ok", server.put("announced", parcel.ciphertext))
    for changes, words in (
        ({"sha256": "00" * 32}, "another file"),
        ({"plain_sha256": "00" * 32}, "another file"),
        ({"key": bytes(32)}, "cannot be decrypted"),
        ({"nonce": bytes(16)}, "cannot be decrypted"),
    ):
        with pytest.raises(NotTaken, match=words):
            await files.take(parcel.file(url, **changes), FOLDER)
    assert not received(tmp_path).exists()


@pytest.mark.parametrize(
    ("manner", "words"),
    [
        ("endless", "larger than 25 MiB"),
        ("unbounded", "larger than 25 MiB"),
        ("huge", "larger than 25 MiB"),
        ("more", "another file"),
        ("less", "connection to its server broke"),
        ("gzip", "packs it"),
    ],
)
async def test_no_answer_is_believed(
    tmp_path: Path, server: FileServer, manner: str, words: str
) -> None:
    name = server.put("bomb", bytes(100_000) if manner == "gzip" else JPEG * 10)
    assert words in await refused(taker(tmp_path, server), server.url(manner, name))


async def test_no_proxy_of_the_environment_is_asked(
    tmp_path: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: a proxy looks the name up anew, behind the check."""
    async with a_file_server(tmp_path) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        parcel = a_parcel(JPEG)
        url = server.url("ok", server.put("direct", parcel.ciphertext))
        await taker(tmp_path, server).take(parcel.file(url), FOLDER)
        assert proxy.requests() == []


async def test_a_slow_drip_is_given_up(tmp_path: Path, server: FileServer) -> None:
    files = taker(tmp_path, server, deadline_s=1.0)
    url = server.url("drip", server.put("drip", JPEG * 100))
    started = time.monotonic()
    assert "within 1 seconds" in await refused(files, url)
    assert time.monotonic() - started < 5


async def test_a_link_in_place_of_the_folder_leads_nowhere(
    tmp_path: Path, server: FileServer
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    files, parcel = taker(tmp_path, server), a_parcel(JPEG)
    url = server.url("ok", server.put("link", parcel.ciphertext))
    received(tmp_path).parent.mkdir(parents=True)
    received(tmp_path).symlink_to(outside)
    with pytest.raises(NotTaken, match="no folder 'received'"):
        await files.take(parcel.file(url), FOLDER)
    assert list(outside.iterdir()) == []


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """For files.example, signed by itself; and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "files.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("files.example")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "cert.pem", folder / "key.pem"


async def test_the_connection_goes_to_the_address_that_was_checked_with_tls_for_the_name(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    """`files.example` is no name that could be looked up once more."""
    trusted = module.trusted_roots()
    trusted.load_verify_locations(certificate[0])
    async with a_file_server(tmp_path, *certificate) as server:
        url = httpx.URL(server.url("ok", server.put("a", b"secret"), "files.example"))
        to = Destination("files.example", server.port, ("127.0.0.1",))
        files = taker(tmp_path, server, trusted=trusted)
        assert await files._ask(url, to) == b"secret"
        assert server.requests() == [f"/ok/a files.example:{server.port}"]
        # The same server under a name that it has no certificate for.
        with pytest.raises(NotTaken, match="certificate"):
            await files._ask(url, Destination("localhost", server.port, ("127.0.0.1",)))


async def test_a_certificate_that_nobody_signed_is_not_believed(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    async with a_file_server(tmp_path, *certificate) as server:
        url = server.url("ok", server.put("a", b"secret"), "localhost")
        assert "certificate" in await refused(taker(tmp_path, server), url)
    assert module.trusted_roots().verify_mode is ssl.CERT_REQUIRED
