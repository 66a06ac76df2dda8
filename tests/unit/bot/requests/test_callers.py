"""bot/requests/callers.py: who calls, by the key alone."""

from __future__ import annotations

from secrets import token_bytes
from types import MappingProxyType

from bot.jobs import Job
from bot.requests.callers import Bridge, Console, ModelProxy, Session, who_calls
from nips.key import SecretKey
from nips.own.roles import Roles

MAIN = "00000000-0000-4000-8000-000000000001"
OTHER = "00000000-0000-4000-8000-000000000002"


def key() -> str:
    return SecretKey.generate(token_bytes).public


RELAY, SIGNER, ROUTER, BOT, OWNER, CHAT, MODEL, CONSOLE, BRIDGE = (key() for _ in range(9))
ROLES = Roles(
    relay=RELAY, signer=SIGNER, router=ROUTER, bot=BOT, main=MAIN, owner=OWNER, chat=CHAT,
    model=MODEL, console=CONSOLE, bridges=MappingProxyType({"nostr": BRIDGE}),
)  # fmt: skip


def test_a_session_is_of_its_job_and_of_no_other() -> None:
    mine, other = key(), key()
    jobs = {mine: Job("1" * 64, OTHER, ("2" * 64,), 0), other: Job("3" * 64, MAIN, ("4" * 64,), 0)}
    assert who_calls(mine, ROLES, jobs) == Session(mine, jobs[mine], is_main=False)
    found = who_calls(other, ROLES, jobs)
    assert isinstance(found, Session)
    assert found.is_main
    assert found.group == MAIN


def test_a_session_that_has_ended_is_nobody() -> None:
    mine = key()
    assert who_calls(mine, ROLES, {}) is None


def test_the_parts_are_known_by_their_keys() -> None:
    assert who_calls(BRIDGE, ROLES, {}) == Bridge(BRIDGE, "nostr")
    assert who_calls(CONSOLE, ROLES, {}) == Console(CONSOLE)
    assert who_calls(MODEL, ROLES, {}) == ModelProxy(MODEL)


def test_whoever_speaks_in_messages_asks_for_nothing_here() -> None:
    for pubkey in (RELAY, SIGNER, ROUTER, BOT, OWNER, CHAT, key()):
        assert who_calls(pubkey, ROLES, {}) is None
