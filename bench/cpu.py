"""Shell: how much processor time processes take."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Seconds of processor time that a process has taken since its start, the kernel's for it
    among them; to a hundredth of a second. Source: proc_pid_stat(5), utime and stime."""
    # Its second field is a name in parentheses, which may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def each_cpu_s(pids: Mapping[str, int]) -> dict[str, float]:
    """`cpu_s` of several, by name."""
    return {name: cpu_s(pid) for name, pid in pids.items()}
