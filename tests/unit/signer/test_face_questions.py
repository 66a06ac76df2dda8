"""A bridge brings another profile: the owner is asked, once at a time, and seldom."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nips import nip46
from nips.event import Event, Template
from nips.refusal import Prefix
from signer.costs import FACE_QUESTIONS_PER_DAY
from signer.work import Arrived
from tests.unit.signer.asking import Asking, Shown
from tests.unit.signer.desks import signed
from tests.unit.signer.house import NOW, House

HOUR, DAY = 3_600, 86_400


class Naming(Asking):
    """A scene in which the bridge would have the bot called otherwise."""

    def name(self, name: str, *, at: int = 0) -> tuple[nip46.Response, tuple[Event, ...]]:
        return self.put(self.profile_of(name, at=at), by=self.house.bridge)

    def profile_of(self, name: str, *, at: int = 0) -> Template:
        content = json.dumps({"name": name, "about": "An assistant", "bot": True})
        return self.house.template(0, content=content, at=at or int(self.wall_s))

    def asked(self, name: str) -> Shown:
        response, (started, gate, words) = self.name(name)
        assert response.error is not None
        assert response.error.prefix is Prefix.PENDING
        return Shown(response.error.sentence.split()[0], started, gate, words)

    def later(self, seconds: float) -> None:
        """Time passes, and the bridge's grant is renewed."""
        self.passes(seconds)
        grant = self.house.bridge_grant(now=int(self.wall_s), hard_expires_at=NOW + 10**6)
        self.does(Arrived(self.house.granted(grant, int(self.wall_s)), 1))

    def hears_back(self, name: str) -> str:
        """What the bridge is told without anybody being asked."""
        response, published = self.name(name)
        assert published == ()
        return str(response.error)


@pytest.fixture
def scene(house: House, tmp_path: Path) -> Iterator[Naming]:
    scene = Naming(house, tmp_path)
    scene.begin()
    yield scene
    scene.ledger.close()


def test_the_owner_says_yes_and_it_is_published(scene: Naming) -> None:
    shown = scene.asked("Ada")
    assert "Your assistant itself, by its bridge nostr, asks to publish" in shown.words.content
    assert '"name": "Ada"' in shown.words.content
    assert scene.kept(0) == []
    scene.show(shown.words)
    [event] = scene.hears(scene.rumor(f"/approve {shown.code}"))
    assert event.template == scene.profile_of("Ada", at=NOW)
    scene.passes(5)
    response, published = scene.name("Ada")  # as the bridge asks: a template of now
    assert (signed(response), published) == (event, ())


def test_the_ceilings_own_profile_needs_no_question(scene: Naming) -> None:
    response, published = scene.name("Bot")
    assert json.loads(signed(response).content)["name"] == "Bot"
    assert published == ()


def test_one_question_at_a_time(scene: Naming) -> None:
    """Attack: a bridge that was taken over fills the owner's screen with questions."""
    shown = scene.asked("Ada")
    scene.passes(30)
    assert scene.hears_back("Ada").startswith(f"pending: {shown.run} ")
    assert scene.hears_back("Eve").startswith("rate-limited: ")
    scene.reopen()
    assert scene.hears_back("Eve").startswith("rate-limited: ")
    scene.answers(shown.run, yes=False)
    scene.asked("Eve")


def test_a_no_stands_for_a_day(scene: Naming) -> None:
    """Attack, or a bridge that starts again and again: the owner is worn down."""
    shown = scene.asked("Ada")
    scene.answers(shown.run, yes=False)
    for _ in range(3):
        scene.later(HOUR)
        assert scene.hears_back("Ada") == "restricted: the owner was asked and said no"
    scene.later(DAY)
    scene.asked("Ada")


def test_silence_stands_for_an_hour(scene: Naming) -> None:
    scene.asked("Ada")
    scene.later(600)
    assert "did not answer within ten minutes" in scene.hears_back("Ada")
    scene.later(HOUR)
    scene.asked("Ada")


def test_five_questions_a_day(scene: Naming) -> None:
    for n in range(FACE_QUESTIONS_PER_DAY):
        scene.answers(scene.asked(f"Ada {n}").run, yes=False)
    assert scene.hears_back("one more").startswith("rate-limited: ")
    scene.later(DAY)
    scene.asked("one more")


def test_an_agents_question_is_not_the_bridges(scene: Naming) -> None:
    scene.question()
    scene.asked("Ada")
    other, published = scene.put(scene.profile(content='{"name":"Zoe"}'))
    assert str(other.error).startswith("pending: ")
    assert len(published) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"tags": (("p", "ab" * 32),)},
        {"kind": 3},
        {"kind": 10_002},
        {"kind": 10_050},
        {"kind": 1},
        {"content": '{"name":"Bot","name":"Ada"}'},
        {"content": "Ada"},
    ],
)
def test_nothing_else_of_a_bridges_is_asked_about(
    scene: Naming, changes: dict[str, object]
) -> None:
    template = replace(scene.profile_of("Ada"), **changes)  # type: ignore[arg-type]
    response, published = scene.put(template, by=scene.house.bridge)
    assert str(response.error).startswith("restricted: ")
    assert published == ()


def test_without_an_owner_or_with_a_lower_ceiling_nobody_is_asked(scene: Naming) -> None:
    scene.configure(ceiling=replace(scene.house.ceiling, ask_kinds=frozenset({30_023})))
    assert scene.hears_back("Ada") == "restricted: this is not the profile in the ceiling"
    scene.configure(ceiling=House().ceiling, named=False)
    assert scene.hears_back("Ada").startswith("restricted: ")
