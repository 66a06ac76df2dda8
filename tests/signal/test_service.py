"""What signal-cli-rest-api does, one behaviour a test: of the stand-in, and of the real one.

    SIGNAL_API_BIN=/path/to/signal-cli-rest-api      asks the real one too (tests/signal/)

Where the two differ, the stand-in is wrong.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest

from bot.operate.stand_ins.signal_client import JSON_RPC
from bot.operate.stand_ins.signal_envelopes import said
from bot.operate.stand_ins.signal_faults import (
    Fault,
    challenge,
    exits,
    failing,
    held,
    no_link,
    noise,
    refuses,
    rejects_captcha,
)
from bot.operate.stand_ins.signal_service import StandInError
from tests.signal.asking import BASE_MS, KNOCK, Asking, group_id, texts
from tests.signal.conftest import EVERY, NATIVES, POLLED, Services, named
from tests.signal_service import ALICE, BOB, FRIENDS

STRANGER = "+4915199999999"  # no account of ours
UNKNOWN_GROUP = "group." + base64.b64encode(base64.b64encode(b"x" * 32)).decode()
CHALLENGE = "/v1/accounts/{number}/rate-limit-challenge"
TYPING = "/v1/typing-indicator/{number}"
REACTIONS = "/v1/reactions/{number}"
RECEIPTS = "/v1/receipts/{number}"
DELETE = "/v1/remote-delete/{number}"
LINK = "/v1/qrcodelink/raw"
RECEIVE = "/v1/receive/{number}"
TOO_BIG = 1009
PNG = b"\x89PNG\r\n\x1a\nrest"
INVALID_REQUEST = "Couldn't process request - invalid request"


def error(response: httpx.Response) -> str:
    return str(response.json()["error"])


# --- the service itself ---------------------------------------------------------------------------


@pytest.mark.parametrize("which", EVERY + NATIVES, ids=named)
async def test_it_says_what_it_is(services: Services, which: tuple[str, str]) -> None:
    asking = await services.of(which)
    about = (await asking.get("/v1/about")).json()
    assert about == {
        "versions": ["v1", "v2"], "build": 2, "mode": asking.mode, "version": "0.98",
        "capabilities": {"v2/send": ["quotes", "mentions"]},
    }  # fmt: skip


async def test_its_health_says_nothing_about_signal_cli(asking: Asking) -> None:
    await asking.service.faults(refuses(times=None))
    response = await asking.get("/v1/health")
    assert (response.status_code, response.content) == (204, b"")
    assert (await asking.send()).status_code == 400


async def test_what_it_does_not_know_is_not_found(asking: Asking) -> None:
    response = await asking.get("/v1/nothing")
    assert (response.status_code, response.text) == (404, "404 page not found")


async def test_it_lists_its_accounts(asking: Asking) -> None:
    response = await asking.get("/v1/accounts")
    assert asking.number in response.json()
    await asking.service.faults(refuses("listAccounts", "no network"))
    failed = await asking.get("/v1/accounts")
    assert failed.status_code == 500
    assert error(failed).startswith("Couldn't get list of accounts: no network")


@pytest.mark.parametrize("body", ["{", "[]", "3", '{"message": 3}', '{"recipients": "+49"}'])
async def test_a_body_that_it_cannot_read_is_answered_as_text(asking: Asking, body: str) -> None:
    response = await asking.client.post("/v2/send", content=body)
    assert response.status_code == 400
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert json.loads(response.text) == {"error": INVALID_REQUEST}


MISSING = (
    ("POST", "/v2/send", {"number": "+49"}, "please provide at least one recipient"),
    ("POST", "/v2/send", {"recipients": ["+49"]}, "please provide a valid number"),
    ("POST", REACTIONS, {"reaction": "x", "target_author": "x", "timestamp": 1}, "recipient"),
    ("POST", REACTIONS, {"recipient": "x", "target_author": "x", "timestamp": 1}, "reaction"),
    ("POST", REACTIONS, {"recipient": "x", "reaction": "x", "timestamp": 1}, "target_author"),
    ("DELETE", REACTIONS, {"recipient": "x", "target_author": "x"}, "timestamp"),
    ("POST", RECEIPTS, {"receipt_type": "read", "timestamp": 1}, "recipient"),
    ("POST", RECEIPTS, {"recipient": "x", "receipt_type": "read"}, "timestamp"),
    ("POST", RECEIPTS, {"recipient": "x", "timestamp": 1}, "receipt type must be read or viewed"),
    ("POST", CHALLENGE, {"captcha": "x"}, "challenge token"),
    ("POST", CHALLENGE, {"challenge_token": "x"}, "captcha"),
)  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "what"), MISSING)
async def test_it_says_what_a_request_lacks(
    asking: Asking, method: str, path: str, body: Mapping[str, Any], what: str
) -> None:
    response = await asking.ask(method, path, body)
    text = what if " " in what and "token" not in what else f"{what} missing"
    assert (response.status_code, error(response)) == (400, f"Couldn't process request - {text}")


# --- people, groups, files ------------------------------------------------------------------------


async def test_identities_hold_our_own_id(asking: Asking) -> None:
    await asking.service.add_contact(ALICE)
    own, alice = (await asking.get("/v1/identities/{number}")).json()
    aci = await asking.service.aci()
    assert (own["number"], own["uuid"], own["status"]) == (asking.number, aci, "TRUSTED_VERIFIED")
    assert (alice["uuid"], alice["status"]) == (ALICE.aci, "TRUSTED_UNVERIFIED")
    failed = await asking.client.get(f"/v1/identities/{STRANGER}")
    assert failed.status_code == 500


async def test_contacts_are_listed_and_found_by_id(asking: Asking) -> None:
    await asking.service.add_contact(ALICE)
    (alice,) = (await asking.get("/v1/contacts/{number}")).json()
    assert (alice["number"], alice["uuid"]) == (ALICE.number, ALICE.aci)
    assert alice["profile"]["given_name"], alice["profile"]["lastname"] == ("Alice", "Example")
    assert alice["message_expiration"] == ""  # whatever it is
    assert (await asking.get("/v1/contacts/{number}/" + ALICE.aci)).json() == alice
    everyone = (await asking.get("/v1/contacts/{number}", all_recipients="true")).json()
    assert {one["number"] for one in everyone} == {asking.number, ALICE.number}
    unknown = await asking.get("/v1/contacts/{number}/" + BOB.aci)
    assert (unknown.status_code, error(unknown)) == (404, f"No user with that id ({BOB.aci}) found")


async def test_a_groups_id_is_base64_of_base64(asking: Asking) -> None:
    await asking.service.add_group(FRIENDS)
    (group,) = (await asking.get("/v1/groups/{number}")).json()
    assert (group["id"], group["internal_id"]) == (group_id(FRIENDS), FRIENDS.id)
    # A member is a number, or where that is hidden an id: nothing says which.
    assert group["members"] == [ALICE.number, BOB.aci]
    (whole,) = (await asking.get("/v1/groups/{number}", expand="true")).json()
    assert whole["members"] == [
        {"number": ALICE.number, "uuid": ALICE.aci}, {"number": "", "uuid": BOB.aci}
    ]  # fmt: skip
    assert (await asking.get("/v1/groups/{number}/" + group_id(FRIENDS))).json() == group


async def test_an_unknown_group_is_null_and_not_missing(asking: Asking) -> None:
    response = await asking.get("/v1/groups/{number}/" + UNKNOWN_GROUP)
    assert (response.status_code, response.json()) == (200, None)


FILES = (
    ("photo.png", PNG, "image/png"), ("no ending", PNG, "image/png"),
    ("words.png", b"hello", "text/plain; charset=utf-8"),
    ("page.txt", b"<html><body>", "text/html; charset=utf-8"),
    ("sound.m4a", b"\0\0\0\x18ftypmp42\0\0\0\0", "video/mp4"),
    ("anything.txt", b"\0\1\2", "application/octet-stream"),
)  # fmt: skip


@pytest.mark.parametrize(("name", "content", "kind"), FILES)
async def test_a_file_is_served_by_its_id_with_the_type_of_its_content(
    asking: Asking, name: str, content: bytes, kind: str
) -> None:
    await asking.service.add_file(name, content)
    response = await asking.get(f"/v1/attachments/{name}")
    assert (response.status_code, response.content) == (200, content)
    assert response.headers["content-type"] == kind
    assert name in (await asking.get("/v1/attachments")).json()


async def test_a_file_that_is_not_there(asking: Asking) -> None:
    response = await asking.get("/v1/attachments/nothing")
    assert response.status_code == 404
    assert error(response) == "No attachment with that name found"
    # Attack: another file of the machine, by its way from there.
    assert (await asking.client.get("/v1/attachments/..%2f..%2fetc%2fpasswd")).status_code == 404


# --- sending --------------------------------------------------------------------------------------


async def test_a_send_answers_an_array_with_its_time_as_text(asking: Asking) -> None:
    response = await asking.send("hello\n- there é 😀\n")
    assert response.status_code == 201
    ((sent,), (answer,)) = (await asking.service.sent(), response.json())
    assert answer == {"timestamp": str(sent["timestamp"])}
    assert sent["message"] == "hello\n- there é 😀\n"
    assert (sent["group"], sent["recipients"]) == (None, [ALICE.aci])


STYLED: tuple[tuple[str, str, list[tuple[int, int, str]]], ...] = (
    ("*a* **b** ***c***", "a b c", [(0, 1, "ITALIC"), (2, 1, "BOLD"), (4, 1, "BOLD"),
                                    (4, 1, "ITALIC")]),
    ("~a~ `b` ||c||", "a b c", [(0, 1, "STRIKETHROUGH"), (2, 1, "MONOSPACE"), (4, 1, "SPOILER")]),
    ("😀 **x**", "😀 x", [(3, 1, "BOLD")]),  # counted in UTF-16
    ("2*3 = 6", "23 = 6", []),  # without a partner it is gone all the same
    (r"2\*3 \`a\` \~b\~ \||c\|| d\e", "2*3 `a` ~b~ ||c|| d\\e", []),
    ("**a *b** c*", "a b c", []),  # not nested: nothing is ever closed
    ("**a *b* c**", "a b c", [(2, 1, "ITALIC"), (0, 5, "BOLD")]),
    ("****", "", []), ("a | b", "a | b", []),
    (r"\\*a*", r"\*a", []),  # a backslash is not taken from a backslash
    ("a\\", "a\\", []),
)  # fmt: skip


@pytest.mark.parametrize(("text", "plain", "ranges"), STYLED)
async def test_styled_text(
    asking: Asking, text: str, plain: str, ranges: list[tuple[int, int, str]]
) -> None:
    response = await asking.send(text, text_mode="styled", base64_attachments=["aGk="])
    assert response.status_code == 201, response.text
    (sent,) = await asking.service.sent()
    assert sent["message"] == plain
    assert [(s["start"], s["length"], s["style"]) for s in sent["styles"]] == ranges


async def test_text_is_plain_unless_it_is_said_to_be_styled(asking: Asking) -> None:
    await asking.send("**a**")
    await asking.send("**a**", text_mode="normal")
    assert [sent["message"] for sent in await asking.service.sent()] == ["**a**", "**a**"]


async def test_what_goes_along(asking: Asking) -> None:
    response = await asking.send(
        "\ufffc look", quote_timestamp=7, quote_author=BOB.aci, quote_message="so?",
        mentions=[{"start": 0, "length": 1, "author": ALICE.aci}],
        base64_attachments=["data:text/plain;filename=notes.txt;base64,aGk=", "aGk="],
    )  # fmt: skip
    assert response.status_code == 201, response.text
    (sent,) = await asking.service.sent()
    quote = {"timestamp": 7, "author": BOB.aci, "message": "so?", "mentions": []}
    assert sent["quote"] == quote
    assert sent["mentions"] == [{"start": 0, "length": 1, "author": ALICE.aci}]
    named, nameless = sent["attachments"]
    assert (named["filename"], named["base64"]) == ("notes.txt", "aGk=")
    assert nameless["filename"].endswith(".txt")  # by its content


async def test_an_edit_names_the_message_that_it_takes_the_place_of(asking: Asking) -> None:
    await asking.send("better", edit_timestamp=7)
    (sent,) = await asking.service.sent()
    assert (sent["message"], sent["edit"]) == ("better", 7)


async def test_a_group_is_sent_to_by_its_id_in_this_api(asking: Asking) -> None:
    await asking.service.add_group(FRIENDS)
    assert (await asking.send(recipients=[group_id(FRIENDS)])).status_code == 201
    (sent,) = await asking.service.sent()
    assert (sent["group"], sent["recipients"]) == (FRIENDS.id, [])


GROUP = group_id(FRIENDS)
NOT_SENT: tuple[tuple[dict[str, Any], str], ...] = (
    ({"recipients": [UNKNOWN_GROUP]}, "Group not found: "),
    ({"recipients": ["group.YWJj"]}, "Invalid identifier group.YWJj"),
    ({"recipients": ["group." + base64.b64encode(b"YWJj").decode()]}, "Invalid Signal group size"),
    ({"recipients": [GROUP, GROUP]}, "cannot be sent to more than one group at once"),
    ({"recipients": [GROUP, ALICE.aci]}, "Groups and phone numbers cannot be specified together"),
    ({"recipients": [GROUP, "al.11"]}, "Groups and usernames cannot be specified together"),
    ({"recipients": [ALICE.aci, "al.11"]}, "phone numbers and usernames cannot be specified"),
    ({"number": STRANGER}, ""),
    ({"message": ""}, "Sending empty message is not allowed"),
    ({"base64_attachments": ["%"]}, "illegal base64 data"),
    ({"base64_attachments": ["data:text/plain;filename=a/b;base64,aGk="]}, "no such file"),
    ({"quote_timestamp": 7}, "Quote author parameter is missing"),
    ({"sticker": "x"}, "please provide valid sticker delimiter"),
)  # fmt: skip


@pytest.mark.parametrize(("body", "what"), NOT_SENT)
async def test_what_is_not_sent(asking: Asking, body: dict[str, Any], what: str) -> None:
    response = await asking.send(**body)
    assert response.status_code == 400
    assert what in error(response)
    assert await asking.service.sent() == []


async def test_who_did_not_get_it_is_named_where_somebody_did(asking: Asking) -> None:
    await asking.service.add_group(FRIENDS)
    await asking.service.faults(failing(BOB.aci))
    response = await asking.send(recipients=[group_id(FRIENDS)])
    failed = [{"uuid": BOB.aci, "reason": "UNREGISTERED_FAILURE"}]
    assert response.status_code == 201
    assert response.json()[0]["errors"] == {"recipients": failed}
    assert len(await asking.service.sent()) == 1


@pytest.mark.parametrize(
    ("reason", "in_rpc"),
    [
        ("UNREGISTERED_FAILURE", "Failed to send message"),
        ("IDENTITY_FAILURE", "Unable to complete request due to untrusted recipient keys"),
    ],
)
async def test_it_is_refused_where_nobody_got_it(asking: Asking, reason: str, in_rpc: str) -> None:
    await asking.service.faults(failing(ALICE.aci, reason))
    response = await asking.send()
    assert response.status_code == 400
    if asking.mode == JSON_RPC:
        assert error(response) == in_rpc
    else:
        outcome, _, complaint = error(response).partition("\n")
        assert json.loads(outcome)["results"][0]["type"] == reason
        assert complaint.startswith("Failed to send message")


async def test_typing_begins_and_ends(asking: Asking) -> None:
    await asking.service.add_group(FRIENDS)
    for method in ("PUT", "DELETE"):
        for recipient in (ALICE.aci, group_id(FRIENDS)):
            response = await asking.ask(method, TYPING, {"recipient": recipient})
            assert (response.status_code, response.content) == (204, b"")
    seen = [(one["on"], one["group"]) for one in await asking.service.sent("typing")]
    assert seen == [(True, None), (True, FRIENDS.id), (False, None), (False, FRIENDS.id)]


async def test_reactions_are_given_and_taken_back(asking: Asking) -> None:
    body = {"recipient": ALICE.aci, "reaction": "🎉", "target_author": ALICE.aci, "timestamp": 7}
    assert (await asking.ask("POST", REACTIONS, body)).status_code == 204
    del body["reaction"]  # any will do
    assert (await asking.ask("DELETE", REACTIONS, body)).status_code == 204
    given, taken = await asking.service.sent("reaction")
    assert (given["emoji"], given["author"], given["target"]) == ("🎉", ALICE.aci, 7)
    assert (given["remove"], taken["emoji"], taken["remove"]) == (False, "👍", True)


@pytest.mark.parametrize("kind", ["read", "viewed"])
async def test_every_receipt_is_one_of_reading(asking: Asking, kind: str) -> None:
    body = {"recipient": ALICE.aci, "receipt_type": kind, "timestamp": 7}
    assert (await asking.ask("POST", RECEIPTS, body)).status_code == 204
    (receipt,) = await asking.service.sent("receipt")
    assert (receipt["type"], receipt["targets"]) == ("read", [7])


async def test_a_message_is_taken_back(asking: Asking) -> None:
    response = await asking.ask("DELETE", DELETE, {"recipient": ALICE.aci, "timestamp": 7})
    (deleted,) = await asking.service.sent("delete")
    assert (response.status_code, deleted["target"]) == (201, 7)
    assert response.json() == {"timestamp": str(deleted["timestamp"])}


# --- rate limits ----------------------------------------------------------------------------------


async def test_a_challenge_comes_with_its_tokens_in_json_rpc_mode(streamed: Asking) -> None:
    await streamed.service.faults(challenge("a-token"))
    response = await streamed.send()
    assert response.status_code == 429
    assert response.json()["challenge_tokens"] == ["a-token"]
    assert response.json()["account"] == streamed.number
    assert error(response).startswith("Failed to send message due to rate limiting. Use the")
    await streamed.service.faults(challenge(""))
    assert (await streamed.send()).json()["challenge_tokens"] == [""]


async def test_a_challenge_is_hidden_in_the_error_elsewhere(polled: Asking) -> None:
    await polled.service.faults(challenge("a-token"))
    response = await polled.send()
    assert response.status_code == 400
    outcome, complaint, _ = error(response).split("\n")
    (result,) = json.loads(outcome)["results"]
    assert (result["type"], result["token"]) == ("RATE_LIMIT_FAILURE", "a-token")
    assert complaint == "Failed to send message due to rate limiting"


async def test_a_captcha_lifts_it(asking: Asking) -> None:
    await asking.service.faults(challenge("a-token"), rejects_captcha())
    answer = {"challenge_token": "a-token", "captcha": "signalcaptcha://x"}
    rejected = await asking.ask("POST", CHALLENGE, answer)
    assert rejected.status_code == 400
    assert error(rejected).startswith("Captcha rejected")
    assert (await asking.send()).status_code in (400, 429)
    assert (await asking.ask("POST", CHALLENGE, answer)).status_code == 204
    assert (await asking.send()).status_code == 201


# --- receiving: normal and native mode ------------------------------------------------------------


async def test_what_came_is_an_array_in_order(polled: Asking) -> None:
    await polled.say(*"abc")
    response = await polled.get(RECEIVE, max_messages=3)
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    received = json.loads(response.text)
    assert texts(received) == list("abc")
    assert {message["account"] for message in received} == {polled.number}
    assert received[0]["envelope"] == said(ALICE, "a", BASE_MS)


async def test_what_was_read_is_gone(polled: Asking) -> None:
    await polled.say(*"abc")
    assert texts(await polled.take(2)) == ["a", "b"]
    assert texts(await polled.take(1)) == ["c"]
    assert await polled.take() == []  # once its time is over


async def test_a_time_of_nothing_takes_nothing(polled: Asking) -> None:
    await polled.say("a")
    assert await polled.take(timeout=0) == []
    assert await polled.service.waiting() == 1


async def test_receipts_of_reading_are_sent_where_they_are_asked_for(polled: Asking) -> None:
    await polled.say("a")
    await polled.get(RECEIVE, max_messages=1, send_read_receipts="true")
    (receipt,) = await polled.service.sent("receipt")
    assert (receipt["recipients"], receipt["targets"]) == ([ALICE.aci], [BASE_MS])


async def test_it_waits_for_what_comes(polled: Asking) -> None:
    taking = asyncio.create_task(polled.take(1, timeout=10))
    await polled.say("a")
    assert texts(await taking) == ["a"]


async def test_a_whole_burst_comes_at_once(polled: Asking) -> None:
    words = [str(n) for n in range(1_000)]
    await polled.say(*words)
    assert texts(await polled.take(1_000)) == words


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ({"timeout": "x"}, "timeout needs to be numeric!"),
        ({"max_messages": "x"}, "max_messages needs to be numeric!"),
        ({"ignore_stories": "1"}, "ignore_stories parameter needs to be either"),
    ],
)
async def test_it_says_what_is_wrong_with_a_poll(
    polled: Asking, query: dict[str, str], what: str
) -> None:
    response = await polled.get(RECEIVE, **query)
    assert response.status_code == 400
    assert error(response).startswith(f"Couldn't process request - {what}")


async def test_a_poll_for_nobodys_account(polled: Asking) -> None:
    response = await polled.client.get(f"/v1/receive/{STRANGER}")
    assert response.status_code == 400
    assert error(response) == f"User {STRANGER} is not registered.\n"


async def test_a_line_of_its_log_makes_the_array_unreadable(polled: Asking) -> None:
    await polled.say("a", "b")
    line_of_log = 'ERROR Manager - "What" was that?'
    await polled.service.faults(noise("receive", line_of_log))
    response = await polled.get(RECEIVE, max_messages=2)
    assert response.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(response.text)
    messages, _, line = response.text.removeprefix("[").removesuffix("]").rpartition(",")
    assert line == line_of_log
    assert texts(json.loads(f"[{messages}]")) == ["a", "b"]


@pytest.mark.parametrize("level", ["INFO ", "WARN "])
async def test_lines_of_information_and_warning_are_taken_out(polled: Asking, level: str) -> None:
    await polled.say("a")
    await polled.service.faults(noise("receive", f"{level} Manager - nothing much"))
    assert texts(await polled.take(1)) == ["a"]


async def test_what_was_printed_before_a_failure_is_inside_the_error(polled: Asking) -> None:
    await polled.say("a", "b")
    await polled.service.faults(exits("receive", "Error while closing"))
    response = await polled.get(RECEIVE, max_messages=2)
    assert response.status_code == 400
    *messages, line, end = error(response).split("\n")
    assert texts([json.loads(message) for message in messages]) == ["a", "b"]
    assert (line, end) == ("Error while closing", "")
    assert await polled.service.waiting() == 0


async def test_a_failure_before_it_takes_nothing(polled: Asking) -> None:
    await polled.say("a")
    await polled.service.faults(refuses("receive", "no network"))
    response = await polled.get(RECEIVE)
    assert (response.status_code, error(response)) == (400, "no network\n")
    assert texts(await polled.take(1)) == ["a"]


async def test_a_batch_whose_caller_has_gone_is_lost(polled: Asking) -> None:
    await polled.say(*"abc")
    await polled.service.faults(held("receive", late=True))
    taking = asyncio.create_task(polled.take(3))
    await polled.service.wait_for(held=1)
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    await polled.service.release()
    assert await polled.service.waiting() == 0


@pytest.mark.parametrize("which", POLLED, ids=named)
async def test_a_command_that_takes_too_long_is_killed_with_what_it_took(
    services: Services, which: tuple[str, str]
) -> None:
    asking = await services.alone(which, STRANGER, command_timeout_s=1)
    other = replace(asking, service=await asking.service.another(STRANGER + "0"))
    await asking.say(*"abc")
    await asking.service.faults(held("receive", late=True), held("send", late=True))
    responses = await asyncio.gather(asking.get(RECEIVE), other.send())
    for response in responses:
        assert response.status_code == 400
        assert error(response) == "process killed as timeout reached"
    assert await asking.service.waiting() == 0
    assert len(await other.service.sent()) == 1  # which it had done before


async def test_an_account_does_one_thing_at_a_time(polled: Asking) -> None:
    other = await polled.service.another(STRANGER + "0")
    await polled.say("a")
    await polled.service.faults(held("receive", late=True))
    taking = asyncio.create_task(polled.take(1))
    await polled.service.wait_for(held=1)
    sending = asyncio.create_task(polled.send("waits"))
    listing = asyncio.create_task(polled.get("/v1/accounts"))  # waits for every account
    for _ in range(3):
        assert (await polled.send(number=other.number)).status_code == 201  # who waits for nobody
    assert not any(task.done() for task in (taking, sending, listing))
    assert await polled.service.sent() == []
    await polled.service.release()
    assert texts(await taking) == ["a"]
    assert [(await sending).status_code, (await listing).status_code] == [201, 200]


# --- sending: normal and native mode --------------------------------------------------------------


@pytest.mark.parametrize("fault", [noise("send", "Something"), exits("send", "Something")])
async def test_a_message_that_went_may_be_answered_with_an_error(
    polled: Asking, fault: Fault
) -> None:
    await polled.service.faults(fault)
    response = await polled.send()
    assert response.status_code == 400
    if fault.kind == "noise":
        assert error(response) == "invalid character 'S' after top-level value"
    else:
        outcome, line, _ = error(response).split("\n")
        assert (json.loads(outcome)["results"][0]["type"], line) == ("SUCCESS", "Something")
    assert len(await polled.service.sent()) == 1


@pytest.mark.parametrize("quote", ["-", "- a", "-a", "--end-session", "-5", "—"])
async def test_a_quote_that_begins_with_a_dash_is_taken_for_an_option(
    polled: Asking, quote: str
) -> None:
    response = await polled.send(quote_timestamp=7, quote_author=BOB.aci, quote_message=quote)
    if quote in ("-", "-5", "—"):  # a dash alone, and a number
        assert response.status_code == 201
        return
    assert response.status_code == 400
    assert "expected one argument" in error(response)


async def test_no_argument_may_hold_a_zero(polled: Asking) -> None:
    response = await polled.send(quote_timestamp=7, quote_author=BOB.aci, quote_message="a\0b")
    assert response.status_code == 400
    assert "invalid argument" in error(response)
    assert (await polled.send("a\0b")).status_code == 201  # the text itself is none


# --- json-rpc mode --------------------------------------------------------------------------------


async def test_a_websocket_is_given_what_comes_one_frame_each(streamed: Asking) -> None:
    async with streamed.listening() as socket:
        await streamed.say("a")
        received = json.loads(await socket.recv())
    assert received["envelope"] == said(ALICE, "a", BASE_MS)
    assert received["account"] == streamed.number


async def test_everyone_who_listens_is_given_everything_of_their_account(streamed: Asking) -> None:
    other = replace(streamed, service=await streamed.service.another(STRANGER + "1"))
    async with streamed.listening() as one, streamed.listening() as two, other.listening() as three:
        await other.say("not theirs")
        await streamed.say("a")
        assert texts([json.loads(await three.recv())]) == ["not theirs"]
        for socket in (one, two):
            received = KNOCK
            while received == KNOCK:
                (received,) = texts([json.loads(await socket.recv())])
            assert received == "a"


async def test_what_comes_while_nobody_listens_is_gone(streamed: Asking) -> None:
    await streamed.say("a")
    await streamed.service.wait_for(waiting=0)
    async with streamed.listening() as socket:
        await streamed.say("b")
        assert texts([json.loads(await socket.recv())]) == ["b"]


async def test_what_comes_fast_comes_in_order_but_not_all_of_it(streamed: Asking) -> None:
    async with streamed.listening() as socket:
        await streamed.say(*(f"{n:04}" for n in range(300)))
        await streamed.service.wait_for(waiting=0)
        received: list[str] = []
        await asyncio.sleep(0.1)  # the last of them is on its way; it may be none of those
        await streamed.say("end")
        while "end" not in received:
            received += texts([json.loads(await socket.recv())])
    assert received[:-1] == sorted(set(received[:-1]))


async def test_it_answers_no_poll(streamed: Asking) -> None:
    response = await streamed.get(RECEIVE)
    assert response.status_code == 400
    assert response.text.startswith("Bad Request\n{")


async def test_whoever_says_much_on_the_websocket_is_cut_off(streamed: Asking) -> None:
    async with streamed.listening() as socket:
        await socket.send("x" * 513)
        await socket.wait_closed()
        assert socket.close_code == TOO_BIG


async def test_a_daemon_does_many_things_at_a_time(streamed: Asking) -> None:
    await streamed.service.faults(held("send"))
    first = asyncio.create_task(streamed.send("first"))
    await streamed.service.wait_for(held=1)
    assert (await streamed.send("second")).status_code == 201
    await streamed.service.release()
    assert (await first).status_code == 201
    assert [sent["message"] for sent in await streamed.service.sent()] == ["second", "first"]


# --- outages --------------------------------------------------------------------------------------


@pytest.mark.parametrize("late", [False, True])
async def test_a_send_that_is_cut_off_was_done_or_was_not(asking: Asking, late: bool) -> None:
    await asking.service.faults(held("send", late=late))
    sending = asyncio.create_task(asking.send())
    await asking.service.wait_for(held=1)
    await asking.whole.stop()
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        await sending
    with pytest.raises(httpx.ConnectError):
        await asking.send()
    await asking.whole.start()
    assert len(await asking.service.sent()) == late
    assert (await asking.send()).status_code == 201


async def test_what_comes_meanwhile_waits(polled: Asking) -> None:
    await polled.whole.stop()
    await polled.say(*"abc")
    await polled.whole.start()
    assert texts(await polled.take(3)) == list("abc")


async def test_what_came_meanwhile_goes_to_whoever_is_there_when_it_is_back(
    streamed: Asking,
) -> None:
    await streamed.whole.stop()
    await streamed.service.wait_for(connected=0)
    await streamed.say(*"abc")
    assert await streamed.service.waiting() == 3
    await streamed.whole.start()
    await streamed.service.wait_for(waiting=0)  # and nobody is
    async with streamed.listening() as socket:
        await streamed.say("d")
        assert texts([json.loads(await socket.recv())]) == ["d"]


# --- linking --------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", EVERY, ids=named)
async def test_a_phone_is_linked_by_scanning_an_address(
    services: Services, which: tuple[str, str]
) -> None:
    asking = await services.alone(which)
    assert (await asking.get("/v1/accounts")).json() == []
    response = await asking.get(LINK, device_name="A bot")
    uri = response.json()["device_link_uri"]
    assert uri.startswith("sgnl://linkdevice?uuid=")
    assert (await asking.get("/v1/accounts")).json() == []  # nobody has scanned it
    await asking.service.wait_for(links=1)
    assert await asking.service.scan(STRANGER, uri) == "A bot"
    await asking.service.wait_for(links=0)
    assert (await asking.get("/v1/accounts")).json() == [STRANGER]
    assert await (await asking.service.another(STRANGER)).aci()


async def test_an_address_is_an_image_too(asking: Asking) -> None:
    response = await asking.get("/v1/qrcodelink", device_name="A bot")
    assert (response.status_code, response.headers["content-type"]) == (200, "image/png")
    assert response.content.startswith(PNG[:8])
    small = await asking.get("/v1/qrcodelink", device_name="A bot", qrcode_version=1)
    assert small.status_code == 400
    assert "content too large for fixed size QR Code version 1" in error(small)
    await asking.service.expire()


async def test_an_address_is_good_for_a_while_and_the_next_is_another(asking: Asking) -> None:
    first = (await asking.get(LINK, device_name="A bot")).json()["device_link_uri"]
    await asking.service.expire()
    with pytest.raises(StandInError):
        await asking.service.scan(STRANGER, first)
    assert STRANGER not in (await asking.get("/v1/accounts")).json()
    second = (await asking.get(LINK, device_name="A bot")).json()["device_link_uri"]
    assert second != first
    await asking.service.expire()


@pytest.mark.parametrize("path", [LINK, "/v1/qrcodelink"])
async def test_a_device_needs_a_name(asking: Asking, path: str) -> None:
    response = await asking.get(path)
    assert (response.status_code, error(response)) == (400, "Please provide a name for the device")


async def test_without_signal_the_address_is_empty(polled: Asking) -> None:
    await polled.service.faults(no_link(times=2))
    response = await polled.get(LINK, device_name="A bot")
    assert (response.status_code, response.json()) == (200, {"device_link_uri": ""})
    image = await polled.get("/v1/qrcodelink", device_name="A bot")
    assert (image.status_code, error(image)) == (400, "Couldn't create QR code: no data to encode")


async def test_without_signal_a_daemon_says_why(streamed: Asking) -> None:
    await streamed.service.faults(no_link("Link request error: no network"))
    response = await streamed.get(LINK, device_name="A bot")
    assert response.status_code == 400
    assert error(response) == "Couldn't start link: Link request error: no network"
