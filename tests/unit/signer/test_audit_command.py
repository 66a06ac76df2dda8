"""`python -m signer audit`: rows for people and programs, and a log that is not whole."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest

from nips import nip19
from nips.event import Event
from nips.filter import Filter
from nips.refusal import Malformed
from relay_local.client import Delivery
from signer.chain import Entry
from signer.commands.audit import since
from signer.heads import Heads
from signer.ledger import Ledger
from tests.unit.signer.house import MAIN, NOW, House
from tests.unit.signer.processes import installation, short_folder
from tests.unit.signer.test_service import group, said, session

HOUSE = House()
REFUSED = "refused: restricted: [red]\x1b[2J"


def run(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "signer", "audit", *arguments, "--data", str(data)]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with five rows, of two clients, told about."""
    now = int(time.time())
    ledger = Ledger(tmp_path / "ledger.sqlite")
    heads = Heads(ledger)
    rows = (
        Entry(now - 9_000, HOUSE.session.public, "sign_event", "signed kind 9", "aa" * 32),
        Entry(now - 8_000, HOUSE.session.public, "sign_event", "signed kind 1", "bb" * 32),
        Entry(
            now - 60, HOUSE.session.public, "sign_event", "refused: restricted: [red]\x1b[2J", ""
        ),
        Entry(now - 50, HOUSE.bridge.public, "unwrap", "opened", "cc" * 32),
        Entry(now - 40, HOUSE.bridge.public, "seal", "sealed kind 14", "dd" * 32),
    )
    with ledger.transaction():
        for entry in rows:
            ledger.chain.append(entry)
        assert heads.due(now, HOUSE.owner.public, HOUSE.signer) is not None
    ledger.close()
    return tmp_path


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ((), [1, 2, 3, 4, 5]),
        (("--limit", "2"), [4, 5]),
        (("--since", "1h"), [3, 4, 5]),
        (("--client", HOUSE.bridge.public[:10]), [4, 5]),
        (("--client", nip19.encode_npub(HOUSE.bridge.public)), [4, 5]),
        (("--kind", "1"), [2]),
        (("--method", "seal"), [5]),
        (("--kind", "9", "--client", HOUSE.bridge.public), []),
    ],
)
def test_rows_are_chosen(data: Path, options: tuple[str, ...], numbers: list[int]) -> None:
    done = run(data, "show", "--json", *options)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["n"] for line in done.stdout.splitlines()] == numbers


def test_a_table_for_people_from_which_nothing_acts_on_the_terminal(data: Path) -> None:
    done = run(data, "show")
    assert done.returncode == 0
    assert "signed kind 9" in done.stdout
    assert "\x1b" not in done.stdout
    assert "[red]" in done.stdout  # as it was asked, not as a colour


@pytest.mark.parametrize("options", [("--limit", "0"), ("--since", "soon"), ("--client", "Bob")])
def test_what_is_typed_wrong_is_said(data: Path, options: tuple[str, ...]) -> None:
    done = run(data, "show", *options)
    assert done.returncode == 2
    assert options[0] in done.stderr


def test_where_there_is_no_log_none_is_made(tmp_path: Path) -> None:
    done = run(tmp_path / "nowhere", "show")
    assert done.returncode == 2
    assert "There is no audit log" in done.stderr
    assert not (tmp_path / "nowhere").exists()


def test_a_whole_log(data: Path) -> None:
    done = run(data, "verify")
    assert done.returncode == 0
    assert done.stdout.startswith("5 rows, head ")
    assert "daily heads that agree: 1 in the ledger" in done.stdout
    assert json.loads(run(data, "verify", "--json").stdout)["wrong"] == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE audit SET outcome = 'signed kind 1' WHERE n = 1", "broken at row 1"),
        ("DELETE FROM audit WHERE n = 5", "rows are missing at the end"),
    ],
)
def test_a_log_that_is_not_whole(data: Path, change: str, words: str) -> None:
    database = sqlite3.connect(data / "ledger.sqlite")
    database.execute(change)
    database.commit()
    database.close()
    done = run(data, "verify")
    assert done.returncode == 1
    assert words in done.stderr
    assert json.loads(run(data, "verify", "--json").stdout)["wrong"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("90s", NOW - 90), ("2h", NOW - 7_200), ("7d", NOW - 604_800), ("1700000000", 1_700_000_000),
     ("2027-01-15", 1_799_971_200), ("2027-01-15T08:00:00+00:00", NOW)],
)  # fmt: skip
def test_times_as_people_type_them(text: str, wanted: int) -> None:
    assert since(text, NOW + 0.5) == wanted


def test_a_time_that_is_none() -> None:
    with pytest.raises(Malformed, match="2h, 7d"):
        since("yesterday", NOW)


async def test_the_head_reaches_the_owner_and_an_earlier_copy_shows(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Attack: the whole ledger is put back to a copy from before a signature."""
    folder = short_folder(tmp_path_factory.mktemp("a"))
    async with installation(folder, House()) as place:
        await place.start_relay()
        await place.start_signer()
        owner = await place.link(place.house.owner)
        heads = Filter(kinds=frozenset({30_078}), authors=frozenset({place.house.signer.public}))
        async with owner.subscribe([heads]) as stream:
            async with asyncio.timeout(20):
                event = await anext(i.event async for i in stream if isinstance(i, Delivery))
        assert event.tag("p") == place.house.owner.public
        assert (event.tag("d") or "").startswith("audit/")
        caller = await session(place, await group(place))
        answer = await caller.call("sign_event", said(place, "hello"), deadline_s=20)
        assert Event.from_json(orjson.loads(answer)).tag("h") == MAIN
        options = ("--relay", place.address, "--key", str(folder / "signer"))
        whole = await asyncio.to_thread(run, folder / "s", "verify", *options)
        assert whole.returncode == 0, whole.stderr
        assert "1 in the ledger, 1 on the relay" in whole.stdout
        assert place.signer is not None
        await place.signer.stop()
        for path in (folder / "s").glob("ledger.sqlite*"):
            path.unlink()
        Ledger(folder / "s" / "ledger.sqlite").close()  # as it was before anything
        put_back = await asyncio.to_thread(run, folder / "s", "verify", *options)
        assert put_back.returncode == 1
        assert "the ledger does not know of it" in put_back.stderr
        alone = await asyncio.to_thread(run, folder / "s", "verify")
        assert alone.returncode == 0
        assert "not compared" in alone.stderr
