"""Shell: the backend on claude-agent-sdk: its program works with a model, our tools do the rest.

The SDK calls our tools while it reads the model's answer; a backend yields its calls one after
another. So what the SDK brings, messages and calls, goes through one queue, and each call waits
there until the runner has answered it.

What the model says last in its turn is said with `send_message`, once. What it says before it uses
a tool is a progress line. The program keeps the conversation; the next container goes on with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from agent_image.agent import thread
from agent_image.agent.backends import (
    Answer,
    BackendFailed,
    Call,
    Character,
    Narrate,
    Steps,
    Task,
)
from agent_image.agent.backends import claude_program as program
from agent_image.agent.backends import claude_words as words
from agent_image.agent.backends.claude_live import ClosingText, LiveText
from agent_image.agent.backends.claude_rehearsal import QUESTION, Rehearsal
from agent_image.agent.context import system_prompt, user_prompt
from agent_image.agent.door import Way, open_door
from agent_image.agent.job import Message
from agent_image.agent.model import Models
from agent_image.agent.thread import Thread

HOME = Path("/home/agent/.claude")
FOLDER = Path("/workspace/group")
_NAME = "send_message"
# What a program says of itself may still come from one that has died.
_OF_A_MODEL = frozenset({"StreamEvent", "AssistantMessage", "ResultMessage"})


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A tool that the model calls, and where its answer goes."""

    name: str
    arguments: dict[str, Any]
    answered: asyncio.Future[Answer]


@dataclass(frozen=True, slots=True)
class _Broken:
    """The program ended, or said what nobody understands."""

    error: Exception


@dataclass(frozen=True, slots=True)
class _Opened:
    """A started program, the conversation that it has read, and who it was told that it is."""

    program: program.Program
    thread: Thread | None
    character: Character


class Claude:
    """models: the way to them. model: its name. wrote: is called with what it writes. folder: the
    group's; home: where its conversations stay."""

    def __init__(
        self,
        models: Models,
        model: str,
        wrote: Callable[[str], None] = lambda _: None,
        *,
        folder: Path = FOLDER,
        home: Path = HOME,
    ) -> None:
        self._models, self._model, self._folder, self._home = models, model, folder, home
        self._wrote = wrote
        self._way: Way = models
        self._stack = AsyncExitStack()
        self._sdk: ModuleType | None = None
        self._address = ""
        self._opened: _Opened | None = None
        self._has_begun = False
        self._coming: asyncio.Queue[object] = asyncio.Queue()
        self._thread: Thread | None = None

    async def prepare(self, character: Character) -> None:
        """Import the SDK, open the door, start the program."""
        with suppress(Exception):  # it is tried again, and told, when there is work
            await self._open(character, thread.read(self._home))

    async def rehearse(self) -> None:
        """Have the program answer something, without a model."""
        with suppress(Exception):  # then the first answer takes as long as it takes
            await self.rehearsed()

    async def rehearsed(self) -> str:
        """What it answers. Raises what the SDK raises."""
        assert self._opened is not None
        self._way = Rehearsal()
        try:
            return await self._opened.program.ask_aside(QUESTION)
        except BaseException:
            await self._drop()  # else what it still asks would go to a model
            raise
        finally:
            self._way = self._models

    def work(self, task: Task) -> Steps:
        """Answer one message."""
        return self._turn(task)

    async def close(self) -> None:
        """End the program, which writes down what it knows, and shut the door."""
        await self._drop()
        with suppress(Exception):
            await self._stack.aclose()

    async def _turn(self, task: Task) -> Steps:
        said: list[str] = []
        if not self._has_begun:
            try:
                is_new = await self._begin(task.character)
            except Exception as error:
                await self._drop()
                raise BackendFailed(words.failure(None, "program")) from error
            if is_new:
                yield Narrate(words.NEW_THREAD)
        earlier, final, live, closing = "", "", LiveText(), ClosingText()
        async with self._read(user_prompt(self._unseen(task))) as coming:
            while True:
                match await coming.get():
                    case _Wanted(name, arguments, answered):
                        if line := words.first_line(earlier) or words.using(name):
                            yield Narrate(line)
                        earlier = ""
                        answer = await _answered((yield Call(name, arguments)), answered)
                        if name == _NAME and answer.ok and not arguments.get("conversation"):
                            said.append(str(arguments.get("text", "")))
                    case _Broken(why):
                        raise BackendFailed(words.failure(None, "program")) from why
                    case message:
                        kind = type(message).__name__
                        if kind == "ResultMessage":
                            final = self._ended(message, task)
                            break
                        self._wrote(live.feed(message))
                        for call in _spoken(closing.feed(message), said):
                            yield call
                        earlier = _text_of(message) or earlier
                        if line := await self._line_of(message):
                            yield Narrate(line)
        for call in _spoken(final, said):
            yield call

    def _unseen(self, task: Task) -> Task:
        """The task without what stands in the conversation that the program goes on with."""
        seen = self._thread
        if seen is None:
            return task
        history = tuple(
            one
            for one in task.job.history
            if one.created_at >= seen.seen_until and one.id != seen.answered
        )
        return replace(task, job=replace(task.job, history=history))

    def _ended(self, result: Any, task: Task) -> str:
        """The turn's last text. Raises BackendFailed when the turn did not end well."""
        self._remember(str(result.session_id), task.job.message)
        if result.is_error:
            raise BackendFailed(words.failure(result.api_error_status))
        return str(result.result or "")

    async def _line_of(self, message: Any) -> str | None:
        """What those who watch are told of a message; raises BackendFailed where nobody should
        wait any longer."""
        data = getattr(message, "data", {})
        match getattr(message, "subtype", None):
            case "compact_boundary":
                return words.COMPACTED
            case "api_retry":
                if (wait_s := float(data.get("retry_delay_ms", 0)) / 1000) > words.LONGEST_WAIT_S:
                    raise BackendFailed(words.later(wait_s))
                return words.retrying(data)
            case _:
                return None

    # The program

    async def _open(self, character: Character, known: Thread | None) -> None:
        """Have a program that is ready for a question, to go on with `known`."""
        if self._sdk is None:
            # In a thread, so that the session's connection goes on meanwhile.
            self._sdk = await asyncio.to_thread(program.load)
            self._address = await self._stack.enter_async_context(open_door(lambda: self._way))
        if self._opened is not None:
            return
        started = program.Program(
            self._sdk,
            program.options(
                self._sdk,
                self._address,
                self._model,
                self._folder,
                program.new_home(self._home),
                known.id if known else None,
                program.server(self._sdk, character.tools, self._call),
            ),
            f"{system_prompt(character)}\n\n{words.HOW_IT_ENDS}",
        )
        try:
            await started.start()
        except BaseException:
            await started.close()
            raise
        self._opened = _Opened(started, known, character)

    async def _begin(self, character: Character) -> bool:
        """Have a program for the turns of this job; says whether the conversation had to begin
        anew."""
        now, opened = thread.read(self._home), self._opened
        # Another container may have gone on with it since, or somebody changed who it is to be.
        if opened is not None and not (
            opened.thread == now and opened.character == character and opened.program.is_alive
        ):
            await self._drop()
        # A program that could not read it once is no reason to forget.
        for known in (now, now) if now is not None else (None,):
            with suppress(Exception):
                await self._open(character, known)
                break
            await self._drop()
        else:
            known = None
            await self._open(character, None)
        self._thread, self._has_begun = known, True
        return known != now

    async def _drop(self) -> None:
        opened, self._opened, self._has_begun = self._opened, None, False
        if opened is not None:
            await opened.program.close()

    def _remember(self, session_id: str, answered: Message) -> None:
        before = self._thread
        n_turns = before.n_turns if before and before.id == session_id else 0
        self._thread = Thread(session_id, n_turns + 1, answered.created_at, answered.id)
        with suppress(OSError):  # a full folder: the next one begins anew
            thread.write(self._home, self._thread)

    # What it brings

    async def _call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Called by the SDK: have the runner carry out a tool."""
        wanted = _Wanted(name, arguments, asyncio.get_running_loop().create_future())
        self._coming.put_nowait(wanted)
        answer = await wanted.answered
        return {"content": [{"type": "text", "text": answer.for_model}], "is_error": not answer.ok}

    async def _follow(
        self, client: Any, prompt: str, coming: asyncio.Queue[object], *, may_be_deaf: bool
    ) -> bool:
        """Ask a program and hand on what it says, to the end. may_be_deaf: say False, and hand on
        no end, where it has ended without a word of a model's."""
        heard, end = False, _Broken(EOFError("it ended without a result"))
        try:
            await client.query(prompt)
            async for message in client.receive_response():
                heard = heard or type(message).__name__ in _OF_A_MODEL
                coming.put_nowait(message)
        except Exception as error:  # noqa: BLE001 - whatever the SDK raises is one end
            end = _Broken(error)
        if not heard and may_be_deaf:
            return False
        coming.put_nowait(end)
        return True

    async def _another(self) -> Any:
        """A new program in the place of one that has ended; its client."""
        assert self._opened is not None
        character = self._opened.character
        await self._drop()
        await self._begin(character)
        return self._opened.program.client

    @asynccontextmanager
    async def _read(self, prompt: str) -> AsyncIterator[asyncio.Queue[object]]:
        """Ask, and yield what comes: calls of tools and the SDK's messages, to the result."""
        assert self._opened is not None
        client, coming = self._opened.program.client, asyncio.Queue[object]()
        self._coming = coming

        async def follow() -> None:
            heard = await self._follow(client, prompt, coming, may_be_deaf=True)
            if not heard:
                # It died while it waited, or dies just now: the system is slow to say so.
                try:
                    another = await self._another()
                except Exception as error:  # noqa: BLE001 - whatever the SDK raises is one end
                    coming.put_nowait(_Broken(error))
                else:
                    await self._follow(another, prompt, coming, may_be_deaf=False)

        following = asyncio.create_task(follow())
        try:
            yield coming
        except BaseException:
            # In the middle of a turn, of whose rest nobody wants to hear.
            await self._drop()
            raise
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


def _spoken(text: str, said: list[str]) -> list[Call]:
    """The calls by which a turn's last text is said, where it is not in what was `said` before."""
    if (last := words.closing_words(text, said)) is None:
        return []
    said.append(last)
    return [Call(_NAME, {"text": part}) for part in words.parts(last)]


async def _answered(answer: Answer | None, waiting: asyncio.Future[Answer]) -> Answer:
    given = answer or Answer(False, "That was not done.")
    if not waiting.done():
        waiting.set_result(given)
    return given


def _text_of(message: Any) -> str:
    """The text of a message of the model's; empty for any other."""
    if type(message).__name__ != "AssistantMessage" or message.error is not None:
        return ""
    return "\n".join(block.text for block in message.content if hasattr(block, "text")).strip()
