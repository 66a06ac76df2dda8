"""bot/tasks/hook_secrets.py: files that nobody else reads, and names that lead elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.tasks.hook_secrets import HookSecrets

ONE, TWO = "7c9e6679-7425-40de-944b-e07fc1f90ae7", "8c9e6679-7425-40de-944b-e07fc1f90ae7"


def test_made_read_and_made_anew(tmp_path: Path) -> None:
    secrets = HookSecrets(tmp_path)
    assert secrets.of(ONE) is None
    first = secrets.make(ONE)
    assert (len(first), secrets.of(ONE), secrets.of(TWO)) == (32, first, None)
    second = secrets.make(ONE)
    assert HookSecrets(tmp_path).of(ONE) == second != first
    folder = tmp_path / "hooks"
    assert [path.name for path in folder.iterdir()] == [ONE], "no part of one is left"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / ONE).stat().st_mode & 0o777 == 0o600


def test_those_of_tasks_that_are_gone(tmp_path: Path) -> None:
    secrets = HookSecrets(tmp_path)
    secrets.keep_only(())
    kept = secrets.make(TWO)
    secrets.make(ONE)
    secrets.keep_only({TWO})
    assert (secrets.of(ONE), secrets.of(TWO)) == (None, kept)


@pytest.mark.parametrize("name", ["", ".", "../keys/router", f"{ONE}/x", ONE.upper(), f" {ONE}"])
def test_what_is_no_tasks_name(name: str, tmp_path: Path) -> None:
    """Attack: a task called ../keys/router has that key taken for its secret, or written over."""
    with pytest.raises(ValueError, match="not the id of a task"):
        HookSecrets(tmp_path).make(name)
    assert HookSecrets(tmp_path).of(name) is None


@pytest.mark.parametrize("content", [b"", b"zz" * 32, b"ab" * 31, b"ab" * 64, b"\xff" * 64])
def test_a_file_that_holds_no_secret(content: bytes, tmp_path: Path) -> None:
    secrets = HookSecrets(tmp_path)
    secrets.make(ONE)
    (tmp_path / "hooks" / ONE).write_bytes(content)
    assert secrets.of(ONE) is None


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    secrets = HookSecrets(tmp_path)
    secrets.make(ONE)
    (tmp_path / "elsewhere").write_text("ab" * 32)
    (tmp_path / "hooks" / TWO).symlink_to(tmp_path / "elsewhere")
    assert secrets.of(TWO) is None
