"""Received envelopes: every kind there is, and what is none."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.bridges.signal.received.envelope import (
    MAX_TEXT_CHARS,
    Conversation,
    Deleted,
    Edited,
    Identity,
    Ignored,
    Person,
    Reacted,
    Said,
    parse,
)
from bot.bridges.signal.received.mentions import Mention
from bot.bridges.signal.received.parts import MAX_FILES, File, Quoted, Target
from bot.operate.stand_ins import signal_envelopes as made
from nips.refusal import Malformed
from tests.signal_service import ALICE, BOB, FRIENDS, NUMBER

AT, THEN = 1_700_000_000_123, 1_699_999_999_000
ME = made.Person("99999999-9999-4999-8999-999999999999", "Me", NUMBER)
SECRET = "what somebody wrote"


def item(envelope: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"envelope": envelope, "account": NUMBER, **more}


def said(envelope: dict[str, Any]) -> Said:
    found = parse(item(envelope), NUMBER)
    assert isinstance(found, Said)
    return found


def changed(envelope: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with another value at a path as `dataMessage.message`."""
    whole = copy.deepcopy(envelope)
    *way, last = path.split(".")
    part = whole
    for name in way:
        part = part[int(name)] if isinstance(part, list) else part[name]
    part[last] = value
    return whole


def test_words_of_a_person() -> None:
    assert said(made.said(ALICE, "hello\nthere", AT, expires_s=3_600)) == Said(
        Identity(NUMBER, ALICE.aci, 1, AT),
        Person(ALICE.aci, ALICE.number, "Alice Example"),
        Conversation(ALICE.aci, False, None),
        "hello\nthere",
        expires_s=3_600,
    )


def test_words_in_a_group_by_somebody_who_hides_their_number() -> None:
    found = said(made.said(BOB, "hello", AT, group=FRIENDS))
    assert found.who == Person(BOB.aci, None, "Bob")
    assert found.conversation == Conversation(FRIENDS.id, True, "Friends")
    assert found.expires_s is None


def test_whatever_comes_with_words() -> None:
    attachment = made.attachment("abc.jpg", "IMAGE/JPEG; x=y", 9, "../holiday.jpg")
    envelope = made.said(
        ALICE,
        "😀 \ufffc look",
        AT,
        quote=made.quote(BOB, THEN, "shall we?"),
        mentions=[made.mention(ME, 3)],
        attachments=[attachment | {"width": 8, "height": 6, "caption": "us"}],
    )
    envelope["dataMessage"]["sticker"] = {"packId": "ab", "stickerId": 1}
    envelope["dataMessage"]["viewOnce"] = True
    found = said(envelope)
    assert found.quote == Quoted(Target(BOB.aci, None, THEN), "shall we?")
    assert found.mentions == (Mention(ME.aci, NUMBER, 3, 1),)
    assert found.files == (File("abc.jpg", "image/jpeg", "../holiday.jpg", 9, "8x6", "us"),)
    assert found.notes == ("[a sticker]",)
    assert found.view_once


def test_an_edit_says_which_message_it_replaces() -> None:
    found = parse(item(made.edited(ALICE, "helo", THEN, AT, group=FRIENDS)), NUMBER)
    assert isinstance(found, Edited)
    assert (found.target, found.said.text) == (THEN, "helo")
    assert found.identity == found.said.identity == Identity(NUMBER, ALICE.aci, 1, AT)
    assert found.conversation.id == FRIENDS.id


@pytest.mark.parametrize("remove", [False, True])
def test_a_reaction_names_its_message_by_author_and_time(remove: bool) -> None:
    found = parse(item(made.reacted(ALICE, "👍", ME, THEN, AT, remove=remove)), NUMBER)
    assert isinstance(found, Reacted)
    assert found.target == Target(ME.aci, NUMBER, THEN)
    assert (found.emoji, found.removed) == ("👍", remove)


def test_a_deletion_is_of_the_senders_own_message() -> None:
    found = parse(item(made.deleted(ALICE, THEN, AT)), NUMBER)
    assert isinstance(found, Deleted)
    assert (found.who.aci, found.target) == (ALICE.aci, THEN)


def nothing() -> Iterator[tuple[dict[str, Any], str]]:
    """What nobody is shown, and what it is counted as."""
    yield item(made.synced(ME, "hi", ALICE, AT)), "sync"
    yield item(made.read_elsewhere(ME, ALICE, THEN, AT)), "sync"
    yield item(made.receipt(ALICE, [THEN], AT)), "receipt"
    yield item(made.typing(ALICE, AT)), "typing"
    yield item(made.called(ALICE, AT)), "call"
    yield item(made.story(ALICE, "look", AT)), "story"
    yield item(made.timer(ALICE, 60, AT)), "timer"
    yield item(made.group_update(ALICE, AT, FRIENDS)), "group"
    yield item(made.said(ALICE, None, AT)), "empty"
    yield item(made.said(ALICE, "", AT, quote=made.quote(BOB, THEN, "x"))), "empty"
    yield item(made.said(ME, "to myself", AT)), "own"
    yield item(made.envelope(ALICE, AT)), "empty"
    yield made.undecryptable(ALICE, AT) | {"account": NUMBER}, "unreadable"
    yield {"account": NUMBER, "exception": {"message": "x", "type": "y"}}, "unreadable"
    target = {"targetAuthorUuid": BOB.aci, "targetSentTimestamp": THEN}
    for name, why in (("pollVote", "poll"), ("pinMessage", "pin"), ("adminDelete", "admin-delete")):
        yield item(made.envelope(ALICE, AT, dataMessage={"timestamp": AT, name: target})), why


@pytest.mark.parametrize(("received", "why"), list(nothing()))
def test_what_nobody_is_shown_is_counted_as_something(received: dict[str, Any], why: str) -> None:
    found = parse(received, NUMBER)
    assert isinstance(found, Ignored)
    assert found.why == why


@pytest.mark.parametrize("account", ["+4915100000002", None, 5, "", NUMBER + " "])
def test_what_another_account_received_is_refused(account: Any) -> None:
    """Attack: the service holds other people's accounts too."""
    with pytest.raises(Malformed, match="account"):
        parse({"envelope": made.said(ALICE, SECRET, AT), "account": account}, NUMBER)


FULL = made.said(
    ALICE,
    SECRET,
    AT,
    group=FRIENDS,
    quote=made.quote(BOB, THEN, SECRET),
    mentions=[made.mention(BOB, 0)],
    attachments=[made.attachment("a.jpg", "image/jpeg", 9, SECRET)],
)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("sourceUuid", "AAAAAAAA-1111-4111-8111-111111111111"),
        ("sourceUuid", f"PNI:{ALICE.aci}"),
        ("sourceUuid", "../../x"),
        ("sourceDevice", -1),
        ("sourceDevice", "1"),
        ("sourceName", {"a": 1}),
        ("dataMessage", SECRET),
        ("dataMessage.timestamp", 1_700_000_000),  # seconds
        ("dataMessage.timestamp", 9_999_999_999_999),
        ("dataMessage.timestamp", AT + 0.5),
        ("dataMessage.timestamp", 2**80),
        ("dataMessage.message", [SECRET]),
        ("dataMessage.expiresInSeconds", -5),
        ("dataMessage.viewOnce", "yes"),
        ("dataMessage.groupInfo.groupId", None),
        ("dataMessage.groupInfo.groupId", "AAAA"),
        ("dataMessage.groupInfo.groupId", "../../../etc/passwd"),
        ("dataMessage.groupInfo", {}),
        ("dataMessage.quote.id", None),
        ("dataMessage.quote.id", 0),
        ("dataMessage.quote.text", 5),
        ("dataMessage.mentions.0.start", -1),
        ("dataMessage.mentions", {}),
        ("dataMessage.attachments.0.size", -1),
        ("dataMessage.attachments", [SECRET]),
    ],
)
def test_what_is_not_of_its_form_is_refused_without_a_word_of_it(path: str, value: Any) -> None:
    with pytest.raises(Malformed) as error:
        parse(item(changed(FULL, path, value)), NUMBER)
    assert SECRET not in str(error.value)
    assert path.rpartition(".")[2] in str(error.value)


def test_an_id_beside_a_broken_one_is_not_taken_in_its_place() -> None:
    """Attack: `source` was once either id; whoever gets nonsense into `sourceUuid` is not it."""
    envelope = made.said(ALICE, "x", AT) | {"sourceUuid": "nonsense", "source": BOB.aci}
    with pytest.raises(Malformed, match="sourceUuid"):
        parse(item(envelope), NUMBER)


@pytest.mark.parametrize("source", [ALICE.aci, None])
def test_former_versions_had_one_field_for_both_ids(source: str | None) -> None:
    envelope = made.said(ALICE, "x", AT) | {"sourceUuid": None, "source": source}
    if source is None:
        with pytest.raises(Malformed, match="sourceUuid"):
            parse(item(envelope), NUMBER)
    else:
        assert said(envelope).who.aci == source


def test_every_field_may_be_missing_that_is_not_needed() -> None:
    least = {"sourceUuid": ALICE.aci, "timestamp": AT, "dataMessage": {"message": "hi"}}
    found = said(least)
    assert found.who == Person(ALICE.aci, None, None)
    assert found.identity == Identity(NUMBER, ALICE.aci, 0, AT)
    assert said(least | {"news": {"of": ["tomorrow"]}}) == found
    with pytest.raises(Malformed, match="timestamp"):
        parse(item(least | {"timestamp": None}), NUMBER)


def test_the_time_is_what_others_quote_it_by() -> None:
    envelope = made.said(ALICE, "hi", AT) | {"timestamp": AT + 5}
    assert said(envelope).identity.timestamp == AT


@pytest.mark.parametrize(
    ("field", "value"),
    [("emoji", None), ("emoji", " "), ("targetSentTimestamp", None), ("isRemove", 1)],
)
def test_a_reaction_that_lacks_something_is_refused(field: str, value: Any) -> None:
    envelope = made.reacted(ALICE, "👍", ME, THEN, AT)
    with pytest.raises(Malformed, match=field):
        parse(item(changed(envelope, f"dataMessage.reaction.{field}", value)), NUMBER)


def test_a_reaction_to_nobodys_message_is_refused() -> None:
    reaction = {"emoji": "👍", "targetSentTimestamp": THEN, "isRemove": False}
    with pytest.raises(Malformed, match="targetAuthor"):
        parse(item(made.envelope(ALICE, AT, dataMessage={"reaction": reaction})), NUMBER)


def test_an_edit_without_words_or_target_is_refused() -> None:
    envelope = made.edited(ALICE, "x", THEN, AT)
    for path in ("editMessage.dataMessage", "editMessage.targetSentTimestamp"):
        with pytest.raises(Malformed, match="missing"):
            parse(item(changed(envelope, path, None)), NUMBER)


def test_there_is_an_end_to_everything() -> None:
    """Attack: a message of 10 MB, 10,000 files, mentions and contacts."""
    envelope = made.said(
        ALICE,
        "x" * 10_000_000,
        AT,
        mentions=[made.mention(BOB, i) for i in range(10_000)],
        attachments=[made.attachment(f"{i}.jpg", "image/jpeg", 9) for i in range(10_000)],
    )
    found = said(envelope)
    assert len(found.text) < MAX_TEXT_CHARS + 10
    assert len(found.files) == MAX_FILES
    assert len(found.mentions) < 1_000


@pytest.mark.parametrize(
    ("given_id", "id_"),
    [("a.jpg", "a.jpg"), ("../a", None), ("", None), (None, None), ("..", None)],
)
def test_a_file_that_cannot_be_asked_for_has_no_id(given_id: Any, id_: str | None) -> None:
    envelope = changed(FULL, "dataMessage.attachments.0.id", given_id)
    assert said(envelope).files[0].id == id_


def test_a_long_text_is_no_file_besides() -> None:
    long_text = made.attachment("a.txt", "text/x-signal-plain", 9)
    assert said(made.said(ALICE, "x", AT, attachments=[long_text])).files == ()


@pytest.mark.parametrize("kind", ["", None, "nonsense", "image/jpeg\nx: y", "a/b/c"])
def test_a_type_that_is_none_is_unknown(kind: Any) -> None:
    envelope = changed(FULL, "dataMessage.attachments.0.contentType", kind)
    assert said(envelope).files[0].media_type == "application/octet-stream"


@pytest.mark.parametrize(
    ("given", "is_name"),
    [
        ("+4915100000011", False),
        ("+49 (151) 00-000/011", False),
        ("0151\u20110000\u2011011", False),
        ("٠١٥١٠٠٠٠٠١١", False),
        ("Agent 007", True),
        ("1984", True),
        ("Room 0151 0000 0011", True),
    ],
)
def test_a_number_is_nobodys_name(given: str, is_name: bool) -> None:
    """Attack: who is in an address book without a name is called by number before the group."""
    who = said(made.said(ALICE, "x", AT) | {"sourceName": given, "sourceNumber": None}).who
    assert who.name == (given if is_name else None)


def test_a_name_is_one_line() -> None:
    assert said(made.said(ALICE, "x", AT) | {"sourceName": " a\nb\t "}).who.name == "a b"
    assert said(made.said(ALICE, "x", AT) | {"sourceName": "\n"}).who.name is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["message", "groupInfo", "quote", "timestamp", "id", "start", "emoji"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
PATHS = ["sourceUuid", "sourceName", "timestamp", "dataMessage", "editMessage", "syncMessage"]
PATHS += [f"dataMessage.{name}" for name in [*FULL["dataMessage"], "reaction", "remoteDelete"]]


@given(st.sampled_from(PATHS), JSON)
def test_whatever_stands_anywhere_it_is_read_or_refused(path: str, value: Any) -> None:
    try:
        parse(item(changed(FULL, path, value)), NUMBER)
        refusal = ""
    except Malformed as error:
        refusal = str(error)
    assert SECRET not in refusal
