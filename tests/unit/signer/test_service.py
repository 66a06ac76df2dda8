"""signer/service.py and `python -m signer run`: the real process against a real relay."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from websockets.asyncio.server import ServerConnection, unix_serve

from nips import frame_parser, frames, nip44
from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.own.grant import Rate, Rule
from nips.own.once import once_key
from nips.refusal import Refused
from relay_local.client import Caller, Caught, Delivery, Link, Unanswered, connect
from relay_local.client import caller as caller_module
from signer.keystore import Keystore
from signer.ledger import Ledger
from signer.secret import Secret
from tests.figures import dice, figure
from tests.unit.signer.house import MAIN, House, templates_json, text
from tests.unit.signer.processes import (
    Installation,
    environment_and_arguments,
    installation,
    short_folder,
)

RULE = Rule(9, required=(("h", MAIN),), rate=Rate(1_000, 1_000))


@pytest.fixture
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """A running relay and signer, and the main group."""
    folder = short_folder(tmp_path_factory.mktemp("s"))
    async with installation(folder, House()) as place:
        await place.start_relay()
        await place.start_signer()
        yield place


async def group(place: Installation) -> Link:
    """The router's link, on which it has made the main group."""
    router = await place.link(place.house.router)
    for kind, tags in ((9_007, ()), (9_000, (("p", place.bot, "member"),))):
        event = Template(
            place.house.router.public, int(time.time()), kind, (("h", MAIN), *tags), ""
        ).sign(place.house.router, bytes(32))
        ok = await router.publish(event, deadline_s=10)
        assert ok.accepted, ok.message
    return router


async def session(
    place: Installation, router: Link, key: SecretKey | None = None, *rules: Rule
) -> Caller:
    """A container's caller: its grant, and a link over its own socket."""
    key = key or place.house.session
    grant = place.house.session_grant(*(rules or (RULE,)), now=int(time.time()), max_uses=10_000)
    await place.grant(router, replace(grant, client=key.public))
    socket = place.folder / "c" / key.public[:16] / "relay.sock"
    link = await place.links.enter_async_context(connect(f"unix:{socket}", [key]))
    return Caller(link, key, place.house.signer.public)


def said(place: Installation, words: str, *tags: tuple[str, ...]) -> str:
    return templates_json(place.template(9, ("h", MAIN), *tags, content=words))


async def on_the_relay(link: Link, words: str | None = None) -> list[Event]:
    found = await link.fetch([Filter(kinds=frozenset({9}))])
    return [event for event in found if words in (None, event.content)]


async def test_what_is_answered_is_on_the_relay_already(place: Installation) -> None:
    router = await group(place)
    caller = await session(place, router)
    answer = await caller.call("sign_event", said(place, "hello"), deadline_s=10)
    event = Event.from_json(orjson.loads(answer))
    event.verify()
    assert event.pubkey == place.bot
    assert await on_the_relay(router, "hello") == [event]


async def test_a_refusal_is_an_answer(place: Installation) -> None:
    router = await group(place)
    caller = await session(place, router)
    with pytest.raises(Refused, match="restricted: kind 0 is not allowed by this key's grant"):
        await caller.call("sign_event", templates_json(place.template(0)), deadline_s=10)
    stranger = await place.caller(place.house.stranger, authenticated=False)
    with pytest.raises(Refused, match="restricted: this key has no grant"):
        await stranger.call("sign_event", said(place, "hello"), deadline_s=10)


async def test_what_the_relay_refuses_is_told_to_its_asker(place: Installation) -> None:
    router = await place.link(place.house.router)  # there is no such group on the relay
    caller = await session(place, router)
    with pytest.raises(Refused, match="no such group"):
        await caller.call("sign_event", said(place, "hello"), deadline_s=10)


async def test_no_signature_is_answered_that_the_relay_has_let_go(place: Installation) -> None:
    """Attack: an agent takes the once-key of what its owner has published, which everybody reads
    there. The signer tells the two apart; to the relay it is said already, and is dropped."""
    router = await group(place)
    owner = await place.link(place.house.owner)
    grant = place.house.login_grant(Rule(1), now=int(time.time()), publishes=True)
    ok = await owner.publish(place.house.granted(grant, int(time.time()), place.house.owner))
    assert ok.accepted, ok.message
    login = await place.caller(place.house.login, authenticated=False)
    agent = await session(place, router, None, RULE, Rule(1))
    once = ("o", once_key("publish", "1"))
    first = templates_json(place.template(1, once, content="by its owner"))
    await login.call("sign_event", first, deadline_s=10)
    second = templates_json(place.template(1, once, content="unseen"))
    for _ in range(2):
        with pytest.raises(Refused, match="duplicate: what this event does has been done"):
            await agent.call("sign_event", second, deadline_s=10)
    found = await router.fetch([Filter(kinds=frozenset({1}))])
    assert [event.content for event in found] == ["by its owner"]


async def test_a_revocation_counts_for_the_next_request(place: Installation) -> None:
    router = await group(place)
    caller = await session(place, router)
    link = await place.link()  # the session's own socket closes with its grant
    outside = Caller(link, place.house.session, place.house.signer.public)
    await caller.call("sign_event", said(place, "before"), deadline_s=10)
    grant = place.house.session_grant(RULE, now=int(time.time()), revoked=True)
    await place.grant(router, grant, int(time.time()) + 1)
    with pytest.raises(Refused, match="revoked"):
        await outside.call("sign_event", said(place, "after"), deadline_s=10)
    assert await on_the_relay(router, "after") == []


async def test_requests_during_a_restart_of_relay_and_signer_are_answered(
    place: Installation,
) -> None:
    router = await group(place)
    caller = await session(place, router)
    assert place.relay is not None
    await place.relay.kill()
    pending = asyncio.create_task(
        caller.call("sign_event", said(place, "through it all"), deadline_s=60)
    )
    await place.start_relay()
    event = Event.from_json(orjson.loads(await pending))
    assert await on_the_relay(router, "through it all") == [event]


async def test_kill_9_gives_one_signature_and_one_event_a_request(
    place: Installation, record_property: Callable[[str, object], None]
) -> None:
    kills, chance = figure("one-signature"), dice("one-signature")
    router = await group(place)
    caller = await session(place, router)
    assert place.signer is not None
    for n in range(kills):
        once = ("o", once_key("kill", str(n)))
        body = said(place, f"kill {n}", once)
        asking = asyncio.create_task(
            caller.call("sign_event", body, deadline_s=60, request_id=f"kill-{n}")
        )
        # Anywhere between the request's arrival and its answer.
        await asyncio.sleep(chance.uniform(0, 0.012))
        await place.signer.kill()
        await place.start_signer()
        first = await asking
        assert await caller.call("sign_event", body, deadline_s=20, request_id=f"kill-{n}") == first
        found = await on_the_relay(router, f"kill {n}")
        assert [event.id for event in found] == [orjson.loads(first)["id"]]
    audit = await place.command("audit")
    assert audit.startswith(f"{kills} rows")
    # Never over a limit, nor charged for what was not signed: each request cost one use.
    ledger = Ledger(place.folder / "s" / "ledger.sqlite")
    spent = ledger.spent(f"key/{place.house.session.public}")
    ledger.close()
    assert spent is not None
    assert spent.amount == kills
    record_property("requests with one signature", kills)


async def test_whoever_waited_is_answered_as_soon_as_it_serves_again(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed, it leaves its callers waiting; what ends that is its word, not their next try."""
    monkeypatch.setattr(caller_module, "FIRST_RETRY_S", 600.0)
    router = await group(place)
    of_session = await session(place, router)
    of_router = await place.caller(place.house.router)
    assert await of_router.call("ping", deadline_s=10) == "pong"
    assert place.signer is not None
    await place.signer.kill()
    asking = (
        asyncio.create_task(of_session.call("sign_event", said(place, "waited"), deadline_s=30)),
        asyncio.create_task(of_router.call("ping", deadline_s=30)),
    )
    await asyncio.wait(asking, timeout=0.5)  # both requests are sent, and vanish
    await place.start_signer()
    began = time.monotonic()
    await asyncio.gather(*asking)
    assert time.monotonic() - began < 3
    assert len(await on_the_relay(router, "waited")) == 1


async def test_a_session_begun_while_it_was_away_is_told_too(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller_module, "FIRST_RETRY_S", 600.0)
    router = await group(place)
    assert place.signer is not None
    await place.signer.kill()
    caller = await session(place, router)
    asking = asyncio.create_task(caller.call("sign_event", said(place, "new"), deadline_s=30))
    await asyncio.wait([asking], timeout=0.5)
    await place.start_signer()
    assert orjson.loads(await asking)["content"] == "new"


async def test_what_was_signed_before_a_kill_goes_out_at_the_next_start(
    place: Installation,
) -> None:
    """The asker has died too: a container that was killed."""
    router = await group(place)
    caller = await session(place, router)
    assert place.signer is not None
    await caller.call("sign_event", said(place, "first"), deadline_s=10)
    database = place.folder / "s" / "ledger.sqlite"
    unsent = place.template(9, ("h", MAIN), content="signed and not sent")
    await place.signer.kill()
    hold_back(database, unsent, place)
    await place.start_signer()
    assert len(await on_the_relay(router, "signed and not sent")) == 1


def hold_back(database: Path, template: Template, place: Installation) -> None:
    """Leave the ledger as a kill between commit and publication leaves it."""
    reads = Keystore(place.folder / "s").unlock(None)
    secret = Secret(reads)
    os.close(reads)
    ledger = Ledger(database)
    with ledger.transaction():
        event = template.with_sig(secret.sign(template.id, bytes(32)))
        ledger.keep_signed(event, None)
    ledger.close()
    secret.wipe()


async def test_pairing_through_the_process(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = short_folder(tmp_path_factory.mktemp("p"))
    house = House(named=False)
    async with installation(folder, house) as place:
        await place.start_relay()
        await place.start_signer()
        code = await place.command("pair")
        router = await place.link(house.router)
        await place.grant(router, house.bridge_grant(now=int(time.time())))
        bridge = await place.caller(house.bridge)
        reader = await place.link(house.router)
        owners = Filter(kinds=frozenset({30_078}), tags={"d": frozenset({"owner"})})
        async with reader.subscribe([owners]) as stream:
            assert isinstance(await anext(stream), Caught)
            wrap = replace(house, bot=place_bot(place)).gift(f"It is {code}")
            opened = orjson.loads(await bridge.call("unwrap", text(wrap), deadline_s=10))
            assert opened["paired"] is True
            delivered = await asyncio.wait_for(anext(stream), 10)
        assert isinstance(delivered, Delivery)
        assert delivered.event.pubkey == house.signer.public
        assert delivered.event.values("p") == [house.owner.public]


def place_bot(place: Installation) -> SecretKey:
    """The bot's key, which only a test may see."""
    with os.fdopen(Keystore(place.folder / "s").unlock(None), "rb") as pipe:
        return SecretKey(pipe.read())


async def test_before_the_relay_answers_it_is_not_ready(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = short_folder(tmp_path_factory.mktemp("w"))
    async with installation(folder, House()) as place:
        starting = asyncio.create_task(place.start_signer())
        await asyncio.sleep(1.5)
        assert not starting.done()
        await place.start_relay()
        await asyncio.wait_for(starting, 15)
        router = await group(place)
        caller = await session(place, router)
        await caller.call("sign_event", said(place, "ready"), deadline_s=10)


async def test_it_ends_cleanly_and_tells_no_secret(place: Installation) -> None:
    assert place.signer is not None
    own = place_bot(place)
    secrets = [
        own.raw.hex().encode(),
        own.raw,
        (place.folder / "s" / "passphrase").read_bytes().strip(),
        place.house.signer.raw.hex().encode(),
    ]
    told = environment_and_arguments(place.signer)
    assert await place.signer.stop() == 0
    told += place.signer.log.read_bytes()
    told += b"".join(path.read_bytes() for path in (place.folder / "s").glob("ledger*"))
    assert not [secret for secret in secrets if secret in told]
    assert b"memory=memfd_secret" in told


async def test_nobody_answers_for_a_dead_signer(place: Installation) -> None:
    router = await group(place)
    caller = await session(place, router)
    assert place.signer is not None
    await place.signer.kill()
    with pytest.raises(Unanswered):
        await caller.call("sign_event", said(place, "hello"), deadline_s=1)
    assert await on_the_relay(router) == []


async def test_a_request_before_the_eose_waits_for_all_grants(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Attack: a revoked session asks in the instant in which the signer reads its grants.

    The relay here is the test's own, which can say things in exactly that order.
    """
    folder = short_folder(tmp_path_factory.mktemp("e"))
    house = House()
    answers: asyncio.Queue[Event] = asyncio.Queue()
    async with installation(folder, house) as place:
        now = int(time.time())
        grant = house.session_grant(RULE, now=now)
        _, asked = house.request(house.session, "sign_event", said(place, "too late"))
        revoked = house.granted(replace(grant, revoked=True), now + 1)

        async def relay(connection: ServerConnection) -> None:
            await connection.send(frames.encode(frames.Challenge("challenge")))
            async for data in connection:
                match frame_parser.parse_client(data):
                    case frames.Authenticate(event):
                        await connection.send(frames.encode(frames.Ok(event.id, True)))
                    case frames.Publish(event):
                        answers.put_nowait(event)
                        await connection.send(frames.encode(frames.Ok(event.id, True)))
                    case frames.Req(name, _):
                        for frame in (
                            frames.Delivered(name, house.granted(grant, now), 1),
                            frames.Delivered(name, asked),
                            frames.Delivered(name, revoked, 2),
                            frames.Eose(name, "epoch", 2),
                        ):
                            await connection.send(frames.encode(frame))
                            await asyncio.sleep(0.2)  # each is a batch of its own

        socket = Path(place.signers_address.removeprefix("unix:"))
        async with unix_serve(relay, str(socket)):
            socket.chmod(0o666)  # for the signer's own user, who alone reaches the folder
            await place.start_signer()
            answer = await asyncio.wait_for(answers.get(), 10)
            while answer.kind != 24_133:  # the audit log's head goes out first
                answer = await asyncio.wait_for(answers.get(), 10)
            opened = nip44.decrypt(
                answer.content,
                nip44.conversation_key(house.session, house.signer.public),
                extended=True,
            )
            assert "this key's grant was revoked" in opened
            await place.close()
