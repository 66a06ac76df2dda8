"""Shell: what a person sees while something long happens: one line a step, with its time."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console


class Steps:
    """Prints steps as they end; with `as_json` one JSON object a line instead."""

    def __init__(self, *, as_json: bool = False) -> None:
        self._as_json = as_json
        self._console = Console(highlight=False, stderr=as_json)
        self._began = time.monotonic()

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Show that `what` goes on, then that it held, and how long it took."""
        began = time.monotonic()
        with self._console.status(what):
            yield
        took_s = time.monotonic() - began
        if self._as_json:
            self._line({"step": what, "seconds": round(took_s, 3)})
        else:
            self._console.print(f"[green]✓[/] {what} [dim]{took_s:6.2f} s[/]")

    @contextmanager
    def waiting(self, what: str) -> Iterator[Callable[[float], None]]:
        """Show that something is waited for; what is yielded is told how many seconds are left."""
        with self._console.status(what) as status:
            yield lambda left_s: status.update(
                f"{what}, {int(left_s) // 60}:{int(left_s) % 60:02} left"
            )

    def announce(self, line: str) -> None:
        """A line from inside a step, about something slow or something that changes."""
        self._console.print(f"  [dim]{line}[/]", markup=True)

    def fact(self, name: str, value: str) -> None:
        """Something that was seen, shown below its step."""
        if self._as_json:
            self._line({name: value})
        else:
            self._console.print(f"  {name}: [cyan]{value}[/]")

    def end(self, words: str) -> None:
        """The last line, plain, for people and scripts alike."""
        if self._as_json:
            self._line({"end": words, "seconds": round(time.monotonic() - self._began, 3)})
        else:
            sys.stdout.write(f"{words}\n")
            sys.stdout.flush()

    def _line(self, value: dict[str, object]) -> None:
        sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
        sys.stdout.flush()
