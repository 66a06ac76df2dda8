"""Shell: a search for secrets in everything that a machine shows: memory, arguments, files.

A needle is looked for in each form in which code writes a key: hex, bech32, base64, and raw in
both byte orders, since libsecp256k1 keeps numbers with the low byte first.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nips import nip19

_CHUNK_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Needles:
    """What is looked for: a name, such as `key in hex`, to its bytes."""

    forms: Mapping[str, bytes]

    @classmethod
    def of_key(cls, raw: bytes) -> Needles:
        """A secret key in every form."""
        hexed = raw.hex()
        return cls({
            "key, raw": raw,
            "key, raw, reversed": raw[::-1],
            "key in hex": hexed.encode(),
            "key in capital hex": hexed.upper().encode(),
            "key, reversed, in hex": raw[::-1].hex().encode(),
            "key as nsec": nip19.encode_nsec(raw).encode(),
            "key in base64": base64.b64encode(raw).rstrip(b"="),
            "key in URL base64": base64.urlsafe_b64encode(raw).rstrip(b"="),
        })  # fmt: skip

    @classmethod
    def of_text(cls, name: str, text: str) -> Needles:
        """A passphrase, as text and as Python may keep it."""
        return cls({name: text.encode(), f"{name}, two bytes a letter": text.encode("utf-16-le")})

    def __or__(self, other: Needles) -> Needles:
        return Needles({**self.forms, **other.forms})

    def in_bytes(self, data: bytes) -> list[str]:
        """The names of what is in there."""
        return [name for name, form in self.forms.items() if form in data]

    def in_stream(self, chunks: Iterable[bytes]) -> set[str]:
        """The names of what is in a stream, across its chunks as well."""
        longest = max(map(len, self.forms.values()))
        found: set[str] = set()
        tail = b""
        for chunk in chunks:
            data = tail + chunk
            found.update(self.in_bytes(data))
            tail = data[-longest:]
        return found


def in_files(needles: Needles, *folders: Path) -> set[str]:
    """What is in the files below the folders, their names and what links point to, by file."""
    found = set()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            hits = needles.in_bytes(os.fsencode(path))
            if path.is_symlink():
                hits += needles.in_bytes(os.fsencode(path.readlink()))
            elif path.is_file():
                with path.open("rb") as file:
                    hits += needles.in_stream(iter(lambda: file.read(_CHUNK_BYTES), b""))
            found |= {f"{path}: {hit}" for hit in hits}
    return found


def in_arguments_and_environments(needles: Needles) -> tuple[set[str], int]:
    """What is in those of every process of the machine; and how many processes were read."""
    found, read = set(), 0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            data = (folder / "cmdline").read_bytes() + b"\0" + (folder / "environ").read_bytes()
        except OSError:
            continue  # it has ended, or another user's is none of our business
        read += 1
        found |= {f"process {folder.name}: {hit}" for hit in needles.in_bytes(data)}
    return found, read


@dataclass(frozen=True, slots=True)
class Memory:
    """What was found in a process's memory: `dumped` is what a core would hold of it, `kept` what
    the process has asked the kernel to leave out. hidden: pages that not even root may read."""

    dumped: list[str]
    kept: list[str]
    hidden: int
    read_bytes: int


def in_memory(needles: Needles, pid: int) -> Memory:
    """What is in the memory of a process: what gcore would write, and what it would leave out.

    Raises PermissionError for one that we may not look into.
    """
    dumped: list[str] = []
    kept: list[str] = []
    hidden = read_bytes = 0
    with Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for area in _areas(pid):
            if not area.readable:
                continue
            try:
                memory.seek(area.first)
                data = memory.read(area.last - area.first)
            except (OSError, ValueError):
                hidden += "secretmem" in area.name
                continue
            read_bytes += len(data)
            hits = [f"{pid} {area.name or 'anonymous'}: {n}" for n in needles.in_bytes(data)]
            (dumped if area.is_dumped else kept).extend(hits)
    return Memory(dumped, kept, hidden, read_bytes)


@dataclass(frozen=True, slots=True)
class _Area:
    first: int
    last: int
    readable: bool
    is_dumped: bool
    name: str


def _areas(pid: int) -> Iterator[_Area]:
    text = Path(f"/proc/{pid}/smaps").read_text()
    for block in re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", text):
        head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)", block)
        if head is None or head[4].startswith("[v"):  # vvar, vsyscall: the kernel's
            continue
        flags = re.search(r"(?m)^VmFlags: (.*)$", block)
        yield _Area(
            int(head[1], 16),
            int(head[2], 16),
            head[3].startswith("r"),
            flags is None or "dd" not in flags[1].split(),  # dd: MADV_DONTDUMP
            head[4],
        )
