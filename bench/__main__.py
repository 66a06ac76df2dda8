"""Shell: `python -m bench [first-light|relay|signer|model|router|spares]`: measures, prints a
table, writes bench/results."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console

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
    if options.what == "relay":
        from bench import relay

        stored = options.stored if options.stored is not None else 100_000
        runs = 1 if options.quick else options.runs
        try:
            found = relay.measure(runs, stored, options.url, options.only, announce)
        except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
            console.print(str(error))
            return 1
        result |= {"stored": stored, "figures": relay.to_json(found)}
        table = relay.table(found)
    elif options.what == "signer":
        from bench import signer

        try:
            measured = signer.run(200 if options.quick else 1_000, announce)
        except (RuntimeError, OSError) as error:
            console.print(str(error))
            return 1
        result["figures"] = [one.to_json() for one in measured]
        table = signer.table(measured)
    elif options.what == "model":
        from bench import model

        try:
            asked = model.run(100 if options.quick else 500, announce)
        except (RuntimeError, OSError) as error:
            console.print(str(error))
            return 1
        result["figures"] = [one.to_json() for one in asked]
        result["added_ms_p50"] = model.added_ms(asked)
        table = model.table(asked)
    elif options.what == "router":
        from bench import router
        from bot.engine.host import EngineUnavailable

        size = (100, 10, 30) if options.quick else (1_000, 100, 100)
        try:
            timed, outcome = router.run(*size, announce)
        except (EngineUnavailable, RuntimeError, OSError) as error:
            console.print(str(error))
            return 1
        result["figures"] = [one.to_json() for one in timed]
        result["at_once"] = outcome.to_json() if outcome else None
        table = router.table(timed, outcome)
    elif options.what == "spares":
        from bench import spares
        from bot.engine.host import EngineUnavailable

        try:
            begun = spares.run(100 if options.quick else 1_000, announce)
        except (EngineUnavailable, RuntimeError, OSError) as error:
            console.print(str(error))
            return 1
        result["figures"] = [one.to_json() for one in begun]
        table = spares.table(begun)
    else:
        from bench import first_light
        from bot.engine.host import EngineUnavailable

        try:
            figures = first_light.run(options.messages, announce)
        except EngineUnavailable as error:
            console.print(str(error))
            return 1
        result["figures"] = [figure.to_json() for figure in figures]
        table = first_light.table(figures)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{options.what}.json").write_text(json.dumps(result, indent=1) + "\n")
    if options.json:
        sys.stdout.write(json.dumps(result) + "\n")
    else:
        Console().print(table)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    add = parser.add_argument
    add(
        "what",
        nargs="?",
        choices=("first-light", "relay", "signer", "model", "router", "spares"),
        default="first-light",
    )
    add("--json", action="store_true", help="print JSON instead of a table")
    add("--messages", type=int, default=50, help="first-light: replies to wait for")
    add("--runs", type=int, default=5, help="relay: runs of which the median is told")
    add(
        "--quick",
        action="store_true",
        help="relay: one run; signer: 200; model: 100; router, spares: 100",
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
