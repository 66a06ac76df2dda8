"""Every endpoint that is used, against the stand-in, in both kinds of mode."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.bridges.signal.service.rest import (
    Attachment,
    Quote,
    RateLimited,
    Rejected,
    Sent,
    Service,
    ServiceError,
    Uncertain,
    Unreachable,
    group_recipient,
)
from bot.bridges.signal.service.salvage import salvage
from bot.operate.stand_ins import signal_envelopes as made
from bot.operate.stand_ins import signal_faults as faults
from bot.operate.stand_ins.signal_service import SignalService
from tests.signal_service import ALICE, BOB, FRIENDS, NUMBER, a_service
from tests.unit.bot.bridges.signal.raw_server import a_raw_server, whole
from tests.unit.bot.bridges.signal.service.test_transport import a_closed_port

AT = 1_700_000_000_000
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
GROUP = group_recipient(FRIENDS.id)


@pytest.fixture(scope="module", params=["normal", "json-rpc"])
async def either(request: pytest.FixtureRequest) -> AsyncIterator[SignalService]:
    async with a_service(request.param) as stand_in:
        await stand_in.add_group(FRIENDS)
        await stand_in.add_contact(ALICE)
        yield stand_in


@pytest.fixture(scope="module")
async def normal() -> AsyncIterator[SignalService]:
    async with a_service() as stand_in:
        await stand_in.add_group(FRIENDS)
        yield stand_in


async def last(stand_in: SignalService, kind: str = "message") -> dict[str, Any]:
    return (await stand_in.sent(kind))[-1]


async def test_what_it_is_and_whose(either: SignalService) -> None:
    async with Service(either.url) as service:
        about = await service.about()
        assert about.mode in {"normal", "json-rpc"}
        assert "v2" in about.versions
        assert "quotes" in about.capabilities["v2/send"]
        assert await service.accounts() == (NUMBER,)
        assert await service.own_aci(NUMBER) == await either.aci()
        (group,) = await service.groups(NUMBER)
        assert (group.id, group.internal_id, group.name) == (GROUP, FRIENDS.id, "Friends")
        assert group.members == (ALICE.aci, BOB.aci)


async def test_a_message_as_it_arrives(either: SignalService) -> None:
    async with Service(either.url) as service:
        sent = await service.send(
            NUMBER,
            ALICE.aci,
            "**bold** and plain",
            quote=Quote(ALICE.aci, AT, "hello?"),
            attachments=[Attachment("a b.png", "image/png", PNG)],
        )
    found = await last(either)
    assert (sent.timestamp, sent.failed) == (found["timestamp"], ())
    assert (found["recipients"], found["group"]) == ([ALICE.aci], None)
    assert found["message"] == "bold and plain"
    assert found["styles"] == [{"start": 0, "length": 4, "style": "BOLD"}]
    assert found["quote"]["message"] == "hello?"
    (file,) = found["attachments"]
    assert (file["filename"], base64.b64decode(file["base64"])) == ("a b.png", PNG)


async def test_a_message_to_a_group_with_nothing_but_a_file(either: SignalService) -> None:
    async with Service(either.url) as service:
        await service.send(NUMBER, GROUP, "", attachments=[Attachment("x.bin", "a/b", b"\0")])
    assert (await last(either))["group"] == FRIENDS.id


@pytest.mark.parametrize("text", ["-m", "--attachment=/etc/passwd", "-", "-a x\n--b"])
async def test_a_quote_that_looks_like_an_option_is_a_quote(
    either: SignalService, text: str
) -> None:
    """Attack: in normal mode it is an argument of a program."""
    async with Service(either.url) as service:
        await service.send(NUMBER, ALICE.aci, text, quote=Quote(ALICE.aci, AT, text))
    found = await last(either)
    assert found["message"] == text
    assert found["quote"]["message"].lstrip("\u2060") == text
    assert found["attachments"] == []


@pytest.mark.parametrize("name", ["../../x.png", "-x.png", "a;filename=b;base64,x.png", "/etc/x"])
async def test_a_files_name_leads_nowhere(either: SignalService, name: str) -> None:
    async with Service(either.url) as service:
        await service.send(NUMBER, ALICE.aci, "", attachments=[Attachment(name, "image/png", PNG)])
    (file,) = (await last(either))["attachments"]
    assert base64.b64decode(file["base64"]) == PNG
    assert not set(file["filename"]) & set("/;,")


@pytest.mark.parametrize("recipient", [ALICE.aci, GROUP])
async def test_reactions_typing_and_receipts(either: SignalService, recipient: str) -> None:
    async with Service(either.url) as service:
        await service.react(NUMBER, recipient, ALICE.aci, AT, "👍")
        found = await last(either, "reaction")
        assert (found["emoji"], found["remove"]) == ("👍", False)
        assert (found["author"], found["target"]) == (ALICE.aci, AT)
        await service.unreact(NUMBER, recipient, ALICE.aci, AT, "👍")
        assert (await last(either, "reaction"))["remove"] is True
        await service.typing(NUMBER, recipient, on=True)
        assert (await last(either, "typing"))["on"] is True
        await service.typing(NUMBER, recipient, on=False)
        assert (await last(either, "typing"))["on"] is False
        await service.receipt(NUMBER, ALICE.aci, AT)
        assert (await last(either, "receipt"))["recipients"] == [ALICE.aci]
        await service.remote_delete(NUMBER, recipient, AT)
        assert (await last(either, "delete"))["target"] == AT


async def test_a_received_file(either: SignalService) -> None:
    await either.add_file("abc.png", PNG)
    async with Service(either.url) as service:
        assert await service.attachment("abc.png", max_bytes=len(PNG)) == PNG
        with pytest.raises(Rejected, match="more than"):
            await service.attachment("abc.png", max_bytes=len(PNG) - 1)
        with pytest.raises(Rejected) as gone:
            await service.attachment("gone.png", max_bytes=10)
        assert gone.value.status == 404
        n_calls = len(await either.calls())
        for path in ("../accounts", "a/b", "..", "", "a\0b"):
            with pytest.raises(ValueError, match="file"):
                await service.attachment(path, max_bytes=10)
        assert len(await either.calls()) == n_calls


async def test_values_that_are_none_are_not_even_asked_for(either: SignalService) -> None:
    n_calls = len(await either.calls())
    async with Service(either.url) as service:
        for number in ("", "-a", "+49/../x", "4915100000001"):
            for refused in (
                service.receive(number, timeout_s=1, max_messages=1),
                service.groups(number),
                service.own_aci(number),
                service.send(number, ALICE.aci, "x"),
                service.typing(number, ALICE.aci, on=True),
                service.receipt(number, ALICE.aci, AT),
                service.react(number, ALICE.aci, ALICE.aci, AT, "👍"),
                service.solve_challenge(number, "t", "c"),
            ):
                with pytest.raises(ValueError, match="number"):
                    await refused
        with pytest.raises(ValueError, match="person"):
            await service.receipt(NUMBER, GROUP, AT)
    assert len(await either.calls()) == n_calls


async def test_a_rate_limit_and_the_proof_that_lifts_it() -> None:
    async with a_service("json-rpc") as stand_in, Service(stand_in.url) as service:
        await stand_in.faults(faults.challenge("t-1"))
        with pytest.raises(RateLimited) as limited:
            await service.send(NUMBER, ALICE.aci, "hello")
        assert limited.value.tokens == ("t-1",)
        await service.solve_challenge(NUMBER, "t-1", "signalcaptcha://solved")
        assert (await last(stand_in, "captcha"))["captcha"] == "signalcaptcha://solved"
        await service.send(NUMBER, ALICE.aci, "hello")


async def test_in_normal_mode_a_rate_limit_is_found_in_what_was_printed(
    normal: SignalService,
) -> None:
    await normal.faults(faults.challenge("t-2"))
    async with Service(normal.url) as service:
        with pytest.raises(RateLimited) as limited:
            await service.send(NUMBER, ALICE.aci, "hello")
    assert limited.value.tokens == ("t-2",)
    await normal.faults()


async def test_who_does_not_get_it_is_told() -> None:
    async with a_service() as stand_in, Service(stand_in.url) as service:
        await stand_in.add_group(FRIENDS)
        await stand_in.faults(faults.failing(BOB.aci))
        sent = await service.send(NUMBER, GROUP, "hello")
        assert sent.failed == (f"{BOB.aci[:8]}…: UNREGISTERED_FAILURE",)
        with pytest.raises(Rejected, match="UNREGISTERED_FAILURE"):
            await service.send(NUMBER, BOB.aci, "hello")


async def test_a_message_that_was_sent_before_it_ended_badly_was_sent(
    normal: SignalService,
) -> None:
    await normal.faults(faults.exits("send"))
    async with Service(normal.url) as service:
        sent = await service.send(NUMBER, ALICE.aci, "once")
    assert sent == Sent((await last(normal))["timestamp"], ())


async def test_a_message_whose_result_is_buried_in_noise_may_have_been_sent(
    normal: SignalService,
) -> None:
    await normal.faults(faults.noise("send"))
    n_sent = len(await normal.sent())
    async with Service(normal.url) as service:
        with pytest.raises(Uncertain):
            await service.send(NUMBER, ALICE.aci, "once")
    assert len(await normal.sent()) == n_sent + 1


async def test_without_a_network_nothing_was_sent(normal: SignalService) -> None:
    await normal.faults(faults.refuses("send"))
    n_sent = len(await normal.sent())
    async with Service(normal.url) as service:
        with pytest.raises(Unreachable):
            await service.send(NUMBER, ALICE.aci, "once")
    assert len(await normal.sent()) == n_sent


@pytest.mark.parametrize("late", [False, True])
async def test_a_service_that_hangs_up_may_have_sent_it(normal: SignalService, late: bool) -> None:
    await normal.faults(faults.cut("/v2/send", late=late))
    n_sent = len(await normal.sent())
    async with Service(normal.url) as service:
        with pytest.raises(Uncertain):
            await service.send(NUMBER, ALICE.aci, "once")
    assert len(await normal.sent()) == n_sent + late


async def test_a_service_that_does_not_answer_may_have_sent_it(normal: SignalService) -> None:
    await normal.faults(faults.held("send"))
    async with Service(normal.url, send_s=0.1) as service:
        with pytest.raises(Uncertain):
            await service.send(NUMBER, ALICE.aci, "once")
    await normal.release()


async def test_a_service_that_starts_has_done_nothing(normal: SignalService) -> None:
    await normal.faults(faults.answers("/v2/send", 503))
    async with Service(normal.url) as service:
        with pytest.raises(Unreachable):
            await service.send(NUMBER, ALICE.aci, "once")
    async with Service(f"http://127.0.0.1:{a_closed_port()}") as service:
        for asked in (service.about(), service.send(NUMBER, ALICE.aci, "x")):
            with pytest.raises(Unreachable):
                await asked


async def test_what_was_received_is_given_raw(normal: SignalService) -> None:
    await normal.push(made.said(ALICE, "hello", AT), made.said(BOB, "hi", AT))
    async with Service(normal.url) as service:
        text = await service.receive(NUMBER, timeout_s=1, max_messages=1)
        assert len(salvage(text).items) == 1
        (call,) = await normal.calls(f"/v1/receive/{NUMBER}")
        assert call["query"]["max_messages"] == "1"
        await normal.faults(faults.exits("receive"))
        error = await service.receive(NUMBER, timeout_s=1, max_messages=9)
        assert not error.startswith('{"error"')
        assert len(salvage(error).items) == 1


async def test_an_error_without_messages_is_an_error(normal: SignalService) -> None:
    async with Service(normal.url) as service:
        with pytest.raises(Rejected, match="not registered") as error:
            await service.receive("+4915100000077", timeout_s=1, max_messages=9)
        assert "4915100000077" not in str(error.value)


async def test_what_comes_over_the_websocket() -> None:
    opened = asyncio.Event()
    async with a_service("json-rpc") as stand_in, Service(stand_in.url) as service:
        stream = service.stream(NUMBER, opened=opened.set)
        first = asyncio.create_task(anext(stream))
        await opened.wait()
        await stand_in.push(made.said(ALICE, "hello", AT))
        assert len(salvage(await first).items) == 1
        await stand_in.stop()
        assert [text async for text in stream] == []


async def test_linking() -> None:
    async with a_service(number="") as stand_in, Service(stand_in.url) as service:
        assert await service.accounts() == ()
        uri = await service.link_uri("nostrclaw on a desk")
        assert uri.startswith("sgnl://linkdevice?")
        assert await stand_in.scan(NUMBER) == "nostrclaw on a desk"
        assert await service.accounts() == (NUMBER,)
        await stand_in.faults(faults.no_link())
        with pytest.raises(ServiceError):
            await service.link_uri("nostrclaw")


@pytest.mark.parametrize(
    ("body", "words"),
    [(b"[]", "not understood"), (b"<html>", "not understood"), (b"x" * 9_000_000, "without end")],
)
async def test_an_answer_that_makes_no_sense(body: bytes, words: str) -> None:
    async with a_raw_server(lambda _: whole(body)) as server, Service(server.url) as service:
        with pytest.raises(ServiceError, match=words):
            await service.about()
        with pytest.raises(Uncertain):
            await service.send(NUMBER, ALICE.aci, "x")


async def test_an_old_service_says_that_it_is_old() -> None:
    not_found = whole(b"404 page not found", "404 Not Found")
    async with a_raw_server(lambda _: not_found) as server, Service(server.url) as service:
        with pytest.raises(Rejected, match="too old"):
            await service.link_uri("nostrclaw")
