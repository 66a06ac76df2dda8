"""Shell: `python -m bench.ordeal --only NAME`: one promise at its full figure.

It runs the tests that show the promise (bench/promises.py) with larger numbers and writes seed,
figure, duration and outcome to bench/results/NAME.json. Without --only it lists the promises.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import secrets
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.promises import NAMES, PROMISES, Promise, promise_of

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_name("results")
LEAST_TIMEOUT_S = 300
USERS_MISTAKE = 2


@dataclass(frozen=True, slots=True)
class Report:
    """What pytest says: how many tests ran, which of them did not hold, what they counted."""

    tests: int
    broken: tuple[str, ...]
    counted: dict[str, int]


@dataclass(frozen=True, slots=True)
class Result:
    """One run, as it is kept. outcome: `held` or `broken`."""

    name: str
    promise: str
    unit: str
    figure: int
    full: int
    seed: int
    outcome: str
    duration_s: float
    report: Report
    when: str
    machine: dict[str, object]


def main(arguments: list[str] | None = None) -> int:
    """Parse, run or list; 0 when the promise held, 1 when not, 2 when the request was wrong."""
    parser = argparse.ArgumentParser(prog="python -m bench.ordeal", description=__doc__)
    parser.add_argument("--only", metavar="NAME", help="the promise to put to the test")
    parser.add_argument("--list", action="store_true", help="list the promises")
    parser.add_argument("--figure", type=int, metavar="N", help="instead of the full figure")
    parser.add_argument("--seed", type=int, metavar="N", help="repeat an earlier run")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args(arguments)
    if options.list or not options.only:
        show_list(options.json)
        return 0
    if options.only not in NAMES:
        sys.stderr.write(f"There is no promise {options.only!r}; there are: {', '.join(NAMES)}.\n")
        return USERS_MISTAKE
    promise = promise_of(options.only)
    figure = promise.full if options.figure is None else options.figure
    if figure < 1:
        sys.stderr.write(f"A figure of {figure} shows nothing; give at least 1.\n")
        return USERS_MISTAKE
    seed = secrets.randbits(32) if options.seed is None else options.seed
    result = ordeal(promise, figure, seed)
    keep(result)
    if options.json:
        sys.stdout.write(json.dumps(asdict(result)) + "\n")
    else:
        show(result)
    return 0 if result.outcome == "held" else 1


def ordeal(promise: Promise, figure: int, seed: int) -> Result:
    """Run the promise's tests; what pytest says goes to stderr as it says it."""
    # Twice what it should take, so that only what hangs is ended.
    timeout_s = max(LEAST_TIMEOUT_S, int(2 * 60 * promise.minutes * figure / promise.full))
    environment = os.environ | {
        "NOSTRCLAW_ORDEAL": f"{promise.name}={figure}",
        "NOSTRCLAW_SEED": str(seed),
    }
    with tempfile.TemporaryDirectory(prefix="nostrclaw-ordeal-") as folder:
        file = Path(folder) / "report.xml"
        argv = [
            sys.executable, "-m", "pytest", *promise.tests,
            f"--timeout={timeout_s}", f"--hypothesis-seed={seed}",
            f"--junitxml={file}", "-o", "junit_family=xunit1",  # the one that has properties
        ]  # fmt: skip
        began = time.monotonic()
        status = _wait(subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=sys.stderr))
        duration_s = time.monotonic() - began
        report = parse(file.read_text("utf-8")) if file.exists() else Report(0, (), {})
    # A run without a test, or one that ended otherwise than pytest ends, has shown nothing.
    held = status == 0 and report.tests > 0 and not report.broken
    return Result(
        promise.name,
        promise.sentence,
        promise.unit,
        figure,
        promise.full,
        seed,
        "held" if held else "broken",
        round(duration_s, 1),
        report,
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        {"cores": os.cpu_count(), "python": platform.python_version()},
    )


def _wait(process: subprocess.Popen[bytes]) -> int:
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # pytest has had it too, and takes down what it has put up


def parse(text: str) -> Report:
    """Read pytest's JUnit report; what tests counted with `record_property` is added up."""
    cases = list(ET.fromstring(text).iter("testcase"))
    counted: Counter[str] = Counter()
    for entry in (entry for case in cases for entry in case.iter("property")):
        counted[entry.attrib["name"]] += round(float(entry.attrib["value"]))
    broken = tuple(
        f"{case.get('classname')}::{case.get('name')}"
        for case in cases
        if any(case.find(word) is not None for word in ("failure", "error", "skipped"))
    )
    return Report(len(cases), broken, dict(counted))


def keep(result: Result) -> None:
    """Write bench/results/NAME.json, whole or not at all."""
    RESULTS.mkdir(exist_ok=True)
    part = RESULTS / f"{result.name}.part"
    part.write_text(json.dumps(asdict(result), indent=1) + "\n")
    part.replace(RESULTS / f"{result.name}.json")


def show(result: Result) -> None:
    """One line of a table, and what broke."""
    console = Console(highlight=False)
    table = Table()
    for column in ("promise", "figure", "outcome", "took", "seed", "counted"):
        table.add_column(column)
    colour = "green" if result.outcome == "held" else "red"
    table.add_row(
        result.name,
        _amount(result.figure, result.unit)
        + ("" if result.figure == result.full else f" (of {result.full:,})"),
        f"[{colour}]{result.outcome}[/]",
        f"{result.duration_s:,.0f} s",
        str(result.seed),
        ", ".join(f"{number:,} {what}" for what, number in result.report.counted.items()),
    )
    console.print(table)
    for name in result.report.broken:
        console.print(f"broken: {name}", markup=False)


def show_list(as_json: bool) -> None:
    """Every promise with its sentence and its full figure."""
    if as_json:
        sys.stdout.write(json.dumps([asdict(promise) for promise in PROMISES]) + "\n")
        return
    table = Table(title="make ordeal ONLY=name")
    table.add_column("name", no_wrap=True)
    table.add_column("promise")
    table.add_column("full figure")
    table.add_column("minutes", justify="right")
    for promise in PROMISES:
        table.add_row(
            promise.name,
            promise.sentence,
            _amount(promise.full, promise.unit),
            f"{promise.minutes:g}",
        )
    Console(highlight=False).print(table)


def _amount(number: int, unit: str) -> str:
    return f"{number:,} {unit}" if unit else "as in make test"


if __name__ == "__main__":
    raise SystemExit(main())
