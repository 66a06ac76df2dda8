"""The file that names the program's conversation: the agent's to write, and not believed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from agent_image.agent.thread import FILE_NAME, MAX_FILE_BYTES, Thread, read, write

ID = "0f0e0d0c-0b0a-4908-8706-050403020100"
THREAD = Thread(ID, 3, 1_700_000_000, "ab" * 32)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert read(tmp_path) is None
    write(tmp_path, THREAD)
    assert read(tmp_path) == THREAD
    write(tmp_path, Thread(ID, 4))
    assert read(tmp_path) == Thread(ID, 4)
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize(
    "change",
    [
        {"id": "x --mcp-config /workspace/group/evil.json"},  # attack: words of a command line
        {"id": f"{ID} --resume"},
        {"id": 7},
        {"turns": "many"},
        {"turns": None},
        {"seen_until": []},
        {"seen_until": float("inf")},
    ],
)
def test_what_it_cannot_hold_is_not_believed(tmp_path: Path, change: dict[str, object]) -> None:
    write(tmp_path, THREAD)
    value = json.loads((tmp_path / FILE_NAME).read_text()) | change
    (tmp_path / FILE_NAME).write_text(json.dumps(value))
    assert read(tmp_path) is None


def test_no_link_pipe_or_folder_is_read_or_written_through(tmp_path: Path) -> None:
    """Attack: another program in the container puts something else in the file's place."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write(elsewhere, THREAD)
    file = tmp_path / FILE_NAME
    file.symlink_to(elsewhere / FILE_NAME)
    assert read(tmp_path) is None
    write(tmp_path, Thread(ID, 9))
    assert read(elsewhere) == THREAD
    assert read(tmp_path) == Thread(ID, 9)
    file.unlink()
    os.mkfifo(file)
    assert read(tmp_path) is None
    file.unlink()
    file.write_text(" " * MAX_FILE_BYTES + "{}")
    assert read(tmp_path) is None
    file.unlink()
    file.mkdir()
    assert read(tmp_path) is None
    with pytest.raises(OSError, match="directory"):
        write(tmp_path, THREAD)
