"""signer/desk.py: what is kept before it leaves, and every attack on that."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from structlog.testing import capture_logs

from nips import nip44, nip46, nip59
from nips.event import Event, Template
from nips.own.grant import Rate, Rule
from nips.own.once import once_key
from signer.books import MAX_AUDITED_REFUSALS
from signer.ceiling import Caps
from signer.grants import Held
from signer.work import Arrived, Asked, Place, Reply, Settled, Work
from tests.figures import dice, figure
from tests.unit.signer import forgeries
from tests.unit.signer.desks import Scene, refusal, signed
from tests.unit.signer.house import JOB, MAIN, NOW, OTHER, House, templates_json, text

RULE = Rule(9, required=(("h", MAIN), ("job", JOB)))


@pytest.fixture
def scene(house: House, tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(house, tmp_path)
    yield scene
    scene.ledger.close()


def rows(scene: Scene, table: str) -> int:
    with sqlite3.connect(scene.folder / "ledger.sqlite") as db:
        return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


# Who gets a signature


def test_a_session_gets_its_event_signed_and_it_is_to_be_published(scene: Scene) -> None:
    scene.grant(scene.house.session_grant())
    reply = scene.sign(scene.house.template())
    event = signed(reply.response)
    assert event.template == scene.house.template()
    assert reply.publish == event
    assert scene.desk.unpublished() == [event]
    scene.desk.take([Settled(event.id)])
    assert scene.desk.unpublished() == []


def test_ping_and_the_public_key(scene: Scene) -> None:
    scene.grant(scene.house.session_grant())
    assert scene.ask(scene.house.session, "ping").result == "pong"
    assert scene.ask(scene.house.session, "get_public_key").result == scene.house.bot.public
    assert "no grant" in refusal(scene.ask(scene.house.stranger, "ping"))


def test_parts_may_ask_whether_it_serves_without_a_grant_and_nothing_else(scene: Scene) -> None:
    for part in (scene.house.router, scene.house.bridge):
        assert scene.ask(part, "ping").result == "pong"
        assert "no grant" in refusal(scene.ask(part, "get_public_key"))
    for other in (scene.house.signal, scene.house.stranger):
        assert "no grant" in refusal(scene.ask(other, "ping"))
    assert rows(scene, "answers") == 0


def test_who_is_told_that_it_serves(scene: Scene) -> None:
    parts = {scene.house.router.public, scene.house.bridge.public}
    session = scene.house.session.public
    assert set(scene.desk.clients()) == parts
    scene.grant(scene.house.session_grant())
    scene.grant(scene.house.bridge_grant())
    assert sorted(scene.desk.clients()) == sorted({*parts, session})
    scene.reopen()
    assert session in scene.desk.clients(), "whoever waited for a signer that was killed"
    scene.grant(scene.house.session_grant(revoked=True))
    assert set(scene.desk.clients()) == parts


def test_who_is_over_is_not_told(scene: Scene) -> None:
    grant = scene.house.session_grant()
    scene.grant(grant)
    passed_s = grant.hard_expires_at - NOW
    scene.wall_s, scene.monotonic_s = scene.wall_s + passed_s, scene.monotonic_s + passed_s
    scene.desk.take([])
    assert grant.client not in scene.desk.clients()


def test_without_a_grant_nothing_is_signed(scene: Scene) -> None:
    assert refusal(scene.sign(scene.house.template()).response) == (
        "restricted: this key has no grant; connect with the secret of a bunker:// address first"
    )
    assert rows(scene, "signed") == rows(scene, "audit") == 0


def test_a_grant_by_another_key_is_none(scene: Scene) -> None:
    # Attack: whoever can write on the relay writes itself a grant.
    for forger in (scene.house.session, scene.house.bridge, scene.house.owner, scene.house.bot):
        scene.grant(scene.house.session_grant(), by=forger)
        assert "no grant" in refusal(scene.sign(scene.house.template()).response)


def test_a_grant_shelved_under_another_key_is_none(scene: Scene) -> None:
    real = scene.house.granted(scene.house.session_grant())
    moved = replace(
        real,
        tags=(("d", f"grant/{scene.house.stranger.public}"), ("p", scene.house.stranger.public)),
    )
    moved = moved.template.sign(scene.house.router, bytes(32))
    scene.desk.take([Arrived(moved, 1)])
    template = templates_json(scene.house.template())
    assert "no grant" in refusal(scene.ask(scene.house.stranger, "sign_event", template))


@pytest.mark.parametrize("method", ["unwrap", "seal"])
def test_a_session_with_a_bridges_method_gets_nothing(scene: Scene, method: str) -> None:
    scene.grant(scene.house.session_grant(methods=("sign_event", "unwrap", "seal")))
    params = {
        "unwrap": (text(scene.house.gift("hello")),),
        "seal": (scene.house.owner.public, text(scene.house.template(14))),
    }[method]
    assert "only a bridge" in refusal(scene.ask(scene.house.session, method, *params))


@pytest.mark.parametrize("method", ["unwrap", "seal", "sign_event"])
def test_a_bridge_needs_the_method_in_its_grant(scene: Scene, method: str) -> None:
    others = tuple(m for m in ("unwrap", "seal", "sign_event") if m != method)
    scene.grant(scene.house.bridge_grant(methods=others))
    params = {
        "unwrap": (text(scene.house.gift("hello")),),
        "seal": (scene.house.owner.public, text(scene.house.template(14))),
        "sign_event": (
            templates_json(
                scene.house.template(
                    22_242, ("relay", "wss://a.example"), ("challenge", "c"), content=""
                )
            ),
        ),
    }[method]
    assert refusal(scene.ask(scene.house.bridge, method, *params)).startswith("restricted: ")


@pytest.mark.parametrize(
    ("method", "params", "words"),
    [
        ("nip44_decrypt", ("aa" * 32, "x"), "restricted: this key's grant does not hold"),
        ("nip44_encrypt", ("aa" * 32, "x"), "restricted: this key's grant does not hold"),
        ("nip04_decrypt", ("aa" * 32, "x"), "unsupported: NIP-04 is not spoken here"),
        ("export_key", (), "unsupported: there is no method 'export_key'"),
        ("sign_event", (), "invalid: sign_event does not take 0 parameters"),
        ("sign_event", ("{}", "{}"), "invalid: sign_event does not take 2 parameters"),
        ("sign_event", ("{",), "invalid: the parameter is not JSON"),
        ("sign_event", ("[]",), "invalid: an event must be a JSON object"),
        ("sign_event", ("[" * 100_000,), "invalid: "),
        ("sign_event", ('{"kind":9,"content":"","tags":[],"created_at":1.5}',), "invalid: created"),
    ],
)
def test_what_is_wrong_is_said(
    scene: Scene, method: str, params: tuple[str, ...], words: str
) -> None:
    scene.grant(scene.house.session_grant())
    assert refusal(scene.ask(scene.house.session, method, *params)).startswith(words)


def test_a_request_in_anothers_name_is_not_read(scene: Scene) -> None:
    # Attack: a stranger writes a 24133 with the session's pubkey, or sends one it has seen.
    scene.grant(scene.house.session_grant())
    request = scene.house.request(scene.house.stranger, "ping")[1]
    forged = replace(request, pubkey=scene.house.session.public)
    rehashed = forged.template.with_sig(request.sig)
    assert scene.desk.take([Asked(forged), Asked(rehashed)]) == []
    real = scene.house.request(scene.house.session, "ping")[1]
    seen_again = replace(real, created_at=NOW + 60)
    elsewhere = replace(real.template, tags=(("p", scene.house.bot.public),))
    assert (
        scene.desk.take(
            [
                Asked(seen_again),
                Asked(seen_again.template.with_sig(real.sig)),
                Asked(elsewhere.sign(scene.house.session, bytes(32))),
            ]
        )
        == []
    )
    for noise in ("", "x" * 200, "A" * 100_000):
        event = nip46.envelope(
            scene.house.session.public, scene.house.signer.public, noise, NOW
        ).sign(scene.house.session, bytes(32))
        assert scene.desk.take([Asked(event)]) == []


# Time


def test_a_grant_ends_by_the_monotonic_clock(scene: Scene) -> None:
    scene.grant(scene.house.session_grant())
    scene.monotonic_s += 180  # the wall clock was stopped, or is being set back in small steps
    assert "clock went back" in refusal(scene.sign(scene.house.template()).response)
    scene.wall_s += 180
    assert "expired" in refusal(scene.sign(scene.house.template()).response)


def test_a_clock_set_back_over_a_restart_fails_closed(scene: Scene) -> None:
    # Attack: wait until the grant has ended, set the clock back, restart the signer.
    scene.grant(scene.house.session_grant())
    scene.passes(181)
    scene.desk.take([])
    scene.wall_s -= 120
    scene.monotonic_s = 3
    scene.reopen()
    assert refusal(scene.sign(scene.house.template()).response).startswith("error: ")
    scene.wall_s += 120
    assert "expired" in refusal(scene.sign(scene.house.template()).response)


def test_a_revoked_key_stays_revoked_over_a_restart(scene: Scene) -> None:
    grant = scene.house.session_grant()
    scene.grant(grant)
    scene.grant(replace(grant, revoked=True), NOW + 1)
    scene.reopen()
    scene.grant(grant, NOW + 2)
    assert "revoked" in refusal(scene.sign(scene.house.template()).response)


def test_a_request_after_the_revocation_is_refused_and_one_before_is_not(scene: Scene) -> None:
    house = scene.house
    grant = house.session_grant()
    scene.grant(grant)
    before, after = (
        house.request(house.session, "sign_event", templates_json(house.template(content=words)))
        for words in ("before", "after")
    )
    revocation = Arrived(house.granted(replace(grant, revoked=True), NOW + 1), 2)
    replies = answers(scene, [Asked(before[1]), revocation, Asked(after[1])])
    assert signed(replies[0].response).content == "before"
    assert "revoked" in refusal(replies[1].response)


def test_after_a_clock_that_ran_ahead_a_person_says_that_it_is_right(scene: Scene) -> None:
    scene.configure(ceiling=replace(scene.house.ceiling, caps=Caps(per_minute=2)))
    scene.wall_s += 10**7
    scene.grant(scene.house.session_grant(now=NOW + 10**7))
    signed(scene.sign(scene.house.template()).response)
    scene.wall_s = NOW
    scene.reopen()
    assert "python -m signer clock" in refusal(scene.sign(scene.house.template()).response)
    with scene.ledger.transaction():
        scene.ledger.set_clock(NOW)
    scene.reopen()
    scene.house = replace(scene.house, session=scene.house.stranger)
    scene.grant(scene.house.session_grant())
    signed(scene.sign(scene.house.template(content="1")).response)
    assert "too fast" in refusal(scene.sign(scene.house.template(content="2")).response)
    scene.passes(60)
    signed(scene.sign(scene.house.template(content="2")).response)


# Limits


def test_a_rate_holds_over_renewal_new_key_and_restart(scene: Scene) -> None:
    rule = replace(RULE, rate=Rate(2, 0.1))
    scene.grant(scene.house.session_grant(rule))
    signed(scene.sign(scene.house.template(content="1")).response)
    signed(scene.sign(scene.house.template(content="2")).response)

    def third() -> str:
        return refusal(scene.sign(scene.house.template(content="3")).response)

    assert third().startswith("rate-limited: too fast for kind 9")
    scene.grant(scene.house.session_grant(rule, expires_at=NOW + 170), NOW + 1)
    assert third().startswith("rate-limited: ")
    scene.reopen()
    assert third().startswith("rate-limited: ")
    # A new container: another key, the same group.
    scene.house = replace(scene.house, session=scene.house.stranger)
    scene.grant(scene.house.session_grant(rule), NOW + 2)
    assert third().startswith("rate-limited: ")
    scene.passes(10)
    signed(scene.sign(scene.house.template(content="3")).response)


def test_uses_are_counted_over_renewals_and_restarts(scene: Scene) -> None:
    scene.grant(scene.house.session_grant(max_uses=2))
    signed(scene.sign(scene.house.template(content="1")).response)
    scene.grant(scene.house.session_grant(max_uses=2, expires_at=NOW + 170), NOW + 1)
    scene.reopen()
    signed(scene.sign(scene.house.template(content="2")).response)
    assert "used up its 2" in refusal(scene.sign(scene.house.template(content="3")).response)


@pytest.mark.parametrize(
    ("caps", "words"),
    [
        (Caps(per_minute=2), "all conversations together"),
        (Caps(per_day=2), "all conversations together"),
        (Caps(group_per_minute=2), "this conversation"),
        (Caps(group_per_day=2), "this conversation"),
    ],
)
def test_the_ceilings_caps_hold_whatever_the_grant_says(
    scene: Scene, caps: Caps, words: str
) -> None:
    scene.configure(ceiling=replace(scene.house.ceiling, caps=caps))
    scene.grant(scene.house.session_grant())
    for said in "12":
        signed(scene.sign(scene.house.template(content=said)).response)
    assert words in refusal(scene.sign(scene.house.template(content="3")).response)


def test_seals_count_too(scene: Scene) -> None:
    scene.configure(ceiling=replace(scene.house.ceiling, caps=Caps(per_minute=1)))
    scene.grant(scene.house.bridge_grant())
    rumor = text(scene.house.template(14))
    signed(scene.ask(scene.house.bridge, "seal", scene.house.owner.public, rumor))
    again = scene.ask(scene.house.bridge, "seal", scene.house.owner.public, rumor)
    assert refusal(again).startswith("rate-limited: ")


def test_a_refusal_costs_nothing(scene: Scene) -> None:
    scene.grant(scene.house.session_grant(max_uses=1))
    for _ in range(5):
        refusal(scene.sign(scene.house.template(9, ("h", OTHER))).response)
    signed(scene.sign(scene.house.template()).response)


def test_a_flood_of_refusals_does_not_fill_the_ledger(scene: Scene) -> None:
    scene.grant(scene.house.session_grant())
    _, event = scene.house.request(scene.house.session, "export_key")
    scene.desk.take([Asked(event)] * 300)
    assert rows(scene, "audit") == 200
    stranger = scene.house.request(scene.house.stranger, "export_key")[1]
    scene.desk.take([Asked(stranger)] * 300)
    assert rows(scene, "audit") == 200


# Once


def test_a_repeated_request_gets_its_first_answer(scene: Scene) -> None:
    scene.grant(scene.house.session_grant(max_uses=1))
    template = scene.house.template()
    first = scene.sign(template, "id-1")
    scene.reopen()
    second = scene.sign(template, "id-1")
    assert second == first  # the very signature, and to be published again if it never was
    assert rows(scene, "signed") == 1


def test_another_body_under_the_same_id_is_refused(scene: Scene) -> None:
    # Attack: one's own id again, with other words, in the hope of its answer or of its grant.
    scene.grant(scene.house.session_grant())
    signed(scene.sign(scene.house.template(content="harmless"), "id-1").response)
    reply = scene.sign(scene.house.template(content="replaced"), "id-1")
    assert refusal(reply.response) == "invalid: this id was used for another request already"
    assert reply.publish is None


def test_an_id_belongs_to_its_client(scene: Scene) -> None:
    scene.grant(scene.house.session_grant())
    signed(scene.sign(scene.house.template(), "id-1").response)
    template = templates_json(scene.house.template())
    answer = scene.ask(scene.house.stranger, "sign_event", template, request_id="id-1")
    assert "no grant" in refusal(answer)


def test_a_refused_request_may_come_again(scene: Scene) -> None:
    template = scene.house.template()
    assert "no grant" in refusal(scene.sign(template, "id-1").response)
    scene.grant(scene.house.session_grant())
    signed(scene.sign(template, "id-1").response)


def test_a_once_key_gets_its_first_signature(scene: Scene) -> None:
    scene.grant(scene.house.session_grant(max_uses=1))
    once = ("o", once_key(JOB, "send_message/1"))
    base = scene.house.template(9, ("h", MAIN), ("job", JOB), once, content="first")
    first = signed(scene.sign(base).response)
    # The job's second attempt: a new key, a later time, other words.
    scene.house = replace(scene.house, session=scene.house.stranger)
    scene.grant(scene.house.session_grant(max_uses=1))
    scene.passes(5)
    again = scene.sign(replace(base, content="second"))
    assert signed(again.response) == first
    assert again.publish == first
    assert rows(scene, "signed") == 1


def test_a_once_key_is_no_way_to_ask_for_ever(scene: Scene) -> None:
    # Attack: one long message, asked for again and again; each answer is kept and fills the disk.
    scene.grant(scene.house.session_grant(max_uses=3))
    template = scene.house.template(9, ("h", MAIN), ("job", JOB), ("o", "ab" * 32))
    for _ in range(3):
        signed(scene.sign(template).response)
    assert "has used up its 3" in refusal(scene.sign(template).response)
    assert rows(scene, "answers") == 3


def test_refusals_do_not_fill_log_and_chain(scene: Scene) -> None:
    # Attack: nonsense without end, by anybody who can make a key, and by an agent.
    scene.grant(scene.house.session_grant())
    with capture_logs() as lines:
        for _ in range(MAX_AUDITED_REFUSALS + 20):
            refusal(scene.ask(scene.house.stranger, "ping"))
        assert lines == []
        for _ in range(MAX_AUDITED_REFUSALS + 20):
            refusal(scene.ask(scene.house.session, "nonsense"))
    assert len(lines) == rows(scene, "audit") == MAX_AUDITED_REFUSALS


@pytest.mark.parametrize("o", ["ab", "ab" * 32])
def test_a_once_key_opens_no_other_groups_message(scene: Scene, o: str) -> None:
    # Attack: name a once-key of another group and be answered with its message.
    scene.grant(scene.house.session_grant())
    secret = scene.house.template(9, ("h", MAIN), ("job", JOB), ("o", o), content="secret")
    signed(scene.sign(secret).response)
    scene.house = replace(scene.house, session=scene.house.stranger)
    scene.grant(scene.house.session_grant(Rule(9, required=(("h", OTHER),)), group=OTHER), NOW + 1)
    first = signed(scene.sign(scene.house.template(9, ("h", OTHER), ("o", o))).response)
    assert first.content != "secret"
    # Attack: use it first, so that the other group's next answer is refused or taken for known.
    again = signed(
        scene.sign(scene.house.template(9, ("h", OTHER), ("o", o), content="x")).response
    )
    assert again == first


def test_a_once_key_is_used_for_one_kind(scene: Scene) -> None:
    scene.grant(scene.house.session_grant(Rule(7, required=(("h", MAIN),)), Rule(9)))
    signed(scene.sign(scene.house.template(9, ("h", MAIN), ("o", "ab"))).response)
    reply = scene.sign(scene.house.template(7, ("h", MAIN), ("o", "ab")))
    assert refusal(reply.response) == "restricted: this once-key is used elsewhere"


def test_two_once_keys_are_one_too_many(scene: Scene) -> None:
    scene.grant(scene.house.session_grant())
    tags = (("h", MAIN), ("job", JOB), ("o", "a"), ("o", "b"))
    assert "one once-key" in refusal(scene.sign(scene.house.template(9, *tags)).response)


# The bridge


def test_a_login_is_answered_and_never_published(scene: Scene) -> None:
    scene.grant(scene.house.bridge_grant())
    template = scene.house.template(
        22_242, ("relay", "wss://a.example"), ("challenge", "c"), content=""
    )
    reply = scene.reply(scene.house.bridge, "sign_event", templates_json(template))
    assert signed(reply.response).kind == 22_242
    assert reply.publish is None
    assert scene.desk.unpublished() == []


def test_a_message_is_opened_for_the_bridge(scene: Scene) -> None:
    scene.grant(scene.house.bridge_grant())
    wrap = scene.house.gift("hello")
    opened = orjson.loads(scene.ask(scene.house.bridge, "unwrap", text(wrap)).result or "")
    assert opened["author"] == scene.house.owner.public
    assert opened["rumor"]["content"] == "hello"
    assert Template.from_json(opened["rumor"]).id == opened["rumor"]["id"]
    assert "paired" not in opened


@pytest.mark.parametrize("method", ["unwrap", "seal", "sign_event"])
def test_a_bridge_of_another_network_uses_no_grant(scene: Scene, method: str) -> None:
    """Attack: a grant that the ledger holds already, made before that bridge's key was one."""
    house = scene.house
    grant = house.bridge_grant(client=house.signal.public)
    with scene.ledger.transaction():
        scene.ledger.hold(Held(grant, house.granted(grant), NOW, grant.hard_expires_at, False))
    params = {
        "unwrap": (text(house.gift("hello")),),
        "seal": (house.owner.public, text(house.template(14))),
        "sign_event": (
            templates_json(
                house.template(22_242, ("relay", "wss://a.example"), ("challenge", "c"))
            ),
        ),
    }
    assert "carries mail" in refusal(scene.ask(house.signal, method, *params[method]))


def test_no_opened_text_is_kept(scene: Scene) -> None:
    scene.grant(scene.house.bridge_grant())
    scene.ask(scene.house.bridge, "unwrap", text(scene.house.gift("xyzzy-plaintext")))
    scene.ask(
        scene.house.bridge,
        "seal",
        scene.house.owner.public,
        text(scene.house.template(14, content="xyzzy-plaintext")),
    )
    scene.ledger.close()
    for path in scene.folder.iterdir():
        assert b"xyzzy-plaintext" not in path.read_bytes()
    scene.open()


def test_a_seal_is_the_bots_for_one_reader(scene: Scene) -> None:
    scene.grant(scene.house.bridge_grant())
    rumor = scene.house.template(14, ("p", scene.house.owner.public), content="x" * 40_000)
    request = ("seal", scene.house.owner.public, text(rumor))
    seal = signed(scene.ask(scene.house.bridge, *request, request_id="s"))
    assert (seal.pubkey, seal.kind, seal.tags) == (scene.house.bot.public, 13, ())
    assert NOW - 2 * 86_400 <= seal.created_at <= NOW
    assert nip59.open_seal(seal, scene.house.owner) == rumor
    with pytest.raises(nip59.Undecryptable):
        nip59.open_seal(seal, scene.house.stranger)
    assert signed(scene.ask(scene.house.bridge, *request, request_id="s")) == seal


def test_a_seal_needs_a_recipient_and_the_bots_own_rumor(scene: Scene) -> None:
    scene.grant(scene.house.bridge_grant())
    rumor = scene.house.template(14)
    answer = scene.ask(scene.house.bridge, "seal", "ff" * 32, text(rumor))
    assert refusal(answer) == "invalid: the recipient must be a public key in hex"
    anothers = replace(rumor, pubkey=scene.house.owner.public)
    answer = scene.ask(scene.house.bridge, "seal", scene.house.owner.public, text(anothers))
    assert "the rumor must be the bot's" in refusal(answer)


def test_each_failed_check_of_a_message_is_named(scene: Scene) -> None:
    house = scene.house
    scene.grant(house.bridge_grant())
    good = house.gift("hello")
    forged = house.wrapped(forged_seal(house, author=house.owner.public))
    unsigned = house.wrapped(replace(forged_seal(house), sig="00" * 64))
    claimed = house.wrapped(forged_seal(house, claim="ab" * 32))
    elsewhere = replace(good, tags=(("p", house.owner.public),))
    for wrap, name in (
        (forged, "ForgedAuthor"),
        (unsigned, "BadSeal"),
        (claimed, "WrongRumorId"),
        (elsewhere, "NotForUs"),
        (replace(good, sig="00" * 64), "BadWrap"),
        (replace(good, content=good.content[:-8] + "AAAAAAA="), "BadWrap"),
        (house.wrapped(replace(forged_seal(house), tags=(("p", "x"),))), "BadSeal"),
    ):
        answer = scene.ask(house.bridge, "unwrap", text(wrap))
        assert refusal(answer).startswith(f"invalid: {name}: ")
    assert refusal(scene.ask(house.bridge, "unwrap", "{}")).startswith("invalid: ")


def test_no_forgery_is_opened(scene: Scene, record_property: Callable[[str, object], None]) -> None:
    """Drawn by dice, each wrong in one thing; between them honest ones, which are opened."""
    house, count, chance = scene.house, figure("seals"), dice("seals")
    scene.grant(house.bridge_grant())
    opened = 0
    for number in range(count):
        forger = forgeries.FORGERS[number % len(forgeries.FORGERS)]
        wrap, check = forger(house, chance)
        answer = scene.ask(house.bridge, "unwrap", text(wrap))
        assert refusal(answer).startswith(f"invalid: {check}: "), (number, forger.__name__)
        if number % 25 == 0:
            wrap, rumor = forgeries.honest(house, chance)
            answer = scene.ask(house.bridge, "unwrap", text(wrap))
            assert orjson.loads(answer.result or "")["rumor"] == rumor.to_json()
            opened += 1
    record_property("forgeries refused", count)
    record_property("honest ones opened", opened)


def forged_seal(house: House, author: str | None = None, claim: str | None = None) -> Event:
    """A stranger's seal, whose rumor may be said to be another's or to have another id."""
    rumor = Template(author or house.stranger.public, NOW, 14, (), "I am the owner").to_json()
    if claim is not None:
        rumor["id"] = claim
    content = nip44.encrypt(
        orjson.dumps(rumor).decode(),
        nip44.conversation_key(house.stranger, house.bot.public),
        bytes(32),
    )
    return Template(house.stranger.public, NOW, 13, (), content).sign(house.stranger, bytes(32))


# All or nothing


def answers(scene: Scene, batch: list[Work]) -> list[Reply]:
    """What the askers are told of a batch."""
    return [outcome for outcome in scene.desk.take(batch) if isinstance(outcome, Reply)]


def fill_the_disk(scene: Scene) -> None:
    """SQLite's own limit: what the database has now is all the room there is."""
    db = scene.ledger.db
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {pages}")


def make_room(scene: Scene) -> None:
    scene.ledger.db.execute("PRAGMA max_page_count = 1000000")


def test_where_the_ledger_cannot_be_written_nothing_is_signed(scene: Scene) -> None:
    house = scene.house
    scene.grant(house.session_grant())
    two: list[Work] = [
        Asked(house.request(house.session, "sign_event", templates_json(template))[1])
        for template in (house.template(content=said * 60_000) for said in "ab")
    ]
    fill_the_disk(scene)
    replies = answers(scene, two)
    assert [refusal(reply.response) for reply in replies] == [
        "error: the signer's ledger cannot be written; is the disk full?"
    ] * 2
    assert [reply.publish for reply in replies] == [None, None]
    assert rows(scene, "signed") == rows(scene, "answers") == rows(scene, "audit") == 0
    make_room(scene)
    assert len([signed(reply.response) for reply in answers(scene, two)]) == 2


def test_a_revocation_that_could_not_be_written_is_not_lost(scene: Scene) -> None:
    house = scene.house
    grant = house.session_grant()
    scene.grant(grant)
    fill_the_disk(scene)
    request = house.request(
        house.session, "sign_event", templates_json(house.template(content="x" * 60_000))
    )[1]
    revocation = Arrived(house.granted(replace(grant, revoked=True), NOW + 1), 2)
    [reply] = answers(scene, [Asked(request), revocation])
    assert refusal(reply.response).startswith("error: ")
    make_room(scene)
    assert "revoked" in refusal(scene.sign(house.template()).response)


def test_the_place_is_kept(scene: Scene) -> None:
    assert scene.desk.place() == (None, 0)
    scene.desk.take([Place("epoch-1", 7)])
    scene.desk.take([Arrived(scene.house.granted(scene.house.session_grant()), 9)])
    scene.reopen()
    assert scene.desk.place() == ("epoch-1", 9)


def test_the_audit_chain_tells_of_a_changed_row(scene: Scene) -> None:
    scene.grant(scene.house.session_grant())
    for said in "123":
        scene.sign(scene.house.template(content=said))
    assert scene.ledger.chain.verify().broken_at is None
    assert scene.ledger.chain.verify().rows == 3
    with sqlite3.connect(scene.folder / "ledger.sqlite") as db:
        db.execute("UPDATE audit SET outcome = 'nothing' WHERE n = 2")
    assert scene.ledger.chain.verify().broken_at == 2
