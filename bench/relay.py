"""Shell: the relay under load, beside nostr-sdk's LocalRelay in the same run, or any ws:// relay.

Relay, peer and load are processes of their own. Every run starts every relay anew on an empty
folder; figures are medians over the runs. Ours is measured private (the load's connections
authenticate the owner and twenty members, and write into their group) and, as `open`, as a
relay for everybody. The peer keeps its events in memory and decides about nobody.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import orjson
from rich.table import Table

from bench.relay_events import (
    ADDRESSES,
    COMMENT,
    cast,
    messages,
    publish,
    replacements,
    set_up,
    with_wrong_signature,
)
from nips.event import Event

SEED = 20_261_122
SINGLE = 1_000
LIVE = 1_000
REPLACING = 5_000
WRONG = 10_000
START_WAIT_S = 60.0
# Name, unit, whether more is better, what is to be reached.
ROWS: tuple[tuple[str, str, bool, float | None], ...] = (
    ("ingest, 8 connections", "ev/s", True, 6_500),
    ("ingest, 1 connection", "ev/s", True, 5_500),
    ("one in flight p50", "ms", False, 1.2),
    ("one in flight p99", "ms", False, 4),
    ("fan-out 200/s to 50 p50", "ms", False, 3),
    ("fan-out 200/s to 50 p99", "ms", False, 8),
    ("author+kind, limit 100 p50", "ms", False, 1.5),
    ("#p, limit 50 p50", "ms", False, 1.0),
    ("ten ids p50", "ms", False, 0.6),
    ("replacements", "ev/s", True, 3_500),
    ("replacements that are right", "of 100", True, ADDRESSES),
    ("bad signatures refused", "ev/s", True, 8_000),
    ("start", "s", False, 0.5),
    ("start, all stored", "s", False, None),
    ("memory after 40,000", "MiB", False, 110),
)
Figures = dict[str, list[float]]
Argv = Callable[[Path], list[str]]


def measure(
    runs: int, stored: int, url: str | None, only: Sequence[str], announce: Callable[[str], None]
) -> dict[str, Figures]:
    """Every figure of every run by relay. `url`: measure that one and start none."""
    relays: Mapping[str, Argv] = {
        "private": _ours("--owner", cast(SEED).owner.public),
        "open": _ours("--open"),
        "peer": lambda _: ["bench.relay_peer"],
    }
    with tempfile.TemporaryDirectory(prefix="relay-bench-") as made:
        folder = Path(made)
        announce(f"signing {stored:,} events and more")
        _write_load(folder, stored)
        found: dict[str, Figures] = {}
        for number in range(runs):
            if url is not None:
                announce(f"run {number + 1} of {runs}: {url}")
                _add(found.setdefault(url, {}), _load(url, folder, None))
                continue
            for name in only or relays:
                announce(f"run {number + 1} of {runs}: {name}")
                _add(found.setdefault(name, {}), _one_run(relays[name], folder))
        return found


def _ours(*options: str) -> Argv:
    return lambda data: ["relay_local", "--data", str(data), "--listen", "127.0.0.1:0", *options]


def _one_run(argv: Argv, folder: Path) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="relay-bench-data-") as made:
        data = Path(made)
        with _process(argv(data)) as (url, pid, took_s):
            figures = {"start": took_s} | _load(url, folder, pid)
        if any(data.iterdir()):
            with _process(argv(data)) as (_, _, took_s):
                figures["start, all stored"] = took_s
        return figures


@contextmanager
def _process(argv: list[str]) -> Iterator[tuple[str, int, float]]:
    """Start a relay; gives its address, its process and the seconds until it listened."""
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", *argv], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        words = process.stdout.readline().decode().split()
        took_s = time.perf_counter() - began
        try:
            if words[:2] != ["relay:", "ready"]:
                raise RuntimeError(f"{argv[0]} did not start: {words}")
            yield words[2], process.pid, took_s
        finally:
            process.terminate()
            process.wait(START_WAIT_S)


def _load(url: str, folder: Path, pid: int | None) -> dict[str, float]:
    argv = [sys.executable, "-m", "bench.relay_load", url, str(folder), "--seed", str(SEED)]
    if pid is not None:
        argv += ["--pid", str(pid)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=True)
    figures: dict[str, float] = orjson.loads(done.stdout)
    return figures


def _write_load(folder: Path, stored: int) -> None:
    people, now_s = cast(SEED), int(time.time())

    def write(name: str, events: Iterable[Event]) -> None:
        with (folder / name).open("wb") as file:
            file.writelines(publish(event) + b"\n" for event in events)

    write("set_up", set_up(people, now_s))
    write("stored", messages(people, stored, now_s, 1))
    write("single", messages(people, SINGLE, now_s, 2))
    write("live", messages(people, LIVE, now_s, 3, COMMENT))
    wrong = messages(people, WRONG, now_s, 4)
    write("wrong", (with_wrong_signature(event) for event in wrong))
    versions = list(replacements(people, REPLACING, now_s, 5))
    write("replacing", versions)
    newest = {event.tag("d") or "": event.id for event in versions}
    (folder / "newest").write_bytes(orjson.dumps(newest))


def _add(figures: Figures, of_run: dict[str, float]) -> None:
    for name, value in of_run.items():
        figures.setdefault(name, []).append(value)


def to_json(found: dict[str, Figures]) -> list[dict[str, object]]:
    """A record for each measure and relay: median, extremes, every run, the ratio to the peer."""
    records: list[dict[str, object]] = []
    for name, unit, more, reach in ROWS:
        for relay, figures in found.items():
            if values := figures.get(name):
                peer = found.get("peer", {}).get(name) if relay != "peer" else None
                better = _ratio(values, peer or [], more=more)
                records.append(
                    {
                        "measure": name,
                        "unit": unit,
                        "relay": relay,
                        "median": median(values),
                        "min": min(values),
                        "max": max(values),
                        "runs": values,
                        "reach": reach,
                        "times_as_good_as_peer": better,
                    }
                )
    return records


def _ratio(ours: list[float], peers: list[float], *, more: bool) -> float | None:
    """How many times as good as the peer; None where either did nothing that can be compared."""
    if not peers or not median(peers) or not median(ours):
        return None
    quotient = median(ours) / median(peers)
    return quotient if more else 1 / quotient


def table(found: dict[str, Figures]) -> Table:
    """A row a measure, a column a relay: median (worst run), and how many times the peer."""
    shown = Table(title="relay: median of the runs (worst run) × as good as the peer")
    shown.add_column("measure")
    shown.add_column("reach", justify="right")
    for relay in found:
        shown.add_column(relay, justify="right")
    for name, unit, more, reach in ROWS:
        cells = []
        for relay, figures in found.items():
            values = figures.get(name)
            if not values:
                cells.append("–")
                continue
            worst = min(values) if more else max(values)
            cell = f"{_number(median(values))} ({_number(worst)})"
            peer = found.get("peer", {}).get(name) if relay != "peer" else None
            if (better := _ratio(values, peer or [], more=more)) is not None:
                cell += f" ×{better:.2f}"
            cells.append(cell)
        sign = "" if reach is None else f"{'≥' if more else '≤'} {reach:,g}"
        shown.add_row(f"{name} [dim]{unit}[/]", sign, *cells)
    return shown


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
