"""Pure: what the supervisor runs, as a value that fits in a file. Imports nothing heavy."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 30.0
STEADY_AFTER_S = 60.0
USERS_MISTAKE = 2  # exit status: starting again would not help


@dataclass(frozen=True, slots=True)
class Program:
    """A process to keep alive. It is up when it prints a line that begins with `ready`."""

    name: str
    argv: tuple[str, ...]
    ready: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Programs in the order of their start; `afterwards` runs once when all have ended."""

    programs: tuple[Program, ...]
    log_dir: str
    status_file: str
    afterwards: tuple[tuple[str, ...], ...] = ()
    greeting: str = ""

    def to_json(self) -> str:
        """Text that `from_json` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read what `to_json` wrote."""
        given = json.loads(text)
        return cls(
            tuple(Program(p["name"], tuple(p["argv"]), p["ready"]) for p in given["programs"]),
            given["log_dir"],
            given["status_file"],
            tuple(tuple(argv) for argv in given["afterwards"]),
            given["greeting"],
        )


def pause_s(failures: int) -> float:
    """Seconds to wait before the start after `failures` (≥ 1) quick ends in a row."""
    return min(FIRST_PAUSE_S * 2.0 ** (failures - 1), LONGEST_PAUSE_S)


def failures_after(failures: int, lived_s: float) -> int:
    """The count after another end: one that lived long enough begins anew."""
    return 1 if lived_s >= STEADY_AFTER_S else failures + 1
