"""What main's agent is shown of the source is a copy, and nothing but source."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from bot.engine import project
from bot.operate import assembly
from bot.operate.assembly import AssemblyError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source tree with everything beside it that people have there."""
    tree = tmp_path / "tree"
    for path, content in {
        "pyproject.toml": "[project]",
        "README.md": "read me",
        "bot/router.py": "# the router",
        "bot/operate/up.py": "# up",
        "bot/.env": "PASSWORD=secret",
        "bot/notes.key": "secret",
        "bot/__pycache__/router.cpython-311.pyc": "secret",
        "agent_image/Dockerfile": "FROM x",
        "docs/decisions/1.md": "decided",
        ".git/config": "url = https://me:secret@example.org",
        ".env": "PASSWORD=secret",
        "keys/router": "secret",
        "my-data/relay/events.py": "secret",
    }.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(content)
    return tree


def shown(copy: Path) -> dict[str, str]:
    return {str(p.relative_to(copy)): p.read_text() for p in copy.rglob("*") if p.is_file()}


def test_source_and_prose_are_shown_and_nothing_else(tmp_path: Path, tree: Path) -> None:
    assert shown(project.refresh(tmp_path / "run", tree)) == {
        "pyproject.toml": "[project]",
        "README.md": "read me",
        "bot/router.py": "# the router",
        "bot/operate/up.py": "# up",
        "agent_image/Dockerfile": "FROM x",
        "docs/decisions/1.md": "decided",
    }


def test_links_and_what_is_no_file_are_not_followed(tmp_path: Path, tree: Path) -> None:
    """Attack: a link in the tree, to a key, through which the agent would read it."""
    (tmp_path / "key.py").write_text("secret")
    (tree / "bot/key.py").symlink_to(tmp_path / "key.py")
    (tree / "bot/keys").symlink_to(tree / "keys")
    (tree / "nips").symlink_to(tree / "keys")
    (tree / "LICENSE").symlink_to(tmp_path / "key.py")
    os.mkfifo(tree / "bot/pipe.py")
    copy = project.refresh(tmp_path / "run", tree)
    assert "secret" not in str(shown(copy))
    assert not (copy / "nips").exists()
    assert not [path for path in copy.rglob("*") if path.is_symlink()]


def test_something_huge_is_left_out(tmp_path: Path, tree: Path) -> None:
    (tree / "bot/huge.py").write_bytes(bytes(project.MAX_FILE_BYTES + 1))
    assert "bot/huge.py" not in shown(project.refresh(tmp_path / "run", tree))


def test_everybody_may_read_it_below_a_private_folder(tmp_path: Path, tree: Path) -> None:
    """Under a home of 0700, with a strict umask, from files that only we may read."""
    (tree / "bot/router.py").chmod(0o600)
    tree.chmod(0o700)
    before = os.umask(0o077)
    try:
        copy = project.refresh(tmp_path / "run", tree)
    finally:
        os.umask(before)
    assert stat.S_IMODE(copy.parent.stat().st_mode) == 0o700
    for path in (copy, *copy.rglob("*")):
        wanted = 0o755 if path.is_dir() else 0o444
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_it_is_made_anew_and_nothing_of_before_is_left(tmp_path: Path, tree: Path) -> None:
    run = tmp_path / "run"
    first = project.refresh(run, tree)
    (tree / "bot/router.py").unlink()
    (tree / "bot/routing.py").write_text("# new")
    (run / "project.1234").mkdir()  # a killed predecessor's
    assert project.refresh(run, tree) == first
    assert "bot/router.py" not in shown(first)
    assert "bot/routing.py" in shown(first)
    assert [path.name for path in run.iterdir()] == ["project"]


def test_among_other_packages_only_our_rooms_are_shown(tmp_path: Path, tree: Path) -> None:
    (tree / "pyproject.toml").unlink()
    assert set(shown(project.refresh(tmp_path / "run", tree))) == {
        "bot/router.py", "bot/operate/up.py", "agent_image/Dockerfile"
    }  # fmt: skip


def test_our_own_tree_is_shown_whole(tmp_path: Path) -> None:
    files = shown(project.refresh(tmp_path))
    assert {f"{room}/{name}" for room, name in [("bot", "router.py"), ("nips", "event.py")]} < set(
        files
    )
    assert not [name for name in files if name.startswith((".", "tests/", "bench/"))]


@pytest.mark.parametrize("data", ["data", ".", "..", "bot/data"])
def test_data_beside_the_source_is_refused_before_anything_is_made(data: str) -> None:
    folder = assembly.SOURCE_TREE / data
    existed = folder.exists()
    with pytest.raises(AssemblyError, match="contain one another"):
        assembly.installation(folder)
    assert folder.exists() == existed
