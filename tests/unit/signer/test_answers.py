"""Answers that are kept: a signed event once, and an answer of an earlier version as it was."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from nips.own.grant import Rule
from tests.unit.signer.desks import Scene, refusal, signed
from tests.unit.signer.house import MAIN, House


@pytest.fixture
def scene(house: House, tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(house, tmp_path)
    scene.grant(house.session_grant(Rule(9)))
    yield scene
    scene.ledger.close()


def rows(scene: Scene, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(scene.folder / "ledger.sqlite") as db:
        return db.execute(query).fetchall()


def test_a_signed_event_is_kept_once(scene: Scene) -> None:
    first = scene.sign(scene.house.template(9, ("h", MAIN), content="once"), "r")
    event = signed(first.response)
    assert rows(scene, "SELECT result, id FROM answers") == [("", event.id)]
    assert [orjson.loads(row[0]) for row in rows(scene, "SELECT event FROM signed")] == [
        event.to_json()
    ]
    scene.reopen()
    assert scene.sign(scene.house.template(9, ("h", MAIN), content="once"), "r") == first


def test_an_answer_of_before_is_the_same(scene: Scene) -> None:
    template = scene.house.template(9, ("h", MAIN))
    first = scene.sign(template, "r")
    with scene.ledger.transaction():
        scene.ledger.db.execute("UPDATE answers SET result = ?", (first.response.result,))
    scene.reopen()
    assert scene.sign(template, "r") == first


def test_what_is_kept_no_more_is_not_signed_anew(scene: Scene) -> None:
    """Attack: wait until an event is forgotten, and have it signed under the same id once more."""
    template = scene.house.template(9, ("h", MAIN))
    scene.sign(template, "r")
    with scene.ledger.transaction():
        scene.ledger.db.execute("DELETE FROM signed")
    assert refusal(scene.sign(template, "r").response).startswith("duplicate: ")
    assert rows(scene, "SELECT count(*) FROM signed") == [(0,)]
