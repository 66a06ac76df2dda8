"""Shell: attempts on files, sockets and folders that are not the group's own."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import stat
from pathlib import Path

from tests.image.hostile.attempt import SOCKET, Act, Scene, Stopped, attempt, control

MOUNTS = "bot/engine/hardening.py Mounts.targets"
READ_ONLY = "bot/engine/hardening.py read_only mounts"
CAPABILITIES = "bot/engine/hardening.py cap_drop"
GROUP = Path("/workspace/group")
SECRET = "MEMORY.md"


@control("a file in its own folder")
async def own_file(scene: Scene) -> object:
    (GROUP / "notes").write_text("kept")
    return (GROUP / "notes").read_text()


@control("its own relay socket")
async def own_socket(scene: Scene) -> object:
    with socket.socket(socket.AF_UNIX) as plain:
        plain.connect(SOCKET)
    return "connected"


def _reads(name: str, path: str, guard: str = MOUNTS) -> Act:
    """Read a file; `{…}` are names of `known`."""

    async def act(scene: Scene) -> object:
        return Path(path.format(**scene.known)).read_bytes()[:80]

    return attempt(name, guard)(act)


def _lists(name: str, path: str, guard: str = MOUNTS) -> Act:
    async def act(scene: Scene) -> object:
        return [found.name for found in Path(path.format(**scene.known)).iterdir()]

    return attempt(name, guard)(act)


def _connects(name: str, path: str, guard: str = MOUNTS) -> Act:
    async def act(scene: Scene) -> object:
        with socket.socket(socket.AF_UNIX) as plain:
            plain.settimeout(3)
            plain.connect(path.format(**scene.known))
        return "connected"

    return attempt(name, guard)(act)


_reads("a file above its folder", "/workspace/group/../victim/MEMORY.md")
_reads("a file where the host has it", "{data}/groups/victim/MEMORY.md")
_reads("the other's file through its init's root", "/proc/1/root{data}/groups/victim/MEMORY.md")
_reads("the other's file through its own working folder", "/proc/self/cwd/../victim/MEMORY.md")
_reads("the router's key", "{data}/keys/router")
_reads("the relay's database", "{data}/relay/events.sqlite")
_reads("the roles", "{data}/roles.toml")
_reads("the source, which main alone is shown", "/workspace/project/bot/router.py")
_lists("the other's sessions", "/home/agent/.claude/../../victim")
_lists("the sessions where the host has them", "{data}/sessions/victim/.claude")
_lists("attachments of another run", "{data}/ipc/{other_short}/in")
_lists("the folder of all groups", "{data}/groups")
_lists("the sockets of all sessions", "{run}/s")
_connects("the engine", "/var/run/docker.sock")
_connects("the engine where this machine has it", "{engine}")
_connects("the relay's own socket", "{run}/relay.sock")
_connects("the signer's socket", "{run}/signer/relay.sock")
_connects("the other session's relay socket", "{run}/s/{other_short}/relay.sock")


@attempt("a link to the other's folder, followed by itself", MOUNTS)
async def own_link(scene: Scene) -> object:
    link = GROUP / "link-to-victim"
    link.unlink(missing_ok=True)
    link.symlink_to(f"{scene.known['data']}/groups/victim")
    return (link / SECRET).read_bytes()


@attempt("a hard link to its socket, kept in its folder", READ_ONLY)
async def kept_socket(scene: Scene) -> object:
    os.link(SOCKET, GROUP / "kept.sock")
    return "linked"


@attempt("its socket put aside, and its own put there", READ_ONLY)
async def replaced_socket(scene: Scene) -> object:
    Path(SOCKET).rename("/run/nanoclaw/aside.sock")
    return "renamed"


@attempt("a new file beside its socket", READ_ONLY)
async def beside_socket(scene: Scene) -> object:
    return Path("/run/nanoclaw/model.sock").write_text("x")


@attempt("an attachment of its own making", READ_ONLY)
async def attachment(scene: Scene) -> object:
    return Path("/workspace/ipc/in/photo.jpg").write_text("x")


@attempt("a file beside its folders", "bot/engine/hardening.py read_only")
async def beside_folders(scene: Scene) -> object:
    return Path("/workspace/victim").write_text("x")


@attempt("the agent's program changed for the next job", "bot/engine/hardening.py read_only")
async def own_program(scene: Scene) -> object:
    return Path("/opt/agent/agent_image/agent/__main__.py").write_text("x")


@attempt("its folder opened as somebody else's", "agent_image/Dockerfile USER")
async def take_folder(scene: Scene) -> object:
    os.chown(GROUP, 0, 0)
    return "changed hands"


@attempt("a device for the host's disk", CAPABILITIES)
async def device(scene: Scene) -> object:
    os.mknod(GROUP / "disk", 0o600 | stat.S_IFBLK, os.makedev(8, 0))
    return "made"


@attempt("a file by its handle", CAPABILITIES)
async def by_handle(scene: Scene) -> object:
    """open_by_handle_at: the number of a host's folder, asked of the filesystem that is shared."""
    handle = (ctypes.c_uint8 * 16)(8, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(GROUP, os.O_RDONLY)
    try:
        opened = libc.syscall(304, descriptor, handle, os.O_RDONLY)
        number = ctypes.get_errno()
    finally:
        os.close(descriptor)
    # ESTALE: it was allowed to ask, and missed by the number alone.
    if opened < 0 and number != errno.ESTALE:
        raise OSError(number, os.strerror(number))
    return "opened"


@attempt("a mount of its own", CAPABILITIES)
async def mount(scene: Scene) -> object:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return "mounted"


@attempt("a read-only mount made writable", CAPABILITIES)
async def remount(scene: Scene) -> object:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", b"/workspace/ipc/in", None, 0x1000 | 0x20, None) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return "mounted"


@attempt("files left open by whoever started it", "bot/engine/container.py")
async def descriptors(scene: Scene) -> object:
    found = []
    for link in list(Path("/proc/self/fd").iterdir()):
        try:
            target = str(link.readlink())
        except OSError:
            continue
        if target.startswith("/") and not target.startswith(("/dev/null", "/proc/", "/workspace")):
            found.append(target)
    if not found:
        raise Stopped("none but its own")
    return found


@attempt("a key or a token in the environment", "bot/engine/hardening.py create_arguments")
async def environment(scene: Scene) -> object:
    known = ("PATH", "HOSTNAME", "HOME", "LANG", "LC_CTYPE", "PWD")
    found = [n for n in os.environ if n not in known and not n.startswith("PYTHON")]
    if not found:
        raise Stopped("nothing but the image's")
    return found
