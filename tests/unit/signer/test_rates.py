"""signer/desk.py: no renewal, new key, restart or step of the clock gets more than the caps.

The oracle knows when something was signed, and counts: in no stretch of time more than a bucket
holds and is refilled, on no day more than a day's, with no key more than its uses.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from nips.key import SecretKey
from nips.own.grant import Rate, Rule
from signer.ceiling import Caps
from tests.figures import dice, figure
from tests.unit.signer.desks import Scene
from tests.unit.signer.house import JOB, MAIN, NOW, OTHER, House, templates_json

CAPS = Caps(per_minute=20, per_day=260, group_per_minute=12, group_per_day=150)
RATE, DAILY, USES = Rate(5, 0.1), 110, 40
DAY_S = 86_400
RULE = Rule(9, rate=RATE, daily=DAILY)


@dataclass
class Tally:
    """When was signed, by the time that never goes back, for whom."""

    signed: list[tuple[float, str, str]] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    def check(self) -> None:
        """Raise AssertionError where a cap was exceeded."""
        for group in (MAIN, OTHER):
            of_group = [at for at, where, _ in self.signed if where == group]
            never_more(of_group, RATE.capacity, RATE.per_s)
            never_more(of_group, CAPS.group_per_minute, CAPS.group_per_minute / 60)
            assert max(by_day(of_group), default=0) <= min(DAILY, CAPS.group_per_day)
        everything = [at for at, _, _ in self.signed]
        never_more(everything, CAPS.per_minute, CAPS.per_minute / 60)
        assert max(by_day(everything), default=0) <= CAPS.per_day
        assert max(Counter(key for _, _, key in self.signed).values(), default=0) <= USES


def never_more(times: list[float], capacity: int, per_s: float) -> None:
    """Of every stretch that begins and ends with a signature."""
    for first, begins in enumerate(times):
        for number, ends in enumerate(times[first:], start=1):
            assert number <= capacity + (ends - begins) * per_s + 1e-6, (begins, ends, number)


def by_day(times: list[float]) -> list[int]:
    return list(Counter(at // DAY_S for at in times).values())


class Story:
    """A signer whose router, clock and power supply are the dice's."""

    def __init__(self, scene: Scene, chance: random.Random) -> None:
        self.scene, self.chance = scene, chance
        self.tally = Tally()
        self.keys: dict[str, tuple[SecretKey, int]] = {}
        self.highest_s = scene.wall_s  # the time by the clock that never goes back
        self.read_at_s = scene.monotonic_s
        self.stamp = NOW
        for group in (MAIN, OTHER):
            self.new_key(group)

    def time_went_back(self) -> bool:
        """Read the clocks as the signer will in a moment."""
        least_s = self.highest_s + self.scene.monotonic_s - self.read_at_s
        self.highest_s = max(least_s, self.scene.wall_s)
        self.read_at_s = self.scene.monotonic_s
        return self.scene.wall_s < least_s - 5

    def grant(self, group: str) -> None:
        """The router's newest grant for the group's key, as generous as it can say it."""
        key, born_s = self.keys[group]
        self.time_went_back()
        self.stamp += 1
        now = int(self.highest_s)
        rule = replace(RULE, required=(("h", group),))
        grant = self.scene.house.session_grant(
            rule, client=key.public, group=group, job=JOB, max_uses=USES,
            not_before=born_s, expires_at=now + 180, hard_expires_at=born_s + 10 * DAY_S,
        )  # fmt: skip
        self.scene.grant(grant, self.stamp)

    def new_key(self, group: str) -> None:
        key = SecretKey(self.chance.getrandbits(200).to_bytes(32, "big"))
        self.keys[group] = (key, int(self.highest_s))
        self.grant(group)

    def step(self) -> None:
        """One of the things that happen to a signer."""
        group = self.chance.choice((MAIN, OTHER))
        match self.chance.choices(
            ("ask", "wait", "renew", "key", "restart", "forward", "back"), (6, 3, 3, 1, 1, 1, 1)
        )[0]:
            case "ask":
                self.ask(group, self.chance.choice((1, 3, 8, 25)))
            case "wait":
                self.scene.passes(self.chance.choice((0.2, 3.0, 30.0, 170.0, 4_000.0)))
            case "renew":
                self.grant(group)
            case "key":
                self.new_key(group)
            case "restart":
                self.scene.monotonic_s = self.chance.uniform(0, 1e6)  # it counts from anywhere
                self.scene.reopen()
                self.read_at_s = self.scene.monotonic_s
            case "forward":
                self.scene.wall_s += self.chance.choice((2.0, 60.0, 3_600.0))
            case "back":
                before = self.scene.wall_s
                self.scene.wall_s -= self.chance.choice((3.0, 60.0, 100_000.0))
                self.ask(group, 3)  # nothing more than usual, or nothing at all
                self.scene.wall_s = before

    def ask(self, group: str, times: int) -> None:
        key, _ = self.keys[group]
        for _ in range(times):
            went_back = self.time_went_back()
            template = replace(
                self.scene.house.template(9, ("h", group), content=str(self.chance.random())),
                created_at=int(self.highest_s),
            )
            answer = self.scene.ask(key, "sign_event", templates_json(template))
            if answer.error is None:
                assert not went_back
                self.tally.signed.append((self.highest_s, group, key.public))
            else:
                self.tally.refused[str(answer.error.prefix)] += 1
                if answer.error.sentence.startswith("this key's grant has expired"):
                    self.grant(group)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    house = House()
    # Grants live for long here: what is tried is whether rates hold, not whether grants end.
    ceiling = replace(house.ceiling, caps=CAPS, longest_ttl_s=10 * DAY_S)
    made = Scene(replace(house, ceiling=ceiling), tmp_path)
    yield made
    made.ledger.close()


def test_renewals_keys_restarts_and_clocks_never_exceed_a_cap(
    scene: Scene, record_property: Callable[[str, object], None]
) -> None:
    story = Story(scene, dice("rates"))
    for _ in range(figure("rates")):
        story.step()
    story.tally.check()
    assert len(story.tally.signed) > figure("rates") / 20
    assert story.tally.refused["rate-limited"] > 0
    assert scene.ledger.chain.verify().broken_at is None
    record_property("signed", len(story.tally.signed))
    record_property("refused for a rate", story.tally.refused["rate-limited"])


def test_the_oracle_notices_one_too_many() -> None:
    never_more([0.0, 0.0, 10.0], 2, 0.1)
    with pytest.raises(AssertionError):
        never_more([0.0, 0.0, 9.0], 2, 0.1)
    tally = Tally([(NOW, MAIN, "key")] * 5)
    tally.check()
    tally.signed.append((NOW + 9.9, MAIN, "key"))
    with pytest.raises(AssertionError):
        tally.check()
