"""bot/commands/logs.py: warnings without keys, from files that may be anything."""

from __future__ import annotations

import os
from pathlib import Path

from bot.commands import logs
from nips.key import SecretKey
from nips.nip19 import encode_nsec

LINE = 'timestamp={at} level={level} event="it failed" reason="{reason}" job=0011 text="hi you"'


def write(folder: Path, part: str, *lines: str) -> None:
    (folder / f"{part}.log").write_text("\n".join(lines) + "\n")


def line(at: str, level: str = "warning", reason: str = "no") -> str:
    return LINE.format(at=at, level=level, reason=reason)


def test_the_newest_warnings_of_all_parts_in_order(tmp_path: Path) -> None:
    write(tmp_path, "bot", line("2026-11-22T21:00:03Z"), line("2026-11-22T21:00:01Z"))
    write(
        tmp_path,
        "relay",
        line("2026-11-22T21:00:02Z", "error"),
        line("2026-11-22T22:00:00Z", "info"),
    )
    found = logs.last_warnings(tmp_path, 2)
    assert [(one.part, one.level) for one in found] == [("relay", "error"), ("bot", "warning")]
    assert found[1].words == "it failed, reason no, job 0011"


def test_only_chosen_fields_and_no_secret(tmp_path: Path) -> None:
    nsec, raw = encode_nsec(bytes([7]) * 32), SecretKey(bytes([7]) * 32).raw.hex()
    api = "sk-ant-api03-" + "aB3" * 20
    for secret in (nsec, raw, api, raw.upper(), "Zm9v" * 16, f"bunker://{raw}?secret=1"):
        write(tmp_path, "bot", line("2026-11-22T21:00:03Z", reason=f"it said {secret} twice"))
        [found] = logs.last_warnings(tmp_path, 5)
        assert secret not in found.words
        assert secret[:12] not in found.words
        assert "it said (left out)" in found.words
        assert "hi you" not in found.words


def test_tracebacks_and_other_lines_are_passed_over(tmp_path: Path) -> None:
    write(
        tmp_path, "bot", "Traceback (most recent call last):", '  File "x.py"', "ValueError: secret"
    )
    assert logs.last_warnings(tmp_path, 5) == []


def test_a_terminals_orders_do_not_reach_the_terminal(tmp_path: Path) -> None:
    write(tmp_path, "bot", line("2026-11-22T21:00:03Z", reason="a\x1b[2Jb\u202ec\\nd"))
    [found] = logs.last_warnings(tmp_path, 5)
    assert found.words.isprintable()


def test_only_the_end_of_a_long_file_is_read(tmp_path: Path) -> None:
    filler = line("2026-11-22T20:00:00Z", "info") + "\n"
    path = tmp_path / "bot.log"
    path.write_text(
        line("2026-11-22T19:00:00Z") + "\n" + filler * 40_000 + line("2026-11-22T21:00:00Z")
    )
    assert [one.at for one in logs.last_warnings(tmp_path, 5)] == ["2026-11-22T21:00:00Z"]


def test_links_pipes_and_no_folder(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(line("2026-11-22T21:00:00Z"))
    folder = tmp_path / "logs"
    assert logs.last_warnings(folder, 5) == []
    folder.mkdir()
    (folder / "a.log").symlink_to(secret)
    os.mkfifo(folder / "b.log")
    assert logs.last_warnings(folder, 5) == []
