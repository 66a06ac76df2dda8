"""Shell: `python -m bench [first-light|relay|signer|model|router|spares|claude|signal|tasks]`:
measures, prints a table, writes bench/results."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import CalledProcessError
from typing import Protocol

from rich.console import Console
from rich.table import Table

from bench.figures import Figures
from bot.engine.host import EngineUnavailable
from bot.operate.stand_ins.model import StandInError

RESULTS = Path(__file__).with_name("results")


def main() -> int:
    """Parse, measure, show."""
    options = _parser().parse_args()
    console = Console(stderr=True, highlight=False)

    def announce(line: str) -> None:
        console.print(f"[dim]{line}[/]", soft_wrap=True)

    result: dict[str, object] = {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
    }
    try:
        found, table = _measured(options, announce)
    except (EngineUnavailable, StandInError, RuntimeError, OSError, CalledProcessError) as error:
        console.print(str(error))
        return 1
    result |= found
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{options.what}.json").write_text(json.dumps(result, indent=1) + "\n")
    if options.json:
        sys.stdout.write(json.dumps(result) + "\n")
    else:
        Console().print(table)
    return 0


def _measured(
    options: argparse.Namespace, announce: Callable[[str], None]
) -> tuple[dict[str, object], Table]:
    """What was found, as JSON and as a table. Each module is imported where it is wanted."""
    quick = options.quick
    figures: list[Figures]
    match options.what:
        case "relay":
            from bench import relay

            stored = options.stored if options.stored is not None else 100_000
            runs = 1 if quick else options.runs
            measured = relay.measure(runs, stored, options.url, options.only, announce)
            return {"stored": stored, "figures": relay.to_json(measured)}, relay.table(measured)
        case "router":
            from bench import router

            size = (100, 10, 30) if quick else (1_000, 100, 100)
            figures, outcome = router.run(*size, announce)
            at_once = outcome.to_json() if outcome else None
            return _json(figures) | {"at_once": at_once}, router.table(figures, outcome)
        case "model":
            from bench import model

            figures = model.run(100 if quick else 500, announce)
            return _json(figures) | {"added_ms_p50": model.added_ms(figures)}, model.table(figures)
        case "claude":
            from bench import claude

            figures = claude.run(options.messages or (100 if quick else 1_000), announce)
            return _json(figures) | {"added_ms": claude.added_ms(figures)}, claude.table(figures)
        case "signer":
            from bench import signer

            signed = signer.run(200 if quick else 1_000, announce)
            return _json(signed), signer.table(signed)
        case "signal":
            from bench import signal

            figures = signal.run(options.messages or (50 if quick else 1_000), announce)
            return _json(figures), signal.table(figures)
        case "spares":
            from bench import spares

            figures = spares.run(100 if quick else 1_000, announce)
            return _json(figures), spares.table(figures)
        case "tasks":
            from bench import tasks

            figures, facts = tasks.run(tasks.QUICK if quick else tasks.FULL, announce)
            return _json(figures) | facts, tasks.table(figures, facts)
        case _:
            from bench import first_light

            figures = first_light.run(options.messages or 50, announce)
            return _json(figures), first_light.table(figures)


class _Figure(Protocol):
    def to_json(self) -> dict[str, object]: ...


def _json(figures: Sequence[_Figure]) -> dict[str, object]:
    return {"figures": [one.to_json() for one in figures]}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    add = parser.add_argument
    add(
        "what",
        nargs="?",
        choices=(
            "first-light",
            "relay",
            "signer",
            "model",
            "router",
            "spares",
            "claude",
            "signal",
            "tasks",
        ),
        default="first-light",
    )
    add("--json", action="store_true", help="print JSON instead of a table")
    add("--messages", type=int, help="first-light (50), claude, signal (1,000): how many")
    add("--runs", type=int, default=5, help="relay: runs of which the median is told")
    add(
        "--quick",
        action="store_true",
        help="relay: one run; signer: 200; model, router, spares, claude: 100; signal, tasks: 50",
    )
    add("--stored", type=int, help="relay: events stored when it is asked, default 100,000")
    add("--url", help="relay: measure the one at this ws:// address, and start none")
    add(
        "--only",
        action="append",
        default=[],
        choices=("private", "open", "peer"),
        help="relay: this one, may be repeated",
    )
    return parser


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # nostr-sdk's threads may crash in the interpreter's own ending
