"""The service's answers, read."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.bridges.signal.addresses import group_recipient
from bot.bridges.signal.service import answers
from bot.bridges.signal.service.shapes import About, RateLimited, Rejected, Sent, Uncertain
from nips.refusal import Malformed

ACI, OTHER = "3f0a1c52-1b2c-4d3e-8f90-abcdefabcdef", "11111111-1111-4111-8111-111111111111"
NUMBER, AT = "+4915100000001", 1_700_000_000_000
GROUP = base64.b64encode(bytes(32)).decode()


def test_about() -> None:
    text = json.dumps(
        {
            "versions": ["v1", "v2"],
            "build": 2,
            "mode": "json-rpc",
            "version": "0.98",
            "capabilities": {"v2/send": ["quotes", "mentions"]},
            "news": None,
        }
    )
    capabilities = {"v2/send": ("quotes", "mentions")}
    assert answers.about(text) == About("json-rpc", "0.98", 2, ("v1", "v2"), capabilities)
    assert answers.about("{}") == About("", "", 0, (), {})


def test_accounts_are_numbers() -> None:
    assert answers.accounts(json.dumps([NUMBER, ACI, None, "../x"])) == (NUMBER,)


@pytest.mark.parametrize(
    ("uri", "is_one"),
    [
        ("sgnl://linkdevice?uuid=abc&pub_key=BQ%2B", True),
        ("tsdevice:/?uuid=abc&pub_key=BQ%2B", True),
        ("https://example.com/", False),
        ("sgnl://linkdevice?a b", False),
        ("sgnl://linkdevice?\n\x1b[2J", False),
        ("WARNING: a terminally deprecated method", False),
        ("", False),
    ],
)
def test_an_address_for_linking(uri: str, is_one: bool) -> None:
    text = json.dumps({"device_link_uri": uri})
    if is_one:
        assert answers.link_uri(text) == uri
    else:
        with pytest.raises(Malformed, match="device_link_uri"):
            answers.link_uri(text)


@pytest.mark.parametrize(
    ("members", "read"),
    [
        ([{"number": NUMBER, "uuid": ACI}, {"number": "", "uuid": OTHER}], (ACI, OTHER)),
        ([{"number": NUMBER, "uuid": ""}, {"number": None}, {}], (NUMBER,)),
        ([NUMBER, ACI, "nonsense", 5, None], (NUMBER, ACI)),  # where not asked otherwise
        (None, ()),
    ],
)
def test_groups(members: Any, read: tuple[str, ...]) -> None:
    group = {"name": "Our\nfriends", "id": "group.x", "internal_id": GROUP, "members": members}
    (found,) = answers.groups(json.dumps([group, {"internal_id": "of old"}]))
    assert found.id == group_recipient(GROUP)  # made, not believed
    assert (found.internal_id, found.name, found.members) == (GROUP, "Our friends", read)


def test_our_own_aci_stands_beside_our_number() -> None:
    listed = [{"number": "", "uuid": OTHER}, {"number": NUMBER, "uuid": ACI}]
    assert answers.own_aci(json.dumps(listed), NUMBER) == ACI
    assert answers.own_aci(json.dumps(listed[:1]), NUMBER) is None
    assert answers.own_aci(json.dumps([{"number": NUMBER, "uuid": "x"}]), NUMBER) is None


@pytest.mark.parametrize("wrap", [lambda it: [it], lambda it: it])
def test_what_was_sent_comes_in_a_list_or_as_it_is_documented(wrap: Any) -> None:
    failed = {"uuid": ACI, "number": NUMBER, "reason": "UNREGISTERED_FAILURE"}
    answer = {"timestamp": str(AT), "errors": {"recipients": [failed, {"reason": "x\ny"}]}}
    assert answers.sent(json.dumps(wrap(answer))) == Sent(
        AT, (f"{ACI[:8]}…: UNREGISTERED_FAILURE", "somebody: x y")
    )
    del failed["uuid"]  # who reads of it finds nobody by it
    assert answers.sent(json.dumps(wrap(answer))).failed[0] == "+…01: UNREGISTERED_FAILURE"
    assert answers.sent(json.dumps(wrap({"timestamp": str(AT)}))) == Sent(AT, ())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[5]",
        "{}",
        "null",
        '[{"timestamp":"0"}]',
        '[{"timestamp":"-1"}]',
        '[{"timestamp":1700000000000}]',
        '[{"timestamp":"١٧٠٠٠٠٠٠٠٠٠٠٠"}]',
        '[{"timestamp":"' + "9" * 5_000 + '"}]',
    ],
)
def test_a_message_without_a_time_is_not_known_to_be_sent(text: str) -> None:
    with pytest.raises(Malformed):
        answers.sent(text)


def printed(*types: str, **more: Any) -> str:
    results = [
        {"recipientAddress": {"uuid": ACI, "number": None}, "type": type_, **more}
        for type_ in types
    ]
    return (
        "INFO  starting\n" + json.dumps({"timestamp": AT, "results": results}) + "\nFailed to send"
    )


def test_an_error_may_say_that_it_was_sent() -> None:
    assert answers.results(printed("SUCCESS")) == Sent(AT, ())
    both = answers.results(printed("SUCCESS", "IDENTITY_FAILURE"))
    assert both == Sent(AT, (f"{ACI[:8]}…: IDENTITY_FAILURE",))


def test_an_error_may_say_that_nobody_got_it_and_why() -> None:
    found = answers.results(printed("IDENTITY_FAILURE", "NETWORK_FAILURE"))
    assert type(found) is Rejected
    assert "IDENTITY_FAILURE" in str(found)


def test_a_network_that_fails_under_way_leaves_it_open() -> None:
    assert isinstance(answers.results(printed("NETWORK_FAILURE")), Uncertain)


def test_a_rate_limit_comes_with_its_tokens() -> None:
    found = answers.results(printed("RATE_LIMIT_FAILURE", token="t-1"))
    assert isinstance(found, RateLimited)
    assert found.tokens == ("t-1",)
    without = answers.results(printed("RATE_LIMIT_FAILURE"))
    assert isinstance(without, RateLimited)
    assert without.tokens == ()


@pytest.mark.parametrize(
    "error",
    [
        "",
        "Failed",
        "{",
        "{}\n{}",
        '{"timestamp":5}',
        '{"timestamp":1700000000000,"results":5}',
        '{"timestamp":1700000000000,"results":[]}',
        '{"results":[{"type":"SUCCESS"}]}',
    ],
)
def test_an_error_that_says_nothing_of_it(error: str) -> None:
    assert answers.results(error) is None


READERS = [answers.about, answers.accounts, answers.link_uri, answers.groups, answers.sent]
SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["members", "internal_id", "errors", "timestamp", "versions"]), inner
        )
    ),
    max_leaves=6,
)


@given(st.sampled_from(READERS), SHAPES | st.just({"groups": 1}))
def test_whatever_is_answered_it_is_read_or_refused(reader: Any, shape: Any) -> None:
    try:
        reader(json.dumps(shape))
    except Malformed:
        return
