"""signer/logins.py and the desk: a client logs in, works, is ended; and every attack on that."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from nips import nip44, nip46
from nips.key import SecretKey
from nips.own.grant import Rate, Rule
from signer import invitation
from signer.ceiling import Caps, Ceiling
from signer.invitation import MAX_TRIES, OPEN_FOR_S, Invitation, Terms
from signer.ledger import Ledger
from signer.logins import KEEP_S, Logins
from signer.work import Asked, Reply
from tests.figures import dice
from tests.unit.signer.desks import Scene, refusal, signed
from tests.unit.signer.house import MAIN, NOW, House, key, templates_json

TTL_S = 28_800
TEXTS = ("sign_event", "nip44_encrypt", "nip44_decrypt")


@pytest.fixture
def scene(house: House, tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(house, tmp_path)
    yield scene
    scene.ledger.close()


def invite(
    scene: Scene,
    *kinds: int,
    methods: tuple[str, ...] = ("sign_event",),
    rate: Rate | None = None,
    ttl_s: int = TTL_S,
    max_uses: int = 1_000,
    publishes: bool = False,
) -> tuple[str, Invitation]:
    """What the command line does, in a process of its own: another connection to the ledger."""
    terms = Terms(kinds or (1,), methods, rate or Rate(100, 1.0), max_uses, publishes)
    secret, made = invitation.make(terms, ttl_s, scene.wall_s, secrets.token_bytes)
    elsewhere = Ledger(scene.folder / "ledger.sqlite")
    logins = Logins(elsewhere)
    with elsewhere.transaction():
        logins.invite(made)
    elsewhere.close()
    return secret, made


def listed(scene: Scene) -> list[Invitation]:
    elsewhere = Ledger(scene.folder / "ledger.sqlite")
    found = Logins(elsewhere).invitations()
    elsewhere.close()
    return found


def revoke(scene: Scene, client: SecretKey) -> bool:
    elsewhere = Ledger(scene.folder / "ledger.sqlite")
    logins = Logins(elsewhere)
    with elsewhere.transaction():
        done = logins.end(client.public, "revoked")
    elsewhere.close()
    return done


def connect(scene: Scene, client: SecretKey, secret: str, *more: str) -> nip46.Response:
    return scene.ask(client, "connect", scene.house.signer.public, secret, *more)


def log_in(scene: Scene, client: SecretKey, *kinds: int, **terms: object) -> None:
    secret, _ = invite(scene, *kinds, **terms)  # type: ignore[arg-type]
    assert connect(scene, client, secret).result == "ack"


def note(scene: Scene, client: SecretKey, kind: int = 1, **more: object) -> nip46.Response:
    template = replace(scene.house.template(kind, **more), created_at=int(scene.wall_s))  # type: ignore[arg-type]
    return scene.ask(client, "sign_event", templates_json(template))


def rows(scene: Scene, table: str) -> int:
    with sqlite3.connect(scene.folder / "ledger.sqlite") as db:
        return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def size(scene: Scene) -> int:
    tables = ("held", "spent", "answers", "audit", "invitations", "signed")
    return sum(rows(scene, table) for table in tables)


# Connecting


def test_a_client_connects_and_has_events_signed(scene: Scene) -> None:
    me = scene.house.login
    assert "no grant; connect" in refusal(note(scene, me))
    log_in(scene, me, 1, 30_023)
    assert scene.ask(me, "get_public_key").result == scene.house.bot.public
    assert scene.ask(me, "ping").result == "pong"
    assert signed(note(scene, me)).kind == 1
    assert signed(note(scene, me, 30_023)).kind == 30_023
    assert "kind 7" in refusal(note(scene, me, 7))
    _, first = next(scene.ledger.chain.entries())
    assert first.outcome.startswith("logged in by invitation")


def test_what_it_has_signed_is_returned_and_not_published(scene: Scene) -> None:
    log_in(scene, scene.house.login)
    template = scene.house.template(1, ("o", "once"))
    reply = scene.reply(scene.house.login, "sign_event", templates_json(template))
    assert signed(reply.response).content == "hi"
    assert reply.publish is None
    assert scene.desk.unpublished() == []


def test_no_login_gets_a_sessions_event_by_its_once_key(scene: Scene) -> None:
    # Attack: an event of a group, had by naming its once-key; or a once-key taken before it.
    log_in(scene, scene.house.login)
    taken = scene.house.template(1, ("o", "k"), content="mine")
    first = signed(scene.ask(scene.house.login, "sign_event", templates_json(taken)))
    ceiling = Ceiling(groups={MAIN: frozenset({1})})
    scene.configure(ceiling=ceiling)
    rule = Rule(1, required=(("job", "ab" * 32),))
    scene.grant(scene.house.session_grant(rule))
    theirs = scene.house.template(1, ("job", "ab" * 32), ("o", "k"), content="the session's")
    session = signed(scene.sign(theirs).response)
    assert session.id != first.id
    again = signed(scene.ask(scene.house.login, "sign_event", templates_json(taken)))
    assert again.content == "mine"


def test_the_permissions_it_asks_for_are_none(scene: Scene) -> None:
    # Attack: NIP-46's perms parameter, taken for authority.
    secret, _ = invite(scene, 1)
    perms = "nip44_decrypt,sign_event:0,sign_event:7,sign_event"
    assert connect(scene, scene.house.login, secret, perms).result == "ack"
    assert "not allowed" in refusal(note(scene, scene.house.login, 7))
    peer = scene.house.stranger.public
    assert "does not hold" in refusal(scene.ask(scene.house.login, "nip44_decrypt", peer, "x"))


def test_it_is_named_as_it_names_itself(scene: Scene) -> None:
    secret, _ = invite(scene)
    metadata = orjson.dumps({"name": "An App\n\x1b[31m" + "x" * 100, "url": "https://a.example"})
    connect(scene, scene.house.login, secret, "", metadata.decode())
    assert listed(scene)[0].name == ("An App[31m" + "x" * 100)[:60]


def test_the_same_connect_again_answers_the_same(scene: Scene) -> None:
    secret, _ = invite(scene, 1)
    for _ in range(3):
        assert connect(scene, scene.house.login, secret).result == "ack"
    assert connect(scene, scene.house.login, "").result == "ack"  # an app that comes back
    assert scene.ask(scene.house.login, "connect", scene.house.signer.public).result == "ack"
    assert rows(scene, "held") == 1


def test_a_secret_is_good_for_one_client(scene: Scene) -> None:
    # Attack: the address is read from a history, and used by another.
    secret, _ = invite(scene)
    connect(scene, scene.house.login, secret)
    assert "one login" in refusal(connect(scene, scene.house.stranger, secret))
    assert "no grant" in refusal(note(scene, scene.house.stranger))
    scene.reopen()
    assert "one login" in refusal(connect(scene, scene.house.stranger, secret))


def test_of_two_at_once_one_gets_in(scene: Scene) -> None:
    secret, _ = invite(scene)
    clients = [key(100 + n) for n in range(5)]
    batch = [
        Asked(scene.house.request(c, "connect", scene.house.signer.public, secret)[1])
        for c in clients
    ]
    replies = scene.desk.take(batch)
    answers = [reply.response for reply in replies if isinstance(reply, Reply)]
    assert [answer.error is None for answer in answers] == [True] + [False] * 4


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ((), "1 to 4 parameters"),
        (("SIGNER", "SECRET", "", "", ""), "1 to 4 parameters"),
        (("aa" * 32, "SECRET"), "another signer"),
        (("BOT", "SECRET"), "another signer"),
        (("", "SECRET"), "another signer"),
        (("SIGNER",), "needs the secret"),
        (("SIGNER", ""), "needs the secret"),
        (("SIGNER", "x"), "needs the secret"),
        (("SIGNER", "SECRETx"), "needs the secret"),
    ],
)
def test_a_wrong_connect_is_told_why(scene: Scene, params: tuple[str, ...], words: str) -> None:
    secret, _ = invite(scene)
    known = {"SIGNER": scene.house.signer.public, "BOT": scene.house.bot.public}
    given = [known.get(p, p.replace("SECRET", secret)) for p in params]
    assert words in refusal(scene.ask(scene.house.login, "connect", *given))
    assert connect(scene, scene.house.login, secret).result == "ack"


def test_no_role_key_and_no_session_connects(scene: Scene) -> None:
    # Attack: a container, or a part that was taken over, that got hold of an address.
    secret, _ = invite(scene)
    scene.grant(scene.house.session_grant())
    for who in ("session", "bridge", "router", "bot", "owner", "relay"):
        client = getattr(scene.house, who)
        assert refusal(connect(scene, client, secret)).startswith("restricted: ")
        assert "kind 1 is" in refusal(note(scene, client)) or "no grant" in refusal(
            note(scene, client)
        )
    assert connect(scene, scene.house.login, secret).result == "ack"  # and it was not used up


# Guesses


def test_an_address_that_is_guessed_at_closes(scene: Scene) -> None:
    secret, made = invite(scene)
    for n in range(MAX_TRIES):
        assert "needs the secret" in refusal(connect(scene, key(200 + n), f"{made.id}.guess{n}"))
    assert "guessed at" in refusal(connect(scene, scene.house.login, secret))
    assert listed(scene)[0].ended == "guessed at"


def test_guesses_end_no_login_that_is_made(scene: Scene) -> None:
    # Attack: whoever saw an id ends the owner's login by guessing at it.
    secret, made = invite(scene)
    connect(scene, scene.house.login, secret)
    for n in range(2 * MAX_TRIES):
        connect(scene, key(200 + n), f"{made.id}.guess{n}")
    assert signed(note(scene, scene.house.login))
    assert listed(scene)[0].ended is None


def test_throwaway_keys_leave_no_trace(scene: Scene) -> None:
    # Attack: connects without end by keys made for it, until the ledger fills the disk.
    invite(scene)
    before = size(scene)
    for n in range(300):
        connect(scene, key(1_000 + n), secrets.token_hex(16))
        scene.ask(key(1_000 + n), "ping")
    assert size(scene) == before


# The end


def test_an_address_that_nobody_used_is_too_old(scene: Scene) -> None:
    secret, _ = invite(scene)
    scene.passes(OPEN_FOR_S)
    assert "too old" in refusal(connect(scene, scene.house.login, secret))


@pytest.mark.parametrize(("after_s", "lives"), [(TTL_S - 1, True), (TTL_S, False)])
def test_a_login_ends_when_it_was_said(scene: Scene, after_s: int, lives: bool) -> None:
    secret, _ = invite(scene)
    scene.passes(100)  # connecting later makes it no longer
    connect(scene, scene.house.login, secret)
    scene.passes(after_s - 100)
    response = note(scene, scene.house.login)
    assert (response.error is None) == lives
    if not lives:
        assert "over" in refusal(response)
        for again in (secret, ""):
            assert "over" in refusal(connect(scene, scene.house.login, again))


def test_the_ceiling_cuts_a_login_short(scene: Scene) -> None:
    log_in(scene, scene.house.login)
    scene.configure(ceiling=Ceiling(bunker_longest_ttl_s=60))
    scene.passes(59)
    assert signed(note(scene, scene.house.login))
    scene.passes(1)
    assert "expired" in refusal(note(scene, scene.house.login))


def test_a_clock_set_back_opens_nothing_again(scene: Scene) -> None:
    log_in(scene, scene.house.login, ttl_s=60)
    scene.passes(60)
    refusal(note(scene, scene.house.login))
    scene.wall_s -= 3_600
    assert "clock went back" in refusal(note(scene, scene.house.login))


def test_a_revocation_from_another_process_counts_at_once(scene: Scene) -> None:
    log_in(scene, scene.house.login)
    assert signed(note(scene, scene.house.login))
    assert revoke(scene, scene.house.login)
    assert "revoked" in refusal(note(scene, scene.house.login))
    assert not revoke(scene, scene.house.login)
    scene.reopen()
    assert "revoked" in refusal(note(scene, scene.house.login))


def test_logging_out_is_for_good(scene: Scene) -> None:
    me = scene.house.login
    log_in(scene, me)
    assert scene.ask(me, "logout", request_id="bye").result == "ack"
    assert scene.ask(me, "logout", request_id="bye").result == "ack"  # a repeat of the same
    assert "revoked" in refusal(scene.ask(me, "logout"))
    assert "revoked" in refusal(note(scene, me))
    scene.passes(1)
    secret, _ = invite(scene)
    assert "new client key" in refusal(connect(scene, me, secret))
    assert connect(scene, scene.house.stranger, secret).result == "ack"
    assert [one.ended for one in listed(scene)] == ["logged out", None]


def test_only_a_login_logs_out(scene: Scene) -> None:
    scene.grant(scene.house.session_grant())
    assert "only a login" in refusal(scene.ask(scene.house.session, "logout"))
    assert scene.ask(scene.house.session, "ping").result == "pong"


def test_a_new_address_replaces_what_its_client_had(scene: Scene) -> None:
    me = scene.house.login
    log_in(scene, me, 1)
    signed(note(scene, me))
    scene.passes(1)
    log_in(scene, me, 7)
    assert "not allowed" in refusal(note(scene, me, 1))
    assert signed(note(scene, me, 7)).kind == 7
    assert [one.ended for one in listed(scene)] == ["replaced", None]


def test_what_ended_long_ago_is_forgotten(scene: Scene) -> None:
    invite(scene, ttl_s=60)
    scene.passes(60 + KEEP_S + 1)
    _, second = invite(scene)
    assert listed(scene) == [second]


def test_the_owners_event_narrows_and_ends_a_login(scene: Scene) -> None:
    me = scene.house.login
    log_in(scene, me, 1, 7)
    owners = scene.house.login_grant(Rule(7), max_uses=2)
    scene.grant(owners, int(scene.wall_s) + 1, by=scene.house.owner)
    assert "not allowed" in refusal(note(scene, me, 1))
    assert signed(note(scene, me, 7)).kind == 7
    scene.grant(replace(owners, revoked=True), int(scene.wall_s) + 2, by=scene.house.owner)
    assert "revoked" in refusal(note(scene, me, 7))
    scene.grant(owners, int(scene.wall_s) + 3, by=scene.house.owner)
    assert "revoked" in refusal(note(scene, me, 7))


def test_the_router_neither_widens_nor_ends_a_login(scene: Scene) -> None:
    # Attack: a router that was taken over, on a key that the owner let in.
    me = scene.house.login
    log_in(scene, me, 1)
    for grant in (
        scene.house.login_grant(Rule(7)),
        scene.house.login_grant(revoked=True),
        scene.house.session_grant(client=me.public, revoked=True),
        scene.house.session_grant(client=me.public),
    ):
        scene.grant(grant, int(scene.wall_s) + 1)
        assert "not allowed" in refusal(note(scene, me, 7))
        assert signed(note(scene, me, 1)).kind == 1


# Rates, over everything that could reset them


def test_a_rate_is_of_everything_together_and_survives(scene: Scene) -> None:
    me = scene.house.login
    log_in(scene, me, 1, 7, rate=Rate(3, 3 / 3_600))
    assert signed(note(scene, me, 1))
    assert signed(note(scene, me, 7))
    scene.reopen()
    assert signed(note(scene, me, 1))
    assert "too fast" in refusal(note(scene, me, 7))
    log_in(scene, me, 1, 7, rate=Rate(3, 3 / 3_600))  # a new address resets nothing
    assert "too fast" in refusal(note(scene, me, 7))
    scene.passes(1_200)
    assert signed(note(scene, me, 7))
    assert "too fast" in refusal(note(scene, me, 1))


def test_uses_run_out(scene: Scene) -> None:
    log_in(scene, scene.house.login, max_uses=2)
    for _ in range(2):
        assert signed(note(scene, scene.house.login))
    assert "used up" in refusal(note(scene, scene.house.login))


def test_all_logins_together_have_a_cap(scene: Scene) -> None:
    # Attack: many addresses, to pass by the rate of one.
    scene.configure(ceiling=Ceiling(caps=Caps(bunker_per_day=3)))
    clients = [key(300 + n) for n in range(4)]
    for client in clients:
        log_in(scene, client)
    for client in clients[:3]:
        assert signed(note(scene, client))
    assert "all logins together" in refusal(note(scene, clients[3]))
    scene.grant(scene.house.session_grant())
    assert signed(scene.sign(scene.house.template()).response)  # the agent's own are another matter


def test_a_repeated_request_is_answered_once_signed(scene: Scene) -> None:
    log_in(scene, scene.house.login, max_uses=1)
    text = templates_json(scene.house.template(1))
    first = scene.ask(scene.house.login, "sign_event", text, request_id="r")
    assert scene.ask(scene.house.login, "sign_event", text, request_id="r") == first
    other = templates_json(scene.house.template(1, content="other"))
    words = refusal(scene.ask(scene.house.login, "sign_event", other, request_id="r"))
    assert "this id was used" in words


# Texts


def test_texts_are_encrypted_and_decrypted_and_not_kept(scene: Scene) -> None:
    me, peer = scene.house.login, scene.house.stranger
    log_in(scene, me, methods=TEXTS)
    shared = nip44.conversation_key(peer, scene.house.bot.public)
    payload = scene.ask(me, "nip44_encrypt", peer.public, "geheim-eins").result
    assert nip44.decrypt(payload or "", shared) == "geheim-eins"
    sent = nip44.encrypt("geheim-zwei", shared, bytes(32))
    assert scene.ask(me, "nip44_decrypt", peer.public, sent).result == "geheim-zwei"
    assert rows(scene, "answers") == 0
    for path in scene.folder.iterdir():
        assert b"geheim" not in path.read_bytes()
    outcomes = [entry.outcome for _, entry in scene.ledger.chain.entries()]
    assert outcomes[-2:] == [f"encrypted to {peer.public}", f"decrypted from {peer.public}"]


def test_mail_stays_shut_and_each_try_counts(scene: Scene) -> None:
    # Attack: a gift wrap opened layer by layer with nip44_decrypt.
    me = scene.house.login
    log_in(scene, me, methods=TEXTS, max_uses=3)
    wrap = scene.house.gift("my secret")
    for _ in range(3):
        words = refusal(scene.ask(me, "nip44_decrypt", wrap.pubkey, wrap.content))
        assert "sealed message" in words
        assert "my secret" not in words
    assert "used up" in refusal(scene.ask(me, "nip44_decrypt", wrap.pubkey, wrap.content))


def test_reading_has_a_daily_cap_over_all_logins(scene: Scene) -> None:
    scene.configure(ceiling=Ceiling(caps=Caps(bunker_decrypts_per_day=2)))
    peer = scene.house.stranger
    sent = nip44.encrypt("x", nip44.conversation_key(peer, scene.house.bot.public), bytes(32))
    for n in range(3):
        client = key(400 + n)
        log_in(scene, client, methods=TEXTS)
        response = scene.ask(client, "nip44_decrypt", peer.public, sent)
        assert (response.result == "x") == (n < 2)


@pytest.mark.parametrize("payload", ["", "x", "A" * 132, "A" * 100_000])
def test_what_does_not_open_is_an_answer(scene: Scene, payload: str) -> None:
    log_in(scene, scene.house.login, methods=TEXTS)
    peer = scene.house.stranger.public
    words = refusal(scene.ask(scene.house.login, "nip44_decrypt", peer, payload))
    assert words.startswith("invalid: ")
    assert refusal(scene.ask(scene.house.login, "nip44_encrypt", peer, "")).startswith("invalid: ")


# The wire


def test_an_event_that_its_client_could_not_read_is_not_signed(scene: Scene) -> None:
    """A request that fits NIP-44's classic form, and an answer that would not."""
    log_in(scene, scene.house.login)
    before = rows(scene, "audit")
    # A quotation mark has four bytes in the request's JSON in JSON, and in the answer's.
    reply = scene.reply(
        scene.house.login,
        "sign_event",
        templates_json(scene.house.template(1, content='"' * 16_290)),
    )
    words = refusal(reply.response)
    assert "classic form ends at 65535" in words
    assert rows(scene, "spent") == 0
    assert rows(scene, "audit") == before + 1  # that it was refused


def test_it_is_answered_in_the_form_that_it_spoke_itself(scene: Scene) -> None:
    log_in(scene, scene.house.login)
    scene.grant(scene.house.session_grant())
    short, long = (
        scene.reply(
            scene.house.login,
            "sign_event",
            templates_json(scene.house.template(1, content='"' * n)),
        )
        for n in (10, 17_000)
    )
    assert short.classic
    assert not long.classic
    assert signed(long.response)
    assert not scene.sign(scene.house.template()).classic


def test_what_is_not_spoken_is_an_error(scene: Scene) -> None:
    log_in(scene, scene.house.login)
    assert scene.ask(scene.house.login, "switch_relays").result == "null"
    for method, params, words in (
        ("make_coffee", (), "unsupported: there is no method"),
        ("nip04_encrypt", ("a", "b"), "unsupported: NIP-04"),
        ("create_account", ("a", "b"), "unsupported: "),
        ("switch_relays", ("x",), "invalid: switch_relays does not take 1"),
        ("sign_event", (), "invalid: sign_event does not take 0"),
        ("sign_event", ("{",), "invalid: the parameter is not JSON"),
        ("unwrap", ("{}",), "restricted: only a bridge"),
        ("seal", ("aa" * 32, "{}"), "restricted: only a bridge"),
    ):
        assert refusal(scene.ask(scene.house.login, method, *params)).startswith(words)


def test_a_template_that_names_another_author_is_not_signed(scene: Scene) -> None:
    log_in(scene, scene.house.login)
    template = scene.house.template(1)
    value = template.to_json() | {"pubkey": scene.house.owner.public}
    del value["id"]
    words = refusal(scene.ask(scene.house.login, "sign_event", orjson.dumps(value).decode()))
    assert "not the bot's" in words


def test_before_the_owner_is_known_nobody_speaks(scene: Scene) -> None:
    scene.configure(named=False)
    log_in(scene, scene.house.login)
    assert "no owner is named" in refusal(note(scene, scene.house.login))
    assert scene.wall_s == NOW


METHODS = (
    "connect", "ping", "get_public_key", "switch_relays", "sign_event", "unwrap", "seal",
    "nip44_encrypt", "nip44_decrypt", "nip04_encrypt", "get_relays",
)  # fmt: skip


def test_whatever_a_client_asks_there_is_one_answer(scene: Scene) -> None:
    """Requests drawn by dice, from a client that is logged in and from one that is not."""
    chance = dice("login requests", 0)
    house = scene.house
    wrap = house.gift("hi")
    pieces = (
        house.signer.public, house.bot.public, house.stranger.public, "", "x", "{}", "[]", "null",
        "é" * 50, "\x00", "A" * 132, wrap.content, templates_json(house.template(1)),
        templates_json(house.template(0)), orjson.dumps(wrap.to_json()).decode(), "0" * 64,
    )  # fmt: skip
    log_in(scene, house.login, methods=TEXTS, rate=Rate(100_000, 100_000.0), max_uses=100_000)
    for number in range(600):
        client = chance.choice((house.login, house.stranger))
        method = chance.choice(METHODS)
        params = tuple(chance.choice(pieces) for _ in range(chance.randrange(5)))
        response = scene.ask(client, method, *params, request_id=f"r{number}")
        assert (response.result is None) != (response.error is None), (method, params)
        if client is house.stranger:
            assert response.error is not None
        elif response.result is not None and method == "sign_event":
            assert signed(response).kind == 1
        elif response.result is not None and method == "nip44_decrypt":
            assert "hi" not in response.result
