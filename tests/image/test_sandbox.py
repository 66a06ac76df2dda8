"""The container's hardening and limits, attacked from inside with real programs."""

import asyncio
import json
import secrets
import textwrap
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from bot.engine import folders
from bot.engine.hardening import INSTALLATION_LABEL, Mounts, Spec
from bot.engine.outcome import Exited, Killed, Limits, Outcome, Why
from bot.engine.sandbox import Sandbox, SandboxUnavailable
from tests.figures import figure

LIMITS = Limits(
    wall_clock_s=30,
    memory_bytes=64 << 20,
    pids=64,
    open_files=256,
    file_bytes=32 << 20,
    folder_bytes=48 << 20,
    output_bytes=8 << 20,
    free_disk_bytes=0,
)
PAST_THE_LIMIT_S = 5.0


@pytest.fixture
async def sandbox(docker_client: docker.DockerClient, agent_image: str) -> AsyncIterator[Sandbox]:
    made = Sandbox(docker_client, image=agent_image, installation=secrets.token_hex(8))
    await made.check()
    yield made
    assert await made.remove_leftovers() == 0, "a test left a container behind"
    await made.close()


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    session = secrets.token_hex(32)
    ipc_in, ipc_out = folders.ipc_folders(tmp_path / "ipc", session[:16])
    (ipc_in / "photo.txt").write_text("a picture")
    mounts = Mounts(
        group=folders.container_folder(tmp_path / "groups", "main"),
        claude_sessions=folders.sessions_folder(tmp_path / "sessions", "main"),
        ipc_in=ipc_in,
        ipc_out=ipc_out,
        sockets=folders.socket_folder(tmp_path / "s", session),
    )
    return Spec(session, secrets.token_hex(32), mounts, LIMITS)


def program(spec: Spec, source: str) -> Spec:
    return replace(spec, command=("python3", "-c", textwrap.dedent(source)))


async def run(sandbox: Sandbox, spec: Spec, source: str, stdin: bytes = b"") -> Outcome:
    return await sandbox.run(program(spec, source), stdin)


async def test_the_key_arrives_on_stdin_which_then_ends(sandbox: Sandbox, spec: Spec) -> None:
    outcome = await run(sandbox, spec, "import sys; print(sys.stdin.read()[::-1])", b"abc\n")
    assert outcome.end == Exited(0)
    assert outcome.output_tail.strip() == "cba"


async def test_the_exit_code_and_both_streams_come_back(sandbox: Sandbox, spec: Spec) -> None:
    outcome = await run(
        sandbox,
        spec,
        "import os; os.write(1, b'out '); os.write(2, b'err '); exit(3)",
    )
    assert outcome.end == Exited(3)
    assert set(outcome.output_tail.split()) == {"out", "err"}


async def test_it_runs_as_nobody_with_nothing(sandbox: Sandbox, spec: Spec) -> None:
    outcome = await run(
        sandbox,
        spec,
        """
        import json, os, resource, socket
        status = dict(l.split(":\\t", 1) for l in open("/proc/self/status") if ":\\t" in l)
        caps = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
        print(json.dumps({
            "ids": [os.getuid(), os.getgid(), os.getgroups()],
            "caps": [int(status[k], 16) for k in caps],
            "no_new_privs": status["NoNewPrivs"].strip(), "seccomp": status["Seccomp"].strip(),
            "interfaces": [name for _, name in socket.if_nameindex()],
            "core": resource.getrlimit(resource.RLIMIT_CORE),
            "files": resource.getrlimit(resource.RLIMIT_NOFILE),
            "host": socket.gethostname(),
            "environment": sorted(os.environ),
            "shm": os.path.exists("/dev/shm"),
            "resolv": open("/etc/resolv.conf").read() if os.path.exists("/etc/resolv.conf") else "",
        }))
        """,
    )
    seen = json.loads(outcome.output_tail)
    assert seen["ids"] == [1000, 1000, [1000]] or seen["ids"] == [1000, 1000, []]
    assert seen["caps"] == [0] * 5
    assert seen["no_new_privs"] == "1"
    assert seen["seccomp"] == "2"
    assert seen["interfaces"] == ["lo"]
    assert seen["core"] == [0, 0]
    assert seen["files"] == [256, 256]
    assert seen["host"] == "agent"
    assert not seen["shm"]
    names = set(seen["environment"]) - {"PATH", "HOSTNAME", "HOME", "LANG", "LC_CTYPE"}
    assert not [name for name in names if not name.startswith("PYTHON")], names
    for line in seen["resolv"].splitlines():
        assert line.startswith("#") or line in ("nameserver 127.0.0.1", "search .", ""), line


async def test_only_its_own_folders_are_mounted(sandbox: Sandbox, spec: Spec) -> None:
    (spec.mounts.group / "MEMORY.md").write_text("remembered")
    outcome = await run(
        sandbox,
        spec,
        """
        import json
        kernel = {"proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "overlay"}
        mounts = {}
        for line in open("/proc/self/mountinfo"):
            left, right = line.split(" - ")
            if right.split()[0] not in kernel or left.split()[4] == "/":
                mounts[left.split()[4]] = left.split()[5].split(",")[0]
        open("/workspace/ipc/out/answer", "w").write(open("/workspace/ipc/in/photo.txt").read())
        open("/home/agent/.claude/session", "w").write("kept")
        open("/workspace/group/new", "w").write(open("/workspace/group/MEMORY.md").read())
        print(json.dumps(mounts))
        """,
    )
    mounts = json.loads(outcome.output_tail)
    engine = ("/proc", "/sys", "/dev", "/etc/", "/sbin/docker-init", "/usr/sbin/docker-init")
    ours = {at: mode for at, mode in mounts.items() if not at.startswith(engine)}
    assert ours == {
        "/": "ro",
        "/workspace/group": "rw",
        "/home/agent": "rw",
        "/home/agent/.claude": "rw",
        "/tmp": "rw",
        "/workspace/ipc/in": "ro",
        "/workspace/ipc/out": "rw",
        "/run/nanoclaw": "ro",
    }
    assert (spec.mounts.ipc_out / "answer").read_text() == "a picture"
    assert (spec.mounts.claude_sessions / "session").read_text() == "kept"
    assert (spec.mounts.group / "new").read_text() == "remembered"


async def test_the_project_is_mounted_read_only(
    sandbox: Sandbox, spec: Spec, tmp_path: Path
) -> None:
    tree = tmp_path / "tree, with: signs"
    tree.mkdir()
    tree.chmod(0o777)
    (tree / "README").write_text("read me")
    outcome = await run(
        sandbox,
        replace(spec, mounts=replace(spec.mounts, project=tree)),
        """
        import errno
        print(open("/workspace/project/README").read())
        try: open("/workspace/project/new", "w")
        except OSError as error: print(errno.errorcode[error.errno])
        """,
    )
    assert outcome.output_tail.split() == ["read", "me", "EROFS"]


@pytest.mark.parametrize(
    "path",
    ["/new", "/etc/passwd", "/usr/bin/new", "/workspace/new", "/run/nanoclaw/new", "/opt/new",
     "/workspace/ipc/in/new", "/workspace/ipc/new", "/var/new", "/proc/sys/kernel/core_pattern"],
)  # fmt: skip
async def test_nothing_else_can_be_written(sandbox: Sandbox, spec: Spec, path: str) -> None:
    outcome = await run(sandbox, spec, f"open({path!r}, 'w').write('x')")
    assert outcome.end == Exited(1)
    assert "Error" in outcome.output_tail


SYSTEM_CALL = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
assert libc.{} == -1
exit(os.strerror(ctypes.get_errno()))
"""


@pytest.mark.parametrize(
    ("attempt", "answer"),
    [
        ("import socket; socket.create_connection(('1.1.1.1', 53), 3)", "unreachable"),
        ("import socket; socket.create_connection(('169.254.169.254', 80), 3)", "unreachable"),
        ("import socket; socket.create_connection(('127.0.0.1', 2375), 3)", "refused"),
        ("import socket; socket.getaddrinfo('relay.damus.io', 443)", "name resolution"),
        ("import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)", "not permitted"),
        ("import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)", "not permitted"),
        ("import os; os.setuid(0)", "not permitted"),
        ("import os; os.chroot('/tmp')", "not permitted"),
        ("import os; os.mknod('/tmp/disk', 0o60666, os.makedev(8, 0))", "not permitted"),
        ("open('/proc/sys/kernel/hostname', 'w')", "Read-only"),
        ("open('/dev/mem', 'rb')", "No such file"),
        (SYSTEM_CALL.format("unshare(0x10000000)"), "not permitted"),  # a user namespace
        (SYSTEM_CALL.format("mount(0, b'/tmp', b'tmpfs', 0, 0)"), "not permitted"),
        (SYSTEM_CALL.format("syscall(248, b'user', b'k', b'v', 1, -3)"), "not permitted"),
        (SYSTEM_CALL.format("syscall(321, 0, 0, 0)"), "not permitted"),
    ],
)
async def test_no_way_out(sandbox: Sandbox, spec: Spec, attempt: str, answer: str) -> None:
    outcome = await run(sandbox, spec, attempt)
    assert outcome.end == Exited(1), outcome
    assert answer in outcome.output_tail


async def test_the_key_is_nowhere_an_inspection_looks(
    sandbox: Sandbox, spec: Spec, docker_client: docker.DockerClient
) -> None:
    key = secrets.token_hex(32)
    waiting = program(spec, "import sys, time; sys.stdin.read(); time.sleep(60)")
    running = asyncio.create_task(sandbox.run(waiting, key.encode()))
    container = await _running(docker_client, spec)
    inspected = json.dumps(docker_client.api.inspect_container(container))
    top = json.dumps(docker_client.api.top(container))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert key not in inspected
    assert key not in top
    assert spec.session[:16] in inspected  # what is given at creation does show
    assert "time.sleep(60)" in top


async def test_a_hanging_program_is_ended_in_time(sandbox: Sandbox, spec: Spec) -> None:
    limits = replace(spec.limits, wall_clock_s=2)
    began_s = time.monotonic()
    outcome = await run(
        sandbox,
        replace(spec, limits=limits),
        """
        import os, signal, time
        for number in range(1, 65):
            try: signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError): pass
        os.close(1); os.close(2)
        while True: time.sleep(1)
        """,
    )
    assert outcome.end == Killed(Why.WALL_CLOCK)
    assert time.monotonic() - began_s < 2 + PAST_THE_LIMIT_S


async def test_memory_is_bounded(sandbox: Sandbox, spec: Spec) -> None:
    outcome = await run(sandbox, spec, "x = []\nwhile True: x.append(bytearray(1 << 20))")
    assert outcome.end == Killed(Why.MEMORY)


async def test_tmpfs_is_bounded(sandbox: Sandbox, spec: Spec) -> None:
    limits = replace(spec.limits, tmp_bytes=4 << 20)
    outcome = await run(
        sandbox,
        replace(spec, limits=limits),
        "f = open('/tmp/x', 'wb')\nwhile True: f.write(bytes(1 << 20)); f.flush()",
    )
    assert outcome.end == Exited(1)
    assert "No space left" in outcome.output_tail


async def test_a_fork_bomb_stays_inside(sandbox: Sandbox, spec: Spec) -> None:
    limits = replace(spec.limits, wall_clock_s=3)
    began_s = time.monotonic()
    outcome = await run(
        sandbox,
        replace(spec, limits=limits),
        """
        import os
        while True:
            try: os.fork()
            except OSError: pass
        """,
    )
    assert outcome.end == Killed(Why.WALL_CLOCK)
    assert time.monotonic() - began_s < 3 + PAST_THE_LIMIT_S


async def test_processes_are_counted(sandbox: Sandbox, spec: Spec) -> None:
    outcome = await run(
        sandbox,
        spec,
        """
        import os, time
        for made in range(1000):
            try:
                if os.fork() == 0: time.sleep(60); os._exit(0)
            except OSError: break
        print(made, flush=True)
        os._exit(0)
        """,
    )
    assert outcome.end == Exited(0)
    assert 10 < int(outcome.output_tail) < 64


async def test_computing_is_bounded(sandbox: Sandbox, spec: Spec) -> None:
    source = """
        import os, time
        until = time.monotonic() + 6

        def compute():
            while time.monotonic() < until:
                pass

        if os.fork() == 0:
            compute()
            os._exit(0)
        compute()
        os.wait()
        print(sum(os.times()[:4]))
    """
    outcome = await run(sandbox, replace(spec, limits=replace(LIMITS, cpus=0.2)), source)
    assert outcome.end == Exited(0)
    # A fifth of six seconds, what a period that has begun still gives, and the start of Python.
    assert 0.3 < float(outcome.output_tail) < 2.0


async def test_a_flood_of_output_is_ended_and_not_kept(sandbox: Sandbox, spec: Spec) -> None:
    before_kib = _resident_kib()
    outcome = await run(
        sandbox,
        spec,
        # 16 of these are a MB.
        f"import os\nfor n in range({figure('containers')} * 16):"
        " os.write(1, b'flood of words\\n' * 4096)",
    )
    assert outcome.end == Killed(Why.OUTPUT)
    assert len(outcome.output_tail) <= 8192
    assert _resident_kib() - before_kib < 20 * 1024


async def test_a_flood_of_files_is_ended(sandbox: Sandbox, spec: Spec) -> None:
    outcome = await run(
        sandbox,
        spec,
        """
        import time
        for n in range(100):
            with open(f"/workspace/group/{n}", "wb") as f: f.write(bytes(8 << 20))
            time.sleep(0.1)
        """,
    )
    assert outcome.end == Killed(Why.FOLDER)


async def test_what_waits_may_not_fill_the_folder_either(
    sandbox: Sandbox, spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.engine.container.WAITING_WATCH_PERIOD_S", 0.2)
    source = """
        import os, time
        for number in range(10_000):
            with open(f"/workspace/group/{number}", "wb") as file:
                file.write(bytes(1 << 20))
        time.sleep(60)
    """
    container = await sandbox.prepare(program(spec, source))
    outcome = await container.run_waiting(b"")
    assert outcome.end == Killed(Why.FOLDER)


async def test_one_file_is_bounded(sandbox: Sandbox, spec: Spec) -> None:
    outcome = await run(
        sandbox,
        replace(spec, limits=replace(spec.limits, file_bytes=1 << 20)),
        "open('/workspace/group/x', 'wb').write(bytes(8 << 20))",
    )
    assert outcome.end in (Exited(1), Exited(128 + 25))  # EFBIG, or SIGXFSZ
    assert (spec.mounts.group / "x").stat().st_size <= 1 << 20


async def test_a_nearly_full_disk_ends_it(sandbox: Sandbox, spec: Spec) -> None:
    limits = replace(spec.limits, free_disk_bytes=1 << 60)
    outcome = await run(sandbox, replace(spec, limits=limits), "import time; time.sleep(20)")
    assert outcome.end == Killed(Why.DISK)


async def test_descriptors_are_not_leaked(sandbox: Sandbox, spec: Spec) -> None:
    await run(sandbox, spec, "print(1)")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        await run(sandbox, replace(spec, session=secrets.token_hex(32)), "print(1)")
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2


async def test_cancelling_ends_and_removes_it(
    sandbox: Sandbox, spec: Spec, docker_client: docker.DockerClient
) -> None:
    running = asyncio.create_task(run(sandbox, spec, "import time; time.sleep(60)"))
    container = await _running(docker_client, spec)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    with pytest.raises(docker.errors.NotFound):
        docker_client.api.inspect_container(container)


@pytest.mark.parametrize("after_s", [0.02, 0.08, 0.15, 0.25, 0.35])
async def test_cancelled_at_any_time_nothing_is_left(
    sandbox: Sandbox, spec: Spec, docker_client: docker.DockerClient, after_s: float
) -> None:
    running = asyncio.create_task(run(sandbox, spec, "import time; time.sleep(60)"))
    await asyncio.sleep(after_s)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    while sandbox._settling:
        await asyncio.gather(*sandbox._settling)
    assert _containers(docker_client, spec) == []
    assert sandbox._unremoved == set()


async def test_a_creation_that_nobody_waits_for_is_removed(
    sandbox: Sandbox, spec: Spec, docker_client: docker.DockerClient
) -> None:
    preparing = asyncio.create_task(sandbox.prepare(program(spec, "pass")))
    await asyncio.sleep(0)  # it has begun
    preparing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await preparing
    await asyncio.sleep(0.5)  # longer than a creation takes, so it did take place
    assert _containers(docker_client, spec) == []
    assert sandbox._unremoved == set()


async def test_leftovers_of_this_installation_only(
    docker_client: docker.DockerClient, agent_image: str, spec: Spec
) -> None:
    mine = Sandbox(docker_client, image=agent_image, installation=secrets.token_hex(8))
    other = Sandbox(docker_client, image=agent_image, installation=secrets.token_hex(8))
    kept = await other.prepare(program(spec, "pass"))
    await mine.prepare(program(replace(spec, session=secrets.token_hex(32)), "pass"))
    running = asyncio.create_task(
        mine.run(program(spec, "import time; time.sleep(60)"), b""),
    )
    await _running(docker_client, spec, installation=mine._installation)
    assert await mine.remove_leftovers() == 2
    outcome = (await asyncio.gather(running, return_exceptions=True))[0]
    assert isinstance(outcome, Outcome)
    assert outcome.end != Exited(0)
    assert len(_containers(docker_client, spec)) == 1
    await kept.discard()
    await mine.close()
    await other.close()


async def test_at_its_end_it_leaves_nothing_of_its_own_and_all_of_a_successor(
    docker_client: docker.DockerClient, agent_image: str, spec: Spec
) -> None:
    name = secrets.token_hex(8)
    mine = Sandbox(docker_client, image=agent_image, installation=name)
    successor = Sandbox(docker_client, image=agent_image, installation=name)
    await mine.check()
    await mine.prepare(program(spec, "pass"))  # nobody runs or discards it
    theirs = replace(spec, session=secrets.token_hex(32))
    kept = await successor.prepare(program(theirs, "pass"))
    await mine.prepare(program(replace(spec, session=secrets.token_hex(32)), "pass"))
    await mine.close()
    label = {"label": f"{INSTALLATION_LABEL}={name}"}
    (left,) = docker_client.containers.list(all=True, filters=label)
    await kept.discard()
    assert left.id == kept._name
    await successor.close()


async def test_what_is_being_removed_already_is_gone_when_that_is(
    sandbox: Sandbox, spec: Spec, docker_client: docker.DockerClient
) -> None:
    running = asyncio.create_task(run(sandbox, spec, "import time; time.sleep(60)"))
    container = await _running(docker_client, spec)

    async def removed() -> list[object]:
        await sandbox.remove(container)
        return list(await asyncio.to_thread(_containers, docker_client, spec))

    assert await asyncio.gather(*(removed() for _ in range(8))) == 8 * [[]]
    await asyncio.gather(running, return_exceptions=True)
    assert (sandbox._unremoved, sandbox._there) == (set(), set())


async def test_a_missing_image_is_a_sentence_and_a_missing_program_an_exit(
    docker_client: docker.DockerClient, sandbox: Sandbox, spec: Spec
) -> None:
    missing = Sandbox(docker_client, image="nostrclaw-none:0", installation="x")
    with pytest.raises(SandboxUnavailable, match="image nostrclaw-none:0 is not there"):
        await missing.run(spec, b"")
    await missing.close()
    outcome = await sandbox.run(replace(spec, command=("/no/such/program",)), b"")
    assert outcome.end == Exited(127)
    assert "/no/such/program" in outcome.output_tail


async def test_a_missing_folder_is_refused_not_made(sandbox: Sandbox, spec: Spec) -> None:
    away = replace(spec.mounts, group=spec.mounts.group / "not there")
    with pytest.raises(SandboxUnavailable, match="not there"):
        await sandbox.run(replace(spec, mounts=away), b"")
    assert not away.group.exists()


def _containers(client: docker.DockerClient, spec: Spec) -> list[str]:
    found = client.api.containers(all=True, filters={"label": f"nostrclaw.job={spec.job}"})
    return [container["Id"] for container in found]


async def _running(
    client: docker.DockerClient, spec: Spec, *, installation: str | None = None
) -> str:
    wanted = [f"nostrclaw.job={spec.job}"]
    if installation is not None:
        wanted.append(f"{INSTALLATION_LABEL}={installation}")
    async with asyncio.timeout(20):
        while True:
            filters = {"label": wanted, "status": "running"}
            if found := await asyncio.to_thread(client.api.containers, filters=filters):
                return str(found[0]["Id"])
            await asyncio.sleep(0.02)


def _resident_kib() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")
