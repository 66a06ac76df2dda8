"""The environment is made from the lock, in any folder, by any Python, and only when needed."""

import ast
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bot.operate import bootstrap, debian

PROJECT = Path(bootstrap.__file__).parents[2]
OURS = ("nips", "relay_local", "signer", "bot", "agent_image", "config")
STAMP = {"lock": "a", "project": "b", "place": "/c/.venv"}


@pytest.mark.parametrize(
    ("found", "step"),
    [
        (STAMP, "nothing"),
        (STAMP | {"project": "x"}, "project"),
        (STAMP | {"lock": "x"}, "everything"),
        (STAMP | {"place": "/moved/.venv"}, "everything"),
        (STAMP | {"project": "x", "lock": "x"}, "everything"),
        (STAMP | {"python": "3"}, "everything"),
        ({}, "everything"),
    ],
)
def test_what_has_to_be_done(found: dict[str, str], step: str) -> None:
    assert bootstrap.next_step(found, STAMP) == step


def test_a_half_made_environment_has_no_stamp(tmp_path: Path) -> None:
    assert bootstrap.read_stamp(tmp_path) == {}
    (tmp_path / ".nostrclaw-stamp").write_bytes(b"\xff\x00")
    assert bootstrap.read_stamp(tmp_path) == {}
    bootstrap._write_stamp(tmp_path, STAMP)
    assert bootstrap.read_stamp(tmp_path) == STAMP


def interpreter(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_names_that_do_not_run_are_passed_over(tmp_path: Path) -> None:
    """Version managers put every version's name on PATH, also those that only print an error."""
    broken, old, good = tmp_path / "broken", tmp_path / "old", tmp_path / "good"
    interpreter(broken, "python3.13", "echo 'python3.13: command not found' >&2; exit 127")
    interpreter(broken, "python3.12", "echo nonsense")
    interpreter(old, "python3", r"printf '3\n8\n18\n/old\n'")
    path = os.pathsep.join(map(str, (broken, old, good)))
    assert bootstrap.choose(path) is None
    interpreter(good, "python3", f'exec "{sys.executable}" "$@"')
    chosen = bootstrap.choose(path)
    assert chosen is not None
    assert chosen.version == sys.version_info[:3]
    interpreter(good, "python3.12", r"printf '3\n12\n1\n/good\n'")
    assert bootstrap.choose(path) == bootstrap.Python((3, 12, 1), "/good")


def test_without_a_python_there_is_one_sentence(tmp_path: Path) -> None:
    for name in ("requirements.lock", "pyproject.toml"):
        shutil.copy(PROJECT / name, tmp_path)
    with pytest.raises(bootstrap.Failed, match=r"Python 3\.11 or newer"):
        bootstrap.bootstrap(tmp_path, {"PATH": str(tmp_path)})
    assert not (tmp_path / ".venv").exists()


def test_nothing_is_installed_where_it_is_forbidden() -> None:
    for value in ("1", "yes"):
        assert not debian.may_install({"NOSTRCLAW_NO_INSTALL": value})
    able = os.geteuid() == 0 and shutil.which("apt-get") is not None
    assert debian.may_install({}) is able
    assert debian.may_install({"NOSTRCLAW_NO_INSTALL": "0"}) is able


@pytest.mark.parametrize("module", [bootstrap, debian])
def test_an_old_python_can_run_it(module: object) -> None:
    """Its grammar is 3.8's, and before there is an environment only the standard library is."""
    text = Path(str(vars(module)["__file__"])).read_text("utf-8")
    tree = ast.parse(text, feature_version=(3, 8))
    names = {
        name
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert {name.split(".")[0] for name in names} - sys.stdlib_module_names <= {"bot"}


def run(project: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-B", "-m", "bot.operate.bootstrap"]
    return subprocess.run(argv, cwd=project, capture_output=True, text=True, timeout=280)


def test_it_installs_in_an_awkward_folder(tmp_path: Path) -> None:
    """A space, and more than the 127 bytes that the kernel reads of a script's first line."""
    project = tmp_path / f"with a space {'x' * 150}" / "nostrclaw"
    project.mkdir(parents=True)
    for name in OURS:
        skipped = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / name, project / name, ignore=skipped)
    for name in ("pyproject.toml", "requirements.lock", "README.md"):
        shutil.copy(PROJECT / name, project)
    (project / ".venv").mkdir()  # half made: it has no stamp
    (project / ".venv/left").touch()

    first = run(project)
    assert first.returncode == 0, first.stderr
    assert first.stderr.splitlines()[-1].startswith("  ready in ")
    assert not (project / ".venv/left").exists()
    command = [str(project / ".venv/bin/nostrclaw"), "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert shown.returncode == 0, shown.stderr
    assert "nostrclaw" in shown.stdout

    stamp = (project / ".venv/.nostrclaw-stamp").stat()
    began_s = time.monotonic()
    second = run(project)
    assert (second.returncode, second.stderr) == (0, "")
    assert time.monotonic() - began_s < 3
    assert (project / ".venv/.nostrclaw-stamp").stat().st_ino == stamp.st_ino

    with (project / "pyproject.toml").open("a") as metadata:
        metadata.write("# changed\n")
    third = run(project)
    assert third.returncode == 0, third.stderr
    assert "locked packages" not in third.stderr
    assert "installing nostrclaw itself" in third.stderr

    unknown = "no-such-package-of-ours==1 --hash=sha256:" + "0" * 64 + "\n"
    (project / "requirements.lock").write_text(unknown)
    failed = run(project)
    assert failed.returncode == 1
    assert "no-such-package-of-ours" in failed.stderr
    assert ".venv-install.log" in failed.stderr
    assert not (project / ".venv/.nostrclaw-stamp").exists()
