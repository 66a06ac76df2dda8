"""NIP-46 messages and their envelope."""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nips import nip44, nip46
from nips.key import SecretKey
from nips.kinds import Kind
from nips.nip46 import (
    Connect,
    Request,
    Response,
    bunker_uri,
    check_envelope,
    envelope,
    parse_connect,
    parse_request,
    parse_response,
)
from nips.refusal import Malformed, Prefix, Refusal

UNICODE = st.text(st.characters(exclude_categories=["Cs"]))
ID = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=nip46.MAX_ID_CHARS)
AUX = bytes(32)


@given(
    request=st.builds(Request, ID, st.sampled_from(["ping", "x"]), st.lists(UNICODE, max_size=4))
)
def test_request_round_trip(request: Request) -> None:
    request = replace(request, params=tuple(request.params))
    assert parse_request(request.to_json()) == request


@given(request_id=ID, result=UNICODE)
def test_result_round_trip(request_id: str, result: str) -> None:
    response = Response(request_id, result)
    assert parse_response(response.to_json()) == response
    assert "error" not in json.loads(response.to_json())


@given(request_id=ID, prefix=st.sampled_from(Prefix), sentence=UNICODE.map(str.strip))
def test_error_round_trip(request_id: str, prefix: Prefix, sentence: str) -> None:
    response = Response(request_id, error=Refusal(prefix, sentence))
    assert parse_response(response.to_json()) == response


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"id":"1","result":"pong"}', Response("1", "pong")),
        ('{"id":"1","result":"pong","error":null}', Response("1", "pong")),
        ('{"id":"1","result":"pong","error":""}', Response("1", "pong")),
        ('{"id":"1","result":null}', Response("1")),
        (
            '{"id":"1","result":"","error":"no"}',
            Response("1", "", Refusal(Prefix.ERROR, "no")),
        ),
        (
            '{"id":"1","result":"auth_url","error":"https://x.example"}',
            Response("1", "auth_url", Refusal(Prefix.ERROR, "https://x.example")),
        ),
    ],
)
def test_what_foreign_signers_answer(text: str, expected: Response) -> None:
    assert parse_response(text) == expected


def test_a_request_without_params_has_none() -> None:
    assert parse_request('{"id":"1","method":"ping"}') == Request("1", "ping")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"method":"ping","params":[]}',
        '{"id":1,"method":"ping","params":[]}',
        '{"id":"","method":"ping","params":[]}',
        '{"id":"1","params":[]}',
        '{"id":"1","method":"","params":[]}',
        '{"id":"1","method":5,"params":[]}',
        '{"id":"1","method":"ping","params":{}}',
        '{"id":"1","method":"ping","params":[1]}',
        '{"id":"1","method":"sign_event","params":[{"kind":1}]}',
        json.dumps({"id": "x" * 129, "method": "ping", "params": []}),
        json.dumps({"id": "1", "method": "x" * 65, "params": []}),
        json.dumps({"id": "1", "method": "ping", "params": [""] * 17}),
    ],
)
def test_what_is_no_request(text: str) -> None:
    with pytest.raises(Malformed):
        parse_request(text)


@pytest.mark.parametrize(
    "text", ["", "7", '{"result":"x"}', '{"id":"1","result":{}}', '{"id":"1","error":["no"]}']
)
def test_what_is_no_response(text: str) -> None:
    with pytest.raises(Malformed):
        parse_response(text)


@given(text=st.text())
def test_garbage_is_at_worst_malformed(text: str) -> None:
    for parse in (parse_request, parse_response):
        with pytest.raises(Malformed):
            parse(text)


def test_the_envelope_carries_a_large_request(alice: SecretKey, bob: SecretKey) -> None:
    """A wrap of a message of 40,000 characters does not fit the classic form (trap 8)."""
    key = nip44.conversation_key(alice, bob.public)
    body = Request("1", "unwrap", ("x" * 200_000,)).to_json()
    payload = nip44.encrypt(body, key, bytes(32), extended=True)
    event = envelope(alice.public, bob.public, payload, 7).sign(alice, AUX)
    assert event.kind == Kind.REQUEST
    assert event.tags == (("p", bob.public),)
    check_envelope(event, bob.public)
    opened = nip44.decrypt(event.content, nip44.conversation_key(bob, event.pubkey), extended=True)
    assert parse_request(opened).params == ("x" * 200_000,)


def test_the_largest_message_fits_a_frame_of_a_mebibyte(alice: SecretKey, bob: SecretKey) -> None:
    key = nip44.conversation_key(alice, bob.public)
    payload = nip44.encrypt("x" * nip46.MAX_MESSAGE_BYTES, key, bytes(32), extended=True)
    event = envelope(alice.public, bob.public, payload, 7).sign(alice, AUX)
    assert len(json.dumps(["EVENT", event.to_json()])) < 2**20


def test_envelopes_that_are_not_ours(alice: SecretKey, bob: SecretKey, mallory: SecretKey) -> None:
    template = envelope(alice.public, bob.public, "x", 7)
    good = template.sign(alice, AUX)
    check_envelope(good, bob.public)
    for bad in (
        replace(template, kind=1).sign(alice, AUX),
        replace(template, tags=()).sign(alice, AUX),
        replace(template, tags=(("p", bob.public), ("p", mallory.public))).sign(alice, AUX),
        envelope(alice.public, mallory.public, "x", 7).sign(alice, AUX),
        # Attack: mallory asks in alice's name.
        template.with_sig(template.sign(mallory, AUX).sig),
        replace(good, content="y"),
    ):
        with pytest.raises(Malformed):
            check_envelope(bad, bob.public)


# Connecting


@pytest.mark.parametrize(
    ("params", "read"),
    [
        (("k",), Connect("k", "", "")),
        (("k", "s"), Connect("k", "s", "")),
        (("k", "", "sign_event:1"), Connect("k", "", "")),
        (("k", "s", "", '{"name":"App","url":"https://a"}'), Connect("k", "s", "App")),
        (("k", "s", "", ""), Connect("k", "s", "")),
        (("k", "s", "", '{"name":7}'), Connect("k", "s", "")),
        (("k", "s", "", '["name"]'), Connect("k", "s", "")),
        (("k", "s", "", "no json"), Connect("k", "s", "")),
    ],
)
def test_a_connect_may_leave_out_all_but_the_signer(params: tuple[str, ...], read: Connect) -> None:
    assert parse_connect(params) == read


@pytest.mark.parametrize("params", [(), ("k", "s", "", "", "")])
def test_what_is_no_connect(params: tuple[str, ...]) -> None:
    with pytest.raises(Malformed, match="1 to 4"):
        parse_connect(params)


@given(name=st.text())
def test_a_clients_name_is_safe_to_show(name: str) -> None:
    # Attack: a name with escapes that rewrite the terminal it is listed in.
    shown = parse_connect(("k", "", "", json.dumps({"name": name}))).name
    assert len(shown) <= nip46.MAX_NAME_CHARS
    assert shown == "" or shown.isprintable()


def test_the_address_reads_back() -> None:
    relays = ["ws://127.0.0.1:7447", "wss://a.example/x?y=1&z"]
    uri = urlsplit(bunker_uri("ab" * 32, relays, "id.s-_="))
    assert (uri.scheme, uri.netloc) == ("bunker", "ab" * 32)
    assert parse_qs(uri.query) == {"relay": relays, "secret": ["id.s-_="]}


@pytest.mark.parametrize(("over", "extended"), [(-1_000, False), (0, False), (1, True)])
def test_a_request_beyond_the_classic_form_is_extended(over: int, extended: bool) -> None:
    around = len(Request("1", "ping", ("",)).to_json())
    request = Request("1", "ping", ("x" * (nip44.MAX_CLASSIC_BYTES - around + over),))
    assert request.is_extended == extended
    # Its bytes count, not its characters.
    assert Request("1", "ping", ("é" * (nip44.MAX_CLASSIC_BYTES // 2),)).is_extended


@given(st.text(), st.lists(st.text(), max_size=4))
def test_the_text_is_compact_json_and_nothing_is_escaped_that_need_not_be(
    request_id: str, params: list[str]
) -> None:
    said = {"id": request_id, "method": "ping", "params": params}
    plain = json.dumps(said, separators=(",", ":"), ensure_ascii=False)
    assert Request(request_id, "ping", tuple(params)).to_json() == plain
