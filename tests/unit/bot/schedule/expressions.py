"""Cron expressions of all forms, for Hypothesis and for dice."""

from __future__ import annotations

from hypothesis import strategies as st

from bot.schedule.cron_text import FIELDS, MONTHS, WEEKDAYS, parse
from nips.refusal import Malformed


def forms() -> st.SearchStrategy[str]:
    """Each field in every form that it has; some never come, as a 31 February."""
    fields = [_field(field.least, field.most) for field in FIELDS[:3]]
    months = _field(1, 12, st.sampled_from(MONTHS))
    weekdays = _field(0, 7, st.sampled_from(WEEKDAYS))
    return st.tuples(*fields, months, weekdays).map(" ".join)


def expressions() -> st.SearchStrategy[str]:
    """Those that come."""
    return forms().filter(comes)


def comes(expression: str) -> bool:
    """Say whether an expression is taken."""
    try:
        parse(expression)
    except Malformed:
        return False
    return True


def _field(
    least: int, most: int, names: st.SearchStrategy[str] | None = None
) -> st.SearchStrategy[str]:
    value = st.integers(least, most)
    steps = st.integers(1, most - least)
    spans = st.tuples(value, value).map(sorted).map(lambda span: f"{span[0]}-{span[1]}")
    parts = st.one_of(
        value.map(str),
        spans,
        st.builds("{}/{}".format, spans, steps),
        st.builds("*/{}".format, steps),
        *([names] if names is not None else []),
    )
    return st.one_of(st.just("*"), parts, st.lists(parts, min_size=1, max_size=3).map(",".join))
