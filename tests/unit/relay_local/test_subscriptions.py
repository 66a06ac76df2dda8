"""The index of live filters against asking every one of them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from nips.filter import Filter
from relay_local.subscriptions import Subscriptions
from tests.unit.relay_local.test_query import filters, templates


@settings(max_examples=80)
@given(data=st.data(), drawn=st.lists(templates, min_size=1, max_size=8))
def test_recipients_are_those_who_match(data: st.DataObject, drawn: list[object]) -> None:
    events = [template.with_sig("0" * 128) for template in drawn]  # type: ignore[attr-defined]
    index: Subscriptions[int] = Subscriptions()
    asked = data.draw(st.lists(st.lists(filters(events), min_size=1, max_size=3), max_size=8))
    for number, of_one in enumerate(asked):
        index.add(number, tuple(of_one))
    removed = data.draw(st.sets(st.integers(0, 7)))
    for number in removed:
        index.remove(number)
    for event in events:
        wanted = {
            number
            for number, of_one in enumerate(asked)
            if number not in removed and any(one.matches(event) for one in of_one)
        }
        got = index.recipients(event)
        assert set(got) == wanted
        assert len(got) == len(wanted)


def test_nothing_stays_behind() -> None:
    index: Subscriptions[str] = Subscriptions()
    one = Filter(kinds=frozenset({1, 2}), tags={"p": frozenset({"x", "y"})})
    for _ in range(3):
        index.add("a", (one, Filter()))
    index.remove("a")
    index.remove("never there")
    assert len(index) == 0
    assert not index._at
