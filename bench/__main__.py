"""Shell: `python -m bench`: measures, prints a table, writes bench/results/NAME.json."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.figures import Figures
from bench.first_light import ENGINE_ROOT, measure
from bot.engine.host import EngineUnavailable, engine

RESULTS = Path(__file__).with_name("results")


def main() -> int:
    """Parse, measure, show."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--messages", type=int, default=50)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    console = Console(stderr=True, highlight=False)

    def announce(line: str) -> None:
        console.print(f"[dim]{line}[/]")

    try:
        with engine(ENGINE_ROOT, install=True, announce=announce) as found:
            figures = asyncio.run(measure(found, options.messages, announce))
    except EngineUnavailable as error:
        console.print(str(error))
        return 1
    result = {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        "figures": [figure.to_json() for figure in figures],
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "first-light.json").write_text(json.dumps(result, indent=1) + "\n")
    if options.json:
        sys.stdout.write(json.dumps(result) + "\n")
    else:
        show(figures)
    return 0


def show(figures: list[Figures]) -> None:
    """A row a figure."""
    table = Table(title="first light")
    for column in ("figure", "unit", "n", "min", "p50", "p99", "max"):
        table.add_column(column, justify="left" if column in ("figure", "unit") else "right")
    for f in figures:
        numbers = (f"{value:.0f}" for value in (f.minimum, f.p50, f.p99, f.maximum))
        table.add_row(f.name, f.unit, str(f.samples), *numbers)
    Console().print(table)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # nostr-sdk's threads may crash in the interpreter's own ending
