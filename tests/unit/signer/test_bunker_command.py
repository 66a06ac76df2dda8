"""signer/commands/bunker.py: the command as a process, on a folder as `init` leaves it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from signer.ledger import Ledger
from signer.logins import Logins
from tests.unit.signer.house import MAIN, House

URL = "ws://127.0.0.1:7447"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("b")
    run("init", "--data", str(folder / "s"), "--main", MAIN)
    (folder / "roles.toml").write_text(House().roles.to_toml())
    return folder


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "signer", *arguments],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def bunker(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    here = ("--data", str(folder / "s"), "--roles", str(folder / "roles.toml"), "--relay", URL)
    return run("bunker", *here, *arguments)


def test_the_address_is_all_that_stdout_has(folder: Path) -> None:
    done = bunker(folder, "--kinds", "1,30023", "--ttl", "8h", "--rate", "10/h")
    assert done.returncode == 0, done.stderr
    uri = urlsplit(done.stdout.strip())
    assert (uri.scheme, uri.netloc) == ("bunker", House().signer.public)
    given = parse_qs(uri.query)
    assert given["relay"] == [URL]
    [secret] = given["secret"]
    assert secret not in done.stderr
    for words in ("good once", "kind 1, kind 30023", "10/h", f"revoke {secret[:8]}"):
        assert words in done.stderr
    for path in (p for p in folder.rglob("*") if p.is_file()):
        assert secret.encode() not in path.read_bytes(), path


def test_json_says_it_all(folder: Path) -> None:
    done = bunker(folder, "--kinds", "1", "--ttl", "30m", "--encrypt", "--uses", "7", "--json")
    told = json.loads(done.stdout)
    assert told["kinds"] == [1]
    assert told["methods"] == ["sign_event", "nip44_encrypt"]
    assert told["max_uses"] == 7
    assert told["expires_at"] == told["open_until"]  # half an hour is all there is
    assert told["uri"].startswith("bunker://")
    assert done.stderr == ""


def test_who_may_publish_is_said(folder: Path) -> None:
    done = bunker(folder, "--kinds", "5,30024", "--publish")
    assert "published by your assistant itself" in done.stderr
    one = json.loads(bunker(folder, "--kinds", "1", "--json").stdout)
    two = json.loads(bunker(folder, "--kinds", "1", "--publish", "--json").stdout)
    assert (one["publishes"], two["publishes"]) == (False, True)
    listed = {row["id"]: row for row in json.loads(bunker(folder, "list", "--json").stdout)}
    assert (listed[one["id"]]["publishes"], listed[two["id"]]["publishes"]) == (False, True)
    bunker(folder, "revoke", two["id"])
    shown = bunker(folder, "list").stdout
    assert one["id"] in shown
    assert two["id"] not in shown  # each publication leaves one behind


def test_a_terminal_shows_a_qr_code(folder: Path) -> None:
    argv = [
        sys.executable, "-m", "signer", "bunker", "--data", str(folder / "s"),
        "--roles", str(folder / "roles.toml"), "--relay", URL, "--kinds", "1",
    ]  # fmt: skip
    ours, theirs = pty.openpty()
    running = subprocess.Popen(argv, stdout=theirs, stderr=subprocess.DEVNULL)
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65_536):
            shown += chunk
    except OSError:
        pass  # the other end is closed
    assert running.wait(60) == 0
    os.close(ours)
    assert "█" in shown.decode()
    assert b"bunker://" in shown


def test_reading_is_said_plainly(folder: Path) -> None:
    done = bunker(folder, "--decrypt")
    assert "can READ what anybody encrypted to the bot" in done.stderr.replace("It ", "it ")
    assert "READ" in run("bunker", "--help").stdout


def test_list_and_revoke(folder: Path) -> None:
    bunker(folder, "revoke", "all")
    one = json.loads(bunker(folder, "--kinds", "1", "--json").stdout)["id"]
    two = json.loads(bunker(folder, "--kinds", "7", "--json").stdout)["id"]
    listed = bunker(folder, "list")
    assert listed.returncode == 0
    assert one in listed.stdout
    assert "open" in listed.stdout
    done = bunker(folder, "revoke", one)
    assert f"Revoked for good: {one}" in done.stderr
    assert "Nothing was left" in bunker(folder, "revoke", one).stderr
    states = {
        row["id"]: row["state"] for row in json.loads(bunker(folder, "list", "--json").stdout)
    }
    assert (states[one], states[two]) == ("revoked", "open")
    [ended] = json.loads(bunker(folder, "revoke", "all", "--json").stdout)
    assert (ended["id"], ended["state"]) == (two, "revoked")
    ledger = Ledger(folder / "s" / "ledger.sqlite")
    assert all(row.ended for row in Logins(ledger).invitations())
    assert ledger.chain.verify().broken_at is None
    methods = [entry.method for _, entry in ledger.chain.entries()]
    assert methods.count("revoke") >= 2
    assert "invite" in methods
    ledger.close()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "say which kinds"),
        (("--kinds", "x"), "no kind"),
        (("--kinds", "13"), "never signed"),
        (("--kinds", "0"), "your yes each time"),
        (("--kinds", "5"), "your yes each time"),
        (("--kinds", "3", "--publish"), "your yes each time"),
        (("--kinds", "31990"), "bunker_kinds"),
        (("--kinds", "1", "--ttl", "3d"), "at most 1d"),
        (("--kinds", "1", "--rate", "fast"), "no rate"),
        (("--kinds", "1", "--uses", "0"), "--uses"),
        (("--kinds", "1", "--relay", "http://a"), "no relay"),
        (("revoke",), "say which"),
        (("revoke", "nobody"), "no invitation and no login"),
        (("list", "x"), "takes no"),
    ],
)
def test_a_mistake_is_one_sentence(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    before = bunker(folder, "list", "--json").stdout
    done = bunker(folder, *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""
    assert bunker(folder, "list", "--json").stdout == before


def test_a_folder_without_a_signer_is_left_alone(folder: Path, tmp_path: Path) -> None:
    done = run("bunker", "--data", str(tmp_path / "none"), "list")
    assert done.returncode == 2
    assert "There is no signer" in done.stderr
    assert not (tmp_path / "none").exists()
