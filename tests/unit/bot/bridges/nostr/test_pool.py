"""What a relay says, before anybody else reads it; and which are visited at all."""

import time
from secrets import token_bytes

import pytest

from bot.bridges.nostr.pool import MAX_REASON_CHARS, Pool, plain
from nips.event import Template
from nips.filter import Filter
from nips.key import SecretKey
from relay_local.client import connect
from tests.unit.bot.bridges.nostr.stage import Stage


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("blocked: not on the list", "blocked: not on the list"),
        ("näin ei käy 👋", "näin ei käy 👋"),
        ("x" * 1_000_000, "x" * MAX_REASON_CHARS),
        ('no\ntimestamp=1 level=info event="owner paired"',
         'no timestamp=1 level=info event="owner paired"'),
        ("\x1b]52;c;cm0gLXJm\x07", " ]52;c;cm0gLXJm "),
        ("\x9b31m\u202e", " 31m "),
    ],
)  # fmt: skip
def test_a_relays_words_are_short_and_obeyed_by_no_terminal(said: str, kept: str) -> None:
    assert plain(said) == kept


async def no_login(_url: str, _challenge: str) -> None:
    return None


async def test_a_private_relay_is_visited_where_the_owner_allows_its_host(stage: Stage) -> None:
    url, key = stage.public[0], SecretKey.generate(token_bytes)
    event = Template(key.public, int(time.time()), 1, (), "a visit").sign(key, token_bytes(32))
    for allowed, taken in (((), False), ((url.removeprefix("ws://"),), True)):
        async with Pool([], no_login, allowed) as pool:
            accepted, reason = (await pool.send(event, [url]))[url]
        assert accepted is taken, reason
        assert reason.startswith("blocked:") is not taken
        async with connect(url, [key]) as link:
            found = await link.fetch([Filter(ids=frozenset({event.id}))])
        assert bool(found) is taken


async def test_a_relay_that_is_listened_to_is_no_visit_however_it_is_spelled(stage: Stage) -> None:
    """A visit ends with the connection: it would be that by which we listen."""
    url, key = stage.public[0], SecretKey.generate(token_bytes)
    event = Template(key.public, int(time.time()), 1, (), "again").sign(key, token_bytes(32))
    async with Pool([url], no_login) as pool:
        assert await pool.connect(url) is None
        spelled = f"{url.upper().replace('WS:', 'ws:')}/"
        assert (await pool.send(event, [spelled]))[spelled] == (True, "")
        assert pool.answers(url) == (1, 0)
        assert await pool.is_up(url)
