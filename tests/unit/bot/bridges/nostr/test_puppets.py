import json
from dataclasses import replace

import pytest

from bot.bridges.nostr.puppets import (
    deletion_template,
    message_template,
    reaction_template,
    shown_name,
)
from nips.event import Event, Template
from nips.key import SecretKey
from nips.nip17 import DirectMessage
from nips.nip19 import encode_npub
from nips.own.once import once_key
from nips.own.received import ReceivedFile

SEED = SecretKey(bytes([7]) * 32)
ALICE = SecretKey(bytes([8]) * 32).public
BOT = SecretKey(bytes([9]) * 32).public
GROUP = "8c5e2c0e-6a53-4a8c-9e43-0c1d3f2b7a10"


@pytest.mark.parametrize(
    ("profile", "name"),
    [
        ('{"name":"Alice"}', "Alice (Nostr)"),
        ('{"display_name":"Alice A.","name":"a"}', "Alice A. (Nostr)"),
        ('{"name":"  "}', None),
        ('{"name":7}', None),
        ("[]", None),
        ("not json", None),
        (None, None),
        # Attack: a line break or a direction override that hides the network's name.
        ('{"name":"Owner\\n\\u202e"}', "Owner (Nostr)"),
        (json.dumps({"name": "x" * 500}), "x" * 60 + " (Nostr)"),
    ],
)
def test_names(profile: str | None, name: str | None) -> None:
    assert shown_name(ALICE, profile) == (name or f"{encode_npub(ALICE)[:14]}… (Nostr)")


def message(created_at: int) -> DirectMessage:
    return DirectMessage("ab" * 32, ALICE, (BOT,), "hello", created_at)


def test_a_message_carries_its_origin_and_its_once_key() -> None:
    template = message_template(SEED.public, GROUP, message(100), 200)
    assert template.kind == 9
    assert template.tags == (
        ("h", GROUP),
        ("o", once_key("ab" * 32)),
        ("proxy", "ab" * 32, "nostr"),
        ("-",),
    )
    assert (template.content, template.created_at) == ("hello", 100)


def test_a_message_carries_subject_file_and_expiration() -> None:
    file = ReceivedFile("a.jpg", "image/jpeg", "cd" * 32, 7)
    of_tea = replace(message(100), subject="  tea\n\u202e time  ")
    template = message_template(SEED.public, GROUP, of_tea, 200, file=file, expires_s=300)
    assert template.tags[3:] == (
        ("-",),
        ("expiration", "300"),
        ("subject", "tea time"),
        file.tag(),
    )
    for subject, carried in (("x" * 500, ["x" * 120]), ("\n\x1b", []), ("", []), (None, [])):
        made = message_template(SEED.public, GROUP, replace(message(1), subject=subject), 2)
        assert made.values("subject") == carried


def rumor(kind: int, content: str = "") -> Template:
    return Template(ALICE, 100, kind, (("e", "ab" * 32),), content)


def said(kind: int, number: int) -> Event:
    return Template(SEED.public, number, kind, (("h", GROUP),), "").sign(SEED, bytes(32))


def test_a_reaction_carries_its_expiration() -> None:
    template = reaction_template(SEED.public, rumor(7, "+"), said(9, 1), GROUP, 200, expires_s=300)
    assert template.tag("expiration") == "300"
    assert reaction_template(SEED.public, rumor(7), said(9, 1), GROUP, 200).values("e") == [
        said(9, 1).id
    ]


def test_a_deletion_names_what_was_said_and_what_has_not_come() -> None:
    first, second, unseen = said(9, 1), said(7, 2), "ef" * 32
    template = deletion_template(SEED.public, rumor(5), [first, second], [unseen], GROUP, 200)
    assert (template.kind, template.content, template.created_at) == (5, "", 100)
    assert template.tags == (
        ("h", GROUP),
        ("o", once_key(rumor(5).id)),
        ("proxy", rumor(5).id, "nostr"),
        ("-",),
        ("e", first.id),
        ("e", second.id),
        ("e", unseen),
        ("k", "7"),
        ("k", "9"),
        ("k", "14"),
    )


def test_a_clock_that_is_ahead_gains_nothing() -> None:
    assert message_template(SEED.public, GROUP, message(10_000), 200).created_at == 200
