"""Pure: what is said of a list of measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figures:
    """A summary of samples of one unit."""

    name: str
    unit: str
    samples: int
    minimum: float
    p50: float
    p99: float
    maximum: float

    def to_json(self) -> dict[str, object]:
        """For the results file."""
        return asdict(self)


def summarise(name: str, unit: str, values: Sequence[float]) -> Figures:
    """Median, 99th percentile (nearest rank), extremes. Raises ValueError without samples."""
    if not values:
        raise ValueError(f"{name}: nothing was measured")
    ordered = sorted(values)
    rank = min(len(ordered) - 1, -(-99 * len(ordered) // 100) - 1)
    return Figures(
        name, unit, len(ordered), ordered[0], median(ordered), ordered[rank], ordered[-1]
    )
