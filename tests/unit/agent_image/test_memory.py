"""agent_image/agent/memory.py: MEMORY.md with real files, and what a hostile program puts there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent_image.agent.memory import (
    FILE_NAME,
    MAX_ENTRY_BYTES,
    MAX_FILE_BYTES,
    MemoryRefused,
    recall,
    remember,
)

DAY = "2026-11-22"


def test_what_is_remembered_is_recalled_and_readable(tmp_path: Path) -> None:
    assert recall(tmp_path) == ""
    assert remember(tmp_path, "the cat is called Mia", DAY)
    assert remember(tmp_path, "two\nlines \t become one", "2026-11-23")
    assert (tmp_path / FILE_NAME).read_text() == (
        "- 2026-11-22: the cat is called Mia\n- 2026-11-23: two lines become one\n"
    )
    assert recall(tmp_path).count("\n") == 1


def test_words_choose_the_lines(tmp_path: Path) -> None:
    for text in ("the cat is Mia", "the dog is Max", "a fish"):
        remember(tmp_path, text, DAY)
    assert recall(tmp_path, "THE is") == (f"- {DAY}: the cat is Mia\n- {DAY}: the dog is Max")
    assert recall(tmp_path, "bird") == ""


def test_a_second_attempt_does_not_remember_twice(tmp_path: Path) -> None:
    assert remember(tmp_path, "once", DAY)
    assert not remember(tmp_path, " once ", "2026-11-23")
    assert remember(tmp_path, "once more", DAY)
    assert recall(tmp_path).count("once") == 2


def test_a_persons_own_lines_are_kept_apart(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("# Mine\nno newline at the end")
    remember(tmp_path, "added", DAY)
    assert (tmp_path / FILE_NAME).read_text() == (
        f"# Mine\nno newline at the end\n- {DAY}: added\n"
    )


@pytest.mark.parametrize("text", ["", "  \n\t", "x" * MAX_ENTRY_BYTES, "é" * MAX_ENTRY_BYTES])
def test_nothing_and_too_much_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(MemoryRefused):
        remember(tmp_path, text, DAY)
    assert not (tmp_path / FILE_NAME).exists()


def test_a_full_file_takes_no_more(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"x" * (MAX_FILE_BYTES - 10))
    with pytest.raises(MemoryRefused, match="full"):
        remember(tmp_path, "one more thing", DAY)
    assert (tmp_path / FILE_NAME).stat().st_size == MAX_FILE_BYTES - 10


def test_of_an_oversize_file_the_newest_part_is_read(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"old\n" + b"x" * MAX_FILE_BYTES + b"\nnew")
    text = recall(tmp_path)
    assert len(text.encode()) <= MAX_FILE_BYTES
    assert text.endswith("new")
    assert "old" not in text


def test_bytes_that_are_no_text_do_not_stop_it(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"\xff\xfe ok\n")
    assert recall(tmp_path).endswith("ok")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Attack: a program in the folder points MEMORY.md at another file."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("secret")
    folder = tmp_path / "group"
    folder.mkdir()
    (folder / FILE_NAME).symlink_to(elsewhere)
    with pytest.raises(MemoryRefused, match="cannot be used"):
        remember(folder, "text", DAY)
    with pytest.raises(MemoryRefused, match="cannot be used"):
        recall(folder)
    assert elsewhere.read_text() == "secret"


@pytest.mark.timeout(10)
def test_a_pipe_does_not_make_it_wait(tmp_path: Path) -> None:
    """Attack: a named pipe that nobody writes would hold the agent until its time is over."""
    os.mkfifo(tmp_path / FILE_NAME)
    with pytest.raises(MemoryRefused):
        remember(tmp_path, "text", DAY)
    with pytest.raises(MemoryRefused, match="not a regular file"):
        recall(tmp_path)


def test_a_folder_of_that_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(MemoryRefused):
        remember(tmp_path, "text", DAY)
    with pytest.raises(MemoryRefused):
        recall(tmp_path)
