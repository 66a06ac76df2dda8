"""`nostrclaw task preview`, as it is typed: ten times, or a sentence and exit status 2."""

from __future__ import annotations

import json
import re

import pytest
from typer.testing import CliRunner

from bot.cli import app
from bot.zones import machine_zone


def typed(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["task", "preview", *words])
    return result.exit_code, result.stdout, result.stderr


def test_the_next_ten() -> None:
    status, out, _ = typed("0 16 * * 1-5", "--tz", "Europe/Berlin", "--from", "2026-10-23T12:00")
    assert status == 0
    lines = [line.strip() for line in out.splitlines() if line.strip()]
    assert lines[0] == "0 16 * * 1-5, in Europe/Berlin:"
    assert len(lines) == 11
    assert re.split(r"\s{2,}", lines[1]) == [
        "Fri 2026-10-23 16:00 CEST", "2026-10-23 14:00 UTC", "in 4 h",
    ]  # fmt: skip
    assert lines[2].startswith("Mon 2026-10-26 16:00 CET")


def test_words_need_no_quotes() -> None:
    status, out, _ = typed("every", "90500ms", "--tz", "UTC", "--from", "2026-01-01T00:00")
    assert status == 0
    assert "00:01:31 UTC" in out
    assert "00:03:02 UTC" in out


def test_for_scripts() -> None:
    status, out, _ = typed(
        "@daily", "--tz", "Asia/Kathmandu", "--from", "2026-01-01T00:00Z", "--json"
    )
    assert status == 0
    said = json.loads(out)
    assert (said["when"], said["zone"], len(said["runs"])) == ("@daily", "Asia/Kathmandu", 10)
    assert said["runs"][0]["local"] == "2026-01-02T00:00:00+05:45"
    assert said["runs"][0]["in_s"] == 65_700


def test_by_this_machines_clock() -> None:
    status, out, _ = typed("@hourly", "--json")
    assert status == 0
    said = json.loads(out)
    assert said["zone"] == machine_zone()
    assert 0 < said["runs"][0]["in_s"] <= 3_600


def test_a_moment_comes_once() -> None:
    status, out, _ = typed("2026-12-24 18:00", "--tz", "UTC", "--from", "2026-12-01T00:00")
    assert status == 0
    assert "Thu 2026-12-24 18:00 UTC" in out
    assert "and not again" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["0 0 31 2 *"], "never comes: no such month has a day 31"),
        (["every 5s"], "every 5s is too often: every 1m is the least"),
        (["2020-01-01T10:00", "--tz", "UTC"], "2020-01-01 10:00 has passed"),
        (["soon"], "is no time: write 0 16 * * 1-5"),
        (
            ["@daily", "--tz", "Berlin"],
            "there is no time zone 'Berlin': did you mean Europe/Berlin?",
        ),
        (["@daily", "--tz", ""], "there is no time zone"),
        (["@daily", "--from", "yesterday"], "'yesterday' is no date and time"),
        (["\x1b[2J* * * * *"], "'\\x1b"),
    ],
)
def test_what_is_refused(words: list[str], sentence: str) -> None:
    status, out, err = typed(*words)
    assert (status, out) == (2, "")
    assert err.startswith("nostrclaw: ")
    assert sentence in err
    assert len(err.splitlines()) == 1
    assert "\x1b" not in err


def test_what_was_typed_is_no_markup() -> None:
    status, out, _ = typed("[red]", "in", "5m")
    assert status == 2
    status, out, _ = typed("in 5m", "--tz", "UTC")
    assert status == 0
    assert out.startswith("in 5m, in UTC:")
