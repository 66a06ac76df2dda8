import json
from dataclasses import replace

from bot.bridges.nostr.announce import own_lists, says_the_same
from nips.key import SecretKey

BOT = SecretKey(bytes([1]) * 32)
RELAYS = ("wss://a.example", "wss://b.example")
PROFILE = {"name": "Bot", "about": "A bot."}


def test_the_lists_are_what_the_signers_ceiling_expects() -> None:
    inbox, outbox, profile = own_lists(BOT.public, RELAYS, PROFILE, 5)
    assert (inbox.kind, inbox.tags, inbox.content) == (
        10050,
        (("relay", RELAYS[0]), ("relay", RELAYS[1])),
        "",
    )
    assert (outbox.kind, outbox.tags, outbox.content) == (
        10002,
        (("r", RELAYS[0]), ("r", RELAYS[1])),
        "",
    )
    assert (profile.kind, profile.tags, json.loads(profile.content)) == (0, (), PROFILE)


def test_only_a_change_is_signed_again() -> None:
    wanted = own_lists(BOT.public, RELAYS, PROFILE, 5)[0]
    stored = wanted.sign(BOT, bytes(32))
    assert says_the_same(replace(wanted, created_at=9), stored)
    assert not says_the_same(wanted, None)
    assert not says_the_same(replace(wanted, tags=wanted.tags[:1]), stored)
    assert not says_the_same(replace(wanted, content="x"), stored)
