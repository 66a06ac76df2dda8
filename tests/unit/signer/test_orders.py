"""Orders: the signer's own word for what the owner wrote, and that nobody else gets it.

The hostile double here is the bridge: it has opened what it likes, as often as it likes, and says
in a puppet's name what it likes. What counts is what the signer has put on the relay.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from nips import nip59
from nips.event import Event, Template
from nips.own import order
from signer.work import Reply, Settled
from tests.unit.signer import forgeries
from tests.unit.signer.asking import Asking
from tests.unit.signer.house import NOW, House, text
from tests.unit.signer.test_hostile_bot import DICE

WORDS = "/allow ghkmwz Bob"


class Opening(Asking):
    """A scene in which the bridge has wraps opened."""

    def brings(self, wrap: Event) -> Reply:
        return self.reply(self.house.bridge, "unwrap", text(wrap))

    def order(self, rumor: Template) -> Event | None:
        """What goes to the relay before the bridge is answered."""
        reply = self.brings(self.wrap(rumor))
        assert orjson.loads(reply.response.result or "")["rumor"] == rumor.to_json()
        return reply.publish

    def orders(self) -> list[Event]:
        """Every order that was ever signed here."""
        kept = self.kept(30_078)
        return [event for event in kept if (event.tag("d") or "").startswith(order.D_PREFIX)]

    def rows(self) -> list[str]:
        return [entry.outcome for _, entry in self.ledger.chain.entries()]


@pytest.fixture
def scene(house: House, tmp_path: Path) -> Iterator[Opening]:
    scene = Opening(house, tmp_path)
    scene.begin()
    yield scene
    scene.ledger.close()


def test_the_owners_command_is_told_before_the_answer(scene: Opening) -> None:
    rumor = scene.rumor(" /Allow ghkmwz Bob ", at=NOW - 60)
    event = scene.order(rumor)
    assert event is not None
    told = order.parse(event, scene.house.signer.public)
    assert told == order.Order(rumor.id, scene.house.owner.public, " /Allow ghkmwz Bob ", NOW - 60)
    assert scene.rows()[-2:] == ["the owner's order /allow", "opened"]
    assert scene.ledger.chain.verify().broken_at is None
    # On the disk before it leaves: a process that dies here has it sent by the next.
    assert event in scene.ledger.unpublished()


@pytest.mark.parametrize("word", sorted(order.WORDS))
def test_every_command_that_changes_rights(scene: Opening, word: str) -> None:
    assert scene.order(scene.rumor(f"/{word} ghkmwz")) is not None


@pytest.mark.parametrize(
    "words",
    ["Good morning!", "/stop", "/status", "/run 12ab", "allow ghkmwz", "/allowed", "/pause" * 400,
     "/pause " + "x" * 12_000, "I wrote:\n/pause"],
)  # fmt: skip
def test_the_owners_other_words_are_not_repeated(scene: Opening, words: str) -> None:
    assert scene.order(scene.rumor(words)) is None
    assert scene.orders() == []
    assert words not in " ".join(scene.rows())


def test_it_is_told_once_however_often_it_is_opened(scene: Opening) -> None:
    """Attack: a hostile bot that sends the owner's wrap again, or the same words in another."""
    rumor = scene.rumor(WORDS)
    wrap = scene.wrap(rumor)
    first = scene.brings(wrap).publish
    assert first is not None
    assert scene.brings(wrap).publish == first
    assert scene.brings(scene.wrap(rumor)).publish == first  # sealed and wrapped anew
    scene.does(Settled(first.id))
    scene.reopen()
    assert scene.brings(wrap).publish == first
    scene.passes(1_000)  # what is on the relay already may be asked about for ever
    assert scene.brings(wrap).publish == first
    assert scene.orders() == [first]
    assert scene.rows().count("the owner's order /allow") == 1


@pytest.mark.parametrize("name", ["bot", "router", "bridge", "session", "stranger", "login"])
def test_nobody_elses_words_are_an_order(scene: Opening, name: str) -> None:
    """Attack: somebody who found the bot's address writes `/allow` themselves."""
    author = getattr(scene.house, name)
    reply = scene.brings(scene.wrap(scene.rumor(WORDS), by=author))
    assert reply.publish is None
    assert scene.orders() == []


@pytest.mark.parametrize("forger", forgeries.FORGERS)
def test_no_forgery_is_an_order(
    scene: Opening, forger: forgeries.Forger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: a seal by another, a rumor in another's name, an id that is not its content's."""

    def command(author: str, house: House, _: object) -> Template:
        return Template(author, NOW, 14, (("p", house.bot.public),), WORDS)

    monkeypatch.setattr(forgeries, "rumor_of", command)
    wrap, check = forger(scene.house, DICE)
    reply = scene.brings(wrap)
    assert check in str(reply.response.error)
    assert reply.publish is None
    assert scene.orders() == []


def test_words_to_several_people_are_none_to_the_bot(scene: Opening) -> None:
    """Attack: the owner tells friends in a room what one would write, and the bridge brings it."""
    rumor = scene.rumor(WORDS)
    for more in (scene.house.stranger.public, ""):
        assert scene.order(replace(rumor, tags=(*rumor.tags, ("p", more)))) is None
    assert scene.order(replace(rumor, tags=(("p", scene.house.stranger.public),))) is None


@pytest.mark.parametrize("kind", [7, 9, 15, 30_078])
def test_only_a_direct_message_is_an_order(scene: Opening, kind: int) -> None:
    assert scene.order(replace(scene.rumor(WORDS), kind=kind)) is None


@pytest.mark.parametrize(
    ("ago_s", "told"), [(0, True), (900, True), (901, False), (-300, True), (-301, False)]
)
def test_a_wrap_that_was_kept_back_is_mail_and_no_order(
    scene: Opening, ago_s: int, told: bool
) -> None:
    """Attack: a relay holds `/resume` back until the owner has thought better of it."""
    assert (scene.order(scene.rumor(WORDS, at=NOW - ago_s)) is not None) is told


def test_before_there_is_an_owner_nobody_orders(scene: Opening) -> None:
    scene.configure(named=False)
    assert scene.order(scene.rumor(WORDS)) is None


def test_an_answer_to_the_signers_question_is_no_order(scene: Opening) -> None:
    shown = scene.question()
    published = scene.hears(scene.rumor(f"/approve {shown.code}"))
    assert scene.was_answer
    assert [event.kind for event in published] == [0]
    assert scene.orders() == []


def test_an_answer_to_the_routers_question_is_mail_with_an_order(scene: Opening) -> None:
    scene.question()
    response, published = scene.opens(scene.wrap(scene.rumor("/approve ghkmwz")))
    assert "approval" not in orjson.loads(response.result or "")
    assert published == []
    assert [event.content for event in scene.orders()] == ["/approve ghkmwz"]


def test_a_session_has_no_order_signed(scene: Opening) -> None:
    """Attack: an agent asks for the record itself; it would be the bot's, which nobody believes,
    and is not signed at all."""
    given = order.Order("ab" * 32, scene.house.owner.public, WORDS, NOW)
    template = order.template(given, scene.house.bot.public)
    assert str(scene.sign(template).response.error).startswith("restricted: ")


def test_a_locked_signer_orders_nothing(scene: Opening) -> None:
    wrap = scene.wrap(scene.rumor(WORDS))
    scene.desk.lock()
    reply = scene.brings(wrap)
    assert (reply.publish, scene.orders()) == (None, [])
    assert nip59.open_wrap(wrap, scene.house.bot).pubkey == scene.house.owner.public
