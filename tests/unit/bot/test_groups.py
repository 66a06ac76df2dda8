"""The fold of memberships, and what is still missing of main, also after any crash."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.bridges import puppets
from bot.groups import Groups, main_binding, missing_of_main
from nips import nip29
from nips.event import Event, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.nip29 import Metadata
from nips.own import binding as bindings
from nips.own.binding import Binding, Budget
from nips.own.roles import Roles

KEYS = {name: SecretKey(bytes([n]) * 32) for n, name in enumerate(
    ("relay", "signer", "router", "bot", "owner", "chat", "bridge", "alice", "before"), 1
)}  # fmt: skip
MAIN = "00000000-0000-4000-8000-000000000001"
WORK = "00000000-0000-4000-8000-000000000002"
OWNER, ROUTER, BOT = (KEYS[name].public for name in ("owner", "router", "bot"))
ROLES = Roles(
    KEYS["relay"].public, KEYS["signer"].public, ROUTER, BOT, MAIN,
    chat=KEYS["chat"].public, bridges={"nostr": KEYS["bridge"].public},
)  # fmt: skip


def signed(template: Template) -> Event:
    return template.sign(KEYS["router"], bytes(32))


def learn(groups: Groups, template: Template) -> Groups:
    event = signed(template)
    if event.kind == Kind.APP_DATA:
        return groups.bound(bindings.parse(event, ROUTER), event.created_at)
    return groups.after(event)


def test_main_is_made_whole_from_nothing() -> None:
    templates = missing_of_main(Groups(), ROLES, OWNER, 100)
    assert [t.kind for t in templates] == [9007, 9002, 9000, 9000, 30078]
    groups = Groups()
    for template in templates:
        groups = learn(groups, template)
    main = groups.by_id[MAIN]
    assert main.has(OWNER, "owner")
    assert main.has(BOT, "member")
    assert main.binding == main_binding(ROLES, OWNER)
    assert main.binding.counterparts == (f"nostr:{OWNER}", f"nostr:{KEYS['chat'].public}")
    assert missing_of_main(groups, ROLES, OWNER, 101) == ()


@pytest.mark.parametrize("stored", range(6))
def test_a_crash_in_between_leaves_the_rest(stored: int) -> None:
    groups = Groups()
    for template in missing_of_main(Groups(), ROLES, OWNER, 100)[:stored]:
        groups = learn(groups, template)
    for template in missing_of_main(groups, ROLES, OWNER, 101):
        groups = learn(groups, template)
    assert missing_of_main(groups, ROLES, OWNER, 102) == ()


def test_another_owner_replaces_the_one_before() -> None:
    groups = Groups()
    for template in missing_of_main(Groups(), ROLES, KEYS["before"].public, 100):
        groups = learn(groups, template)
    templates = missing_of_main(groups, ROLES, OWNER, 100)
    assert [t.kind for t in templates] == [9001, 9000, 30078]
    for template in templates:
        groups = learn(groups, template)
    assert not groups.by_id[MAIN].has(KEYS["before"].public, "owner")
    assert groups.by_id[MAIN].binding == main_binding(ROLES, OWNER)
    assert templates[-1].created_at == 101, "an older or equal binding would not replace"


def test_a_group_of_ours_is_only_what_was_created() -> None:
    put = signed(nip29.put_user(ROUTER, MAIN, OWNER, ("owner",), 1))
    assert Groups().after(put) == Groups()
    gone = Groups().after(signed(nip29.create_group(ROUTER, MAIN, 1)))
    assert gone.after(signed(nip29.delete_group(ROUTER, MAIN, 2))) == Groups()


def test_a_binding_of_before_does_not_come_back() -> None:
    groups = Groups().after(signed(nip29.create_group(ROUTER, MAIN, 1)))
    new, old = main_binding(ROLES, OWNER), main_binding(ROLES, BOT)
    assert groups.bound(new, 20).bound(old, 10).by_id[MAIN].binding == new


def test_what_the_owner_changed_in_main_stays() -> None:
    groups = Groups()
    for template in missing_of_main(Groups(), ROLES, KEYS["before"].public, 100):
        groups = learn(groups, template)
    before = groups.by_id[MAIN].binding
    assert before is not None
    changed = replace(before, trigger="@Claw", paused=True, budget=Budget(runs=9))
    groups = groups.bound(changed, 200)
    for template in missing_of_main(groups, ROLES, OWNER, 100):
        groups = learn(groups, template)
    assert groups.by_id[MAIN].binding == replace(
        main_binding(ROLES, OWNER), trigger="@Claw", paused=True, budget=Budget(runs=9)
    )
    assert missing_of_main(groups, ROLES, OWNER, 300) == ()


@pytest.mark.parametrize(
    "lost", [{"archived": True}, {"room": True}, {"folder": "other"}, {"counterparts": ()}], ids=str
)
def test_main_is_always_there_and_the_owners(lost: dict[str, Any]) -> None:
    binding = main_binding(ROLES, OWNER)
    assert main_binding(ROLES, OWNER, replace(binding, **lost)) == binding


def test_a_group_is_called_what_was_said_last() -> None:
    def named(name: str | None) -> Template:
        return nip29.edit_metadata(ROUTER, MAIN, Metadata(name), 1)

    created = replace(nip29.create_group(ROUTER, MAIN, 1), tags=(("h", MAIN), ("name", "First")))
    groups = Groups().after(signed(created))
    assert groups.by_id[MAIN].name == "First"
    groups = groups.after(signed(nip29.put_user(ROUTER, MAIN, OWNER, ("owner",), 2)))
    assert groups.by_id[MAIN].name == "First"
    assert groups.after(signed(named("  The\n Family "))).by_id[MAIN].name == "The Family"
    assert groups.after(signed(named("a\x1b[2Jb"))).by_id[MAIN].name == "a [2Jb"
    assert groups.after(signed(named(None))).by_id[MAIN].name == ""
    assert Groups().after(signed(named("x"))) == Groups()


def test_a_muted_person_is_muted_as_a_puppet_too() -> None:
    """Attack: whoever was muted by their npub goes on calling, for a puppet has another key."""
    person, puppet, other = (KEYS[name].public for name in ("before", "alice", "bridge"))
    binding = Binding(MAIN, "main", muted=(person, "0c" * 32))
    put = puppets.membership_template(other, MAIN, puppet, "ab" * 32, f"nostr:{person}", 1)
    groups = Groups().after(signed(nip29.create_group(ROUTER, MAIN, 1))).bound(binding, 1)
    group = groups.after(signed(put)).by_id[MAIN]
    assert group.is_muted(puppet)
    assert group.is_muted(person)
    assert not group.is_muted(OWNER)
    assert not replace(group, binding=replace(binding, muted=(OWNER,))).is_muted(puppet)
    assert not replace(group, binding=None).is_muted(puppet)
    # The mark goes with the puppet, is of this group alone, and nobody else's to wear.
    removed = groups.after(signed(nip29.remove_user(other, MAIN, puppet, 2))).by_id[MAIN]
    assert removed.marks == {}
    elsewhere = puppets.membership_template(other, WORK, puppet, "ab" * 32, f"nostr:{person}", 1)
    assert elsewhere.tag("for") != put.tag("for")
    member = replace(put, tags=(("h", MAIN), ("p", OWNER, "owner"), ("for", put.tag("for") or "")))
    assert not groups.after(signed(member)).by_id[MAIN].is_muted(OWNER)


def test_who_the_owner_is_in_any_group() -> None:
    assert Groups().owners(MAIN, OWNER) == {OWNER}
    groups = Groups()
    for template in missing_of_main(Groups(), ROLES, OWNER, 100):
        groups = learn(groups, template)
    alice = KEYS["alice"].public
    put = nip29.put_user(KEYS["bridge"].public, MAIN, alice, ("puppet",), 1)
    assert groups.after(signed(put)).owners(MAIN, OWNER) == {OWNER, alice}
    member = nip29.put_user(ROUTER, MAIN, KEYS["before"].public, ("member",), 1)
    assert groups.after(signed(member)).owners(MAIN, OWNER) == {OWNER}


people = st.sampled_from([OWNER, BOT, KEYS["alice"].public])
steps = st.lists(st.tuples(st.booleans(), people, st.sampled_from(["puppet", "member", "owner"])))


@given(steps, st.integers(0, 30))
def test_events_read_again_from_some_point_on_lead_to_the_same(
    done: list[tuple[bool, str, str]], again_from: int
) -> None:
    create = nip29.create_group(ROUTER, MAIN, 1)
    templates = [create] + [
        nip29.put_user(ROUTER, MAIN, key, (role,), 1)
        if put
        else nip29.remove_user(ROUTER, MAIN, key, 1)
        for put, key, role in done
    ]
    once = Groups()
    for template in templates:
        once = once.after(signed(template))
    twice = once
    for template in templates[again_from:]:
        twice = twice.after(signed(template))
    assert twice == once
