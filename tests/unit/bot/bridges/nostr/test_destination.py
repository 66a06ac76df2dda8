import pytest

from bot.bridges.nostr.destination import Destination, NotPublic, resolve, why_not_public


@pytest.mark.parametrize(
    "url",
    [
        "ws://93.184.216.34",  # nobody's unencrypted relay
        "https://93.184.216.34",
        "wss://",
        "wss://[::1",
        "wss://127.0.0.1:7447",
        "wss://localhost:7447",
        "wss://10.1.2.3",
        "wss://192.168.0.1",
        "wss://169.254.169.254",  # a cloud's metadata
        "wss://100.64.0.1",
        "wss://0.0.0.0",
        "wss://224.0.0.1",
        "wss://[::1]",
        "wss://[fe80::1]",
        "wss://[fd00::1]",
        "wss://[::ffff:127.0.0.1]",
        "wss://2130706433",  # 127.0.0.1 as one number
        "wss://0x7f.1",
        "wss://[64:ff9b::7f00:1]",  # the same, as a translator writes it
        "wss://[2002:7f00:1::1]",  # and a tunnel
        "wss://[::7f00:1]",
        "wss://127.0.0.1\\x.example",  # what connects reads a slash there
        "wss://127.0.0.%31",
        "wss://%6c%6fcalhost",
        "wss://[fec0::1]",
        "wss://me@93.184.216.34",
        "wss://relay.damus.io:99999",
    ],
)
async def test_a_list_cannot_make_us_connect_inwards(url: str) -> None:
    assert await why_not_public(url) is not None


@pytest.mark.parametrize(
    "url",
    ["wss://93.184.216.34", "wss://[2606:4700::1111]:443/inbox", "wss://[64:ff9b::5db8:d822]"],
)
async def test_public_addresses_are_visited(url: str) -> None:
    assert await why_not_public(url) is None


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("ws://127.0.0.1:7777", "127.0.0.1:7777"),
        ("wss://127.0.0.1:7777/inbox", "127.0.0.1:7777"),
        ("ws://127.0.0.1", "127.0.0.1:80"),
        ("wss://127.0.0.1", "127.0.0.1:443"),
        ("ws://LOCALHOST:7777", "localhost"),
        ("ws://[::1]:7777", "[::1]:7777"),
        ("ws://[::1]:7777", "[::1]"),
    ],
)
async def test_a_host_that_the_owner_allows_may_be_private(url: str, allowed: str) -> None:
    assert await why_not_public(url, [allowed]) is None
    assert await why_not_public(url) is not None


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("ws://127.0.0.1:7778", "127.0.0.1:7777"),
        ("ws://127.0.0.1:77770", "127.0.0.1:7777"),
        ("ws://127.0.0.2:7777", "127.0.0.1:7777"),
        ("ws://127.0.0.1.example.org", "127.0.0.1"),
        ("ws://me@127.0.0.1:7777", "127.0.0.1:7777"),
        ("http://127.0.0.1:7777", "127.0.0.1:7777"),
        ("ws://93.184.216.34", "127.0.0.1"),
    ],
)
async def test_no_other_host_is_allowed_by_it(url: str, allowed: str) -> None:
    assert await why_not_public(url, [allowed]) is not None


async def test_the_addresses_that_were_checked_are_those_to_connect_to() -> None:
    found = await resolve("https://[2606:4700::1111]/a", "https")
    assert found == Destination("2606:4700::1111", 443, ("2606:4700::1111",))
    found = await resolve("http://127.0.0.1:8000/a", "https", ["127.0.0.1:8000"])
    assert found == Destination("127.0.0.1", 8000, ("127.0.0.1",))
    with pytest.raises(NotPublic, match="only https://"):
        await resolve("wss://93.184.216.34", "https")
