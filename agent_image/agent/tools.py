"""Shell: the tools of an agent, one method each, and how a call of one is carried out.

The docstrings and hints below are what a model is told (schema.py), so they speak to it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated

from agent_image.agent import command, memory, utterance
from agent_image.agent.article_tool import ArticleTool
from agent_image.agent.asking import ASKED, Asking, NotDone
from agent_image.agent.backends import Answer, Call, ToolDescription
from agent_image.agent.house_tools import HouseTools
from agent_image.agent.job import Job, Message
from agent_image.agent.public_events import PublicEvents
from agent_image.agent.public_tools import PublicTools
from agent_image.agent.query_tool import QueryTool
from agent_image.agent.schema import BadArguments, check, describe
from agent_image.agent.search import Search
from agent_image.agent.speech import Speaker
from agent_image.agent.task_tools import TaskTools
from nips import nip25
from nips.event import MAX_KIND, Template
from nips.kinds import Kind
from nips.refusal import Prefix, Refused

MAX_TEXT_BYTES = 60_000  # of one message; what signs it allows 65,536 for the whole content
MAX_LIMIT_S = 300
# What the signer and the router give the sessions of the owner's own conversation alone.
MAINS_TOOLS = frozenset(
    {
        "publish_note",
        "publish_article",
        "publish_reply",
        "comment",
        "react_publicly",
        "retract",
        "publish_event",
        "nostr_query",
        "list_groups",
        "register_group",
        "propose_change",
    }
)
MAINS_PARAMETERS = frozenset({"conversation", "everywhere"})


class ToolRefused(Exception):
    """The tool did not do it; the sentence is for the model and for the person."""


class Toolbox:
    """The tools, bound to one job, one signer, one router and one folder.

    search: the way to what was said before. out: where files that are handed over lie; without it
    `ipc/out` next to the folder.
    """

    def __init__(
        self,
        job: Job,
        speaker: Speaker,
        asking: Asking,
        folder: Path,
        out: Path | None = None,
        *,
        search: Search | None = None,
    ) -> None:
        self._job, self._speaker, self._folder = job, speaker, folder
        self._search = search
        self._calls: Counter[str] = Counter()
        self._call_key = ""

        def call_key() -> str:
            return self._call_key

        out = out or folder.parent / "ipc" / "out"
        self._house = HouseTools(job, asking, call_key, folder, out)
        events = PublicEvents(job, asking, call_key)
        articles = ArticleTool(job, speaker, events, call_key)
        public = PublicTools(job, speaker, events, call_key)
        tasks = TaskTools(job, asking, call_key)
        parts = (self, articles, public, QueryTool(job, asking, call_key), self._house, tasks)
        self._tools: dict[str, Callable[..., Coroutine[object, object, str]]] = {
            tool.__name__: getattr(part, tool.__name__)
            for tool in TOOLS
            for part in parts
            if hasattr(part, tool.__name__)
        }

    async def execute(self, call: Call) -> Answer:
        """Carry out one call. A refusal is an answer; SignerAway and Malformed are raised.

        Calls are made one after another: a call's key is its tool's name and its number.
        """
        self._calls[call.name] += 1
        self._call_key = f"{call.name}:{call.key}" if call.key else self._ordinal(call.name)
        if (tool := self._tools.get(call.name)) is None:
            return Answer(False, f"There is no tool called {call.name[:40]!r}.")
        try:
            check(tool, call.arguments)
            return Answer(True, await tool(**call.arguments))
        except Refused as error:
            if error.refusal.prefix is Prefix.PENDING:
                return Answer(True, ASKED)
            return Answer(False, f"The signer refused: {error.refusal}")
        except (BadArguments, ToolRefused, NotDone, memory.MemoryRefused) as error:
            return Answer(False, f"That did not work: {error}.")

    async def send_message(
        self,
        text: Annotated[str, "what to say, plain text"],
        reply_to: Annotated[str, "id of the message to answer; the one asked if empty"] = "",
        conversation: Annotated[str, "name or folder of another one; this one if empty"] = "",
    ) -> str:
        """Say something in this conversation."""
        if not text.strip():
            raise ToolRefused("a message needs a text")
        if (size_bytes := len(text.encode())) > MAX_TEXT_BYTES:
            raise ToolRefused(
                f"a message may have {MAX_TEXT_BYTES} bytes and this has {size_bytes}; "
                "say it in parts"
            )
        if conversation:
            return await self._house.say_elsewhere(conversation, text)
        return await self._publish(
            utterance.reply(self._job, self._message(reply_to), text, self._call_key, self._time())
        )

    async def react(
        self,
        sign: Annotated[str, "one emoji, or + or -"],
        message: Annotated[str, "id of the message; the one asked if empty"] = "",
    ) -> str:
        """React to a message of this conversation with an emoji."""
        if not nip25.is_sign(sign):
            raise ToolRefused("a reaction is one emoji, or + or -")
        if (to := self._message(message)).task:
            raise ToolRefused("nobody has said what you are at: name a message")
        return await self._publish(
            utterance.reaction(self._job, to, sign, self._call_key, self._time())
        )

    async def publish_note(
        self, text: Annotated[str, "the whole note, plain text; everybody can read it"]
    ) -> str:
        """Publish a public note (kind 1) under the assistant's name."""
        if not text.strip():
            raise ToolRefused("a note needs a text")
        return await self._publish(
            utterance.public(self._job, Kind.NOTE, text, self._call_key, self._time())
        )

    async def publish_event(
        self,
        kind: Annotated[int, "the kind's number, 0 to 65535"],
        content: Annotated[str, "the event's content"],
    ) -> str:
        """Publish an event of any kind; the signer decides whether this conversation may, and for
        some kinds (a profile, say) asks the owner first."""
        if not 0 <= kind <= MAX_KIND:
            raise ToolRefused(f"a kind is a number from 0 to {MAX_KIND}")
        job, key, now = self._job, self._call_key, self._time()
        match kind:
            case Kind.CHAT:
                template = utterance.reply(job, self._message(""), content, key, now)
            case Kind.REACTION:
                template = utterance.reaction(job, self._message(""), content, key, now)
            case _:
                template = utterance.public(job, kind, content, key, now)
        return await self._publish(template)

    async def remember(
        self, text: Annotated[str, "one fact, in a sentence that is clear by itself"]
    ) -> str:
        """Remember something about this conversation, for later jobs too (MEMORY.md)."""
        day = time.strftime("%Y-%m-%d", time.gmtime(self._time()))
        new = memory.remember(self._folder, text, day)
        return "remembered" if new else "this was remembered already"

    async def recall(
        self, words: Annotated[str, "only the lines with all of these words; all if empty"] = ""
    ) -> str:
        """Read what was remembered about this conversation; empty when nothing was."""
        return memory.recall(self._folder, words)

    async def run_command(
        self,
        line: Annotated[str, "a command line for /bin/sh"],
        limit_s: Annotated[int, "seconds it may take, 1 to 300"] = 60,
    ) -> str:
        """Run a command in the conversation's folder, in a container without a network.

        Answers with the exit code and the output, its middle left out when it is long.
        """
        if not 1 <= limit_s <= MAX_LIMIT_S:
            raise ToolRefused(f"limit_s is from 1 to {MAX_LIMIT_S}")
        if "\0" in line or not line.strip():
            raise ToolRefused("there is no command to run")
        try:
            finished = await command.run(line, self._folder, limit_s)
        except OSError as error:
            raise ToolRefused(f"the command could not be started: {error.strerror}") from error
        match finished.exit_code:
            case None:
                ending = f"stopped after {limit_s} s"
            case code:
                ending = f"exit code {code}"
        return f"{ending}\n{finished.output}".strip()

    async def search_history(
        self,
        words: Annotated[str, "words that a message must all have"],
        limit: Annotated[int, "how many messages at most, the newest, 1 to 50"] = 10,
    ) -> str:
        """Look for what was said in this conversation before, however long ago.

        Answers with who said it, when, the message's id, and the words.
        """
        if self._search is None:
            raise ToolRefused("there is nothing to look through here")
        return await self._search.find(self._job, words, limit)

    async def _publish(self, template: Template) -> str:
        event = await self._speaker.publish(template)
        return f"signed and published, kind {event.kind}, id {event.id}"

    def _message(self, message_id: str) -> Message:
        if not message_id:
            return self._job.message
        if (message := self._job.find(message_id)) is None:
            raise ToolRefused("there is no message of that id in this conversation")
        return message

    def _ordinal(self, name: str) -> str:
        return f"{name}/{self._calls[name]}"

    def _time(self) -> int:
        return self._speaker.created_at()


# In the order in which a model is told of them.
TOOLS: tuple[Callable[..., Coroutine[object, object, str]], ...] = (
    Toolbox.send_message,
    Toolbox.react,
    Toolbox.publish_note,
    ArticleTool.publish_article,
    PublicTools.publish_reply,
    PublicTools.comment,
    PublicTools.react_publicly,
    PublicTools.retract,
    Toolbox.publish_event,
    Toolbox.remember,
    Toolbox.recall,
    Toolbox.run_command,
    Toolbox.search_history,
    QueryTool.nostr_query,
    HouseTools.send_file,
    HouseTools.set_persona,
    HouseTools.set_group,
    HouseTools.list_groups,
    HouseTools.register_group,
    HouseTools.ask_owner,
    HouseTools.propose_change,
    TaskTools.schedule_task,
    TaskTools.list_tasks,
    TaskTools.update_task,
    TaskTools.pause_task,
    TaskTools.resume_task,
    TaskTools.cancel_task,
    TaskTools.run_task,
)


def described(*, is_main: bool) -> tuple[ToolDescription, ...]:
    """The tools as a model is told of them: it is not offered what is never done here. is_main:
    whether this is the owner's own conversation.

    Whether it is done is decided elsewhere, so `Toolbox.execute` knows them all.
    """
    if is_main:
        return tuple(describe(tool) for tool in TOOLS)
    here = (tool for tool in TOOLS if tool.__name__ not in MAINS_TOOLS)
    return tuple(describe(tool, MAINS_PARAMETERS) for tool in here)
