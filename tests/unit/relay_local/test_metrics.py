"""The text that Prometheus reads."""

from __future__ import annotations

from relay_local.metrics import COUNTER, GAUGE, Metric, render, single


def test_the_text_format() -> None:
    by_outcome = Metric("events_total", COUNTER, "By outcome.", {"b": 2, "a": 1.5}, "outcome")
    assert render([by_outcome, single("open", GAUGE, "Open\nones.", 12_345_678)]) == (
        "# HELP events_total By outcome.\n"
        "# TYPE events_total counter\n"
        'events_total{outcome="a"} 1.5\n'
        'events_total{outcome="b"} 2\n'
        "# HELP open Open\\nones.\n"
        "# TYPE open gauge\n"
        "open 12345678\n"
    )


def test_a_label_cannot_end_its_line() -> None:
    """A value with a quote or a line break would add measurements of its own."""
    text = render([Metric("m", GAUGE, "x", {'a"} 1\nfake 2': 3}, "of")])
    assert text.splitlines()[2:] == ['m{of="a\\"} 1\\nfake 2"} 3']
