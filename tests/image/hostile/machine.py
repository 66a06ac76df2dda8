"""Shell: attempts on the kernel, on other processes and on the network."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.image.hostile.attempt import Act, Scene, Stopped, attempt, control

NETWORK = "bot/engine/hardening.py network_mode"
NAMESPACES = "the engine's pid namespace"
IPC = "bot/engine/hardening.py ipc_mode"
CAPABILITIES = "bot/engine/hardening.py cap_drop"
SECCOMP = "the engine's default seccomp profile"
KEYCTL, SHMGET, BPF, PERF = 250, 29, 321, 298
NEW_USER, NEW_NET = 0x1000_0000, 0x4000_0000


@control("a socket of its own on its own loopback")
async def own_loopback(scene: Scene) -> object:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), 3).close()
    return "connected"


def _blocking(name: str, guard: str) -> Callable[[Callable[[Scene], object]], Act]:
    """Declare an attempt that blocks: it is made beside the loop."""

    def declare(plain: Callable[[Scene], object]) -> Act:
        async def act(scene: Scene) -> object:
            return await asyncio.to_thread(plain, scene)

        return attempt(name, guard)(act)

    return declare


def _call(number: int, *arguments: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    answer = int(libc.syscall(number, *(ctypes.c_long(value) for value in arguments)))
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer


@_blocking("an address on the internet", NETWORK)
def internet(scene: Scene) -> object:
    socket.create_connection(("1.1.1.1", 443), 3).close()
    return "connected"


@_blocking("an address of the newer kind", NETWORK)
def internet6(scene: Scene) -> object:
    socket.create_connection(("2606:4700:4700::1111", 443), 3).close()
    return "connected"


@_blocking("the machine's metadata", NETWORK)
def metadata(scene: Scene) -> object:
    socket.create_connection(("169.254.169.254", 80), 3).close()
    return "connected"


@_blocking("a name looked up", NETWORK)
def name(scene: Scene) -> object:
    return socket.getaddrinfo("relay.damus.io", 443)


@_blocking("a datagram with a question", NETWORK)
def datagram(scene: Scene) -> object:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        plain.sendto(b"\0" * 12, ("8.8.8.8", 53))
    return "sent"


@_blocking("a word shouted to everybody near", NETWORK)
def broadcast(scene: Scene) -> object:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        plain.sendto(b"hello", ("255.255.255.255", 9))
    return "sent"


@_blocking("a port of the host's loopback", NETWORK)
def host_port(scene: Scene) -> object:
    socket.create_connection(("127.0.0.1", scene.known["host_port"]), 3).close()
    return "connected"


@_blocking("an abstract socket of the host's", NETWORK)
def host_abstract(scene: Scene) -> object:
    with socket.socket(socket.AF_UNIX) as plain:
        plain.connect("\0" + scene.known["host_abstract"])
    return "connected"


@_blocking("an abstract socket of the other container's", NETWORK)
def other_abstract(scene: Scene) -> object:
    with socket.socket(socket.AF_UNIX) as plain:
        plain.connect("\0" + scene.known["other_abstract"])
    return "connected"


@_blocking("a port of the other container's", NETWORK)
def other_port(scene: Scene) -> object:
    socket.create_connection(("127.0.0.1", scene.known["other_port"]), 3).close()
    return "connected"


@_blocking("a raw socket", CAPABILITIES)
def raw(scene: Scene) -> object:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    return "opened"


@_blocking("the wire itself", CAPABILITIES)
def packets(scene: Scene) -> object:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    return "opened"


@_blocking("interfaces besides its own loopback", NETWORK)
def interfaces(scene: Scene) -> object:
    found = [name for _, name in socket.if_nameindex() if name != "lo"]
    if not found:
        raise Stopped("lo only")
    return found


@_blocking("shared memory of the other container's", IPC)
def shared_memory(scene: Scene) -> object:
    return _call(SHMGET, scene.known["shm_key"], 16, 0)


@_blocking("shared memory by a file", IPC)
def shared_files(scene: Scene) -> object:
    return list(Path("/dev/shm").iterdir())


@_blocking("processes that are not its own", NAMESPACES)
def processes(scene: Scene) -> object:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if scene.known["other_mark"].encode() in words or b"relay_local" in words:
                found.append(words[:80].decode(errors="replace"))
    if not found:
        raise Stopped("its own only")
    return found


@_blocking("a signal to a process of the host's", NAMESPACES)
def kill(scene: Scene) -> object:
    os.kill(scene.known["host_pid"], signal.SIGCONT)
    return "sent"


@_blocking("the memory of a process of the host's", NAMESPACES)
def memory(scene: Scene) -> object:
    with Path(f"/proc/{scene.known['host_pid']}/mem").open("r+b") as file:
        return file.name


@_blocking("the kernel's memory", "the engine's masked paths")
def kernel_memory(scene: Scene) -> object:
    with Path("/proc/kcore").open("rb") as file:
        if not (read := file.read(16)):
            raise Stopped("empty")
    return read


@_blocking("where the kernel sends a crash", "the engine's read-only paths")
def core_pattern(scene: Scene) -> object:
    return Path("/proc/sys/kernel/core_pattern").write_text("|/workspace/group/run")


@_blocking("a program that the kernel runs at a group's end", "bot/engine/hardening.py read_only")
def release_agent(scene: Scene) -> object:
    tried = list(Path("/sys/fs/cgroup").rglob("release_agent"))
    tried = tried or [Path("/sys/fs/cgroup/release_agent")]
    return tried[0].write_text("/workspace/group/run")


@_blocking("the other's limits lowered", "bot/engine/hardening.py read_only")
def limits(scene: Scene) -> object:
    (Path("/sys/fs/cgroup") / "mine").mkdir()
    return "made"


@_blocking("becoming root", "bot/engine/hardening.py no-new-privileges, USER")
def root(scene: Scene) -> object:
    os.setuid(0)
    return "root"


@_blocking("a user namespace in which it is root", SECCOMP)
def user_namespace(scene: Scene) -> object:
    return _in_a_child(f"libc.unshare({NEW_USER})")


@_blocking("a network of its own", SECCOMP)
def network_namespace(scene: Scene) -> object:
    return _in_a_child(f"libc.unshare({NEW_USER | NEW_NET})")


def _in_a_child(call: str) -> str:
    """Make a call of libc's in a process of its own, which has a single thread and whose root and
    namespaces are its own to change."""
    program = (
        "import ctypes; libc = ctypes.CDLL(None, use_errno=True);"
        f"exit(0 if {call} == 0 else ctypes.get_errno())"
    )
    number = subprocess.run([sys.executable, "-S", "-c", program], check=False).returncode
    if number:
        raise OSError(number, os.strerror(number))
    return f"{call}: done"


@_blocking("a key in the user's keyring", SECCOMP)
def keyring(scene: Scene) -> object:
    return _call(KEYCTL, 0, -4, 1)


@_blocking("a program in the kernel", SECCOMP)
def bpf(scene: Scene) -> object:
    return _call(BPF, 0, 0, 0)


@_blocking("the processor's counters of all", SECCOMP)
def counters(scene: Scene) -> object:
    attributes = ctypes.create_string_buffer(128)
    return _call(PERF, ctypes.addressof(attributes), -1, 0, -1, 0)


@_blocking("another time for the machine", CAPABILITIES)
def clock(scene: Scene) -> object:
    time.clock_settime(time.CLOCK_REALTIME, time.time())  # the same: the machine is not ours
    return "set"


@_blocking("another root", CAPABILITIES)
def another_root(scene: Scene) -> object:
    return _in_a_child("libc.chroot(b'/tmp')")
