"""Shell: `nostrclaw published`: what is out in public, and where, as a table."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bot.commands.amounts import ago
from bot.engine.output import harmless
from bot.operate.order import ask

SIGNS = {"ok": "✅", "pending": "⏳", "failed": "❌", "uncertain": "❔"}
WIDTH = 160  # where nobody looks at a terminal


def published(data: Path, count: int | None, *, as_json: bool) -> int:
    """Print it. Returns the exit status. Raises AssemblyError, Refused."""
    answer = ask(data, f"/published {count}" if count else "/published")
    if as_json:
        sys.stdout.write(json.dumps(answer["data"] if answer["ok"] else answer) + "\n")
    elif not answer["ok"] or not answer["data"]:
        sys.stdout.write(harmless(answer["text"]) + "\n")
    else:
        table = table_of(answer["data"], int(time.time()))
        Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH).print(table)
    return 0 if answer["ok"] else 1


def table_of(rows: list[Mapping[str, Any]], now_s: int) -> Table:
    """A row for each, its link below its title, a line for each relay."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("what", no_wrap=True)
    table.add_column("title or words", overflow="fold", ratio=1)
    table.add_column("when", no_wrap=True)
    table.add_column("where", overflow="fold")
    for row in rows:
        # Attack: markup or an escape in an agent's words, or in a relay's reason.
        words = Text(harmless(row["words"]))
        words.append(f"\n{row['link']}", style="dim")
        table.add_row(
            Text(row["what"], style="yellow" if row["draft"] else ""),
            words,
            ago(row["at"], now_s),
            Text("\n".join(map(_relay, row["relays"])) or _nowhere(row)),
        )
    return table


def _nowhere(row: Mapping[str, Any]) -> str:
    return "private relay alone" if row["draft"] else "not sent yet"


def _relay(state: Mapping[str, Any]) -> str:
    host = urlsplit(state["url"]).netloc or state["url"]
    # Attack: a relay list of somebody's who is answered, with what a terminal obeys in an address.
    host = harmless(host)
    why = f": {harmless(state['reason'])}" if state["status"] == "failed" else ""
    return f"{SIGNS.get(state['status'], '')} {host}{why}"
