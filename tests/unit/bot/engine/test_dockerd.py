"""A private engine: one for all its users, gone with the last of them, whatever was killed."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import docker
import pytest

from bot.engine import dockerd
from bot.engine.dockerd import EngineUnavailable
from bot.engine.layout import Layout, layout

ROOT = os.geteuid() == 0


def quiet(_: str) -> None:
    """Nobody needs to read it here."""


def serves(place: Layout) -> bool:
    client = docker.DockerClient(base_url=place.url, timeout=10)
    try:
        return bool(client.ping())
    finally:
        client.close()


@pytest.fixture(scope="module")
def programs(engine: object) -> None:
    """The run's own engine was found or made first, so its programs are installed."""


@pytest.fixture
def place(programs: None) -> Iterator[Layout]:
    folder = Path(tempfile.mkdtemp(prefix="nc-", dir="/tmp"))
    yield layout(folder / "an engine")
    dockerd.stop(layout(folder / "an engine"))
    shutil.rmtree(folder)


def test_sockets_lie_in_the_folder_while_its_path_is_short() -> None:
    short = layout(Path("/tmp/engine"))
    assert short.socket == Path("/tmp/engine/docker.sock")
    long = layout(Path("/tmp") / ("x" * 150) / "engine")
    assert long.root != long.run
    assert len(os.fsencode(long.run / "exec/containerd/containerd.sock.ttrpc")) < 100
    assert layout(Path("/tmp") / ("y" * 150)).run != long.run


def test_a_folder_that_another_made_is_refused(tmp_path: Path) -> None:
    # Attack: /tmp/engine is made beforehand as a link into a folder of the attacker's.
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (tmp_path / "engine").symlink_to(theirs)
    with pytest.raises(EngineUnavailable, match="not a folder of this user's"):
        dockerd.start(layout(tmp_path / "engine"), quiet)
    assert list(theirs.iterdir()) == []


if not ROOT:

    def test_only_root_starts_one(tmp_path: Path) -> None:
        with pytest.raises(EngineUnavailable, match="CAP_SYS_ADMIN"):
            dockerd.start(layout(tmp_path / "engine"), quiet)

else:

    def test_it_ends_with_its_last_user(place: Layout) -> None:
        pid, first = dockerd.start(place, quiet)
        again, second = dockerd.start(place, quiet)
        assert again == pid
        assert serves(place)
        dockerd.leave(place, first)
        assert dockerd.running(place) == pid
        assert serves(place)
        dockerd.leave(place, second)
        assert dockerd.running(place) is None
        assert not place.socket.exists()

    def test_it_has_a_session_of_its_own(place: Layout) -> None:
        """Ctrl-C reaches every process of the terminal's foreground group, and not this one."""
        pid, lease = dockerd.start(place, quiet)
        assert os.getsid(pid) == pid
        assert os.getpgid(pid) != os.getpgid(0)
        dockerd.leave(place, lease)

    def test_nothing_that_we_hold_open_stays_open_in_it(place: Layout, tmp_path: Path) -> None:
        with (tmp_path / "secret").open("w") as secret:
            os.set_inheritable(secret.fileno(), True)
            pid, lease = dockerd.start(place, quiet)
            ours = os.fstat(secret.fileno())
            for held in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(FileNotFoundError):  # it goes on with its own work meanwhile
                    assert not os.path.samestat(held.stat(), ours)
        dockerd.leave(place, lease)

    def test_a_killed_user_leaves_no_lease_behind(place: Layout) -> None:
        code = (
            "import sys, pathlib; from bot.engine import dockerd; from bot.engine.layout import *;"
            "dockerd.start(layout(pathlib.Path(sys.argv[1])), lambda _: None);"
            "print('started', flush=True); sys.stdin.read()"
        )
        user = subprocess.Popen(
            [sys.executable, "-c", code, str(place.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert user.stdout is not None
        assert user.stdout.readline() == b"started\n"
        pid = dockerd.running(place)
        user.kill()
        user.communicate()
        assert pid is not None
        joined, lease = dockerd.start(place, quiet)
        assert joined == pid
        dockerd.leave(place, lease)
        assert dockerd.running(place) is None

    def test_a_killed_engine_is_started_anew(place: Layout) -> None:
        pid, lease = dockerd.start(place, quiet)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert place.pid_file.exists()
        again, second = dockerd.start(place, quiet)
        assert again != pid
        assert serves(place)
        dockerd.leave(place, lease)
        dockerd.leave(place, second)
        assert str(place.root) not in Path("/proc/self/mounts").read_text()

    def test_a_pid_file_that_names_another_process_is_stale(place: Layout) -> None:
        """The number of a dead engine is soon another process's, which must not be signalled."""
        place.root.mkdir(mode=0o700, parents=True)
        bystander = subprocess.Popen(["sleep", "60"])
        place.pid_file.write_text(str(bystander.pid))
        try:
            assert dockerd.running(place) is None
            assert dockerd.stop(place) is False
            pid, lease = dockerd.start(place, quiet)
            assert pid != bystander.pid
            assert serves(place)
            dockerd.leave(place, lease)
            assert bystander.poll() is None
        finally:
            bystander.kill()
            bystander.wait()

    def test_a_long_path_works(place: Layout) -> None:
        far = layout(place.root / ("x" * 100))
        place.root.mkdir(mode=0o700, parents=True)
        pid, lease = dockerd.start(far, quiet)
        try:
            assert far.run.parent == Path("/run")
            assert serves(far)
            assert dockerd.running(far) == pid
        finally:
            dockerd.leave(far, lease)
            shutil.rmtree(far.run)

    def test_keep_leaves_it_running_until_it_is_stopped(place: Layout) -> None:
        pid, lease = dockerd.start(place, quiet)
        place.keep.touch()
        dockerd.leave(place, lease)
        assert dockerd.running(place) == pid
        assert dockerd.stop(place) is True
        assert dockerd.running(place) is None
        assert not place.keep.exists()

    def test_a_failed_start_says_why_and_leaves_nothing(place: Layout) -> None:
        place.root.mkdir(mode=0o700, parents=True)
        place.data.write_text("a file where a folder belongs")
        with pytest.raises(EngineUnavailable, match=r"dockerd\.log"):
            dockerd.start(place, quiet)
        assert dockerd.running(place) is None
        place.data.unlink()
        _, lease = dockerd.start(place, quiet)
        assert serves(place)
        dockerd.leave(place, lease)

    REQUIRE = (
        "import sys, pathlib; from bot.engine import dockerd; from bot.engine.layout import *;"
        "dockerd.start(layout(pathlib.Path(sys.argv[1])), lambda _: None)"
    )

    def test_an_unprivileged_container_is_recognised(place: Layout) -> None:
        argv = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-all"]
        done = subprocess.run(
            [*argv, sys.executable, "-c", REQUIRE, str(place.root)], capture_output=True, text=True
        )
        assert "EngineUnavailable" in done.stderr
        assert "without CAP_SYS_ADMIN" in done.stderr

    def test_a_full_disk_is_recognised(place: Layout) -> None:
        place.root.mkdir(mode=0o700, parents=True)
        script = 'mount -t tmpfs -o size=8m,mode=700 tmpfs "$2" && exec "$0" -c "$1" "$2"'
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, sys.executable, REQUIRE, str(place.root)],
            capture_output=True,
            text=True,
        )
        assert "EngineUnavailable" in done.stderr
        assert "Free some space there" in done.stderr
