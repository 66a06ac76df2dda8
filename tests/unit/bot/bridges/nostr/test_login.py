"""Logins to public relays: few, and what came of them."""

import asyncio
import json

from bot.bridges.nostr.login import LOGINS, Logins

URL = "wss://relay.example"


def signed(number: int) -> str:
    return json.dumps({"id": f"{number:064x}"})


async def test_a_challenge_without_end_gets_few_signatures() -> None:
    """Attack: each is one of the bot's, and it could not speak any more."""
    asked, failed = [], list[tuple[str, str]]()

    async def sign(url: str, challenge: str) -> str:
        asked.append((url, challenge))
        return signed(len(asked))

    logins = Logins(sign, lambda url, why: failed.append((url, why)))
    answers = [await logins.sign(URL, str(number)) for number in range(100)]
    assert len(asked) == LOGINS
    assert [answer for answer in answers if answer] == [signed(n + 1) for n in range(LOGINS)]
    assert await logins.sign("wss://other.example", "x") is not None
    assert failed == []


async def test_what_is_not_signed_and_what_is_not_taken_is_told() -> None:
    failed: list[tuple[str, str]] = []
    answers = [None, signed(7)]

    async def sign(url: str, challenge: str) -> str | None:
        return answers.pop(0)

    logins = Logins(sign, lambda url, why: failed.append((url, why)))
    assert await logins.sign(URL, "a") is None
    assert failed[0][0] == URL
    assert "signer" in failed[0][1]
    assert await logins.sign(URL, "b") == signed(7)
    logins.refused(f"{8:064x}", "an OK false to another event")
    assert len(failed) == 1
    logins.refused(f"{7:064x}", "restricted: not on the list")
    logins.refused(f"{7:064x}", "restricted: not on the list")
    assert failed[1:] == [(URL, "restricted: not on the list")]


async def test_it_says_while_one_is_being_signed() -> None:
    may_go = asyncio.Event()

    async def sign(url: str, challenge: str) -> str:
        await may_go.wait()
        return signed(1)

    logins = Logins(sign, lambda url, why: None)
    signing = asyncio.create_task(logins.sign(URL, "a"))
    await asyncio.sleep(0)
    assert logins.is_under_way(URL)
    may_go.set()
    await signing
    assert not logins.is_under_way(URL)
