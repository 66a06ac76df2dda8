"""Shell: the `claude` program of claude-agent-sdk: started, told who it is, and open to questions.

That takes most of a second, and a person would wait for it. So it is done before the job is known,
with everything that does not depend on it: the system prompt, our tools, the conversation that it
is to go on with.

It has no tools of its own (no shell, no files, no web), reads no settings of whatever folder it
stands in, and runs what we give it: everything that it can do is a tool of ours.

Its own folder is new in each container, and of the mounted one it is shown the conversations alone:
whatever else lies there an agent may have written, for the program that comes after it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from agent_image.agent import lean
from agent_image.agent.backends import ToolDescription

PROGRAM = Path("/opt/claude/claude")
SERVER = "nostrclaw"  # our tools' name; the program calls them mcp__nostrclaw__…
CONVERSATIONS = "projects"  # the folder in its own one in which it keeps them
PREFIX = f"mcp__{SERVER}__"
PLACEHOLDER = "none-in-here"
MAX_LINE_BYTES = 16 * 2**20  # what a tool answers comes back in one line
# A conversation that fills about two thirds of it goes on as a summary: every message sends all of
# it again, at the owner's cost. It is the smallest that the program takes.
WINDOW_TOKENS = 100_000
MAX_RETRIES = 4  # of one request, over about ten seconds; then another backend may try


def load() -> ModuleType:
    """Import the SDK; takes half a second, and a second where the disk is slow."""
    lean.with_all_imports()
    import claude_agent_sdk
    import claude_agent_sdk._internal.transport.subprocess_cli
    from claude_agent_sdk._internal import query  # noqa: F401 - else at the first connection

    loaded: ModuleType = claude_agent_sdk
    return loaded


def options(
    sdk: ModuleType,
    address: str,
    model: str,
    folder: Path,
    home: Path,
    resume: str | None,
    tools: Any,
) -> Any:
    """How the program is started. address: where it finds models. folder: the group's, in which
    it stands. home: its own, of `new_home`. resume: the id of the conversation to go on with.
    tools: of `server`."""
    return sdk.ClaudeAgentOptions(
        tools=[],
        allowed_tools=[f"mcp__{SERVER}"],
        permission_mode="dontAsk",
        # Attack: settings or servers that an agent left in its folder, to run with the next job.
        setting_sources=[],
        strict_mcp_config=True,
        mcp_servers={SERVER: tools},
        # Attack: "@/path" or "/command" in a stranger's text, which the program would carry out.
        verbatim_prompts=True,
        include_partial_messages=True,
        model=model,
        resume=resume,
        cwd=str(folder),
        cli_path=str(PROGRAM),
        max_buffer_size=MAX_LINE_BYTES,
        stderr=lambda _: None,  # what it complains of is not for whoever reads our output
        env={
            "ANTHROPIC_BASE_URL": address,
            "ANTHROPIC_API_KEY": PLACEHOLDER,
            "ANTHROPIC_DEFAULT_HAIKU_MODEL": model,  # for what it asks besides: summaries, say
            "CLAUDE_CODE_AUTO_COMPACT_WINDOW": str(WINDOW_TOKENS),
            "CLAUDE_CONFIG_DIR": str(home),
            # Attack: a memory of its own among the conversations, which stands in no marked lines.
            "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_MAX_RETRIES": str(MAX_RETRIES),
            "ENABLE_TOOL_SEARCH": "false",  # every tool is shown at once
        },
    )


def new_home(kept: Path) -> Path:
    """Make the program's own folder, beside the mounted one, `kept`. Raises OSError.

    Attack: `.claude.json` or `remote-settings.json` in a folder that stays, by which the program
    runs commands before there is a job, asks another address, or is told another system prompt.
    """
    conversations = kept / CONVERSATIONS
    if conversations.is_symlink() or not conversations.is_dir():
        conversations.unlink(missing_ok=True)
        conversations.mkdir(mode=0o700, parents=True)
    home = kept.with_name(f"{kept.name}-program")
    home.mkdir(mode=0o700, exist_ok=True)
    link = home / CONVERSATIONS
    if not link.is_symlink():
        link.symlink_to(conversations)
    return home


def server(sdk: ModuleType, tools: tuple[ToolDescription, ...], call: Callable[..., Any]) -> Any:
    """Our tools as the SDK takes them. call: `await call(name, arguments)` gives the result."""

    def handler(name: str) -> Callable[[dict[str, Any]], Any]:
        async def handle(arguments: dict[str, Any]) -> Any:
            return await call(name, arguments)

        return handle

    made = [
        sdk.SdkMcpTool(tool.name, tool.description, dict(tool.parameters), handler(tool.name))
        for tool in tools
    ]
    return sdk.create_sdk_mcp_server(SERVER, tools=made)


class Program:
    """One started program. wanted: of `options`; system: the prompt that says who it is."""

    def __init__(self, sdk: ModuleType, wanted: Any, system: str) -> None:
        inner = sdk._internal.transport.subprocess_cli.SubprocessCLITransport  # noqa: SLF001
        self._transport = inner(prompt=_nothing(), options=wanted)
        self.client = sdk.ClaudeSDKClient(wanted, _told(sdk, self._transport, system))

    async def start(self) -> None:
        """Start it and have it ready for a question. Raises what the SDK raises."""
        await self.client.connect()

    async def ask_aside(self, question: str) -> str:
        """Ask what its conversation keeps nothing of. Raises what the SDK raises."""
        request = {"subtype": "side_question", "question": question}
        answer = await self.client._query._send_control_request(request)  # noqa: SLF001
        return str(answer.get("response"))

    @property
    def is_alive(self) -> bool:
        """Say whether it still runs."""
        process = self._transport._process  # noqa: SLF001 - the SDK tells of an end only when asked
        if process is None or process.returncode is not None:
            return False
        try:  # the event loop hears of an end a moment later than the system
            state = (
                Path(f"/proc/{process.pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
            )
        except OSError:
            return False
        return state not in ("Z", "X")

    async def close(self) -> None:
        """End it, whatever it does. Never raises."""
        with suppress(Exception):
            await self.client.disconnect()
        with suppress(Exception):
            await self._transport.close()


def _told(sdk: ModuleType, inner: Any, system: str) -> Any:
    """The program's transport, by which the first thing told is also the system prompt: as an
    argument, which is where the SDK puts it, it could be too long."""

    class Told(sdk.Transport):  # type: ignore[name-defined,misc]
        async def connect(self) -> None:
            await inner.connect()

        async def write(self, data: str) -> None:
            await inner.write(_with_system(data, system))

        def read_messages(self) -> AsyncIterator[dict[str, Any]]:
            messages: AsyncIterator[dict[str, Any]] = inner.read_messages()
            return messages

        async def close(self) -> None:
            await asyncio.shield(inner.close())

        def is_ready(self) -> bool:
            return bool(inner.is_ready())

        async def end_input(self) -> None:
            await inner.end_input()

    return Told()


def _with_system(data: str, system: str) -> str:
    """The control message `initialize` with the prompt in it; any other message as it is."""
    if '"initialize"' not in data:
        return data
    message = json.loads(data)
    request = message.get("request")
    if not isinstance(request, dict) or request.get("subtype") != "initialize":
        return data
    # Without `systemPromptSnapshot` a conversation would keep the prompt that it began with.
    request |= {"systemPrompt": [system], "systemPromptSnapshot": False}
    return json.dumps(message) + "\n"


async def _nothing() -> AsyncIterator[dict[str, Any]]:
    return
    yield {}
