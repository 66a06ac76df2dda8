"""Bad input from outside: each ends in a clear log line, nothing is lost, nobody is impersonated.

The wraps are made by hand with nostr-sdk's primitives, since its own builder refuses to lie.
"""

from __future__ import annotations

import json
import time

import nostr_sdk as sdk
import pytest

from bot.operate.person import person
from tests.e2e.conftest import Scene

STRANGER = sdk.Keys.generate()


def rumor(author: sdk.Keys, bot: str, text: str, **changes: object) -> str:
    """A kind 14 as JSON, with any field replaced, its id made for the honest fields."""
    fields = {"kind": 14, "content": text, "tags": [["p", bot]], "created_at": int(time.time())}
    fields |= {"pubkey": author.public_key().to_hex()}
    honest = sdk.UnsignedEvent.from_json(json.dumps(fields)).ensure_id()
    return json.dumps(json.loads(honest.as_json()) | changes)


async def seal(author: sdk.Keys, bot: str, plaintext: str, kind: int = 13) -> sdk.Event:
    """The plaintext encrypted to the bot and signed by the author."""
    content = await author.nip44_encrypt_async(sdk.PublicKey.parse(bot), plaintext)
    return await sdk.EventBuilder(sdk.Kind(kind), content).finalize_async(author)


async def wrap(bot: str, plaintext: str, to: str | None = None) -> sdk.Event:
    """The plaintext encrypted to the bot by an ephemeral key, addressed to `to`."""
    ephemeral = sdk.Keys.generate()
    content = await ephemeral.nip44_encrypt_async(sdk.PublicKey.parse(bot), plaintext)
    tags = [sdk.Tag.parse(["p", to or bot])]
    return await sdk.EventBuilder(sdk.Kind(1059), content).tags(tags).finalize_async(ephemeral)


async def forged(scene: Scene, attack: str) -> sdk.Event:
    """The wrap of one attack."""
    bot = scene.house.roles.bot
    owner = sdk.PublicKey.parse(scene.owner.public_key).to_hex()
    honest = rumor(STRANGER, bot, "/say forged")
    match attack:
        case "a rumor in the owner's name in a stranger's seal":
            inner = rumor(STRANGER, bot, "/say forged", pubkey=owner)
            return await wrap(bot, (await seal(STRANGER, bot, inner)).as_json())
        case "a seal in the owner's name with a stranger's signature":
            lie = json.loads((await seal(STRANGER, bot, honest)).as_json()) | {"pubkey": owner}
            return await wrap(bot, json.dumps(lie))
        case "a rumor whose id is another's":
            inner = rumor(STRANGER, bot, "/say forged", id="ab" * 32)
            return await wrap(bot, (await seal(STRANGER, bot, inner)).as_json())
        case "a seal of another kind":
            return await wrap(bot, (await seal(STRANGER, bot, honest, kind=1)).as_json())
        case "a wrap that nobody can open":
            good = await wrap(bot, (await seal(STRANGER, bot, honest)).as_json())
            tags, key = [sdk.Tag.parse(["p", bot])], sdk.Keys.generate()
            body = good.content()[:-8] + "AAAAAAA="
            return await sdk.EventBuilder(sdk.Kind(1059), body).tags(tags).finalize_async(key)
        case _:
            return await wrap(bot, "x" * 30_000)


@pytest.mark.parametrize(
    "attack",
    [
        "a rumor in the owner's name in a stranger's seal",
        "a seal in the owner's name with a stranger's signature",
        "a rumor whose id is another's",
        "a seal of another kind",
        "a wrap that nobody can open",
        "a wrap full of nothing",
    ],
)
async def test_a_forged_wrap_reaches_no_agent(scene: Scene, attack: str) -> None:
    event = await forged(scene, attack)
    await scene.owner.send(event)
    # What comes after it is answered, so the forged one has been dealt with by then.
    assert await scene.ask(f"/say after {attack}") == f"after {attack}"
    assert scene.owner.unheard() == 0
    assert event.id().to_hex() in scene.house.log("bot"), "it left no line in the log"


async def test_a_stranger_is_shown_to_the_owner_and_never_answered(scene: Scene) -> None:
    async with person(scene.house.public_relays) as stranger:
        await stranger.say(scene.house.roles.bot, "/say to a stranger")
        shown = (await scene.owner.hear()).text
        assert "/allow" in shown
        assert "to a stranger" not in shown
        assert await scene.ask("/say to the owner") == "to the owner"
        assert await stranger.stored_wraps() == 0
        assert "to a stranger" not in scene.house.log("bot")


async def test_one_wrap_on_both_relays_and_again_is_one_message(scene: Scene) -> None:
    event = await scene.owner.wrap(scene.house.roles.bot, "/say once")
    for _ in range(3):
        await scene.owner.send(event)
    assert (await scene.owner.hear()).text == "once"
    assert await scene.ask("/say and after") == "and after"


async def test_a_message_of_40000_characters_is_answered(scene: Scene) -> None:
    assert "40" in await scene.ask("x" * 40_000)


async def test_an_empty_message_is_answered_in_words(scene: Scene) -> None:
    assert "no text" in await scene.ask("")


async def test_an_unknown_kind_inside_is_kept_and_logged(scene: Scene) -> None:
    bot = scene.house.roles.bot
    # The owner's own key, so that it passes every other check.
    event = await scene.owner.wrap_rumor(bot, kind=1111, text="/say unknown")
    await scene.owner.send(event)
    assert await scene.ask("/say known") == "known"
    assert event.id().to_hex() in scene.house.log("bot")


async def test_a_long_answer_arrives_whole(scene: Scene) -> None:
    """Parts that any client can decrypt; together they are the answer."""
    text = "\n\n".join(f"{n} " + "word " * 400 for n in range(18)).strip()
    await scene.owner.say(scene.house.roles.bot, f"/say {text}")
    whole = ""
    while len("".join(whole.split())) < len("".join(text.split())):
        whole += (await scene.owner.hear()).text + "\n\n"
    assert whole.split() == text.split()
