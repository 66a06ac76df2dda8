"""What groups and folders are called, whom a word names, and who cannot be bound."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import registration
from bot.groups import Group
from bot.registration import RegistryError, Unclear
from nips.event import Event
from nips.key import SecretKey
from nips.kinds import Kind
from nips.nip19 import encode_nprofile, encode_npub
from nips.nip29 import FLAGS
from nips.own.binding import FOLDER, Binding
from nips.own.fields import GROUP_ID
from nips.own.roles import Roles
from nips.refusal import Malformed
from tests.unit.nips.own.test_signal_id import ACI

KEYS = {name: SecretKey(bytes([n]) * 32) for n, name in enumerate(
    ("relay", "signer", "router", "bot", "owner", "chat", "bridge", "ann", "bob"), 1
)}  # fmt: skip
P = {name: key.public for name, key in KEYS.items()}
MAIN, ONE, TWO = (f"{n}0000000-0000-4000-8000-000000000001" for n in "012")
ROLES = Roles(
    P["relay"], P["signer"], P["router"], P["bot"], MAIN,
    chat=P["chat"], bridges={"nostr": P["bridge"]},
)  # fmt: skip
ANN, BOB, OWNER = (f"nostr:{P[name]}" for name in ("ann", "bob", "owner"))
CLEO, DAN = f"signal:{ACI}", f"signal:{ACI[:-1]}0"
CLUB, OTHER_CLUB = (f"signal:{b64encode(bytes([n]) * 32).decode()}" for n in (1, 2))


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("Ann", "ann"),
        ("Familie Müller-Größe", "familie-muller-grosse"),
        ("  a  b  ", "a-b"),
        ("../../etc/passwd", "etc-passwd"),
        ("main", "main-2"),
        ("MAIN", "main-2"),
        ("Иван", "group"),
        ("👋", "group"),
        ("x" * 200, "x" * 64),
    ],
)
def test_a_folder_is_called_like_its_group(name: str, folder: str) -> None:
    assert registration.folder_name(name, ()) == folder


@given(st.text(max_size=90), st.sets(st.sampled_from(["ann", "Ann-2", "GROUP", "group-2", "a"])))
def test_no_two_folders_are_alike(name: str, taken: set[str]) -> None:
    found = registration.folder_name(name, taken)
    assert FOLDER.fullmatch(found)
    assert found.casefold() not in {each.casefold() for each in taken} | {"main"}
    long = registration.folder_name("x" * 64, {"x" * 64})
    assert long == "x" * 62 + "-2"


@pytest.mark.parametrize("folder", ["main", "Main", "ANN", "../x", "", "a/b", "-a", "x" * 65, "."])
def test_a_chosen_folder_must_be_free_and_a_name(folder: str) -> None:
    with pytest.raises(RegistryError):
        registration.check_folder(folder, {"ann"})


def test_names_hold_nothing_unseen() -> None:
    assert registration.clean_name(" Ann\n✅ Done\u202e\u200b ") == "Ann ✅ Done"
    for nothing in ("", " \n\t ", "\u200b\u202e"):
        with pytest.raises(RegistryError):
            registration.clean_name(nothing)


@given(st.binary(min_size=16, max_size=16), st.none() | st.text())
def test_a_groups_id_is_a_uuid(random: bytes, once: str | None) -> None:
    found = registration.group_id(once, random)
    assert GROUP_ID.fullmatch(found)
    assert found[14] == "4"
    assert found[19] in "89ab"
    if once is not None:
        assert found == registration.group_id(once, bytes(16))


@pytest.mark.parametrize(
    "word",
    [
        P["ann"],
        P["ann"].upper(),
        ANN,
        encode_npub(P["ann"]),
        f" nostr:{encode_npub(P['ann'])} ",
        encode_nprofile(P["ann"], ["wss://relay.example"]),
    ],
)
def test_a_word_names_a_person(word: str) -> None:
    assert registration.counterpart_of(word) == ANN


def test_another_networks_person_is_named_as_they_are() -> None:
    assert registration.counterpart_of("telex:abc-def") == "telex:abc-def"
    assert registration.counterpart_of(f" signal:{ACI.upper()}") == f"signal:{ACI}"
    assert registration.counterpart_of(CLUB) == CLUB
    for wrong in ("ann", "nsec1qqqq", "Telex:abc", "signal:", "signal:abc", "nostr:ann"):
        with pytest.raises(Malformed):
            registration.counterpart_of(wrong)


def group(id_: str, name: str, folder: str, **fields: object) -> Group:
    binding = replace(Binding(id_, folder), **fields)  # type: ignore[arg-type]
    return Group(id_, MappingProxyType({}), binding, 0, name)


GROUPS = (group(MAIN, "Main", "main"), group(ONE, "Ann", "ann"), group(TWO, "Ann", "ann-2"))


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("main", MAIN),
        ("MAIN", MAIN),
        (" ann-2 ", TWO),
        ("2000", TWO),
        (ONE, ONE),
        ("10000000-", ONE),
    ],
)
def test_a_word_finds_a_group(word: str, found: str) -> None:
    assert registration.chosen(word, GROUPS).id == found


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("Ann", (ONE[:8], "ann-2")),
        ("mian", ("main",)),
        ("ana", (ONE[:8], "ann-2")),
        ("zzzz", ()),
    ],
)
def test_a_word_that_finds_none_tells_what_is_near(word: str, near: tuple[str, ...]) -> None:
    with pytest.raises(Unclear) as raised:
        registration.chosen(word, GROUPS)
    assert set(near) <= set(raised.value.near) if near else raised.value.near == ()
    for each in raised.value.near:
        assert registration.chosen(each, GROUPS)


@pytest.mark.parametrize(
    ("people", "room", "refused"),
    [
        ((BOB,), False, False),
        ((ANN,), False, True),  # one direct conversation each
        ((ANN, BOB), True, False),
        ((ANN, OWNER), True, True),  # a room of the same people
        ((OWNER, ANN), True, True),
        ((OWNER,), False, True),  # theirs is main
        ((OWNER, BOB), True, False),
        ((f"nostr:{P['bot']}",), False, True),
        ((f"nostr:{P['signer']}",), True, True),
        ((f"nostr:{P['chat']}",), False, True),
        ((DAN,), False, False),
        ((DAN, f"signal:{ACI[:-1]}1"), False, False),
        ((CLEO,), False, True),
        ((CLUB,), False, True),
        ((OTHER_CLUB,), False, False),
        ((OTHER_CLUB, DAN), False, True),  # a group of Signal's is alone
        ((BOB, DAN), False, True),  # two networks share none
        ((BOB, OTHER_CLUB), False, True),
    ],
)
def test_who_can_be_bound(people: tuple[str, ...], room: bool, refused: bool) -> None:
    among = [
        Binding("50000000-0000-4000-8000-000000000001", "cleo", (CLEO,)),
        Binding("60000000-0000-4000-8000-000000000001", "chess", (CLUB,)),
        Binding(MAIN, "main", (OWNER, f"nostr:{P['chat']}")),
        Binding(ONE, "ann", (ANN,)),
        Binding("30000000-0000-4000-8000-000000000001", "trip", (ANN, OWNER), room=True),
        Binding("40000000-0000-4000-8000-000000000001", "old", (BOB,), archived=True),
    ]
    why = registration.why_not_bound(people, room, among, TWO, ROLES, P["owner"])
    assert (why is not None) == refused, why


def test_a_new_name_takes_nothing_else_away() -> None:
    """Seen in clients: an edit with the name alone opens the group and drops its picture."""
    tags = (
        ("d", ONE), ("h", ONE), ("name", "Old"), ("about", "us"), ("picture", "https://x/y.png"),
        ("private",), ("hidden",), ("open",),
    )  # fmt: skip
    state = Event("0" * 64, P["relay"], 1, Kind.GROUP_METADATA, tags, "", "0" * 128)
    made = registration.renaming(ONE, "New", state, ROLES, 5)
    assert made.tag("name") == "New"
    assert made.tag("about") == "us"
    assert made.tag("picture") == "https://x/y.png"
    said = {tag[0] for tag in made.tags}
    assert {"private", "hidden", "unrestricted", "open"} <= said
    assert said.isdisjoint({"restricted", "closed", "public", "visible"})
    assert {(flag,) for flag in FLAGS} <= set(registration.renaming(ONE, "N", None, ROLES, 5).tags)


def test_only_who_is_missing_joins() -> None:
    known = Group(ONE, MappingProxyType({P["owner"]: ("owner",)}))
    both = registration.joining(None, ONE, ROLES, P["owner"], 1)
    one = registration.joining(known, ONE, ROLES, P["owner"], 1)
    assert both is not None
    assert both.values("p") == [P["owner"], P["bot"]]
    assert one is not None
    assert one.values("p") == [P["bot"]]
    full = known.with_members({P["bot"]: ("member",)})
    assert registration.joining(full, ONE, ROLES, P["owner"], 1) is None
