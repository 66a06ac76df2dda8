"""Shell: changes to this program that main's agent has proposed, read and applied by hand.

    list ─► show ─► apply: read strictly ─► fits a copy of the tree? ─► tests in the copy ─► written

Attack: an agent has the program that watches it changed. So nothing is applied but by this command,
given on the machine; what `show` prints is all that `apply` does; and a patch can only change texts
of the program itself (diff.py), through no link.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from bot.operate import diff
from bot.operate.assembly import AssemblyError, Installation
from bot.operate.diff import FileChange
from bot.operate.signers import is_listening
from config.roles import load, read_key
from nips import nip34
from nips.filter import Filter
from nips.kinds import Kind
from nips.nip34 import Patch
from nips.own.visible import exposed, visible
from nips.refusal import Malformed
from relay_local.client import connect

DEADLINE_S = 20.0
MAX_LISTED = 200
LEAST_DIGITS = 6
TESTS = (sys.executable, "-m", "pytest", "-x", "-q", "tests/unit")
PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR")
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

# Runs the tests of a tree; gives the exit status.
Test = Callable[[Path], int]


async def proposed(place: Installation) -> list[Patch]:
    """The router's own patches in main, the newest first. Raises AssemblyError."""
    socket = Path(place.relay_address.removeprefix("unix:"))
    if not place.key("router").exists() or not is_listening(socket):
        raise AssemblyError(
            f"Nothing runs with {place.data}. Start it first: nostrclaw up --data {place.data}"
        )
    key, roles = read_key(place.key("router")), load(place.roles_file)
    wanted = Filter(
        kinds=frozenset({int(Kind.PATCH)}),
        authors=frozenset({roles.router}),
        tags={"h": frozenset({roles.main})},
        limit=MAX_LISTED,
    )
    try:
        async with asyncio.timeout(DEADLINE_S), connect(place.relay_address, [key]) as link:
            events = await link.fetch([wanted])
    except TimeoutError:
        raise AssemblyError("The private relay does not answer.") from None
    found = []
    for event in events:
        try:
            found.append(nip34.parse(event, roles.router, roles.main))
        except Malformed:
            continue  # attack: somebody else's patch, or one that was put elsewhere
    return sorted(found, key=lambda one: (-one.created_at, one.id))


def pick(found: list[Patch], beginning: str) -> Patch:
    """The one whose id begins so. Raises AssemblyError."""
    named = [one for one in found if one.id.startswith(beginning.lower())]
    if len(beginning) < LEAST_DIGITS or len(named) != 1:
        raise AssemblyError(
            f"No single change begins with {beginning[:64]!r}; `nostrclaw changes list` shows them."
        )
    return named[0]


def line(patch: Patch) -> str:
    """One of a list: the beginning of its id, when, its title with everything visible."""
    return f"{patch.id[:12]}  {_at(patch)}  {visible(patch.title)}"


def shown(patch: Patch) -> str:
    """A patch for reading: what it would touch, and every line of it, nothing unseen."""
    try:
        changes = diff.parse(patch.text)
        touches = ", ".join(one.path for one in changes)
    except Malformed as error:
        touches = f"nothing: it cannot be applied ({error})"
    head = f"{patch.id}\n{_at(patch)}\n{visible(patch.title)}\nIt touches {visible(touches)}"
    return f"{head}\n{exposed(patch.text.rstrip(chr(10)))}"


def apply_to(tree: Path, text: str, test: Test | None) -> tuple[str, ...]:
    """Apply a patch to a tree: first to a copy, whose tests must pass where there are to be any.

    Gives the paths. Raises AssemblyError, and then nothing in `tree` is another.
    """
    try:
        changes = diff.parse(text)
        after = _after(tree, changes)
    except Malformed as error:
        raise AssemblyError(f"It cannot be applied: {error}.") from error
    if test is not None:
        sys.stdout.write(
            "Trying it in a copy. Its tests run the changed program, with your rights: "
            f"{shlex.join(TESTS)}\n"
        )
        sys.stdout.flush()
        with tempfile.TemporaryDirectory(prefix="nostrclaw-change-") as made:
            copy = Path(made) / "tree"
            _copy(tree, copy)
            _write(copy, after)
            if status := test(copy):
                raise AssemblyError(
                    f"The tests fail with it (exit status {status}); nothing was changed."
                )
        # Attack: a test puts a link, or another text, where the change is about to be written.
        try:
            again = _after(tree, changes)
        except Malformed as error:
            raise AssemblyError(f"The program changed meanwhile: {error}.") from error
        if again != after:
            raise AssemblyError("The program changed meanwhile; nothing was changed by this.")
    _write(tree, after)
    return tuple(after)


def run_tests(tree: Path) -> int:
    """Run the unit tests of a tree with this Python. Raises AssemblyError where it cannot."""
    if find_spec("pytest") is None:
        raise AssemblyError(
            "The tests need pytest, which is not installed here: `make install` brings it; "
            "--no-tests leaves them out."
        )
    # Attack: the changed program reads a password from the environment that it is tested in.
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment = kept | {"PYTHONPATH": str(tree)}
    return subprocess.run(
        TESTS, cwd=tree, env=environment, stdin=subprocess.DEVNULL, check=False
    ).returncode


def _after(tree: Path, changes: Iterable[FileChange]) -> dict[str, str | None]:
    """The text of each file with its change, None for no file. Raises Malformed."""
    return {one.path: diff.apply(one, _read(tree, one.path)) for one in changes}


def _at(patch: Patch) -> str:
    return f"{datetime.fromtimestamp(patch.created_at, UTC):%Y-%m-%d %H:%M} UTC"


def _read(tree: Path, path: str) -> str | None:
    _through_no_link(tree, path)
    try:
        fd = os.open(tree / path, _READ)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Malformed(f"{path} cannot be read: {error.strerror}") from error
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Malformed(f"{path} is no regular file")
        try:
            return file.read().decode()
        except UnicodeDecodeError as error:
            raise Malformed(f"{path} is no text") from error


def _through_no_link(tree: Path, path: str) -> None:
    """Attack: a folder in the tree that is a link leads a good path out of it."""
    for above in (tree / path, *(tree / path).parents):
        if above == tree:
            return
        if above.is_symlink():
            raise Malformed(f"{path} leads through a link")


def _write(tree: Path, after: Mapping[str, str | None]) -> None:
    for path, text in after.items():
        target = tree / path
        if text is None:
            target.unlink()
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        # Beside it, then in its place: half a file is never there, and its mode stays.
        new = target.with_name(f".{target.name}.new")
        new.unlink(missing_ok=True)  # a link that was left there would be written through
        new.write_text(text, "utf-8")
        if target.exists():
            shutil.copymode(target, new)
        new.replace(target)


def _copy(tree: Path, copy: Path) -> None:
    copy.mkdir()
    for name in (*diff.ROOMS, *diff.PROSE, "pyproject.toml", "Makefile", "requirements.lock"):
        source = tree / name
        if source.is_symlink() or not source.exists():
            continue
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "node_modules", "results")
            shutil.copytree(source, copy / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy2(source, copy / name)
