"""NIP-29 templates and what they say."""

from __future__ import annotations

import pytest

from nips import nip29
from nips.event import Template
from nips.key import SecretKey
from nips.nip29 import GroupRole, Member, Metadata
from nips.refusal import Malformed

GROUP = "0f8fad5b-d9cb-469f-a165-70867728950e"


def test_templates(alice: SecretKey, bob: SecretKey) -> None:
    h = ("h", GROUP)
    metadata = Metadata("Tea", "about tea", frozenset({"closed", "private"}))
    assert nip29.create_group(alice.public, GROUP, 7) == Template(alice.public, 7, 9007, (h,), "")
    assert nip29.edit_metadata(alice.public, GROUP, metadata, 7).tags == (
        h,
        ("name", "Tea"),
        ("about", "about tea"),
        ("private",),
        ("closed",),
    )
    put = nip29.put_user(alice.public, GROUP, bob.public, [GroupRole.PUPPET], 7)
    assert (put.kind, put.tags) == (9000, (h, ("p", bob.public, "puppet")))
    assert nip29.members(put) == (Member(bob.public, ("puppet",)),)
    removed = nip29.remove_user(alice.public, GROUP, bob.public, 7)
    assert (removed.kind, removed.tags) == (9001, (h, ("p", bob.public)))
    assert nip29.delete_group(alice.public, GROUP, 7).kind == 9008


@pytest.mark.parametrize(
    "metadata",
    [Metadata(), Metadata("a"), Metadata("a", "b", frozenset(nip29.FLAGS)), Metadata(about="b")],
)
def test_metadata_round_trip(alice: SecretKey, metadata: Metadata) -> None:
    template = nip29.edit_metadata(alice.public, GROUP, metadata, 7)
    assert Metadata.from_tags(template) == metadata


def test_unknown_tags_of_metadata_are_passed_over() -> None:
    template = Template("", 7, 39000, (("d", GROUP), ("t", "stream"), ("name", "a")), "")
    assert Metadata.from_tags(template) == Metadata("a")


@pytest.mark.parametrize("kind", [9000, 9001, 9005, 9020])
def test_moderation(kind: int) -> None:
    assert nip29.is_moderation(kind)


@pytest.mark.parametrize("kind", [9, 8999, nip29.JOIN_REQUEST, nip29.LEAVE_REQUEST, 39000])
def test_no_moderation(kind: int) -> None:
    assert not nip29.is_moderation(kind)


def test_several_members_and_none(alice: SecretKey, bob: SecretKey) -> None:
    tags = (("p", alice.public, "owner", "admin"), ("p", bob.public))
    assert nip29.members(Template("", 7, 9000, tags, "")) == (
        Member(alice.public, ("owner", "admin")),
        Member(bob.public, ()),
    )
    assert nip29.members(Template("", 7, 39002, (("d", GROUP),), "")) == ()


@pytest.mark.parametrize("tags", [(), (("p",),), (("p", "bob"),), (("h", GROUP),)])
def test_a_moderation_event_that_names_nobody(tags: tuple[tuple[str, ...], ...]) -> None:
    with pytest.raises(Malformed):
        nip29.members(Template("", 7, 9000, tags, ""))


def test_every_role_is_described() -> None:
    assert set(nip29.ROLE_DESCRIPTIONS) == set(GroupRole)
