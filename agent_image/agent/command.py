"""Shell: a program in the container, with a time limit and bounded output.

The container is the boundary, not this file: what runs here may do whatever the agent may.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

HEAD_BYTES, TAIL_BYTES = 12 * 2**10, 4 * 2**10  # of the output that is kept
ENVIRONMENT = ("PATH", "HOME", "LANG", "TMPDIR")  # not PYTHONPATH: our modules are not its
READ_BYTES = 64 * 2**10
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
GRACE_S = 1.0  # for the output of what outlives its process group


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended. exit_code: negative for a signal; None when the time was over.

    output: stdout and stderr as they came, its middle left out when it was long;
    output_bytes: how much there was.
    """

    exit_code: int | None
    output: str
    output_bytes: int


class _Kept:
    """The beginning and the end of a stream, in bounded memory."""

    def __init__(self) -> None:
        self.total_bytes = 0
        self._head, self._tail = bytearray(), bytearray()

    def add(self, data: bytes) -> None:
        self.total_bytes += len(data)
        room = HEAD_BYTES - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        del self._tail[:-TAIL_BYTES]

    def text(self) -> str:
        left_out = self.total_bytes - len(self._head) - len(self._tail)
        gap = f"\n[… {left_out} bytes left out …]\n".encode() if left_out else b""
        return _plain(bytes(self._head) + gap + bytes(self._tail))


async def run(command: str, folder: Path, limit_s: float) -> Finished:
    """Run `command` by /bin/sh in `folder` for at most `limit_s` seconds.

    It and what it started in its process group are killed when the time is over, and when this is
    cancelled. Raises OSError when it cannot be started.
    """
    # A pipe of our own: asyncio's would have `wait` wait for whatever else holds its other end.
    ours, theirs = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            command,
            cwd=folder,
            env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,  # so that killing the group is not killing ourselves
        )
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    kept = _Kept()
    reading = asyncio.create_task(_read(ours, kept))
    exit_code: int | None = None
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                exit_code = await process.wait()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        # A program that left the group may hold the pipe open for as long as it likes.
        await asyncio.wait({reading}, timeout=GRACE_S)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    return Finished(exit_code, kept.text(), kept.total_bytes)


async def _read(fd: int, kept: _Kept) -> None:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", buffering=0)
    )
    try:
        while data := await reader.read(READ_BYTES):
            kept.add(data)
    finally:
        transport.close()


def _plain(output: bytes) -> str:
    """The output as text without control characters, which a terminal would obey."""
    text = output.decode(errors="replace").replace("\r\n", "\n")
    return "".join(c if c.isprintable() or c in "\n\t" else REPLACEMENT for c in text)
