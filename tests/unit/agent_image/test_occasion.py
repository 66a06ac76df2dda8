"""agent_image/agent/occasion.py: what a task's run is given besides its prompt."""

from __future__ import annotations

from agent_image.agent.occasion import GATE, MAX_TAGS, SET_OFF, Beside, of_cause, of_gate
from nips.event import Event, Template
from nips.key import SecretKey
from nips.own.cause import Called, Published, Said

ANN = SecretKey(bytes([1]) * 32)
GROUP, OTHER = "0f8fad5b-d9cb-469f-a165-70867728950e", "1f8fad5b-d9cb-469f-a165-70867728950e"


def event(*tags: tuple[str, ...], text: str = "hi") -> Event:
    return Template(ANN.public, 1_767_225_600, 1, tags, text).sign(ANN, bytes(32))


def test_a_moment_is_nothing_to_tell() -> None:
    assert of_cause(None, (), GROUP) == ()


def test_a_public_event_can_be_answered_by_its_id() -> None:
    note = event(("title", "On\nbees"))
    assert of_cause(Published(note), (), GROUP) == (
        Beside(
            SET_OFF,
            f"2026-01-01 00:00 UTC, a public event: kind 1, by key {ANN.public}, id {note.id}:",
            'hi\n["title", "On\\nbees"]',
        ),
    )


def test_what_the_group_says_is_looked_at_where_it_is() -> None:
    here, elsewhere = event(("h", GROUP)), event(("h", OTHER))
    (beside,) = of_cause(Said(here.id), [elsewhere, here], GROUP)
    assert beside.text == f'hi\n["h", "{GROUP}"]'
    for missing in (Said("0c" * 32), Said(elsewhere.id)):
        (beside,) = of_cause(missing, [elsewhere, here], GROUP)
        assert beside == Beside(SET_OFF, "[Something of this conversation that is gone by now.]")


def test_a_call() -> None:
    assert of_cause(Called("application/json", "{}", "5e" * 32), (), GROUP) == (
        Beside(SET_OFF, "A call from outside, application/json:", "{}"),
    )


def test_tags_without_end() -> None:
    (beside,) = of_cause(Published(event(*((("t", "x"),) * 900))), (), GROUP)
    assert beside.text.count("\n") == MAX_TAGS


def test_what_a_gate_has_written() -> None:
    assert of_gate("2 new\n") == (Beside(GATE, "Its output:", "2 new\n"),)
    assert of_gate(" \n") == ()
