"""Shell: how much memory a process takes."""

from __future__ import annotations

from pathlib import Path


def pss_mib(pid: int) -> float:
    """Proportional set size of one process in MiB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/{pid}/smaps_rollup has no Pss")
