"""nips/own/approval.py: permission asked and given."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nips.event import Tag, Template
from nips.key import SecretKey
from nips.own import approval
from nips.refusal import Malformed

BOT, OWNER = (SecretKey(bytes(31) + bytes([n])).public for n in (1, 2))
GROUP, RUN = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff", "ab" * 32


def test_the_shapes_are_those_that_clients_of_the_dialect_read() -> None:
    made = {
        template.kind: template
        for template in (
            approval.started(BOT, GROUP, RUN, "Publish", 1),
            approval.gate(BOT, GROUP, RUN, OWNER, "May I?", 2),
            approval.finished(BOT, GROUP, RUN, 3),
            approval.failed(BOT, GROUP, RUN, "no", 4),
        )
    }
    assert {kind: json.loads(one.content) for kind, one in made.items()} == {
        46_001: {"run": RUN, "workflow": "approval", "task": "Publish"},
        46_010: {"run": RUN, "note": "May I?"},
        46_005: {"run": RUN},
        46_006: {"run": RUN, "error": "no"},
    }
    assert all(one.values("h") == [GROUP] and one.tag("alt") for one in made.values())
    assert made[46_010].values("p") == [OWNER]
    # An agent could have its own words signed under a once-key first, and so be heard instead.
    assert not any(one.tag("o") for one in made.values())


def test_a_gate_is_read_back() -> None:
    gate = approval.gate(BOT, GROUP, RUN, OWNER, "May I? ✅", 2)
    assert approval.parse_gate(gate) == approval.Gate(RUN, OWNER, GROUP, "May I? ✅")


@pytest.mark.parametrize("yes", [True, False])
def test_an_answer_is_read_back(yes: bool) -> None:
    answer = approval.answer(OWNER, RUN, 5, yes=yes)
    assert answer.kind == (46_030 if yes else 46_031)
    assert approval.parse_answer(answer) == approval.GateAnswer(RUN, OWNER, yes)


@pytest.mark.parametrize(
    ("kind", "tags"),
    [
        (46_030, ()),
        (46_030, (("d",),)),
        (46_030, (("d", RUN[:16]),)),
        (46_030, (("d", RUN.upper()),)),
        (46_030, (("d", RUN), ("d", "cd" * 32))),
        (46_030, (("e", RUN),)),
        (46_005, (("d", RUN),)),
        (7, (("d", RUN),)),
    ],
)
def test_what_is_no_answer_is_refused(kind: int, tags: tuple[Tag, ...]) -> None:
    with pytest.raises(Malformed):
        approval.parse_answer(Template(OWNER, 5, kind, tags, ""))


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": 46_001},
        {"content": "no JSON"},
        {"content": "[]"},
        {"content": json.dumps({"run": "x", "note": "n"})},
        {"content": json.dumps({"run": RUN, "note": 1})},
        {"tags": (("h", GROUP),)},
        {"tags": (("p", OWNER),)},
        {"tags": (("h", GROUP), ("p", OWNER), ("p", BOT))},
        {"tags": (("h", "main"), ("p", OWNER))},
    ],
)
def test_a_gate_that_is_none_is_refused(changes: dict[str, object]) -> None:
    gate = approval.gate(BOT, GROUP, RUN, OWNER, "May I?", 2)
    with pytest.raises(Malformed):
        approval.parse_gate(replace(gate, **changes))  # type: ignore[arg-type]
