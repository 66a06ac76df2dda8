"""Pure: measurements as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from bench.figures import Figures


def a_row_each(title: str, figures: Sequence[Figures], digits: int = 0) -> Table:
    """A row a figure. digits: behind the point."""
    shown = Table(title=title)
    for column in ("figure", "unit", "n", "min", "p50", "p99", "max"):
        shown.add_column(column, justify="left" if column in ("figure", "unit") else "right")
    for f in figures:
        numbers = (f"{value:.{digits}f}" for value in (f.minimum, f.p50, f.p99, f.maximum))
        shown.add_row(f.name, f.unit, str(f.samples), *numbers)
    return shown
