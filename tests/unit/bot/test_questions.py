"""bot/questions.py over a real relay: shown once, settled once, over restarts; a wish is a deed
only after the owner's yes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bot import questions
from bot.codes import CODE, code_of
from bot.questions import Questions
from nips.event import Event
from nips.own import question as records
from nips.own.deed import Bind, Deed, Rename
from nips.own.question import Question, State
from nips.refusal import Prefix, Refused, refused
from tests.unit.bot.requests.stage import House, a_house

GROUP = "00000000-0000-4000-8000-000000000002"
OTHER = "00000000-0000-4000-8000-000000000003"
JOB = "a" * 64
DEED = Rename(GROUP, "Friends")


class Hands:
    """What deeds are done with: notes each, and fails where it is told to."""

    def __init__(self) -> None:
        self.did: list[tuple[Deed, str]] = []
        self.fails = False
        self.dies = False

    async def do(self, deed: Deed, once: str) -> str:
        if self.dies:
            raise asyncio.CancelledError
        self.did.append((deed, once))
        if self.fails:
            raise refused(Prefix.INVALID, "it is gone")
        return "It is done."


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        await made.requests()  # main is there to be written to
        yield made


def a_questions(house: House, hands: Hands) -> Questions:
    def wording(question: Question) -> tuple[list[str], str]:
        return [f"deed {number}" for number, _ in enumerate(question.deeds)], "“Mine”"

    return Questions(house.author, house.key, house.roles, hands.do, wording)


async def shown(house: House) -> list[Event]:
    said = await house.said(house.roles.main)
    return [event for event in said if event.content.startswith("❓")]


async def test_a_question_is_shown_once_and_done_after_a_yes(house: House) -> None:
    hands = Hands()
    made = a_questions(house, hands)
    asked = await made.ask(GROUP, JOB, "one", [DEED])
    assert (await made.ask(GROUP, JOB, "two", [DEED])).code == asked.code  # the same wish
    (event,) = await shown(house)
    assert event.content == (
        "❓ The agent of “Mine” asks for this:\n• deed 0\n"
        f"/approve {asked.code} lets it, /deny {asked.code} does not. "
        "Silence for 60 minutes is a no."
    )
    assert [one.words for one in made.open()] == ["deed 0"]
    assert hands.did == []
    assert await made.settle(asked.code, yes=True, once="x") == "It is done."
    assert hands.did == [(DEED, f"question/{asked.code}/0")]
    assert made.open() == ()


async def test_it_is_used_once(house: House) -> None:
    hands = Hands()
    made = a_questions(house, hands)
    asked = await made.ask(GROUP, JOB, "one", [DEED])
    await made.settle(asked.code, yes=True, once="x")
    # The very command read again after a crash has its answer; another one has none.
    assert await made.settle(asked.code, yes=True, once="x") == "It is done."
    for yes in (True, False):
        with pytest.raises(Refused, match="said yes"):
            await made.settle(asked.code, yes=yes, once="y")
    with pytest.raises(Refused, match="said yes"):
        await made.ask(GROUP, JOB, "one", [DEED])
    assert len(hands.did) == 1


async def test_after_a_no_nothing_is_done(house: House) -> None:
    hands = Hands()
    made = a_questions(house, hands)
    asked = await made.ask(GROUP, JOB, "one", [DEED])
    assert await made.settle(asked.code, yes=False, once="x") == "Denied. Nothing was changed."
    again = a_questions(house, hands)
    await again.start()
    for one in (made, again):
        with pytest.raises(Refused, match="said no"):
            await one.settle(asked.code, yes=True, once="y")
    assert hands.did == []


async def test_silence_for_an_hour_is_a_no(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    hands = Hands()
    made = a_questions(house, hands)
    asked = await made.ask(GROUP, JOB, "one", [DEED])
    now_s = house.author.now_s()
    monkeypatch.setattr(house.author, "now_s", lambda: now_s + records.OPEN_S - 5)
    assert len(made.open()) == 1
    monkeypatch.setattr(house.author, "now_s", lambda: now_s + records.OPEN_S + 1)
    assert made.open() == ()
    with pytest.raises(Refused, match="older than an hour"):
        await made.settle(asked.code, yes=True, once="x")
    assert hands.did == []


async def test_a_code_that_is_none(house: House) -> None:
    made = a_questions(house, Hands())
    for code in ("gggggg", "", "../../x", "a" * 400):
        with pytest.raises(Refused, match="no question has the code"):
            await made.settle(code, yes=True, once="x")


async def test_it_survives_a_restart_open_and_half_done(house: House) -> None:
    hands = Hands()
    made = a_questions(house, hands)
    open_one = await made.ask(GROUP, JOB, "open", [DEED])
    half = await made.ask(GROUP, JOB, "half", [Bind(GROUP, "nostr:" + "b" * 64), DEED])
    hands.dies = True  # a kill between the yes and its deeds
    with pytest.raises(asyncio.CancelledError):
        await made.settle(half.code, yes=True, once="x")
    hands.dies = False
    again = a_questions(house, hands)
    await again.start()
    assert [once for _, once in hands.did] == [f"question/{half.code}/{n}" for n in (0, 1)]
    assert [one.code for one in again.open()] == [open_one.code]
    assert len(await shown(house)) == 2
    assert await again.settle(half.code, yes=True, once="x") == "It is done. It is done."
    assert await again.settle(open_one.code, yes=True, once="y") == "It is done."
    assert len(hands.did) == 3
    third = a_questions(house, hands)
    await third.start()
    assert len(hands.did) == 3


async def test_a_deed_that_fails_is_said_and_ends_it(house: House) -> None:
    hands = Hands()
    hands.fails = True
    made = a_questions(house, hands)
    asked = await made.ask(GROUP, JOB, "one", [DEED, DEED])
    for _ in range(2):
        with pytest.raises(Refused, match="That did not work: it is gone"):
            await made.settle(asked.code, yes=True, once="x")
    assert len(hands.did) == 1, "the first that fails is the last"


async def test_an_agent_that_asks_a_hundred_things(house: House) -> None:
    made = a_questions(house, Hands())
    for number in range(questions.MAX_OPEN_OF_A_GROUP):
        await made.ask(GROUP, JOB, str(number), [Rename(GROUP, f"N{number}")])
    for number in range(questions.MAX_OPEN_OF_A_GROUP, 100):
        with pytest.raises(Refused) as error:
            await made.ask(GROUP, JOB, str(number), [Rename(GROUP, f"N{number}")])
        assert error.value.refusal.prefix is Prefix.RATE_LIMITED
    assert len(await shown(house)) == questions.MAX_OPEN_OF_A_GROUP == 5
    await made.ask(OTHER, JOB, "other", [Rename(OTHER, "x")])  # another group still may


async def test_a_code_is_of_letters_and_cannot_be_told_beforehand(house: House) -> None:
    made = a_questions(house, Hands())
    asked = await made.ask(GROUP, JOB, "one", [DEED])
    assert CODE.fullmatch(asked.code)
    # All that an agent knows of it.
    known = (GROUP, JOB, "one", house.roles.router, house.roles.main)
    guesses = {code_of("question", *parts) for parts in ((), known[1:3], known, known[:3])}
    assert asked.code not in guesses
    assert (await made.ask(GROUP, "c" * 64, "one", [Rename(GROUP, "x")])).code != asked.code


async def test_a_code_that_is_taken_is_not_given_twice(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def few(*parts: str, attempt: int = 0) -> str:
        return f"gggg{'gh'[attempt > 0]}{'ghijk'[attempt]}"

    monkeypatch.setattr(questions, "code_of", few)
    made = a_questions(house, Hands())
    one = await made.ask(GROUP, JOB, "one", [DEED])
    two = await made.ask(GROUP, JOB, "two", [Rename(GROUP, "x")])
    assert one.code != two.code


async def test_the_records_are_read_back(house: House) -> None:
    made = a_questions(house, Hands())
    asked = await made.ask(GROUP, JOB, "one", [DEED])
    (event,) = await house.records("question/")
    assert records.parse(event, house.roles.router) == asked
    assert event.tag("t") == "question"
    await made.settle(asked.code, yes=True, once="x")
    (event,) = await house.records("question/")
    done = replace(asked, state=State.DONE, settled_by="x", outcome="It is done.")
    assert records.parse(event, house.roles.router) == done
    assert event.tag("t") is None
