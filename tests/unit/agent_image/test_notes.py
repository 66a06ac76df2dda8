"""agent_image/agent/notes.py: files that anybody in the container may have put there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent_image.agent import notes
from agent_image.agent.notes import MAX_NOTE_BYTES
from agent_image.agent.surroundings import Note


def test_the_notes_are_read(tmp_path: Path) -> None:
    (tmp_path / "CLAUDE.md").write_text("Be brief.")
    (tmp_path / "MEMORY.md").write_text("- the cat is Mia\n")
    assert notes.instructions(tmp_path) == Note("Be brief.")
    assert notes.remembered(tmp_path) == Note("- the cat is Mia\n")


def test_where_there_are_none_there_is_an_empty_note(tmp_path: Path) -> None:
    assert notes.instructions(tmp_path) == notes.remembered(tmp_path) == Note()


def test_of_a_long_file_the_beginning_counts_and_of_memory_the_end(tmp_path: Path) -> None:
    for name in ("CLAUDE.md", "MEMORY.md"):
        (tmp_path / name).write_text("first" + "x" * MAX_NOTE_BYTES + "last")
    instructions, memory = notes.instructions(tmp_path), notes.remembered(tmp_path)
    assert len(instructions.text) == len(memory.text) == MAX_NOTE_BYTES
    assert (instructions.is_cut, memory.is_cut) == (True, True)
    assert instructions.text.startswith("first")
    assert memory.text.endswith("last")


def test_bytes_that_are_no_text_are_read_as_far_as_they_go(tmp_path: Path) -> None:
    (tmp_path / "CLAUDE.md").write_bytes(b"a\xff\x00b")
    assert notes.instructions(tmp_path).text == "a\N{REPLACEMENT CHARACTER}\x00b"


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "closed"])
def test_what_is_no_plain_file_is_not_read(tmp_path: Path, kind: str) -> None:
    """Attack: a link shows a model a file that is another's; a pipe has the session wait."""
    secret = tmp_path / "secret"
    secret.write_text("of another")
    path = tmp_path / "CLAUDE.md"
    match kind:
        case "link":
            path.symlink_to(secret)
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case _:
            path.symlink_to(path)
    assert notes.instructions(tmp_path) == Note()
