"""Files asked of the service, and what is said of those that it does not give."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from bot.bridges.incoming import Incoming
from bot.bridges.signal.inward import files as module
from bot.bridges.signal.inward.files import MAX_FILE_BYTES, Files, Taken
from bot.bridges.signal.received.parts import File
from bot.bridges.signal.service.rest import Service
from bot.operate.stand_ins import signal_faults as faults
from bot.operate.stand_ins.signal_envelopes import attachment, said
from bot.operate.stand_ins.signal_service import SignalService
from nips.nip29 import remove_user
from nips.own.received import received_files
from tests.signal_service import ALICE, a_service
from tests.unit.bot.bridges.signal.inbound_stage import Stage, Talk, at_ms
from tests.unit.bot.bridges.signal.inward.test_forwarding import in_a_group, known, new

JPEG = b"\xff\xd8\xff\xe0" + b"a photo" * 9
PHOTO = File("abc.jpg", "image/jpeg", "../my photo.png", len(JPEG), "800x600", None)
FOLDER = "anna"
NEVER = asyncio.Event()


@pytest.fixture(scope="module")
async def service() -> AsyncIterator[SignalService]:
    async with a_service() as made:
        await made.add_file("abc.jpg", JPEG)
        yield made


@pytest.fixture
async def client(service: SignalService) -> AsyncIterator[Service]:
    await service.faults()
    async with Service(service.url) as made:
        yield made


def taker(tmp_path: Path, client: Service, **fields: Any) -> Files:
    incoming = Incoming(tmp_path / "groups", 64 << 20)
    return Files(client, incoming, **({"pauses_s": (0.01, 0.01)} | fields))


async def the_one(files: Files, file: File, hurry: asyncio.Event = NEVER) -> Taken:
    (taken,) = await files.take([file], FOLDER, hurry)
    return taken


async def test_a_file_is_laid_into_the_groups_folder(tmp_path: Path, client: Service) -> None:
    taken = await the_one(taker(tmp_path, client), PHOTO)
    digest, kept = sha256(JPEG).hexdigest(), taken.kept
    assert kept is not None
    assert kept.name == f"my-photo-{digest[:12]}.jpg"
    assert (kept.media_type, kept.sha256, kept.n_bytes) == ("image/jpeg", digest, len(JPEG))
    assert kept.dimensions == "800x600"
    assert taken.line == "[file: my photo.png, image/jpeg, 67 B]"
    assert (tmp_path / "groups" / FOLDER / "received" / kept.name).read_bytes() == JPEG


async def test_a_caption_stands_behind_its_file(tmp_path: Path, client: Service) -> None:
    taken = await the_one(taker(tmp_path, client), replace(PHOTO, caption="the\ngarden "))
    assert taken.line == "[file: my photo.png, image/jpeg, 67 B] the garden"


async def test_a_type_is_what_the_first_bytes_say(tmp_path: Path, client: Service) -> None:
    """Attack: a program that is called a photo, or a photo that is called a program."""
    taken = await the_one(taker(tmp_path, client), replace(PHOTO, media_type="text/html"))
    assert taken.kept is not None
    assert taken.kept.media_type == "image/jpeg"


@pytest.mark.parametrize(
    ("file", "why"),
    [
        (replace(PHOTO, id=None), "the Signal service does not have it"),
        (replace(PHOTO, id="gone.jpg"), "the Signal service does not give it out"),
        (replace(PHOTO, n_bytes=MAX_FILE_BYTES + 1), "it is larger than 25 MiB"),
    ],
)
async def test_a_file_that_cannot_be_had_says_so(
    tmp_path: Path, client: Service, file: File, why: str
) -> None:
    taken = await the_one(taker(tmp_path, client), file)
    assert taken == Taken(
        None, f"[a file was sent (image/jpeg) and could not be taken: {why}]"
    )  # fmt: skip


async def test_the_largest_file_is_taken_and_one_byte_more_is_not(
    tmp_path: Path, client: Service, service: SignalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: a size that is not true."""
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 1_000)
    await service.add_file("largest", bytes(1_000))
    await service.add_file("larger", bytes(1_001))
    files = taker(tmp_path, client)
    assert (await the_one(files, replace(PHOTO, id="largest", n_bytes=1))).kept is not None
    assert (await the_one(files, replace(PHOTO, id="larger", n_bytes=1))).kept is None


async def test_what_fails_for_a_moment_is_asked_for_again(
    tmp_path: Path, client: Service, service: SignalService
) -> None:
    await service.faults(faults.cut("/v1/attachments", times=2))
    assert (await the_one(taker(tmp_path, client), PHOTO)).kept is not None
    await service.faults(faults.cut("/v1/attachments", times=3))
    taken = await the_one(taker(tmp_path, client), PHOTO)
    assert taken.line.endswith("could not be taken: the Signal service does not answer]")


async def test_a_folder_that_is_full_takes_nothing(
    tmp_path: Path, client: Service, service: SignalService
) -> None:
    await service.add_file("more.jpg", JPEG + b"more")
    files = Files(client, Incoming(tmp_path / "groups", 100))
    assert (await the_one(files, PHOTO)).kept is not None
    taken = await the_one(files, replace(PHOTO, id="more.jpg"))
    assert "there is no room left" in taken.line


@asynccontextmanager
async def slow(content: bytes) -> AsyncIterator[tuple[Service, asyncio.Event, asyncio.Event]]:
    """A service that gives out a file when it is told to. Yields it, what tells that it was asked,
    and what lets it go on."""
    asked, go = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if b"/v1/attachments/" in head:  # who we are is asked for too
                    asked.set()
                await go.wait()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(content))
                writer.write(content)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with Service(f"http://127.0.0.1:{port}") as client:
            yield client, asked, go
    finally:
        go.set()
        server.close()


async def test_a_file_that_does_not_come_is_given_up(tmp_path: Path) -> None:
    """Attack: a file that never comes, and the words beside it wait for ever."""
    async with slow(JPEG) as (client, _, _):
        taken = await the_one(taker(tmp_path, client, deadline_s=0.05), PHOTO)
        assert taken.line.endswith("could not be taken: it did not come in time]")
        files = taker(tmp_path, client, message_deadline_s=0.05)
        assert [one.kept for one in await files.take([PHOTO] * 20, FOLDER, NEVER)] == [None] * 20


async def test_it_is_given_up_where_too_much_waits_behind_it(tmp_path: Path) -> None:
    async with slow(JPEG) as (client, asked, _):
        hurry = asyncio.Event()
        taking = asyncio.create_task(the_one(taker(tmp_path, client), PHOTO, hurry))
        await asked.wait()
        hurry.set()
        assert "too much else was waiting behind it" in (await taking).line


# In the conversation


@pytest.fixture
async def alice(inward: Stage) -> Talk:
    return await inward.alone_with(new(ALICE))


async def test_a_message_brings_all_its_files(inward: Stage, alice: Talk) -> None:
    await inward.service.add_file("one.jpg", JPEG)
    await inward.service.add_file("two.txt", b"hello")
    files = [
        attachment("one.jpg", "image/jpeg", len(JPEG), "one.jpg"),
        attachment("none.jpg", "image/jpeg", 7),
        attachment("two.txt", "text/plain", 5, "two.txt"),
    ]
    await inward.give(said(alice.who, "look", at_ms(), attachments=files))
    lines = [
        "look",
        "[file: one.jpg, image/jpeg, 67 B]",
        "[a file was sent (image/jpeg) and could not be taken: the Signal service does not give"
        " it out]",
        "[file: two.txt, text/plain, 5 B]",
    ]
    event = await alice.heard("\n".join(lines))
    one, two = received_files(event)
    folder = inward.house.place.data / "groups" / alice.binding.folder
    assert (folder / one.path).read_bytes() == JPEG
    assert (folder / two.path).read_bytes() == b"hello"


async def test_what_is_said_behind_a_slow_file_keeps_its_order(inward: Stage, alice: Talk) -> None:
    """And nobody else waits; a bridge that ends meanwhile does it again."""
    other = await inward.alone_with(new(ALICE))
    at, file = at_ms(), attachment("one.jpg", "image/jpeg", len(JPEG), "one.jpg")
    async with slow(JPEG) as (client, asked, go):
        first, inward.client = inward.client, client
        await inward.stop()
        await inward.start()
        await inward.give(
            said(alice.who, "first", at_ms()),
            said(alice.who, "look", at, attachments=[file]),
            said(alice.who, "well?", at_ms()),
            said(other.who, "elsewhere", at_ms()),
        )
        await other.heard("elsewhere")
        await asked.wait()
        assert await alice.texts() == ["first"]
        await inward.stop()
        await inward.start()
        go.set()
        await inward.give(said(alice.who, "hello?", at_ms()))
        await alice.heard("hello?")
        look = "look\n[file: one.jpg, image/jpeg, 67 B]"
        assert await alice.texts() == ["first", look, "well?", "hello?"]
        inward.client = first
        await inward.stop()
        await inward.start()
    await inward.settled()


async def test_who_is_unbound_while_their_file_comes_says_nothing(
    inward: Stage, alice: Talk
) -> None:
    """Attack: a file that takes its time, and with it whoever sent it comes back."""
    file = attachment("one.jpg", "image/jpeg", len(JPEG), "one.jpg")
    async with slow(JPEG) as (client, asked, go):
        first, inward.client = inward.client, client
        await inward.stop()
        await inward.start()
        await inward.give(said(alice.who, "look", at_ms(), attachments=[file]))
        await asked.wait()
        await alice.change(counterparts=())
        await alice.has(set())
        go.set()
        await inward.settled()
        inward.client = first
        await inward.stop()
        await inward.start()
    assert await alice.texts() == []
    assert await alice.puppets() == set()


async def test_for_who_was_put_out_nothing_is_fetched(inward: Stage) -> None:
    """Attack: somebody whom the owner has removed goes on filling the group's folder."""
    talk, group, one, other = await in_a_group(inward)
    await inward.give(said(one, "in", at_ms(), group=group))
    await talk.heard("in")
    await inward.service.add_file("out.jpg", JPEG)
    key = inward.house.key
    await inward.put(remove_user(key.public, talk.group, inward.puppet(one), int(time.time())))
    file = attachment("out.jpg", "image/jpeg", len(JPEG))
    await inward.give(
        said(one, "x", at_ms(), group=group, attachments=[file]),
        said(other, "end", at_ms(), group=group),
    )
    await talk.heard("end")
    assert await talk.texts() == ["in", "end"]
    assert await inward.service.calls("/v1/attachments/out.jpg") == []


async def test_for_who_is_bound_no_more_nothing_is_fetched(inward: Stage, alice: Talk) -> None:
    """Attack: the same, of somebody who was unbound."""
    await known(inward)
    await inward.service.add_file("filling.jpg", JPEG)
    await alice.change(counterparts=())
    await known(inward)
    before = await inward.service.calls("/v1/attachments/filling.jpg")
    file = attachment("filling.jpg", "image/jpeg", len(JPEG))
    await inward.give(said(alice.who, "x", at_ms(), attachments=[file]))
    await known(inward)
    await inward.settled()
    assert await inward.service.calls("/v1/attachments/filling.jpg") == before
