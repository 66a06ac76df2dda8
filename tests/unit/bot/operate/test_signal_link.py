"""`nostrclaw signal link` at a terminal, with the stand-in of Signal's service and its phone."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bot.cli import app
from bot.operate import assembly, signal_link, signal_service
from bot.operate.assembly import Installation
from bot.operate.stand_ins.signal_faults import no_link
from bot.operate.stand_ins.signal_service import SignalService
from config import settings
from tests.signal_service import NUMBER, a_service
from tests.unit.bot.operate.terminal import Terminal, at_terminal

OTHER = "+4915100000002"
# The command, with less patience than a person needs.
IN_A_HURRY = """
import sys
from bot.operate import signal_link
signal_link.LOOK_S = 0.05
signal_link.CODE_LIVES_S, signal_link.CODES = float(sys.argv.pop(1)), int(sys.argv.pop(1))
from bot.cli import main
main()
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    made = assembly.installation(tmp_path / "data")
    yield made
    shutil.rmtree(made.run, ignore_errors=True)


@pytest.fixture
async def service() -> AsyncIterator[SignalService]:
    async with a_service(number="") as made:
        yield made


def linking(
    place: Installation, url: str, *more: str, lives_s: float = 60, codes: int = 5
) -> AbstractAsyncContextManager[Terminal]:
    argv = ["-c", IN_A_HURRY, str(lives_s), str(codes), "signal", "link"]
    argv += ["--data", str(place.data), "--url", url, *more]
    return at_terminal(*argv, env={"DOCKER_HOST": f"unix://{place.data}/none.sock"})


async def linked(place: Installation, *more: str) -> Result:
    """The same without a terminal."""
    argv = ["signal", "link", "--data", str(place.data), *more]
    return await asyncio.to_thread(CliRunner().invoke, app, argv)


def in_file(place: Installation) -> settings.SignalSettings:
    return settings.load(place.data).signal


def is_untouched(place: Installation) -> bool:
    return not (place.data / settings.FILE_NAME).exists()


async def test_a_phone_scans_the_code(place: Installation, service: SignalService) -> None:
    file = place.data / settings.FILE_NAME
    file.write_text('name = "Ada" # hers\n\n[agent]\npids = 99\n')
    async with linking(place, service.url, "--name", "my claw") as terminal:
        await terminal.until("sgnl://linkdevice?")
        await terminal.until("Linked devices")
        await terminal.until("waiting for the phone")
        assert "█" in terminal.shown
        assert await service.scan(NUMBER) == "my claw"
        assert await terminal.end() == 0
    assert f"✓ {NUMBER} is the assistant's Signal account" in terminal.shown
    assert f"Next: nostrclaw up --data {place.data}" in terminal.shown
    assert "/allow CODE" in terminal.shown
    assert (in_file(place).url, in_file(place).number) == (service.url, NUMBER)
    assert file.read_text().startswith('name = "Ada" # hers\n\n[agent]\npids = 99\n')


async def test_a_code_that_is_too_old_gives_way_to_a_new_one(
    place: Installation, service: SignalService
) -> None:
    async with linking(place, service.url, lives_s=1, codes=50) as terminal:
        await terminal.until("That code is too old now; here is a new one.")
        await service.wait_for(links=2)
        await service.scan(NUMBER)
        assert await terminal.end() == 0
    assert in_file(place).number == NUMBER


async def test_nobody_scans_it(place: Installation, service: SignalService) -> None:
    async with linking(place, service.url, lives_s=0.1, codes=2) as terminal:
        assert await terminal.end() == 1
    assert "No phone has scanned the code" in terminal.shown
    assert len(await service.calls("/v1/qrcodelink/raw")) == 2
    assert is_untouched(place)


async def test_ctrl_c_leaves_everything_as_it_was(
    place: Installation, service: SignalService
) -> None:
    async with linking(place, service.url) as terminal:
        await terminal.until("waiting for the phone")
        terminal.type("\x03")
        assert await terminal.end() == 130
    assert terminal.shown.rstrip().endswith("nostrclaw: stopped")
    assert "Traceback" not in terminal.shown
    assert is_untouched(place)


@pytest.mark.parametrize(("answer", "is_used"), [("\n", True), ("n\n", False), ("\x03", None)])
async def test_an_account_that_is_there_is_offered(
    place: Installation, answer: str, is_used: bool | None
) -> None:
    async with a_service() as service, linking(place, service.url) as terminal:
        await terminal.until(f"The service has the account {NUMBER}. Use it? [Y/n]")
        terminal.type(answer)
        if is_used is False:
            await terminal.until("waiting for the phone")
            await service.scan(OTHER)
        assert await terminal.end() == (130 if is_used is None else 0)
        assert len(await service.calls("/v1/qrcodelink/raw")) == (is_used is False)
    assert is_untouched(place) is (is_used is None)
    assert in_file(place).number == {True: NUMBER, False: OTHER, None: ""}[is_used]


async def test_of_several_accounts_one_is_chosen(place: Installation) -> None:
    async with a_service() as service:
        await service.another(OTHER)
        done = await linked(place, "--url", service.url)
        assert done.exit_code == 1
        assert f"the accounts {NUMBER}, {OTHER}. Say which with --number" in done.output
        async with linking(place, service.url) as terminal:
            await terminal.until("Which one?")
            terminal.type(f"{OTHER}\n")
            assert await terminal.end() == 0
        assert in_file(place).number == OTHER
        done = await linked(place, "--url", service.url, "--number", NUMBER)
        assert done.exit_code == 0, done.output
    assert in_file(place).number == NUMBER


async def test_a_script_uses_the_account_that_is_there(place: Installation) -> None:
    async with a_service() as service:
        done = await linked(place, "--url", service.url)
    assert done.exit_code == 0, done.output
    assert in_file(place).number == NUMBER
    with socket.socket(socket.AF_UNIX) as relay:  # the assistant runs
        relay.bind(place.relay_address.removeprefix("unix:"))
        relay.listen()
        async with a_service() as service:
            done = await linked(place, "--url", service.url)
    assert "Next: start the assistant anew" in done.output


async def test_another_phone_than_was_meant(place: Installation, service: SignalService) -> None:
    async with linking(place, service.url, "--number", OTHER) as terminal:
        await terminal.until("waiting for the phone")
        await service.scan(NUMBER)
        assert await terminal.end() == 1
    assert f"has {NUMBER}, not {OTHER}" in terminal.shown.replace("\n", " ")
    assert is_untouched(place)


async def test_signal_gives_no_code(place: Installation, service: SignalService) -> None:
    await service.faults(no_link())
    done = await linked(place, "--url", service.url)
    assert done.exit_code == 1
    assert "There is no code to scan." in done.output
    assert "Look whether the service reaches Signal" in done.output
    assert is_untouched(place)


async def test_a_service_that_is_too_old_is_not_used(place: Installation) -> None:
    async with a_service(number="", version="0.96") as service:
        done = await linked(place, "--url", service.url)
        assert await service.calls("/v1/qrcodelink/raw") == []
    assert done.exit_code == 1
    assert "is of version 0.96, and 0.97 is the oldest" in done.output


async def test_what_the_mode_means_is_said(place: Installation) -> None:
    async with a_service("json-rpc") as service:
        done = await linked(place, "--url", service.url)
    assert done.exit_code == 0, done.output
    assert "lets go of messages that come while nobody listens" in " ".join(done.output.split())


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ((), "docker compose --profile signal up -d"),
        (("--no-start",), "nostrclaw signal link --start"),
        (("--start",), "DOCKER_HOST names"),
    ],
)
async def test_nothing_answers_and_nobody_is_asked(
    place: Installation, more: tuple[str, ...], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{place.data}/none.sock")
    done = await linked(place, "--url", f"http://127.0.0.1:{closed_port()}", *more)
    assert done.exit_code == 1
    assert words in done.output
    assert is_untouched(place)
    assert not (place.data / signal_link.FOLDER).exists()


async def test_without_an_engine_of_the_machine_it_is_said_what_to_do(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal_link, "of_machine", lambda _: None)
    done = await linked(place, "--url", f"http://127.0.0.1:{closed_port()}", "--start")
    assert done.exit_code == 1
    assert "the one that agents run in has no network" in done.output
    assert "docker compose --profile signal up -d" in done.output


async def test_nothing_is_started_unless_the_person_wants_it(place: Installation) -> None:
    async with linking(place, f"http://127.0.0.1:{closed_port()}") as terminal:
        await terminal.until("Start one with Docker, on this machine only? [Y/n]")
        terminal.type("n\n")
        assert await terminal.end() == 1
    assert "DOCKER_HOST" not in terminal.shown
    assert is_untouched(place)


async def test_it_is_started_and_waited_for(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stand-in, which comes up at its port, in place of a container."""
    monkeypatch.setattr(signal_link, "LOOK_S", 0.05)
    monkeypatch.setattr(signal_link, "of_machine", lambda _: "an engine")
    async with a_service() as service:
        await service.stop()
        loop = asyncio.get_running_loop()

        def start(engine: object, folder: Path, port: int, announce: object) -> str:
            assert (engine, folder) == ("an engine", place.data / "signal")
            assert service.url.endswith(f":{port}")
            asyncio.run_coroutine_threadsafe(service.start(), loop)
            return "its-name"

        monkeypatch.setattr(signal_service, "start", start)
        done = await linked(place, "--url", service.url, "--start")
        assert done.exit_code == 0, done.output
        await service.stop()
        monkeypatch.setattr(signal_link, "START_S", 0.1)
        monkeypatch.setattr(signal_service, "start", lambda *_: "its-name")
        done = await linked(place, "--url", service.url, "--start")
    assert done.exit_code == 1
    assert "docker logs its-name" in done.output


@asynccontextmanager
async def something_else() -> AsyncIterator[str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = json.dumps({"object": "list"}).encode()
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_something_else_listens_there(place: Installation) -> None:
    """Such as a language model's server, for which the port is usual too."""
    async with something_else() as url:
        done = await linked(place, "--url", url, "--start")
    assert done.exit_code == 1
    assert f"At {url} answers what is no Signal service." in done.output


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--url", "http://nas.example:8080"), "plain_http"),
        (("--url", "nas:8080"), "url"),
        (("--number", "0170 1234567"), "--number is written in full"),
        (("--url", "https://127.0.0.1:1"), "what runs there is not started from here"),
    ],
)
async def test_what_is_given_wrongly(
    place: Installation, more: tuple[str, ...], words: str
) -> None:
    done = await linked(place, *more)
    assert done.exit_code == 1
    assert words in done.output


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
