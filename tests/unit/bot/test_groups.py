"""The fold of memberships, and what is still missing of main, also after any crash."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.groups import Groups, main_binding, missing_of_main
from nips import nip29
from nips.event import Event, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import binding as bindings
from nips.own.roles import Roles

KEYS = {name: SecretKey(bytes([n]) * 32) for n, name in enumerate(
    ("relay", "signer", "router", "bot", "owner", "chat", "bridge", "alice", "before"), 1
)}  # fmt: skip
MAIN = "00000000-0000-4000-8000-000000000001"
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
