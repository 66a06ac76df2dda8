"""Shell: `nostrclaw relays`: how the public relays are doing, as a table that stays up to date.

It is what `/relays` says, asked of the running assistant again and again.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bot.commands.amounts import ago, duration
from bot.engine.output import harmless
from bot.operate.order import ask

ORDER = "/relays"
PERIOD_S = 2.0
STYLES = {"listening": "green", "connecting": "yellow", "rate-limited": "yellow"}
WRONG = "red"


def show(data: Path, *, once: bool, as_json: bool) -> int:
    """Print the table, and keep it current where that is a terminal. Returns the exit status.

    Raises AssemblyError, Refused.
    """
    answer = ask(data, ORDER)
    if as_json:
        sys.stdout.write(json.dumps(answer["data"], ensure_ascii=False) + "\n")
        return 0 if answer["ok"] else 1
    console = Console()
    if once or not console.is_terminal or not answer["ok"]:
        console.print(drawn(answer, int(time.time())))
        return 0 if answer["ok"] else 1
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(drawn(answer, int(time.time())), refresh=True)
            time.sleep(PERIOD_S)
            answer = ask(data, ORDER)


def drawn(answer: dict[str, Any], now_s: int) -> Group | Text:
    """The answer to `/relays` as it is shown in a terminal."""
    facts = answer["data"]
    if not answer["ok"] or not isinstance(facts, dict):
        return Text(harmless(answer["text"]))
    table = Table(box=box.SIMPLE_HEAD, title="public relays", title_justify="left")
    for name in ("relay", "state", "for", "last event", "last probe"):
        table.add_column(name, overflow="fold")
    for name in ("reconnects", "accepted", "refused"):
        table.add_column(name, justify="right")
    for relay in facts["relays"]:
        table.add_row(*_row(relay, now_s))
    counts = facts["messages"]
    lines = [
        f"{counts.get('forwarded', 0)} messages taken, {counts.get('strangers', 0)} of strangers, "
        f"{counts.get('set_aside', 0)} set aside; {facts['pending']} on their way out, "
        f"{facts['no_list']} for people without an inbox list. As of {ago(facts['as_of'], now_s)}."
    ]
    lines += [
        f"set aside {ago(one['at'], now_s)}: {one['wrap'][:8]}, {one['reason']}"
        for one in facts["set_aside"]
    ]
    return Group(table, *(Text(harmless(line), style="dim") for line in lines))


def _row(relay: dict[str, Any], now_s: int) -> list[str | Text]:
    state = relay["state"]
    said = Text(state, style=STYLES.get(state, WRONG))
    if relay["reason"]:
        # Attack: a relay's words that the terminal obeys.
        said.append(f"\n{harmless(relay['reason'])}", style="dim")
    url = Text(harmless(relay["url"]))
    if relay["own"]:
        url.append("\nfrom the inbox list", style="dim")
    probe = _ago(relay["answered_at"], now_s)
    if relay["answer_ms"] is not None:
        probe += f", {relay['answer_ms']} ms"
    return [
        url,
        said,
        duration(now_s - relay["since_at"]) if relay["since_at"] else "",
        _ago(relay["last_event_at"], now_s),
        probe,
        str(relay["reconnects"]),
        str(relay["accepted"]),
        str(relay["refused"]),
    ]


def _ago(at: int | None, now_s: int) -> str:
    return "never" if at is None else ago(at, now_s)
