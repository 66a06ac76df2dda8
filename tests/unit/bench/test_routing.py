"""bench/routing.py: what it measures is every kind of decision, the same at every run."""

from __future__ import annotations

from bench.routing import measure


def test_every_outcome_is_among_what_is_measured() -> None:
    figures, became = measure(2_000, 50)
    assert (figures.samples, figures.unit) == (2_000, "µs")
    assert set(became) == {"Work", "Later", "Context", "Ignored"}
    assert min(became.values()) >= 20
    assert measure(2_000, 50)[1] == became
    # Half of a second's thousandth would be no decision any more, whatever the machine does.
    assert figures.p50 < 500
