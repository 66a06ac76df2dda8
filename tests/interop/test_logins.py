"""Logging in as the bot with other makers' NIP-46 clients; every part is a real process."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, replace
from typing import Any

import pytest

from nips import nip44, nip59
from nips.event import Event, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.own.grant import Rule
from nips.refusal import Refused
from relay_local.client import Caller
from tests.interop.conftest import nostr_sdk, nostr_tools
from tests.unit.signer.house import House, key, templates_json, text
from tests.unit.signer.processes import Installation, installation, short_folder

SPOKEN, FORBIDDEN = 1, 7


@dataclass(frozen=True)
class PublicOnly:
    """The bot as the rest of the world knows it."""

    public: str


async def invite(place: Installation, *options: str) -> dict[str, Any]:
    """What `nostrclaw bunker --json` prints."""
    printed = await place.command(
        "bunker", "--json", "--roles", str(place.folder / "roles.toml"), "--relay", place.url,
        "--kinds", f"{SPOKEN},30023", "--ttl", "8h", *options,
    )  # fmt: skip
    told: dict[str, Any] = json.loads(printed)
    return told


async def rows(place: Installation) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(await place.command("bunker", "list", "--json"))
    return listed


def asked(place: Installation, uri: str, **more: Any) -> dict[str, Any]:
    other = place.house.stranger
    payload = nip44.encrypt("hallo", nip44.conversation_key(other, place.bot), bytes(32))
    usual = {
        "uri": uri, "key": key(77).raw.hex(), "kind": SPOKEN, "forbidden": FORBIDDEN,
        "peer": other.public, "payload": payload, "auth": False, "logout": False,
    }  # fmt: skip
    return usual | more


def signed(value: object, place: Installation, kind: int = SPOKEN) -> Event:
    """The event that a client was given, which is the bot's and verifies."""
    assert isinstance(value, dict), value
    event = Event.from_json(value)
    event.verify()
    assert (event.pubkey, event.kind) == (place.bot, kind)
    return event


def opened(place: Installation, ciphertext: str) -> str:
    return nip44.decrypt(ciphertext, nip44.conversation_key(place.house.stranger, place.bot))


async def login(place: Installation, client: SecretKey, *options: str) -> Caller:
    """A client of our own making that has connected with a fresh invitation."""
    made = await invite(place, *options)
    caller = await place.caller(client, authenticated=False)
    secret = made["uri"].rpartition("secret=")[2]
    assert await caller.call("connect", place.house.signer.public, secret, deadline_s=10) == "ack"
    return caller


async def note(place: Installation, caller: Caller) -> Event:
    template = templates_json(place.template(SPOKEN, content="hello"))
    answer = await caller.call("sign_event", template, deadline_s=10)
    return signed(json.loads(answer), place)


async def test_nostr_sdk_logs_in_without_authenticating(place: Installation) -> None:
    made = await invite(place, "--encrypt", "--decrypt")
    told = await nostr_sdk(asked(place, made["uri"]))
    assert told["bot"] == place.bot
    event = signed(told["kind"], place)
    assert f"restricted: kind {FORBIDDEN} is not allowed by this key's grant" in told["forbidden"]
    assert opened(place, told["encrypted"]) == "geheim"
    assert told["decrypted"] == "hallo"
    assert "unsupported: NIP-04" in told["nip04"]
    # It goes where its client sends it; the private relay has not seen it.
    router = await place.link(place.house.router)
    assert await router.fetch([Filter(ids=frozenset({event.id}))]) == []
    [row] = await rows(place)
    assert (row["id"], row["state"], row["used"]) == (made["id"], "in use", 3)


async def test_an_address_is_good_for_one_client(place: Installation) -> None:
    # Attack: the address is read from a clipboard, and used by another.
    made = await invite(place)
    first = await nostr_sdk(asked(place, made["uri"]))
    assert first["bot"] == place.bot
    thief = await nostr_sdk(asked(place, made["uri"], key=key(78).raw.hex()))
    assert "has been used" in thief["bot"]
    again = await nostr_sdk(asked(place, made["uri"]))
    assert again["bot"] == place.bot


async def test_a_text_is_nobodys_unless_it_was_invited_to(place: Installation) -> None:
    made = await invite(place)
    told = await nostr_sdk(asked(place, made["uri"]))
    signed(told["kind"], place)
    assert "does not hold nip44_encrypt" in told["encrypted"]
    assert "does not hold nip44_decrypt" in told["decrypted"]


@pytest.mark.parametrize("auth", [False, True], ids=["without AUTH", "with AUTH"])
async def test_nostr_tools_logs_in_and_out(place: Installation, node: str, auth: bool) -> None:
    made = await invite(place, "--encrypt", "--decrypt")
    told = await nostr_tools(node, asked(place, made["uri"], auth=auth, logout=True))
    assert told["auth"] == auth
    assert (told["connect"], told["ping"], told["bot"]) == ("ack", "pong", place.bot)
    assert told["switched"] is False  # there is nothing to switch to, and it does not hang
    assert told["verified"]
    signed(told["signed"], place)
    # A request beyond NIP-44's classic form, answered in the form that it came in.
    assert signed(told["long"], place).content == '"' * 20_000
    assert f"kind {FORBIDDEN} is not allowed" in told["forbidden"]
    assert opened(place, told["encrypted"]) == "geheim"
    assert told["decrypted"] == "hallo"
    assert told["nip04"].startswith("error: unsupported: ")
    assert told["unknown"] == "error: unsupported: there is no method 'make_coffee'"
    assert told["logout"] == "ack"
    assert "revoked" in told["after"]
    [row] = await rows(place)
    assert row["state"] == "logged out"
    assert row["name"] == "nostr-tools [red][31m"  # what it calls itself, without the escape


async def test_no_login_reads_the_bots_mail(place: Installation) -> None:
    # Attack: a client that may decrypt opens everybody's direct messages, layer by layer.
    caller = await login(place, place.house.login, "--decrypt")
    author, once, at = place.house.owner, key(99), int(time.time())
    rumor = Template(author.public, at, 14, (("p", place.bot),), "my secret")
    seal = nip59.seal(rumor, author, place.bot, at, bytes(32), bytes(32))
    wrap = nip59.wrap(seal, once, place.bot, at, bytes(32), bytes(32))
    for layer in (wrap, seal):
        with pytest.raises(Refused, match="sealed message, which no login opens"):
            await caller.call("nip44_decrypt", layer.pubkey, layer.content, deadline_s=10)
    assert (await rows(place))[0]["used"] == 2  # and each try was counted


async def test_a_revocation_counts_for_the_next_request(place: Installation) -> None:
    caller = await login(place, place.house.login)
    await note(place, caller)
    [row] = await rows(place)
    assert await place.command("bunker", "revoke", row["client"][:14], "--json") != "[]"
    with pytest.raises(Refused, match="revoked"):
        await note(place, caller)
    # The key is over for good, whatever address it brings.
    with pytest.raises(Refused, match="log in with a new client key"):
        await login(place, place.house.login)
    assert {one["state"] for one in await rows(place)} == {"revoked", "open"}


async def test_a_login_outlives_a_kill_and_its_rate_too(place: Installation) -> None:
    caller = await login(place, place.house.login, "--rate", "3/d")
    await note(place, caller)
    assert place.signer is not None
    await place.signer.kill()
    await place.start_signer()
    for _ in range(2):
        await note(place, caller)
    with pytest.raises(Refused, match="rate-limited"):
        await note(place, caller)


async def test_a_kill_while_it_connects_leaves_one_login(place: Installation) -> None:
    made = await invite(place)
    secret, signer = made["uri"].rpartition("secret=")[2], place.house.signer.public
    caller = await place.caller(place.house.login, authenticated=False)
    connecting = asyncio.create_task(caller.call("connect", signer, secret, deadline_s=40))
    await asyncio.sleep(0)  # it is on its way, taken up or not
    assert place.signer is not None
    await place.signer.kill()
    await place.start_signer()
    assert await connecting == "ack"
    await note(place, caller)
    thief = await place.caller(place.house.stranger, authenticated=False)
    with pytest.raises(Refused, match="good for one login"):
        await thief.call("connect", signer, secret, deadline_s=10)


async def test_the_owner_lets_a_client_in_by_an_event(place: Installation) -> None:
    owner = await place.link(place.house.owner)
    grant = place.house.login_grant(Rule(SPOKEN), now=int(time.time()))
    caller = await place.caller(place.house.login, authenticated=False)
    for number, revoked in enumerate((False, True)):
        at = int(time.time()) + number
        event = place.house.granted(replace(grant, revoked=revoked), at, by=place.house.owner)
        assert (await owner.publish(event, deadline_s=10)).accepted
        if revoked:
            with pytest.raises(Refused, match="revoked"):
                await note(place, caller)
        else:
            # NIP-46's connect, which needs no secret from a key that is let in already.
            signer = place.house.signer.public
            assert await caller.call("connect", signer, deadline_s=10) == "ack"
            await note(place, caller)


async def test_an_owner_who_pairs_while_it_runs_lets_clients_in_too(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = short_folder(tmp_path_factory.mktemp("p"))
    async with installation(folder, House(named=False)) as place:
        await place.start_relay()
        await place.start_signer()
        house, now = replace(place.house, bot=PublicOnly(place.bot)), int(time.time())  # type: ignore[arg-type]
        code = await place.command("pair")
        router = await place.link(house.router)
        await place.grant(router, house.bridge_grant(now=now))
        bridge = await place.caller(house.bridge)
        opened = await bridge.call(
            "unwrap", text(house.gift(f"code {code}", at=now)), deadline_s=10
        )
        assert json.loads(opened)["paired"] is True
        owner = await place.link(house.owner)
        grant = house.granted(house.login_grant(now=now), now, by=house.owner)
        assert (await owner.publish(grant, deadline_s=10)).accepted
        await note(place, await place.caller(house.login, authenticated=False))


async def test_the_router_lets_nobody_in(place: Installation) -> None:
    # Attack: a router that was taken over makes a client of its own the bot's voice.
    router = await place.link(place.house.router)
    await place.grant(router, place.house.login_grant(now=int(time.time())))
    caller = await place.caller(place.house.login, authenticated=False)
    with pytest.raises(Refused, match="this key has no grant"):
        await note(place, caller)
