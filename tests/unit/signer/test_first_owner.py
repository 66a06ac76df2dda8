"""signer/first_owner.py: who becomes the owner, through the requests that lead there."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from nips.event import Event
from nips.key import SecretKey
from signer import pairing
from signer.keystore import write_whole
from signer.work import Settled
from tests.unit.signer.desks import Scene, refusal
from tests.unit.signer.house import NOW, House, text


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """An installation whose owner nobody has named."""
    scene = Scene(House(named=False), tmp_path)
    scene.grant(scene.house.bridge_grant())
    yield scene
    scene.ledger.close()


def offer(scene: Scene) -> str:
    code, made = pairing.make(secrets.token_bytes, scene.wall_s)
    write_whole(scene.folder / "pairing.json", orjson.dumps(made.to_json()).decode(), mode=0o600)
    return code


def wrong(code: str, n: int = 0) -> str:
    others = [letter for letter in pairing.ALPHABET if letter != code[-1]]
    return code[:-1] + others[n]


def tell(
    scene: Scene, words: str, author: SecretKey | None = None, kind: int = 14, at: int = NOW
) -> tuple[bool, Event | None]:
    """Send a message to the bot; whether it paired, and what is to be published."""
    return open_gift(scene, scene.house.gift(words, author, kind, at))


def open_gift(scene: Scene, wrap: Event) -> tuple[bool, Event | None]:
    reply = scene.reply(scene.house.bridge, "unwrap", text(wrap))
    assert reply.response.error is None, reply.response.error
    opened = orjson.loads(reply.response.result or "")
    return opened.get("paired", False), reply.publish


def test_the_codes_sender_is_the_owner(scene: Scene) -> None:
    code = offer(scene)
    paired, announced = tell(scene, f"here is my code: {code}")
    assert paired
    assert announced is not None
    announced.verify()
    assert announced.pubkey == scene.house.signer.public
    assert announced.kind == 30_078
    assert announced.tags[:2] == (("d", "owner"), ("p", scene.house.owner.public))
    assert code not in str(announced.to_json())


def test_the_announcement_goes_out_even_if_the_process_dies_first(scene: Scene) -> None:
    _, announced = tell(scene, offer(scene))
    assert announced is not None
    scene.reopen()
    assert scene.desk.unpublished() == [announced]
    scene.desk.take([Settled(announced.id)])
    assert scene.desk.unpublished() == []


def test_opened_again_the_pairing_message_still_says_so(scene: Scene) -> None:
    wrap = scene.house.gift(offer(scene))
    assert open_gift(scene, wrap)[0]
    scene.reopen()
    assert open_gift(scene, wrap) == (True, None)


def test_a_second_claim_changes_nothing(scene: Scene) -> None:
    # Attack: somebody who saw the code on the screen sends it too.
    code = offer(scene)
    tell(scene, code)
    assert tell(scene, code, scene.house.stranger) == (False, None)
    assert scene.ledger.get("owner") == scene.house.owner.public
    # Nor with a new code: the owner is named once.
    assert tell(scene, offer(scene), scene.house.stranger) == (False, None)
    assert scene.ledger.get("owner") == scene.house.owner.public


def test_where_roles_toml_names_the_owner_no_code_counts(scene: Scene) -> None:
    code = offer(scene)
    scene.configure(named=True)
    assert tell(scene, code, scene.house.stranger) == (False, None)
    assert scene.ledger.get("owner") is None


def test_a_wrong_code_names_nobody(scene: Scene) -> None:
    code = offer(scene)
    assert tell(scene, wrong(code)) == (False, None)
    assert scene.ledger.get("owner") is None
    assert tell(scene, code)[0]


def test_the_sixth_try_is_dead_even_if_right(scene: Scene) -> None:
    code = offer(scene)
    for n in range(5):
        assert tell(scene, wrong(code, n), scene.house.stranger) == (False, None)
        scene.reopen()  # a restart gives no tries back
    assert tell(scene, code) == (False, None)
    assert scene.ledger.get("owner") is None
    # A new code from this machine's command line has tries of its own.
    assert tell(scene, offer(scene))[0]


def test_the_fifth_try_still_counts(scene: Scene) -> None:
    code = offer(scene)
    for n in range(4):
        tell(scene, wrong(code, n))
    assert tell(scene, code)[0]


def test_one_message_opened_again_is_one_try(scene: Scene) -> None:
    code = offer(scene)
    wrap = scene.house.gift(wrong(code), scene.house.stranger)
    for _ in range(6):  # five relays deliver it, and one request is repeated
        open_gift(scene, wrap)
    assert tell(scene, code)[0]


def test_talk_costs_no_try(scene: Scene) -> None:
    code = offer(scene)
    for n in range(6):
        assert tell(scene, f"hello, what is this? {n}", scene.house.stranger) == (False, None)
    assert tell(scene, code)[0]


def test_an_expired_code_is_dead(scene: Scene) -> None:
    code = offer(scene)
    scene.passes(pairing.LIFE_S)
    assert tell(scene, code) == (False, None)


@pytest.mark.parametrize("kind", [1, 7, 15])
def test_only_a_direct_message_counts(scene: Scene, kind: int) -> None:
    assert tell(scene, offer(scene), kind=kind) == (False, None)


def test_without_a_code_nobody_is_named(scene: Scene) -> None:
    assert tell(scene, "K7QM-4XWP") == (False, None)
    (scene.folder / "pairing.json").write_text("{")
    assert tell(scene, "K7QM-4XWP") == (False, None)


def test_only_a_bridge_brings_messages_in(scene: Scene) -> None:
    # Attack: whoever can write a 24133 has the code judged over and over.
    wrap = scene.house.gift(offer(scene), scene.house.stranger)
    answer = scene.ask(scene.house.stranger, "unwrap", text(wrap))
    assert "no grant" in refusal(answer)
    assert scene.ledger.get("owner") is None


def test_nothing_is_said_before_and_everything_after(scene: Scene) -> None:
    scene.grant(scene.house.session_grant())
    assert "owner" in refusal(scene.sign(scene.house.template()).response)
    tell(scene, offer(scene))
    assert scene.sign(scene.house.template()).response.error is None
