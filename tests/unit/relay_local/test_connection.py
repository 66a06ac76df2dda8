"""The relay's side of a connection: frames in, effects out, no socket."""

from __future__ import annotations

import json
import random
import resource
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from nips import nip42
from nips.event import Event
from nips.filter import Filter
from nips.frames import Close, Publish, Req, encode
from nips.key import SecretKey
from nips.kinds import Kind
from relay_local.connection import MAX_FRAME_BYTES, MAX_KEYS, Connection
from relay_local.effects import Cut, Effect, Listen, Search, Send, Submit, TurnAway, Unlisten
from relay_local.limits import Limits
from relay_local.pacing import Meter
from relay_local.world import World
from tests.figures import dice, figure
from tests.unit.relay_local.cast import (
    BRIDGE,
    MAIN,
    MEMBER,
    NOW,
    OWNER,
    RELAY,
    SESSION,
    SIGNER,
    STRANGER,
    WORLD,
    event,
    key_of,
)

URL = "ws://127.0.0.1:7447"
CHALLENGE = "c" * 32
H = ("h", MAIN)
PUBLIC = World(RELAY.public, public=True)


class Table:
    """A connection and what has been said on it."""

    def __init__(
        self,
        *keys: SecretKey,
        world: World = WORLD,
        session: SecretKey | None = None,
        limits: Limits | None = None,
    ) -> None:
        own = session.public if session else None
        self.machine = Connection(CHALLENGE, [URL], own, limits or Limits(), shared=Meter(1_000, 0))
        self.feeds = self.machine.feeds
        self.world = world
        self.last = 10
        for key in keys:
            assert self.auth(key)[2] is True

    def hear(self, data: str | bytes, now_s: int = NOW) -> list[Effect]:
        return self.machine.received(data, self.world, now_s, self.last)

    def auth(self, key: SecretKey, **changes: object) -> list[object]:
        given = {"challenge": CHALLENGE, "url": URL, "at": NOW} | changes
        template = nip42.auth_template(
            key.public, str(given["challenge"]), str(given["url"]), int(str(given["at"]))
        )
        signed = template.sign(key, bytes(32))
        (answer,) = frames(self.hear(json.dumps(["AUTH", signed.to_json()])))
        assert answer[:2] == ["OK", signed.id]
        return answer

    def req(self, name: str, *filters: dict[str, object]) -> list[Effect]:
        return self.hear(json.dumps(["REQ", name, *filters]))

    def searching(self, name: str, *filters: dict[str, object]) -> Search:
        listen, search = self.req(name, *filters)
        assert isinstance(listen, Listen)
        assert isinstance(search, Search)
        return search

    def live(self, name: str, shown: Event, seq: int | None) -> list[list[object]]:
        body = orjson.dumps(shown.to_json())
        return frames(self.machine.live(name, shown, body, seq, self.world))


def frames(effects: list[Effect]) -> list[list[object]]:
    out: list[list[object]] = []
    for effect in effects:
        match effect:
            case Send(frame):
                out.append(json.loads(frame))
            case TurnAway(event_id, refusal):
                out.append(["OK", event_id, False, str(refusal)])
    return out


def test_it_greets_with_the_challenge() -> None:
    assert frames(Table().machine.opened()) == [["AUTH", CHALLENGE]]


def test_several_keys_on_one_connection() -> None:
    table = Table(OWNER, MEMBER)
    assert table.machine.viewer.keys == {OWNER.public, MEMBER.public}


@pytest.mark.parametrize(
    "changes",
    [
        {"challenge": "d" * 32},  # another connection's answer, replayed
        {"url": "ws://relay.example"},  # what was signed for another relay
        {"at": NOW - 601},
        {"at": NOW + 601},
    ],
)
def test_a_wrong_answer_authenticates_nobody(changes: dict[str, object]) -> None:
    table = Table()
    answer = table.auth(OWNER, **changes)
    assert answer[2] is False
    assert str(answer[3]).startswith("invalid: ")
    assert table.machine.viewer.keys == frozenset()


def test_a_forged_answer_authenticates_nobody() -> None:
    table = Table()
    honest = nip42.auth_template(MEMBER.public, CHALLENGE, URL, NOW).sign(MEMBER, bytes(32))
    forged = honest.to_json() | {"pubkey": OWNER.public}
    (answer,) = frames(table.hear(json.dumps(["AUTH", forged])))
    assert answer[2] is False
    assert table.machine.viewer.keys == frozenset()


def test_a_sessions_socket_takes_its_key_alone() -> None:
    table = Table(session=SESSION)
    assert table.auth(SESSION)[2] is True
    answer = table.auth(OWNER)
    assert answer[2] is False
    assert str(answer[3]).startswith("restricted: ")
    assert table.machine.viewer.keys == {SESSION.public}


def test_a_connection_holds_so_many_keys() -> None:
    """Keys without end fill the memory; a bridge has one for each of its people."""
    table, bridge = Table(), Table(BRIDGE)
    for number in range(MAX_KEYS):
        assert table.auth(key_of(str(number)))[2] is True
        assert bridge.auth(key_of(str(number)))[2] is True
    assert str(table.auth(OWNER)[3]).startswith("restricted: ")
    assert table.auth(key_of("0"))[2] is True
    assert bridge.auth(OWNER)[2] is True


def test_before_auth_nothing_but_requests() -> None:
    table = Table()
    note = event(OWNER, 1)
    (ok,) = frames(table.hear(encode(Publish(note))))
    assert ok[:3] == ["OK", note.id, False]
    assert str(ok[3]).startswith("auth-required: ")
    (closed,) = frames(table.req("a", {}))
    assert closed[:2] == ["CLOSED", "a"]
    assert str(closed[2]).startswith("auth-required: ")
    request = event(STRANGER, Kind.REQUEST, ("p", SIGNER.public))
    (submit,) = table.hear(encode(Publish(request)))
    assert isinstance(submit, Submit)
    assert len(table.req("a", {"kinds": [24_133], "#p": [STRANGER.public]})) == 2


def test_a_flood_is_refused_before_it_is_queued() -> None:
    table = Table()
    request = encode(Publish(event(STRANGER, Kind.REQUEST, ("p", SIGNER.public))))
    answers = [table.hear(request)[0] for _ in range(100)]
    assert 0 < sum(isinstance(answer, Submit) for answer in answers) < 100
    (ok,) = frames([answers[-1]])
    assert str(ok[3]).startswith("rate-limited: ")
    (ok,) = frames(Table(STRANGER).hear(encode(Publish(event(STRANGER, 1)))))
    assert str(ok[3]).startswith("restricted: ")


NOTE = event(OWNER, 1).to_json()


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"\x00\x01", ["NOTICE"]),
        ("", ["NOTICE"]),
        ("{}", ["NOTICE"]),
        ("[]", ["NOTICE"]),
        ("[" * 5_000, ["NOTICE"]),
        ('["COUNT"]', ["NOTICE"]),
        ('["COUNT","a"]', ["CLOSED", "a", "invalid: "]),
        ('["COUNT","a",{"x":1}]', ["CLOSED", "a", "invalid: "]),
        ('["NEG-OPEN","a",{},"6"]', ["NEG-ERR", "a", "invalid: "]),
        ('["NEG-MSG","a","zz"]', ["NEG-ERR", "a", "invalid: "]),
        ('["NEG-MSG","a","61"]', ["NEG-ERR", "a", "closed: "]),
        ('["NEG-CLOSE"]', ["NOTICE"]),
        ('["REQ"]', ["NOTICE"]),
        ('["REQ","",{}]', ["NOTICE"]),
        (json.dumps(["REQ", "x" * 65, {}]), ["NOTICE"]),
        ('["REQ","a"]', ["CLOSED", "a", "invalid: "]),
        ('["REQ","a",[]]', ["CLOSED", "a", "invalid: "]),
        ('["REQ","a",{"kinds":["1"]}]', ["CLOSED", "a", "invalid: "]),
        ('["REQ","a",{"ids":["ABCD"]}]', ["CLOSED", "a", "invalid: "]),
        ('["REQ","a",{"unknown":1}]', ["CLOSED", "a", "invalid: "]),
        ('["REQ","a",{"limit":-1}]', ["CLOSED", "a", "invalid: "]),
        ('["REQ","a",{"limit":1e3}]', ["CLOSED", "a", "invalid: "]),
        ('["REQ","a"' + ",{}" * 21 + "]", ["CLOSED", "a", "invalid: "]),
        ('["EVENT"]', ["NOTICE"]),
        ('["EVENT",{}]', ["NOTICE"]),
        (json.dumps(["EVENT", NOTE | {"id": "x"}]), ["NOTICE"]),
        (json.dumps(["EVENT", NOTE | {"kind": "1"}]), ["OK", NOTE["id"], False, "invalid: "]),
        (json.dumps(["EVENT", NOTE | {"kind": 65_536}]), ["OK", NOTE["id"], False, "invalid: "]),
        (json.dumps(["EVENT", NOTE | {"tags": [[]]}]), ["OK", NOTE["id"], False, "invalid: "]),
        (json.dumps(["EVENT", NOTE | {"sig": "00"}]), ["OK", NOTE["id"], False, "invalid: "]),
        (json.dumps(["EVENT", NOTE, 1]), ["OK", NOTE["id"], False, "invalid: "]),
        (json.dumps(["AUTH", NOTE]), ["OK", NOTE["id"], False, "invalid: "]),
        (json.dumps(["EVENT", NOTE | {"content": "x" * MAX_FRAME_BYTES}]), ["NOTICE"]),
        (json.dumps(["EVENT", NOTE | {"content": "é" * 600_000}], ensure_ascii=False), ["NOTICE"]),
    ],
)
def test_what_is_wrong_is_answered_where_it_belongs(
    sent: str | bytes, answer: list[object]
) -> None:
    effects = Table(OWNER).hear(sent)
    (got,) = frames(effects)
    assert got[0] == answer[0]
    for said, wanted in zip(got, answer, strict=False):
        if isinstance(wanted, str) and wanted.endswith(": "):
            assert str(said).startswith(wanted)
        else:
            assert said == wanted


def test_a_frame_of_the_largest_size_is_taken() -> None:
    table = Table(OWNER)
    empty = len(json.dumps(["EVENT", NOTE]))
    largest = json.dumps(["EVENT", NOTE | {"content": "x" * (MAX_FRAME_BYTES - empty)}])
    assert len(largest) == MAX_FRAME_BYTES
    assert isinstance(table.hear(largest)[0], Submit)
    assert isinstance(table.hear(largest + " ")[0], Send)


def resident_mib() -> float:
    """What this process holds in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


ODD: list[object] = [
    None, True, -1, 0, 1.5, 2**31, 2**63, 1e300, "", "x", "-1", "\x00", "é\u2028", "\ud800",
    "a" * 65, OWNER.public, OWNER.public.upper(), [], [[]], [None], ["p"], ["p", OWNER.public],
    [1] * 300, {}, {"": []}, {"kinds": [1]}, {"#p": [OWNER.public]}, {"limit": 0},
    "EVENT", "REQ", "CLOSE", "AUTH",
]  # fmt: skip


def with_an_oddity(value: object, source: random.Random) -> object:
    """A copy in which one value, anywhere, is another one, or there is one more or one less."""
    inside = list(value.items()) if isinstance(value, dict) else value
    if not isinstance(inside, list) or not inside or source.random() < 0.1:
        return source.choice(ODD)
    inside, at = list(inside), source.randrange(len(inside))
    match source.randrange(6), value:
        case 0, _:
            del inside[at]
        case 1, list():
            inside.insert(at, source.choice(ODD))
        case _, dict():
            inside[at] = (inside[at][0], with_an_oddity(inside[at][1], source))
        case _:
            inside[at] = with_an_oddity(inside[at], source)
    return dict(inside) if isinstance(value, dict) else inside


PIECES = ["[", "]", "{", "}", '"', ",", ":", "null", "1e999", "\\ud800", "-1", "\x00", "é", "0"]


def scratched(frame: str, source: random.Random) -> str:
    """Up to six characters or stretches changed, lost, doubled or put in."""
    text = list(frame)
    for _ in range(source.randint(0, 6)):
        at = source.randrange(len(text) + 1)
        match source.randrange(4):
            case 0:
                text.insert(at, source.choice(PIECES))
            case 1 if text:
                del text[at : at + source.randint(1, 20)]
            case 2:
                text[at:at] = text[: source.randint(0, 30)]
            case _ if at < len(text):
                text[at] = chr(source.randrange(32, 127))
    return "".join(text)


def test_random_frames(record_property: Callable[[str, object], None]) -> None:
    """Whatever comes is answered or taken, and the connection still works after it."""
    count, source = figure("frames"), dice("frames")
    valid = [
        json.dumps(["EVENT", NOTE]),
        json.dumps(["REQ", "a", {"kinds": [1, 2], "#p": [OWNER.public], "limit": 3}, {}]),
        json.dumps(["CLOSE", "a"]),
        json.dumps(["AUTH", NOTE]),
    ]
    table = Table(OWNER, limits=Limits(max_failed_auths=count))
    outcomes: Counter[str] = Counter()
    before_mib = resident_mib()
    for _ in range(count):
        frame = source.choice(valid)
        if source.random() < 0.5:
            frame = scratched(frame, source)
        else:  # still JSON: what is wrong lies deeper
            frame = json.dumps(with_an_oddity(json.loads(frame), source))
        for effect in table.hear(frame):
            if isinstance(effect, Send):
                word = json.loads(effect.frame)[0]
                assert word in ("OK", "CLOSED", "NOTICE")
                outcomes[f"answered {word}"] += 1
            else:
                assert isinstance(effect, Submit | Listen | Search | Unlisten)
                outcomes[f"taken as {type(effect).__name__}"] += 1
    assert len(outcomes) >= 6, outcomes
    assert resident_mib() - before_mib < 50
    for outcome, times in sorted(outcomes.items()):
        record_property(outcome, times)
    table.hear(encode(Close("a")))
    assert table.searching("a", {}).filters == (Filter(),)
    assert encode(Req("a", (Filter(),)))


def test_who_guesses_at_auth_is_cut() -> None:
    """Each wrong answer costs a signature check; a flood of them would cost a core."""
    table = Table(limits=Limits(max_failed_auths=3))
    for _ in range(3):
        assert table.auth(MEMBER, challenge="d" * 32)[2] is False
    assert table.auth(OWNER)[2] is True  # the right answer counts until then
    answer = nip42.auth_template(MEMBER.public, "d" * 32, URL, NOW).sign(MEMBER, bytes(32))
    (effect,) = table.hear(json.dumps(["AUTH", answer.to_json()]))
    assert isinstance(effect, Cut)


def test_an_event_has_so_many_tags_and_no_more() -> None:
    """Each tag is an entry in the index: one event would fill it."""
    table = Table(OWNER)
    most = [["t", str(n)] for n in range(2_000)]
    (taken,) = table.hear(json.dumps(["EVENT", NOTE | {"tags": most}]))
    assert isinstance(taken, Submit)
    (refused,) = frames(table.hear(json.dumps(["EVENT", NOTE | {"tags": [*most, ["t", "x"]]}])))
    assert refused[:3] == ["OK", NOTE["id"], False]
    assert "2000 tags" in str(refused[3])


@pytest.mark.parametrize(
    "text",
    [
        "[" * 20_000 + "]" * 20_000,
        '["REQ","a",' + "[" * 20_000 + "]" * 20_000 + "]",
        '["EVENT",' + '{"a":' * 20_000 + "1" + "}" * 20_000 + "]",
        '["EVENT",{"tags":' + "[" * 20_000 + "]" * 20_000 + "}]",
    ],
)
def test_json_nested_20_000_deep_is_refused(text: str) -> None:
    """A parser that follows every bracket runs out of stack."""
    table = Table(OWNER)
    (answer,) = frames(table.hear(text))
    assert answer[0] == "NOTICE"
    assert table.searching("a", {})


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"kind": -1}, "kind"),
        ({"kind": 65_536}, "kind"),
        ({"kind": True}, "kind"),
        ({"pubkey": str(NOTE["pubkey"]).upper()}, "pubkey"),
        ({"sig": "AB" * 64}, "sig"),
    ],
)
def test_what_crashed_others_is_refused_by_name(changes: dict[str, object], word: str) -> None:
    (answer,) = frames(Table(OWNER).hear(json.dumps(["EVENT", NOTE | changes])))
    assert answer[:3] == ["OK", NOTE["id"], False]
    assert word in str(answer[3])


def test_ids_in_upper_case_are_no_ids() -> None:
    table = Table(OWNER)
    upper = NOTE | {"id": str(NOTE["id"]).upper()}
    (answer,) = frames(table.hear(json.dumps(["EVENT", upper])))
    assert answer[0] == "NOTICE"
    (closed,) = frames(table.req("a", {"ids": [str(NOTE["id"]).upper()]}))
    assert closed[:2] == ["CLOSED", "a"]
