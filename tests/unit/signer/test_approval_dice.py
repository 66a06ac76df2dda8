"""Questions, owners and a hostile bot by dice, against an oracle of a few lines.

The oracle knows what the owner really said, and when. Whatever the double of `bot` invents,
repeats, changes or withholds meanwhile, signed is what the oracle says, and nothing else.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from nips.event import Event, Template
from nips.key import SecretKey
from nips.nip17 import message_template
from signer.ceiling import Caps
from signer.work import Arrived
from tests.figures import dice, figure
from tests.unit.signer.asking import Asking
from tests.unit.signer.house import House, key

A_GAME = 100  # attacks on one ledger
MANY = Caps(10**6, 10**6, 10**6, 10**6, questions_per_day=10**6, open_questions=8)


@dataclass
class Known:
    """One question as the oracle knows it: its ids, and what became of it."""

    run: str
    code: str
    asked_s: float
    ids: tuple[str, ...]
    outcome: bool | None = None

    def is_open(self, now_s: float) -> bool:
        return self.outcome is None and now_s < self.asked_s + 600


class Game:
    """A scene, the oracle beside it, and everything that ever crossed the hostile bot's hands."""

    def __init__(self, scene: Asking, chance: random.Random) -> None:
        self.scene, self.chance = scene, chance
        self.known: list[Known] = []
        self.events: list[Event] = []
        self.wraps: list[Event] = []
        self.n_attacks = 0

    def step(self) -> None:
        moves: list[tuple[Callable[[], None], int]] = [
            (self.ask, 4), (self.owner_answers, 4), (self.attack, 12), (self.wait, 2),
            (self.scene.reopen, 1),
        ]  # fmt: skip
        self.chance.choices([move for move, _ in moves], [weight for _, weight in moves])[0]()
        signed = {event.id for event in self.scene.kept(0)}
        assert signed == {one.run for one in self.known if one.outcome}

    def ask(self) -> None:
        now_s = self.scene.wall_s
        if sum(one.is_open(now_s) for one in self.known) >= MANY.open_questions:
            return
        self.scene.begin()
        template = self.scene.profile(content=str(self.chance.random()))
        shown = self.scene.question(template)
        rumor = self.scene.show(shown.words)
        ids = (shown.run, shown.gate.id, shown.words.id, rumor.id)
        self.known.append(Known(shown.run, shown.code, now_s, ids))
        self.scene.passes(1)  # the same grant is renewed in a later second

    def owner_answers(self) -> None:
        """The owner answers a question, or one that is long over, in one of the ways."""
        if not self.known:
            return
        one, yes = self.chance.choice(self.known[-12:]), self.chance.random() < 0.6
        was_open = one.is_open(self.scene.wall_s)
        match self.chance.randrange(3):
            case 0:
                event = self.scene.event(one.run, yes=yes)
                self.events.append(event)
                self.scene.does(Arrived(event, 1))
            case 1:
                self.opens(self.scene.rumor("✅" if yes else "❌", self.chance.choice(one.ids)))
            case _:
                digits = one.code[: self.chance.randrange(12, 17)]
                self.opens(self.scene.rumor(f"{'approve' if yes else 'deny'} {digits}"))
        if was_open:
            one.outcome = yes

    def opens(self, rumor: Template, by: SecretKey | None = None) -> None:
        wrap = self.scene.wrap(rumor, by)
        self.wraps.append(wrap)
        self.scene.opens(wrap)

    def wait(self) -> None:
        self.scene.passes(self.chance.choice((1, 60, 300, 599, 601)))
        self.scene.does()
        self.scene.begin()

    # What the hostile bot can do; none of it changes what the oracle knows.

    def attack(self) -> None:
        if not self.known:
            return
        self.n_attacks += 1
        run = self.chance.choice(self.known).run
        house = self.scene.house
        forger = self.chance.choice(
            [house.router, house.bridge, house.bot, house.stranger, house.session, key(20), key(21)]
        )
        self.chance.choice(
            [self.invents, self.repeats, self.changes, self.binds, self.wraps_as_another]
        )(run, forger)

    def invents(self, run: str, forger: SecretKey) -> None:
        event = self.scene.event(run, by=forger)
        named = replace(event, pubkey=self.scene.house.owner.public)
        self.scene.does(Arrived(self.chance.choice([event, named]), 1))

    def repeats(self, run: str, forger: SecretKey) -> None:
        if self.events and self.chance.random() < 0.5:
            self.scene.does(Arrived(self.chance.choice(self.events), 1))
        elif self.wraps:
            self.scene.opens(self.chance.choice(self.wraps))

    def changes(self, run: str, forger: SecretKey) -> None:
        """An answer of the owner's with another run, or yes for no, written into it."""
        if not self.events:
            return
        event = self.chance.choice(self.events)
        template = replace(
            event.template, tags=(("d", run),), kind=self.chance.choice((46_030, 46_031))
        )
        forged = self.chance.choice(
            [template.with_sig(event.sig), replace(event, tags=(("d", run),), kind=46_030)]
        )
        if forged.id != event.id or forged.kind != event.kind or forged.tags != event.tags:
            self.scene.does(Arrived(forged, 1))

    def binds(self, run: str, forger: SecretKey) -> None:
        """Words of its own, which the owner then likes."""
        code = self.code_of(run)
        owner, bot = self.scene.house.owner.public, self.scene.house.bot.public
        words = self.chance.choice(
            [
                "Cats?",
                f"Cats? {code[:8]}",
                f"❓ {code}",
                f"approve {run}",
                self.chance.choice("✅❌"),
            ]
        )
        rumor = message_template(bot, [owner], words, int(self.scene.wall_s))
        self.scene.seal(rumor)
        self.opens(self.scene.rumor("✅", rumor.id))

    def code_of(self, run: str) -> str:
        return next(one.code for one in self.known if one.run == run)

    def wraps_as_another(self, run: str, forger: SecretKey) -> None:
        ids = next(one.ids for one in self.known if one.run == run)
        code = self.code_of(run)
        words = self.chance.choice(["✅", f"approve {code}", f"approve {code[:8]}"])
        self.opens(self.scene.rumor(words, self.chance.choice(ids)), forger)


def test_signed_is_what_the_owner_approved(
    house: House, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    n_attacks = n_questions = n_approved = 0
    for number in range(-(-figure("approvals") // A_GAME)):
        folder = tmp_path / str(number)
        scene = Asking(replace(house, ceiling=replace(house.ceiling, caps=MANY)), folder)
        scene.begin()
        game = Game(scene, dice("approvals", number))
        while game.n_attacks < A_GAME:
            game.step()
        scene.ledger.close()
        n_attacks += game.n_attacks
        n_questions += len(game.known)
        n_approved += sum(one.outcome is True for one in game.known)
    # There was something to win, and both sides played.
    assert n_attacks > n_questions > n_approved > 0
    record_property("attacks", n_attacks)
    record_property("questions", n_questions)
    record_property("approved", n_approved)
