import pytest

from bot.bridges.nostr.destination import why_not_public


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
        "wss://relay.damus.io:99999",
    ],
)
async def test_a_list_cannot_make_us_connect_inwards(url: str) -> None:
    assert await why_not_public(url) is not None


@pytest.mark.parametrize("url", ["wss://93.184.216.34", "wss://[2606:4700::1111]:443/inbox"])
async def test_public_addresses_are_visited(url: str) -> None:
    assert await why_not_public(url) is None
