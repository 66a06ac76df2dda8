"""Shell: `nostrclaw task preview`: when something would run, without running anything."""

from __future__ import annotations

import json
import sys
import time

from rich import box
from rich.console import Console
from rich.table import Table

from bot.commands.amounts import duration
from bot.schedule.expression import moment, read
from bot.schedule.preview import HOW_MANY, Showing, upcoming
from bot.zones import machine_zone, zone_of

WIDTH = 120  # where nobody looks at a terminal


def preview(when: str, tz: str | None, since: str | None, *, as_json: bool) -> None:
    """Print the next times of what a person has typed. tz: whose clock, None for the machine's.
    since: as if it were then, None for now. Raises Malformed."""
    name = machine_zone() if tz is None else tz
    zone = zone_of(name)
    now_s = int(time.time()) if since is None else moment(since, zone)
    found = upcoming(read(when, zone, now_s), zone, now_s)
    if as_json:
        runs = [one.to_json(now_s) for one in found]
        sys.stdout.write(json.dumps({"when": when, "zone": name, "runs": runs}) + "\n")
        return
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    console.print(f"{when}, in {name}:", markup=False)
    console.print(table_of(found, now_s))
    if len(found) < HOW_MANY:
        console.print("and not again.")


def table_of(found: list[Showing], now_s: int) -> Table:
    """A row for each: by the zone's clock, in UTC, how long until then."""
    table = Table(box=box.SIMPLE, show_header=False, pad_edge=False)
    time_of_day = "%H:%M:%S" if any(one.local.second for one in found) else "%H:%M"
    for one in found:
        table.add_row(
            one.local.strftime(f"%a %Y-%m-%d {time_of_day} %Z"),
            one.utc.strftime(f"%Y-%m-%d {time_of_day} UTC"),
            f"in {duration(one.at_s - now_s)}",
            one.note,
        )
    return table
