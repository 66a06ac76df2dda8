"""signer/turn_costs.py: a job's cost is told once, to the owner, by nobody but the router."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nips import nip44
from nips.event import Event
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import cost
from nips.own.cost import Cost, Counts
from nips.own.grant import Rule
from nips.own.once import once_key
from signer import costs
from signer.ceiling import Ceiling
from signer.work import Reply
from tests.unit.signer.asking import Asking
from tests.unit.signer.desks import refusal
from tests.unit.signer.house import JOB, MAIN, NOW, House

TURN = Counts(15, 2, 4, 0, 63)
COST = Cost(JOB, MAIN, f"{MAIN}/{NOW - 9}", 3, "m", TURN, TURN, NOW, stop_reason="end_turn")


class Billing(Asking):
    """A scene in which the router tells what jobs have cost."""

    def tells(self, given: Cost = COST, request_id: str = "", by: SecretKey | None = None) -> Reply:
        params = (given.job, given.to_json())
        return self.reply(by or self.house.router, "cost", *params, request_id=request_id)

    def told(self) -> list[Event]:  # type: ignore[override]
        return self.kept(Kind.COST)


@pytest.fixture
def scene(house: House, tmp_path: Path) -> Iterator[Billing]:
    scene = Billing(house, tmp_path)
    scene.begin()
    yield scene
    scene.ledger.close()


def test_the_owner_alone_reads_it(scene: Billing) -> None:
    reply = scene.tells()
    event = reply.publish
    assert event is not None
    event.verify()
    assert reply.response.result == event.id
    house = scene.house
    assert (event.pubkey, event.kind, event.created_at) == (house.bot.public, 44_200, NOW)
    assert event.tags[:2] == (("p", house.owner.public), ("agent", house.bot.public))
    assert {tag[0] for tag in event.tags} == {"p", "agent", "alt"}
    key = nip44.conversation_key(house.owner, house.bot.public)
    assert cost.parse(nip44.decrypt(event.content, key)) == COST
    assert event in scene.ledger.unpublished()
    [*_, (_, row)] = scene.ledger.chain.entries()
    assert (row.client, row.method, row.event_id) == (house.router.public, "cost", event.id)


def test_a_job_is_told_of_once(scene: Billing) -> None:
    first = scene.tells(request_id="a")
    assert scene.tells(request_id="a") == first
    assert scene.tells(request_id="b").response.result == first.response.result
    scene.reopen()
    other = replace(COST, turn=replace(TURN, microusd=1))  # a router that counts anew
    assert scene.tells(other, request_id="c").publish == first.publish
    assert len(scene.told()) == 1
    assert scene.tells(replace(COST, job="cd" * 32)).publish != first.publish
    assert len(scene.told()) == 2


@pytest.mark.parametrize("name", ["session", "bridge", "login", "owner", "bot", "stranger"])
def test_nobody_but_the_router_tells(scene: Billing, name: str) -> None:
    """Attack: an agent that tells its owner that it was cheap."""
    reply = scene.tells(by=getattr(scene.house, name))
    assert refusal(reply.response).startswith("restricted: only the router")
    assert (reply.publish, scene.told()) == (None, [])


def test_no_agent_has_it_signed(scene: Billing) -> None:
    scene.configure(ceiling=replace(scene.house.ceiling, groups={MAIN: frozenset({1, 44_200})}))
    grant = scene.house.session_grant(Rule(44_200), now=NOW + 1, hard_expires_at=NOW + 600)
    scene.grant(grant, at=NOW + 1)
    scene.passes(2)
    reply = scene.sign(scene.house.template(44_200, ("p", scene.house.owner.public)))
    assert "never signed for a session" in refusal(reply.response)


def test_an_agents_once_key_does_not_hide_its_cost(scene: Billing) -> None:
    """Attack: an agent speaks under what would be the cost's once-key, and the cost is dropped as
    its duplicate."""
    tags = (("h", MAIN), ("job", JOB), ("o", once_key("cost", JOB)))
    taken = scene.sign(scene.house.template(9, *tags))
    assert taken.publish is not None
    event = scene.tells().publish
    assert event is not None
    assert event.kind == Kind.COST
    assert event.values("o") == []


@pytest.mark.parametrize(
    "params",
    [
        (), (JOB,), (JOB, "", ""), (JOB, ""), (JOB, "{}"), ("cd" * 32, COST.to_json()),
        (JOB, COST.to_json().replace('"outputTokens":2', '"outputTokens":-2')),
        (JOB, COST.to_json().replace('"harness"', '"note":"hi","harness"')),
    ],
)  # fmt: skip
def test_what_is_no_cost(scene: Billing, params: tuple[str, ...]) -> None:
    reply = scene.reply(scene.house.router, "cost", *params)
    assert refusal(reply.response).startswith("invalid: ")
    assert scene.told() == []


@pytest.mark.parametrize(
    ("ended_at", "fits"), [(NOW + 60, True), (NOW + 61, False), (NOW - 30 * 86_400, True),
                           (NOW - 30 * 86_400 - 1, False)]
)  # fmt: skip
def test_its_time(scene: Billing, ended_at: int, fits: bool) -> None:
    assert (scene.tells(replace(COST, ended_at=ended_at)).publish is not None) is fits


def test_without_an_owner_it_waits(scene: Billing) -> None:
    scene.configure(named=False)
    assert refusal(scene.tells(request_id="a").response).startswith("restricted: no owner")
    scene.configure(named=True)
    assert scene.tells(request_id="b").publish is not None


def test_a_flood_of_costs_ends(scene: Billing) -> None:
    """Attack: a router that was taken over uses up all that may be signed in a day."""
    jobs = (f"{n:064x}" for n in range(200))
    told = [scene.tells(replace(COST, job=job)).response for job in jobs]
    refused = [one for one in told if one.error is not None]
    assert len(told) - len(refused) == costs.COSTS_AT_ONCE
    assert all(str(one.error).startswith("rate-limited: ") for one in refused)
    scene.passes(10)
    assert scene.tells(replace(COST, job="ee" * 32)).publish is not None


def test_every_cap_holds_for_it() -> None:
    ceiling = Ceiling()
    names = [one.name for one in costs.of_cost(ceiling)]
    assert names == ["costs", "costs/day", "all", "all/day"]
