"""Shell: progress lines (43003), signed by the session's own key; the last one says "done".

At most one a second is sent, the newest; a line that nobody watches must not hold up the work.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Mapping, Sequence

from agent_image.agent.backends import Answer, Call
from agent_image.agent.job import Job
from agent_image.agent.observer import Observer
from nips.key import SecretKey
from nips.own.backend_name import BackendName
from nips.own.job import JobRequest, progress
from nips.refusal import Refused
from relay_local.client import Link

PAUSE_S = 1.0
DEADLINE_S = 60.0
MAX_LINE_CHARS = 200


class Narrator:
    """What those who watch a job see of it: its group its lines, its owner each step besides.
    `now` returns unix seconds."""

    def __init__(
        self,
        link: Link,
        key: SecretKey,
        job: Job | JobRequest,
        now: Callable[[], float],
        observer: Observer,
    ) -> None:
        self._link, self._key, self._job, self._now = link, key, job, now
        self._observer = observer
        self._task = job.task if isinstance(job, JobRequest) else None
        self._newest: str | None = None
        self._sending: asyncio.Task[None] | None = None

    def say(self, line: str) -> None:
        """Show a line soon; a newer one within the same second takes its place."""
        self._observer.show("acp_read", type="progress", text=line)
        self._newest = line[:MAX_LINE_CHARS]
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())

    def resolved(self, name: BackendName) -> None:
        """Show the owner what answers."""
        model = {} if name.model is None else {"model": name.model}
        self._observer.show("session_resolved", backend=name.kind, **model)

    def called(self, call: Call) -> None:
        """Show the owner that a tool is called."""
        arguments = _written(call.arguments)
        self._observer.show("acp_read", type="tool_call", tool=call.name, text=arguments)

    def answered(self, call: Call, answer: Answer) -> None:
        """Show the owner what a tool came to."""
        result = {"tool": call.name, "ok": "yes" if answer.ok else "no", "text": answer.text}
        self._observer.show("acp_write", type="tool_result", **result)

    async def begin(self, message: str) -> None:
        """Publish that a handed message (its id) is begun with, before anything is done about it.

        Raises as `finish`.
        """
        await self._publish("", done=False, messages=(message,))

    async def finish(self, dealt: Sequence[str] = (), gate: str | None = None) -> None:
        """Publish that the work is done: the router ends the job on it. dealt: the ids of the
        handed messages that need nothing more. gate: how the command ended that kept the task from
        being carried out.

        Raises Refused when the relay does not take it, Unanswered when it stays away.
        """
        if self._sending is not None:
            self._sending.cancel()  # what is under way is overtaken by this
            await asyncio.gather(self._sending, return_exceptions=True)
        await self._publish("", done=True, messages=dealt, gate=gate)

    async def _send(self) -> None:
        while self._newest is not None:
            line, self._newest = self._newest, None
            await self._publish(line, done=False)
            await asyncio.sleep(PAUSE_S)

    async def _publish(
        self, line: str, *, done: bool, messages: Sequence[str] = (), gate: str | None = None
    ) -> None:
        group, job, now_s = self._job.group, self._job.id, int(self._now())
        event = progress(
            self._key.public,
            group,
            job,
            line,
            now_s,
            done=done,
            messages=messages,
            task=self._task,
            gate=gate,
        ).sign(self._key, secrets.token_bytes(32))
        ok = await self._link.publish(event, deadline_s=DEADLINE_S)
        if ok.refusal is not None:
            raise Refused(ok.refusal)


def _written(arguments: Mapping[str, object]) -> str:
    # Attack: half of an emoji, or objects without end, as an argument: the run ends because it is
    # watched. What no JSON holds is shown as nothing; the tool judges it.
    try:
        return json.dumps(arguments, ensure_ascii=False, separators=(",", ":"), default=str)
    except (TypeError, ValueError, RecursionError):
        return ""
