"""What is learnt of groups, also from what makes no sense."""

from __future__ import annotations

from bot.author import Author
from bot.directory import Directory
from nips import nip29
from nips.event import Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import binding as bindings
from nips.own.binding import Binding
from relay_local.client import Link

ROUTER = SecretKey(bytes([3]) * 32)
GROUP = "00000000-0000-4000-8000-000000000001"


def directory() -> Directory:
    # Nothing is read or written here: the link is never connected.
    return Directory(Author(Link("ws://127.0.0.1:1", [ROUTER], None), ROUTER))


def test_a_group_and_its_binding_are_learnt_at_once() -> None:
    known = directory()
    known.learn(nip29.create_group(ROUTER.public, GROUP, 1).sign(ROUTER, bytes(32)))
    template = bindings.template(Binding(GROUP, "folder", ()), ROUTER.public, 2)
    known.learn(template.sign(ROUTER, bytes(32)))
    group = known.group(GROUP)
    assert group is not None
    assert group.binding == Binding(GROUP, "folder", ())
    assert known.now() is known.groups
    assert known.group("another") is None


def test_what_makes_no_sense_changes_nothing_and_ends_nothing() -> None:
    """Attack: an event that its reader cannot read stops the router, at every start again."""
    known = directory()
    known.learn(nip29.create_group(ROUTER.public, GROUP, 1).sign(ROUTER, bytes(32)))
    before = known.now()
    for kind, tags, text in (
        (Kind.APP_DATA, (("d", f"group/{GROUP}"),), "{"),
        (Kind.PUT_USER, (("h", GROUP), ("p", "nobody")), ""),
    ):
        known.learn(Template(ROUTER.public, 2, kind, tags, text).sign(ROUTER, bytes(32)))
    assert known.now() == before
