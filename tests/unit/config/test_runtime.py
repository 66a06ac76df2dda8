"""The folder for sockets: short, private, and never somebody else's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from config.runtime import RuntimeFolderError, runtime_dir


def test_it_is_short_however_long_the_data_folder_is(tmp_path: Path) -> None:
    data = tmp_path / ("d" * 150)
    path = runtime_dir(data)
    try:
        assert len(os.fsencode(path / "s" / ("0" * 16) / "relay.sock")) < 100
        assert path.stat().st_mode & 0o777 == 0o700
        assert runtime_dir(data) == path
        assert runtime_dir(tmp_path / "other") != path
    finally:
        path.rmdir()
        runtime_dir(tmp_path / "other").rmdir()


def test_a_link_laid_there_by_somebody_else_is_refused(tmp_path: Path) -> None:
    """Attack: in a shared folder another user plants the name, to own our sockets' folder."""
    run = Path("/tmp") / f"r{os.getpid()}"
    run.mkdir()
    try:
        planted = runtime_dir(tmp_path, {"XDG_RUNTIME_DIR": str(run)})
        planted.rmdir()
        planted.symlink_to(tmp_path)
        with pytest.raises(RuntimeFolderError, match="somebody else"):
            runtime_dir(tmp_path, {"XDG_RUNTIME_DIR": str(run)})
        planted.unlink()
    finally:
        run.rmdir()
