"""Pure: what one container may use, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Why(StrEnum):
    """Why a container was ended before its program ended by itself."""

    WALL_CLOCK = "it ran longer than it may"
    MEMORY = "it used more memory than it may"
    OUTPUT = "it wrote more output than it may"
    FOLDER = "its folders grew beyond their limit"
    DISK = "the disk is nearly full"
    ENGINE = "the container engine went away"


@dataclass(frozen=True, slots=True)
class Exited:
    """The program ended by itself."""

    code: int


@dataclass(frozen=True, slots=True)
class Killed:
    """The program was ended."""

    why: Why


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a container ended.

    output_tail: at most 8 KiB of what it wrote, sanitised; still an agent's words, so it may
    hold a person's text and is not for logs. duration_s: from creation on.
    """

    end: Exited | Killed
    output_tail: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What one container may use. `folder_bytes` counts all its writable folders together."""

    wall_clock_s: float = 600
    memory_bytes: int = 512 << 20
    pids: int = 128
    cpus: float = 1.0
    open_files: int = 4096
    file_bytes: int = 512 << 20
    folder_bytes: int = 1024 << 20
    output_bytes: int = 32 << 20
    tmp_bytes: int = 64 << 20
    home_bytes: int = 64 << 20
    free_disk_bytes: int = 128 << 20  # left to the machine, whatever a program hides from a walk
