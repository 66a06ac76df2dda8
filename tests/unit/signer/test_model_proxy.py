"""The model proxy as a process, with a real relay and a real provider."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest

from agent_image.agent.model import ADDRESS, ModelRefused, Models, ModelUnavailable
from nips import nip98
from nips.event import Template
from nips.key import SecretKey
from signer.model_request import MAX_BODY_BYTES
from tests.unit.signer.house import House, key
from tests.unit.signer.models import API_KEY, SCOPE, STALL_S, Scene, a_scene, said, texts

MESSAGES = "/v1/messages"


@pytest.fixture(scope="module")
async def scene(house: House) -> AsyncIterator[Scene]:
    with TemporaryDirectory(prefix="nc-") as folder:
        async with a_scene(Path(folder), house) as made:
            await made.add_both()
            await made.start_proxy()
            yield made


async def refused(models: Models, path: str, fields: dict[str, object]) -> ModelRefused:
    """The refusal of what must be refused."""
    with pytest.raises(ModelRefused) as caught:
        await models.ask(path, fields)
    return caught.value


async def collect(source: AsyncIterator[dict[str, Any]], found: list[dict[str, Any]]) -> None:
    async for event in source:
        found.append(event)  # noqa: PERF401 - what came before an error counts too


async def until(holds: Callable[[], bool], timeout_s: float = 10) -> None:
    """Wait for what another process does to its files."""
    async with asyncio.timeout(timeout_s):
        while not holds():
            await asyncio.sleep(0.02)


def calls(scene: Scene) -> list[dict[str, Any]]:
    with contextlib.closing(sqlite3.connect(scene.signer_data / "models/spent.sqlite")) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute("SELECT * FROM calls ORDER BY n")]


def last_call(scene: Scene, session: SecretKey) -> dict[str, Any]:
    return [call for call in calls(scene) if call["client"] == session.public][-1]


# Answers


async def test_a_model_answers_and_is_billed_what_the_provider_says(scene: Scene) -> None:
    session, models = await scene.session()
    answer = await models.ask(MESSAGES, said("good morning"))
    assert answer["content"] == [{"type": "text", "text": "good morning"}]
    await until(lambda: last_call(scene, session)["outcome"] == "200")
    call = last_call(scene, session)
    assert (call["fresh"], call["made"], call["tokens"]) == (11, 2, 13)
    assert call["microusd"] == 11 * 3 + 2 * 15
    assert (call["provider"], call["model"], len(call["job"])) == ("one", "echo", 64)


async def test_a_stream_comes_as_it_is_made(scene: Scene) -> None:
    session, models = await scene.session()
    came: list[float] = []
    events = []
    async for event in models.events(MESSAGES, said("one two three four", model="slow")):
        came.append(time.monotonic())
        events.append(event)
    assert texts(events) == "one two three four"
    assert came[-1] - came[0] > 0.1
    await until(lambda: last_call(scene, session)["outcome"] == "200")
    assert last_call(scene, session)["tokens"] == 15


async def test_openais_form_is_spoken_and_a_stream_of_it_billed(scene: Scene) -> None:
    session, models = await scene.session(replace(SCOPE, names=("o-echo",)))
    asked = said("guten Tag", model="o-echo")
    answer: Any = await models.ask("/v1/chat/completions", asked)
    assert answer["choices"][0]["message"]["content"] == "guten Tag"
    words = [
        event["choices"][0]["delta"]["content"]  # type: ignore[index]
        async for event in models.events("/v1/chat/completions", asked)
        if event["choices"]
    ]
    assert words == ["guten", "Tag"]
    await until(lambda: last_call(scene, session)["outcome"] == "200")
    call = last_call(scene, session)
    assert (call["fresh"], call["cached"], call["made"]) == (7, 4, 2)


async def test_an_answer_is_never_longer_than_what_was_set_aside_for_it(scene: Scene) -> None:
    _, models = await scene.session(replace(SCOPE, names=("o-echo",)))
    asked = {name: value for name, value in said("hi", model="o-echo").items()
             if name != "max_tokens"}  # fmt: skip
    await models.ask("/v1/chat/completions", asked)
    taken = [one for one in scene.provider.seen() if one.get("path") == "/v1/chat/completions"]
    assert taken[-1]["fields"]["max_tokens"] == 8_192


async def test_tokens_are_counted_for_nothing(scene: Scene) -> None:
    session, models = await scene.session()
    answer = await models.ask(f"{MESSAGES}/count_tokens", said("x" * 400))
    assert answer["input_tokens"] == pytest.approx(125, abs=20)
    await until(lambda: last_call(scene, session)["outcome"] == "200")
    assert last_call(scene, session)["tokens"] == 0


async def test_the_models_of_the_grant_are_listed_and_no_others(scene: Scene) -> None:
    _, models = await scene.session(replace(SCOPE, names=("echo", "o-echo", "unknown")))
    assert await models.names() == ["echo", "o-echo"]


async def test_the_provider_sees_its_key_and_nothing_of_the_caller(scene: Scene) -> None:
    _, models = await scene.session()
    await models.ask(MESSAGES, said("who is there"))
    seen = scene.provider.seen()[-1]
    assert seen["has_key"]
    assert seen["fields"] == said("who is there")
    assert set(seen["headers"]) == {
        "accept", "accept-encoding", "anthropic-version", "connection", "content-length",
        "content-type", "host", "user-agent", "x-api-key",
    }  # fmt: skip


# What goes wrong at the provider


async def test_its_429_is_passed_on_with_the_time_to_wait(scene: Scene) -> None:
    session, models = await scene.session()
    async with models.request("POST", MESSAGES, orjson.dumps(said("x", model="limited"))) as answer:
        assert answer.status == 429
        assert answer.headers["retry-after"] == "7"
        assert "set-cookie" not in answer.headers
        assert orjson.loads(await answer.body())["error"]["type"] == "rate_limit_error"
    await until(lambda: last_call(scene, session)["outcome"] == "429")
    assert last_call(scene, session)["tokens"] == 0


@pytest.mark.parametrize(
    ("model", "status", "words"),
    [
        ("broken", 500, "it broke"),
        ("stalls", 504, "silent for 1 s"),
        ("garbage", 502, "did not speak HTTP"),
        ("redirects", 502, "redirects"),
    ],
)
async def test_its_failures_are_told(scene: Scene, model: str, status: int, words: str) -> None:
    _, models = await scene.session()
    told = await refused(models, MESSAGES, said("x", model=model))
    assert (told.status, words in told.sentence) == (status, True), told


async def test_a_stall_in_a_stream_is_told_and_ends_it(scene: Scene) -> None:
    session, models = await scene.session()
    events: list[dict[str, Any]] = []
    began_s = time.monotonic()
    with pytest.raises(ModelRefused, match="silent for 1 s"):
        await collect(models.events(MESSAGES, said("one two", model="stalls-later")), events)
    assert texts(events) == "one"
    assert time.monotonic() - began_s < STALL_S + 3
    await until(lambda: last_call(scene, session)["outcome"] is not None)
    # Nobody said what it cost, so what was set aside stands.
    assert last_call(scene, session)["tokens"] >= 100


async def test_a_body_that_breaks_off_is_seen_to(scene: Scene) -> None:
    _, models = await scene.session()
    with pytest.raises(ModelUnavailable):
        await models.ask(MESSAGES, said("x", model="hangs-up"))


async def test_a_provider_that_repeats_its_key_does_not_give_it_away(scene: Scene) -> None:
    """Attack: an error, or an echo, with the key in it."""
    _, models = await scene.session()
    async with models.request("POST", MESSAGES, orjson.dumps(said("x", model="leaks"))) as answer:
        body = await answer.body()
        assert API_KEY not in f"{answer.headers}"
    assert API_KEY.encode() not in body
    assert b"*" * len(API_KEY) in body


async def test_one_that_hangs_up_ends_the_providers_work(scene: Scene) -> None:
    session, models = await scene.session()
    words = said("word " * 400, model="slow", max_tokens=500)
    async for _ in models.events(MESSAGES, words):
        break
    await until(lambda: scene.provider.seen()[-1].get("gone", False))
    await until(lambda: last_call(scene, session)["outcome"] == "the caller hung up")
    assert last_call(scene, session)["tokens"] > 500


# Who may


async def test_a_grant_without_models_has_no_socket(scene: Scene) -> None:
    session, _ = await scene.session(None)
    _, other = await scene.session()
    await other.names()  # so the first grant has been seen
    assert not Path(scene.socket(session)).exists()


async def test_a_session_that_waits_has_no_socket_before_its_job(scene: Scene) -> None:
    session, models = await scene.session(job=None)
    now_s = int(time.time())
    _, other = await scene.session()
    assert await other.names()  # so the grant before it has been seen
    assert not Path(scene.socket(session)).exists()
    job = scene.grant(session, None)
    job = replace(job, models=SCOPE)
    await scene.place.grant(scene.router, job, now_s + 1)
    assert await models.names() == list(SCOPE.names)
    # Attack: it goes back to waiting, and on to another job, with a new allowance.
    for number, other_job in enumerate((None, "cd" * 32)):
        await scene.place.grant(scene.router, replace(job, job=other_job), now_s + 2 + number)
        assert await models.names() == list(SCOPE.names)


async def test_another_model_is_refused(scene: Scene) -> None:
    _, models = await scene.session(replace(SCOPE, names=("slow", "o-echo")))
    for model in ("echo", "none"):
        assert (await refused(models, MESSAGES, said("x", model=model))).status == 403
    assert (await refused(models, MESSAGES, said("x", model="o-echo"))).status == 404


@pytest.mark.parametrize(
    "path", ["/v1/files", "/v1/messages/batches", "/", "/v1/messages?x=1", "/v1/../v1/messages"]
)
async def test_other_paths_are_not_there(scene: Scene, path: str) -> None:
    _, models = await scene.session()
    assert (await refused(models, path, said("x"))).status == 404


async def test_what_would_reach_out_is_refused(scene: Scene) -> None:
    _, models = await scene.session()
    before = len(scene.provider.seen())
    tools = [{"type": "web_fetch_20250910", "name": "web_fetch"}]
    told = await refused(models, MESSAGES, said("x", tools=tools))
    assert (told.status, "web_fetch" in told.sentence) == (403, True)
    assert len(scene.provider.seen()) == before


async def test_a_body_that_names_two_models_means_one(scene: Scene) -> None:
    _, models = await scene.session(replace(SCOPE, names=("echo",)))
    body = orjson.dumps(said("x")).replace(b'"echo"', b'"limited","model":"echo"')
    async with models.request("POST", MESSAGES, body) as answer:
        assert answer.status == 200
    assert scene.provider.seen()[-1]["fields"]["model"] == "echo"


async def test_what_is_no_request_is_said_to_be_none(scene: Scene) -> None:
    _, models = await scene.session()
    for body in (b"", b"[]", b"{}", b'{"model":"echo","max_tokens":-1}', b'{"model":""}'):
        async with models.request("POST", MESSAGES, body) as answer:
            assert answer.status == 400, body


async def raw(socket: str, data: bytes) -> tuple[int, bytes]:
    """Send bytes and return the status and the body of the answer."""
    reader, writer = await asyncio.open_unix_connection(socket)
    writer.write(data)
    with contextlib.suppress(ConnectionError):
        await writer.drain()
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), body


def request(authorisation: str | None, body: bytes, path: str = MESSAGES) -> bytes:
    line = "" if authorisation is None else f"Authorization: {authorisation}\r\n"
    return (
        f"POST {path} HTTP/1.1\r\nHost: model.local\r\nConnection: close\r\n{line}"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def authorised(
    by: SecretKey, body: bytes, change: Callable[[Template], Template] = lambda t: t
) -> str:
    template = nip98.template(by.public, ADDRESS + MESSAGES, "POST", body, int(time.time()))
    return nip98.header(change(template).sign(by, bytes(32)))


async def test_only_the_sessions_own_authorisation_counts(scene: Scene) -> None:
    session, models = await scene.session()
    await models.names()
    body = orjson.dumps(said("let me in"))
    old = int(time.time()) - nip98.MAX_AGE_S - 5
    other = f"{ADDRESS}/v1/models"
    wrong = {
        "none": None,
        "no event": "Nostr e30=",
        "the provider's form": "Bearer anything",
        "another key": authorised(key(77), body),
        "another body": authorised(session, b"{}"),
        "an old one": authorised(session, body, lambda t: replace(t, created_at=old)),
        "another path": authorised(
            session, body, lambda t: replace(t, tags=(("u", other), *t.tags[1:]))
        ),
        "another method": authorised(
            session, body, lambda t: replace(t, tags=(t.tags[0], ("method", "GET"), t.tags[2]))
        ),
        "no payload": authorised(session, body, lambda t: replace(t, tags=t.tags[:2])),
        "another kind": authorised(session, body, lambda t: replace(t, kind=1)),
    }
    before = len(scene.provider.seen())
    for name, authorisation in wrong.items():
        status, answer = await raw(scene.socket(session), request(authorisation, body))
        assert status == 401, name
        assert orjson.loads(answer)["error"]["type"] == "authentication_error"
    assert len(scene.provider.seen()) == before
    status, _ = await raw(scene.socket(session), request(authorised(session, body), body))
    assert status == 200


async def test_an_authorisation_counts_once(scene: Scene) -> None:
    """Attack: what was sent once is sent again."""
    session, models = await scene.session()
    await models.names()
    body = orjson.dumps(said("once"))
    sent = request(authorised(session, body), body)
    assert (await raw(scene.socket(session), sent))[0] == 200
    status, answer = await raw(scene.socket(session), sent)
    assert (status, b"used before" in answer) == (401, True)


async def test_another_sessions_key_is_nothing_here(scene: Scene) -> None:
    """Attack: a container that learnt another session's key."""
    session, models = await scene.session()
    other, _ = await scene.session()
    await models.names()
    body = orjson.dumps(said("hello"))
    status, _ = await raw(scene.socket(session), request(authorised(other, body), body))
    assert status == 401


async def test_a_body_beyond_32_mib_is_refused(scene: Scene) -> None:
    session, models = await scene.session()
    await models.names()
    authorisation = authorised(session, b"")
    declared = request(authorisation, b"").replace(
        b"Content-Length: 0", f"Content-Length: {MAX_BODY_BYTES + 1}".encode()
    )
    status, answer = await raw(scene.socket(session), declared)
    assert (status, b"32 MiB" in answer) == (413, True)
    chunked = request(authorisation, b"").replace(
        b"Content-Length: 0", b"Transfer-Encoding: chunked"
    )
    chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    status, _ = await raw(scene.socket(session), chunked + chunk * 33 + b"0\r\n\r\n")
    assert status == 413


async def test_a_large_body_passes(scene: Scene) -> None:
    _, models = await scene.session()
    large = {"role": "user", "content": "y" * (2 << 20)}
    answer = await models.ask(MESSAGES, said("x", messages=[large, {"content": "done"}]))
    assert answer["content"] == [{"type": "text", "text": "done"}]
    assert scene.provider.seen()[-1]["fields"]["messages"][0] == large


async def test_a_revoked_session_is_cut_off(scene: Scene) -> None:
    session, models = await scene.session()
    words = said("word " * 400, model="slow")
    events: list[dict[str, Any]] = []
    streaming = asyncio.create_task(collect(models.events(MESSAGES, words), events))
    await until(lambda: len(events) >= 3)
    await scene.revoke(session)
    with pytest.raises(ModelUnavailable):
        await streaming
    assert len(events) < 100
    await until(lambda: not Path(scene.socket(session)).exists())


async def test_a_session_ends_with_its_hard_limit(scene: Scene) -> None:
    now = int(time.time())
    session, models = await scene.session(hard_expires_at=now + 3, expires_at=now + 180)
    await models.names()
    await until(lambda: not Path(scene.socket(session)).exists(), 10)


async def test_many_connections_are_cut(scene: Scene) -> None:
    """Attack: a container that opens connections until nothing is left."""
    session, models = await scene.session()
    await models.names()
    pairs = [await asyncio.open_unix_connection(scene.socket(session)) for _ in range(24)]
    ended = await asyncio.gather(
        *(asyncio.wait_for(reader.read(), 2) for reader, _ in pairs), return_exceptions=True
    )
    assert sum(end == b"" for end in ended) == 24 - 16
    for _, writer in pairs:
        writer.close()
    async with asyncio.timeout(10):
        while True:  # as soon as their ends have been seen
            with contextlib.suppress(ModelUnavailable):
                assert await models.names()
                break


async def test_many_at_once_wait_for_one_another(scene: Scene) -> None:
    _, models = await scene.session()
    answers = await asyncio.gather(
        *(models.ask(MESSAGES, said(f"{n} one two", model="slow")) for n in range(14))
    )
    told = [answer["content"][0]["text"] for answer in answers]  # type: ignore[index]
    assert told == [f"{n} one two" for n in range(14)]


# Budgets


async def test_a_jobs_requests_come_to_an_end(scene: Scene) -> None:
    session, models = await scene.session(replace(SCOPE, requests=2))
    for _ in range(2):
        await models.ask(MESSAGES, said("x"))
    told = await refused(models, MESSAGES, said("x"))
    assert (told.status, told.sentence) == (
        429,
        "this job may use 2 requests; 2 are used, and this call may need 1",
    )
    # A renewal resets nothing.
    renewed = replace(scene.grant(session, replace(SCOPE, requests=2)), max_uses=199)
    await scene.place.grant(scene.router, renewed, int(time.time()) + 2)
    assert (await refused(models, MESSAGES, said("x"))).status == 429


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        (replace(SCOPE, tokens=99), "99 tokens"),
        (replace(SCOPE, money_microusd=1_400), "US dollars"),
    ],
)
async def test_what_may_cost_too_much_is_not_sent(scene: Scene, scope: Any, words: str) -> None:
    _, models = await scene.session(scope)
    before = len(scene.provider.seen())
    told = await refused(models, MESSAGES, said("x", max_tokens=100))
    assert (told.status, words in told.sentence) == (429, True), told
    assert len(scene.provider.seen()) == before
    await models.ask(MESSAGES, said("x", max_tokens=10))


async def test_money_set_aside_comes_back(scene: Scene) -> None:
    _, models = await scene.session(replace(SCOPE, tokens=1_200))
    for _ in range(5):  # each may need some 1,000, and needs 12
        await models.ask(MESSAGES, said("x", max_tokens=950))
        await asyncio.sleep(0)


# Restarts: the last of this file, since they end the proxy


async def test_a_killed_proxy_forgets_nothing(scene: Scene) -> None:
    session, models = await scene.session(replace(SCOPE, requests=2))
    await models.ask(MESSAGES, said("x"))
    body = orjson.dumps(said("again"))
    stalled = asyncio.create_task(models.ask(MESSAGES, said("x", model="slow", max_tokens=5_000)))
    await until(lambda: last_call(scene, session)["model"] == "slow")
    sent = request(authorised(session, body), body)
    assert scene.proxy is not None
    await scene.proxy.kill()
    (ended,) = await asyncio.gather(stalled, return_exceptions=True)
    assert isinstance(ended, ModelUnavailable | dict)
    await scene.start_proxy()
    assert (await refused(models, MESSAGES, said("x"))).status == 429
    assert last_call(scene, session)["tokens"] > 5_000 or isinstance(ended, dict)
    assert (await raw(scene.socket(session), sent))[0] == 429


async def test_while_the_relay_is_away_nothing_is_served(scene: Scene) -> None:
    _, models = await scene.session()
    await models.ask(MESSAGES, said("x"))
    assert scene.place.relay is not None
    await scene.place.relay.kill()

    async def status() -> int:
        try:
            await models.ask(MESSAGES, said("x"))
        except ModelRefused as told:
            return told.status
        return 200

    async with asyncio.timeout(10):
        while await status() != 503:
            await asyncio.sleep(0.05)
    await scene.place.start_relay()
    async with asyncio.timeout(20):
        while await status() != 200:
            await asyncio.sleep(0.1)
