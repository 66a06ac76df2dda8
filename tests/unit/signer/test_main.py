"""signer/__main__.py: the commands, and the sentences of what a person must put right."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from nips import nip19
from nips.key import SecretKey
from signer import ceiling
from signer.ledger import Ledger
from signer.pairing import LIFE_S, Claim, Offer, claim
from tests.unit.signer.house import MAIN, House, key
from tests.unit.signer.processes import Installation, installation, short_folder, start

Result = subprocess.CompletedProcess[str]


def run(*argv: object, given: str | None = None, option: str = "") -> Result:
    """Run a command; `given` comes through a descriptor that `option` names."""
    words = [sys.executable, "-m", "signer", *map(str, argv)]
    if given is None:
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    reads, writes = os.pipe()
    os.write(writes, given.encode())
    os.close(writes)
    try:
        return subprocess.run(
            [*words, option, str(reads)],
            pass_fds=[reads],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    finally:
        os.close(reads)


def limits(folder: Path) -> ceiling.Ceiling:
    return ceiling.parse(tomllib.loads((folder / "ceiling.toml").read_text()))


# init


def test_init_makes_identity_and_ceiling_and_says_what_protects_what(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    done = run(
        "init", "--data", folder, "--main", MAIN, "--name", "Bot", "--about", "Helps",
        "--relay-url", "wss://a.example", "--relay-url", "wss://b.example",
    )  # fmt: skip
    assert done.returncode == 0
    public = done.stdout.strip()
    assert len(bytes.fromhex(public)) == 32
    assert nip19.encode_npub(public) in done.stderr
    assert "protects a backup" in done.stderr
    assert "Keep a copy of both" in done.stderr
    assert limits(folder) == ceiling.Ceiling(
        groups={MAIN: frozenset({1, 1_111, 30_024})},
        public_reactions=frozenset({MAIN}),
        relays=("wss://a.example", "wss://b.example"),
        profile={"name": "Bot", "about": "Helps"},
    )
    assert stat.S_IMODE((folder / "ceiling.toml").stat().st_mode) == 0o600
    again = run("init", "--data", folder, "--main", MAIN, "--name", "Bot")
    assert (again.returncode, again.stdout, again.stderr) == (0, done.stdout, "")


def test_init_again_follows_the_settings_and_keeps_what_a_person_changed(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    run("init", "--data", folder, "--main", MAIN, "--name", "Bot", "--relay-url", "wss://a.example")
    path = folder / "ceiling.toml"
    text = path.read_text().replace("longest_ttl_s = 180", "longest_ttl_s = 60")
    # As one was written before there were comments, drafts and public reactions.
    lines = [line for line in text.splitlines() if not line.startswith("public_reactions")]
    path.write_text("\n".join(lines).replace("[1, 1111, 30024]", "[1]"))
    done = run(
        "init", "--data", folder, "--main", MAIN, "--name", "New", "--relay-url", "wss://b.example"
    )
    assert "new relays and profile" in done.stderr
    assert limits(folder) == ceiling.Ceiling(
        longest_ttl_s=60,
        groups={MAIN: frozenset({1})},
        relays=("wss://b.example",),
        profile={"name": "New"},
    )


def test_an_identity_comes_in_through_a_descriptor(tmp_path: Path) -> None:
    own = key(9)
    done = run(
        "init", "--data", tmp_path / "s", given=nip19.encode_nsec(own.raw), option="--import-fd"
    )
    assert done.stdout.strip() == own.public
    assert nip19.encode_nsec(own.raw) not in done.stderr + done.stdout
    assert own.raw.hex() not in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("given", "sentence"), [("nsec1xyz", "is no key: give an nsec1"), ("", "is no key")]
)
def test_a_bad_import_is_said_and_makes_nothing(tmp_path: Path, given: str, sentence: str) -> None:
    done = run("init", "--data", tmp_path / "s", given=given, option="--import-fd")
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "s" / "identity.ncryptsec").exists()


def test_a_bad_option_does_not_reach_the_ceiling(tmp_path: Path) -> None:
    done = run("init", "--data", tmp_path / "s", "--main", "main")
    assert done.returncode == 2
    assert "UUID" in done.stderr
    assert not (tmp_path / "s" / "ceiling.toml").exists()


# pair


def test_pair_prints_a_code_and_keeps_its_hash(tmp_path: Path) -> None:
    run("init", "--data", tmp_path)
    done = run("pair", "--data", tmp_path)
    code = done.stdout.strip()
    path = tmp_path / "pairing.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert code not in path.read_text()
    offer = Offer.from_json(json.loads(path.read_text()))
    assert claim(offer, code, 0, offer.expires_at - LIFE_S) is Claim.RIGHT


def test_pair_makes_no_code_once_somebody_has_paired(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    with ledger.transaction():
        ledger.put("owner", key(5).public)
    done = run("pair", "--data", tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert f"{nip19.encode_npub(key(5).public)} has paired already" in done.stderr
    assert not (tmp_path / "pairing.json").exists()


# audit


def test_audit_tells_of_a_broken_chain(tmp_path: Path) -> None:
    run("init", "--data", tmp_path)
    Ledger(tmp_path / "ledger.sqlite").close()
    assert run("audit", "--data", tmp_path).stdout.startswith("0 rows")
    with sqlite3.connect(tmp_path / "ledger.sqlite") as db:
        db.execute("INSERT INTO audit VALUES (1, 0, '', '', '', '', 'x')")
    done = run("audit", "--data", tmp_path)
    assert done.returncode == 1
    assert "broken at row 1" in done.stderr


def test_clock_is_believed_again(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    with ledger.transaction():
        ledger.put("high_water_s", "1e12")
    assert "Restart the signer" in run("clock", "--data", tmp_path).stderr
    assert abs(float(ledger.get("high_water_s") or 0) - time.time()) < 60


# run


@pytest.fixture
async def place(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    async with installation(short_folder(tmp_path_factory.mktemp("m")), House()) as place:
        return place


def serve(place: Installation) -> Result:
    return run(
        "run", "--data", place.folder / "s", "--key", place.folder / "signer",
        "--roles", place.folder / "roles.toml", "--relay", place.signers_address,
    )  # fmt: skip


async def test_what_must_be_put_right_is_said_in_a_sentence(place: Installation) -> None:
    def broken(name: str, text: str, sentence: str) -> None:
        for log in place.folder.glob("s/ledger.sqlite-*"):  # SQLite would mend it from there
            log.unlink()
        path = place.folder / name
        before = path.read_bytes() if path.exists() else b""
        path.touch()
        path.chmod(0o600)
        path.write_text(text)
        done = serve(place)
        assert done.returncode == 2, done.stderr
        assert sentence in done.stderr
        assert "Traceback" not in done.stderr
        path.write_bytes(before)

    roles = (place.folder / "roles.toml").read_text()
    other = SecretKey(b"\x21" * 32)
    broken("signer", other.raw.hex(), "is not the signer's key that")
    broken("signer", "zz", "does not hold a key of 64 hex digits")
    broken("roles.toml", roles.replace(place.bot, other.public), "names another bot")
    broken("roles.toml", "main = ", "is not TOML")
    broken("s/ceiling.toml", "longest_tll_s = 1", "no field 'longest_tll_s'")
    broken("s/ceiling.toml", "session_kinds = [13]", "kind 13 is never a session's")
    broken("s/passphrase", "another", "the passphrase is wrong")
    broken("s/identity.ncryptsec", "ncryptsec1xyz", "cannot be unlocked")
    broken("s/ledger.sqlite", "no database" * 1_000, "file is not a database")
    (place.folder / "s" / "ceiling.toml").unlink()
    assert "python -m signer init" in serve(place).stderr


async def test_a_persons_passphrase_comes_through_a_descriptor(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with installation(short_folder(tmp_path_factory.mktemp("f")), House()) as place:
        folder = place.folder / "s2"
        own = run(
            "init", "--data", folder, given="correct horse\n", option="--passphrase-fd"
        ).stdout.strip()
        place.bot = own
        place.open_to_user_of(folder)
        (place.folder / "roles.toml").write_text(place.roles.to_toml())
        await place.start_relay()
        reads, writes = os.pipe()
        os.write(writes, b"correct horse\n")
        os.close(writes)
        place.signer = await start(
            place.folder / "signer.log", "signer: ready", "signer", "run",
            "--data", str(folder), "--key", str(place.folder / "signer"),
            "--roles", str(place.folder / "roles.toml"), "--relay", place.signers_address,
            "--passphrase-fd", str(reads), "--memory", "mlock",
            descriptors=(reads,),
        )  # fmt: skip
        os.close(reads)
        assert not (folder / "passphrase").exists()
        assert await place.signer.stop() == 0
        assert "memory=mlock" in place.signer.log.read_text()
