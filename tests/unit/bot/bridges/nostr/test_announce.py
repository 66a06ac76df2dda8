import json
from dataclasses import replace

from bot.bridges.nostr.announce import own_lists, says_the_same, was_approved
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


def test_what_the_owner_approved_is_not_overwritten_at_the_next_start() -> None:
    profile = own_lists(BOT.public, RELAYS, PROFILE, 5)[2]
    assert not was_approved(None)
    assert not was_approved(profile.sign(BOT, bytes(32)))
    asked = replace(profile, tags=(("job", "ab" * 32),), content='{"name":"Ada"}')
    assert was_approved(asked.sign(BOT, bytes(32)))


def test_only_a_change_is_signed_again() -> None:
    wanted = own_lists(BOT.public, RELAYS, PROFILE, 5)[0]
    stored = wanted.sign(BOT, bytes(32))
    assert says_the_same(replace(wanted, created_at=9), stored)
    assert not says_the_same(wanted, None)
    assert not says_the_same(replace(wanted, tags=wanted.tags[:1]), stored)
    assert not says_the_same(replace(wanted, content="x"), stored)
