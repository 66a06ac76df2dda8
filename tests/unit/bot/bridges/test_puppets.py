import json

from bot.bridges.puppets import clean_name, membership_template, profile_template, puppet_key
from nips.key import SecretKey
from nips.own.binding import mark

SEED = SecretKey(bytes([7]) * 32)
ALICE = SecretKey(bytes([8]) * 32).public
BOT = SecretKey(bytes([9]) * 32).public
GROUP = "8c5e2c0e-6a53-4a8c-9e43-0c1d3f2b7a10"


def test_a_puppet_is_the_same_after_a_restart_and_anothers_for_anybody_else() -> None:
    key = puppet_key(SEED, f"nostr:{ALICE}")
    assert key == puppet_key(SEED, f"nostr:{ALICE}")
    others = {
        SEED.public,
        ALICE,
        puppet_key(SEED, f"nostr:{BOT}").public,
        puppet_key(SecretKey(bytes([10]) * 32), f"nostr:{ALICE}").public,
        puppet_key(SEED, "signal:" + ALICE).public,
    }
    assert key.public not in others
    assert len(others) == 5


def test_a_puppet_key_never_changes_between_versions() -> None:
    # A new derivation would make every member of every group a stranger.
    assert puppet_key(SEED, f"nostr:{ALICE}").public == (
        "c4db83fb2949a836c5aae7c5ab3bcf6c446a9603bea1d81fbe099cab082c682e"
    )


def test_a_membership_is_made_once_for_each_version_of_the_binding() -> None:
    template = membership_template(SEED.public, GROUP, ALICE, "ab" * 32, f"nostr:{BOT}", 5)
    later = membership_template(SEED.public, GROUP, ALICE, "ab" * 32, f"nostr:{BOT}", 6)
    other = membership_template(SEED.public, GROUP, ALICE, "cd" * 32, f"nostr:{BOT}", 6)
    assert (template.kind, template.tag("h")) == (9000, GROUP)
    assert ("p", ALICE, "puppet") in template.tags
    assert template.tag("o") == later.tag("o") != other.tag("o")
    # For whom it is, whoever knows them can tell; who reads the group is not told.
    assert template.tag("for") == mark(GROUP, f"nostr:{BOT}")
    assert not any(BOT in value for tag in template.tags for value in tag)


def test_a_profile_names_the_puppet() -> None:
    template = profile_template(ALICE, "Alice (Nostr)", 5)
    assert json.loads(template.content)["name"] == "Alice (Nostr)"


def test_a_name_is_what_is_visible_of_it() -> None:
    assert clean_name(" An\u202en \n") == "Ann"
    assert clean_name("x" * 1_000) == "x" * 60
    assert clean_name("\u200b\t") == ""
