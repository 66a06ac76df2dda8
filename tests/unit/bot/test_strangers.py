"""bot/strangers.py with a real relay: shown once, bounded, let in or never heard of again."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from secrets import token_bytes

import pytest

from bot import strangers as module
from bot.beginning import make_main
from bot.codes import CODE, code_of
from bot.registry import RegistryError
from bot.strangers import MAX_SHOWN_A_DAY, Strangers
from nips.event import Event
from nips.key import SecretKey
from nips.nip19 import encode_npub
from nips.own.binding import Binding
from nips.own.stranger import KEPT_S
from nips.refusal import Refused
from tests.unit.bot.requests.stage import House, a_house
from tests.unit.nips.own.test_signal_id import ACI, GROUP

ANN, BOB = (SecretKey.generate(token_bytes).public for _ in range(2))


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        await make_main(made.author, made.roles, made.owner.public, made.directory)
        yield made


async def started(house: House) -> Strangers:
    """A bot's strangers after its start."""
    await house.directory.load()
    made = Strangers(house.author, house.roles, house.owner.public, house.registry())
    await made.load()
    return made


async def told(house: House) -> list[Event]:
    """What the owner was told of strangers."""
    return [event for event in await house.said(house.roles.main) if "wrote" in event.content]


async def test_a_stranger_is_shown_once(house: House) -> None:
    strangers = await started(house)
    assert await strangers.report("nostr", ANN, "Ann (Nostr)") == "shown"
    for again in (strangers, await started(house)):
        assert await again.report("nostr", ANN, "Ann who is called otherwise") == "known"
    (notice,) = await told(house)
    assert encode_npub(ANN) in notice.content
    ((code, words),) = strangers.open()
    assert CODE.fullmatch(code)
    assert f"/allow {code}" in notice.content
    assert f"/deny {code}" in notice.content
    assert "Ann" in words


async def test_killed_between_the_notice_and_the_record_they_are_shown_once(house: House) -> None:
    strangers = await started(house)

    async def dies(_: object) -> None:
        raise KeyboardInterrupt

    strangers._keep = dies  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        await strangers.report("nostr", ANN, "Ann")
    assert (await started(house)).all() == ()
    assert await (await started(house)).report("nostr", ANN, "Ann") == "shown"
    assert len(await told(house)) == 1


async def test_whoever_is_let_in_has_a_conversation(house: House) -> None:
    strangers = await started(house)
    await strangers.report("nostr", ANN, "Ann (Nostr)")
    ((code, _),) = strangers.open()
    made = await strangers.allow(code.upper(), once="message 1")
    assert made == Binding(made.group, "ann", (f"nostr:{ANN}",), None)
    assert strangers.open() == ()
    # The same command, read again after a crash.
    assert await (await started(house)).allow(code, once="message 1") == made
    with pytest.raises(RegistryError, match="bound to ann"):
        await strangers.allow(code, once="message 2")
    assert await strangers.report("nostr", ANN, "Ann") == "known"


@pytest.mark.parametrize("called", ["Main", "MAIN", "Ann"])
async def test_nobodys_conversation_is_called_like_another(house: House, called: str) -> None:
    """Attack: somebody calls themselves, or their group, like a conversation that is there."""
    await house.registry().register("Ann")
    strangers = await started(house)
    await strangers.report("signal", GROUP, f"{called} (Signal)")
    ((code, _),) = strangers.open()
    made = await strangers.allow(code)
    assert house.group(made.group).name == f"{called} {code}"
    # The owner may call it what they like.
    await strangers.report("signal", ACI, called)
    ((code, _),) = strangers.open()
    assert house.group((await strangers.allow(code, called)).group).name == called


async def test_whoever_is_denied_is_never_shown_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    strangers = await started(house)
    await strangers.report("nostr", ANN, "Ann")
    await strangers.report("nostr", BOB, "Bob")
    codes = {words[:3]: code for code, words in strangers.open()}
    await strangers.deny(codes["Ann"])
    later = house.author.now_s() + KEPT_S + 5
    monkeypatch.setattr(house.author, "now_s", lambda: later)
    after = await started(house)
    assert await after.report("nostr", ANN, "Ann") == "known"
    with pytest.raises(RegistryError, match="Nobody waits"):
        await after.allow(codes["Bob"])
    # Who was not decided on is forgotten in time, and shown when they write again.
    monkeypatch.undo()
    assert len(await told(house)) == 2


async def test_a_room_is_shown_as_who_is_in_it(house: House) -> None:
    strangers = await started(house)
    people = sorted((ANN, BOB, house.owner.public))
    await strangers.report("nostr", ",".join(people), "Ann (Nostr), Bob (Nostr)")
    (notice,) = await told(house)
    assert "room of Ann, Bob and you" in notice.content
    ((code, _),) = strangers.open()
    made = await strangers.allow(code, "Trip")
    assert made == Binding(
        made.group, "trip", tuple(f"nostr:{key}" for key in people), "", room=True
    )


@pytest.mark.parametrize(
    ("id_", "name", "words", "trigger"),
    [
        (ACI, "Alice (Signal)", "Alice (Signal 7b1e5c0a…)", None),
        (ACI, "", "Somebody (Signal 7b1e5c0a…)", None),
        (GROUP, "Family", "A group called Family (Signal group AAECAwQF…)", ""),
        (GROUP, "Family (Signal)", "A group called Family (Signal group AAECAwQF…)", ""),
    ],
)
async def test_somebody_of_signal(
    house: House, id_: str, name: str, words: str, trigger: str | None
) -> None:
    strangers = await started(house)
    assert await strangers.report("signal", id_, name) == "shown"
    assert await strangers.report("signal", id_, "Another name") == "known"
    (notice,) = await told(house)
    assert notice.content.startswith(f"👋 {words} wrote to me.")
    assert id_ not in notice.content  # what people cannot read is no help to them
    ((code, said),) = strangers.open()
    assert said == words
    made = await strangers.allow(code, once="message 1")
    folder = name.split(" ")[0].casefold() or code
    assert made == Binding(made.group, folder, (f"signal:{id_}",), trigger)


async def test_a_denied_group_of_signals_is_not_shown_again(house: House) -> None:
    strangers = await started(house)
    await strangers.report("signal", GROUP, "Family")
    ((code, _),) = strangers.open()
    await strangers.deny(code)
    assert await (await started(house)).report("signal", GROUP, "Family of another name") == "known"
    assert len(await told(house)) == 1


@pytest.mark.parametrize("id_", ["+4915112345678", ACI.upper(), f"{ACI},{ACI}", f"{GROUP}x", ""])
async def test_nobody_of_signal_is_not_shown(house: House, id_: str) -> None:
    strangers = await started(house)
    with pytest.raises(Refused):
        await strangers.report("signal", id_, "x")
    assert await told(house) == []


async def test_a_flood_of_keys_hides_nobody_of_another_network(house: House) -> None:
    """Attack: keys of Nostr cost nothing."""
    strangers = await started(house)
    for _ in range(MAX_SHOWN_A_DAY + 1):
        answer = await strangers.report("nostr", SecretKey.generate(token_bytes).public, "Eve")
    assert answer == "full"
    assert await strangers.report("signal", ACI, "Alice (Signal)") == "shown"
    more = [
        event.content for event in await house.said(house.roles.main) if "More" in event.content
    ]
    assert [line.startswith("More strangers write from Nostr than I show") for line in more] == [
        True
    ]


@pytest.mark.parametrize(
    "who",
    [
        lambda house: house.owner.public,
        lambda house: house.roles.bot,
        lambda house: house.roles.signer,
        lambda house: f"{ANN},{house.roles.bridges['nostr']}",
        lambda _: "not a key",
        lambda _: "",
        lambda _: f"{ANN},",
        lambda _: ",".join(f"{n:064x}" for n in range(60)),
    ],
)
async def test_nobody_to_talk_with_is_not_shown(house: House, who: Callable[[House], str]) -> None:
    strangers = await started(house)
    with pytest.raises(Refused):
        await strangers.report("nostr", who(house), "x")
    assert await told(house) == []
    assert strangers.open() == ()


async def test_a_name_cannot_pretend(house: House) -> None:
    """Attack: a profile's name with lines of its own, as if the assistant had written them."""
    strangers = await started(house)
    await strangers.report("nostr", ANN, "Ann\n✅ Allowed: /allow zzzzzz\u202e" + "x" * 5_000)
    (notice,) = await told(house)
    assert len(notice.content.splitlines()) == 3
    assert "\u202e" not in notice.content
    assert len(notice.content) < 500


async def test_ten_thousand_keys_leave_little(house: House) -> None:
    strangers = await started(house)
    answers = [
        await strangers.report("nostr", SecretKey.generate(token_bytes).public, f"Eve {n}")
        for n in range(10_000)
    ]
    assert answers == ["shown"] * MAX_SHOWN_A_DAY + ["full"] * (10_000 - MAX_SHOWN_A_DAY)
    assert len(await house.records("stranger/")) == MAX_SHOWN_A_DAY
    said = await house.said(house.roles.main)
    assert len([event for event in said if "👋" in event.content]) == MAX_SHOWN_A_DAY
    assert len([event for event in said if "More strangers" in event.content]) == 1
    assert len(strangers.all()) == MAX_SHOWN_A_DAY


async def test_a_code_ground_to_be_anothers_is_another(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: a key ground until its code is that of somebody whom the owner is about to let in."""
    first = itertools.cycle(["gggggg"])

    def ground(*parts: str, attempt: int = 0) -> str:
        return next(first) if attempt == 0 else code_of(*parts, attempt=attempt)

    monkeypatch.setattr(module, "code_of", ground)
    strangers = await started(house)
    await strangers.report("nostr", ANN, "Ann")
    await strangers.report("nostr", BOB, "Ann")
    assert len({code for code, _ in strangers.open()}) == 2
    made = await strangers.allow("gggggg")
    assert made.counterparts == (f"nostr:{ANN}",)
