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


def test_root_puts_nothing_below_a_folder_of_somebody_elses(tmp_path: Path) -> None:
    """Attack: `su` keeps XDG_RUNTIME_DIR; whoever owns that folder puts another in our folder's
    place, with a plan of programs for root to run."""
    if os.geteuid() != 0:
        return
    theirs = Path("/tmp") / f"r{os.getpid()}"
    theirs.mkdir(mode=0o700)
    os.chown(theirs, 61_500, 61_500)
    try:
        ours = runtime_dir(tmp_path, {"XDG_RUNTIME_DIR": str(theirs)})
        ours.rmdir()
        assert not ours.is_relative_to(theirs)
    finally:
        theirs.rmdir()
    theirs.mkdir()
    theirs.chmod(0o777)
    try:
        ours = runtime_dir(tmp_path, {"XDG_RUNTIME_DIR": str(theirs)})
        ours.rmdir()
        assert not ours.is_relative_to(theirs)
    finally:
        theirs.rmdir()
